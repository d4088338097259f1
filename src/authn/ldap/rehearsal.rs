//! A login step by step. Each step is that of a login (`directory`); here it is only said what came of it.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::advice::failed;
use super::answer::Proof;
use super::bind_pool::Unbound;
use super::directory::{Found, Login};
use super::entry::Entry;
use super::groups::{Memberships, Way};
use super::session::Session;
use super::settings::GroupStrategy;
use super::trouble::Trouble;
use super::typed::may_be_a_name;
use super::{Directory, person, state};
use crate::authn::identity::{Group, Method};
use crate::authn::rehearsal::{End, Outcome, Rehearsal, Step};
use crate::authn::verdict::Rejection;

impl Directory {
    pub(super) async fn rehearsed(&self, typed: &str, password: Option<&SecretString>, patience: Duration) -> Rehearsal {
        let mut steps = Vec::new();
        let end = match self.rehearse_all(typed, password, patience, &mut steps).await {
            Ok(end) => end,
            Err(trouble) => End::Unavailable(trouble.to_string()),
        };
        Rehearsal { steps, end }
    }

    /// Trouble is among the steps already.
    async fn rehearse_all(
        &self,
        typed: &str,
        password: Option<&SecretString>,
        patience: Duration,
        steps: &mut Vec<Step>,
    ) -> Result<End, Trouble> {
        let username = self.stripped(typed);
        let login = may_be_a_name(username).then(|| self.login(username)).flatten();
        let Some(login) = login else {
            let wrong = Step::new("name", Outcome::Wrong, format!("`{username}` can be nobody's name here"));
            let advice = "spaces around it, invisible characters, full-width letters and, with `bind: upn`, other suffixes are refused; \
                          `user.strip` says what is cut off";
            steps.push(wrong.advice(advice));
            return Ok(End::NotMine);
        };
        let cut = if username == typed { "" } else { "; `user.strip` cuts off the rest" };
        steps.push(Step::good("name", format!("`{username}`{cut}")));
        if !self.probed_servers(steps, patience).await {
            return Err(Trouble::new("connect", "no server can be asked"));
        }
        let started = Instant::now();
        let session = self.session(started + patience).await;
        let session = noted(session, "session", started, steps)?;
        let bases = self.probed_bases(self.bases.iter().map(|(base, _)| base.as_str()), &session, steps).await;
        let mut refused = None;
        match &login {
            Login::Search if !bases => return Err(Trouble::new("search", "a base cannot be searched")),
            Login::Search => {}
            Login::At { dn: bound, .. } | Login::As { principal: bound, .. } => {
                refused = self.rehearsed_bind(bound, password, &session, steps).await?;
            }
        }
        let entry = match self.rehearsed_search(&login, username, &session, steps).await? {
            Found::One(entry) => entry,
            Found::Several(_) => return Ok(End::Refused(Rejection::Ambiguous.as_str().to_owned())),
            Found::Nobody => return Ok(refused.map_or(End::NotMine, |rejection| End::Refused(rejection.as_str().to_owned()))),
        };
        let started = Instant::now();
        let id = noted(self.told_entry(&entry, steps), "entry", started, steps)?;
        let barred = noted(self.told_state(&entry, steps), "account", started, steps)?;
        if matches!(login, Login::Search) {
            refused = self.rehearsed_bind(&entry.dn, password, &session, steps).await?;
        }
        let started = Instant::now();
        let groups = self.groups.memberships(&entry, &session).await;
        let groups = noted(groups, "groups", started, steps)?;
        steps.push(self.told_groups(&groups).took(started.elapsed()));
        if let Some(rejection) = refused.or(barred) {
            return Ok(End::Refused(rejection.as_str().to_owned()));
        }
        let groups: Vec<Group> = groups.found.into_keys().collect();
        let identity = self.identity_in(&entry, id, groups, self.clock.now(), Method::Password);
        Ok(End::LetIn(Box::new(noted(identity, "entry", started, steps)?)))
    }

    /// Whom the filter finds.
    async fn rehearsed_search(
        &self,
        login: &Login<'_>,
        username: &str,
        session: &Session<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<Found, Trouble> {
        steps.push(Step::good("filter", self.sought(login, username).as_str()));
        let started = Instant::now();
        let found = noted(self.find(login, username, session).await, "search", started, steps)?;
        let step = match &found {
            Found::One(entry) => Step::good("search", format!("one entry, {}", entry.dn)),
            Found::Nobody => {
                let advice = "is the name spelled as the filter's attribute has it, does the entry lie below `user.bases`, and may the service \
                              account see it?";
                Step::new("search", Outcome::Wrong, "nobody").advice(advice)
            }
            Found::Several(dns) => {
                let advice = "narrow `user.bases` or `user.filter`: a name that several entries answer to lets none of them in";
                Step::new("search", Outcome::Wrong, "more than one entry").details(dns.clone()).advice(advice)
            }
        };
        steps.push(step.took(started.elapsed()));
        Ok(found)
    }

    /// What of the entry makes somebody; the stable id.
    fn told_entry(&self, entry: &Entry, steps: &mut Vec<Step>) -> Result<String, Trouble> {
        let (id, name) = (self.entry_id(entry)?, person::canonical_name(entry, &self.username)?);
        let marker = person::marker(entry)?;
        let details = vec![
            format!("DN: {}", entry.dn),
            format!("{} (id): {id}", self.id.name()),
            format!("password marker: {}", if marker.is_some() { "can be read" } else { "cannot be read" }),
        ];
        let step = Step::good("entry", format!("{}: {name}", self.username)).details(details);
        let advice = "let the service account read `pwdChangedTime` (Active Directory: `pwdLastSet`): without it identity tokens live at most \
                      7 days, and a new password ends none";
        steps.push(if marker.is_some() { step } else { Step { outcome: Outcome::Note, ..step.advice(advice) } });
        Ok(id)
    }

    /// Whether the account may be used, and by which attributes.
    fn told_state(&self, entry: &Entry, steps: &mut Vec<Step>) -> Result<Option<Rejection>, Trouble> {
        let attributes = state::readable(entry)?;
        let barred = self.accounts.refusal(entry, self.clock.now())?;
        let step = match barred {
            Some(rejection) => {
                let step = Step::new("account", Outcome::Wrong, rejection.as_str());
                step.advice("set the account right in the directory, where that is what you want")
            }
            None if state::is_locked_by_passwords(entry)? => {
                let locked = Step::new("account", Outcome::Warning, "locked by wrong passwords, now or until a moment ago");
                locked.advice("the directory refuses the right password too until the lock ends; an administrator can end it")
            }
            None if attributes.is_empty() => {
                Step::new("account", Outcome::Note, "no attribute of its state can be read, so the bind decides")
            }
            None => Step::good("account", "nothing speaks against it"),
        };
        steps.push(step.details(attributes));
        Ok(barred)
    }

    /// One real bind, where there is a password; why it lets nobody in.
    async fn rehearsed_bind(
        &self,
        dn: &str,
        password: Option<&SecretString>,
        session: &Session<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Rejection>, Trouble> {
        let Some(password) = password else {
            let none = Step::new("bind", Outcome::Note, "not tried: no password was given");
            steps.push(
                none.advice("`--password` asks for one, `--password-stdin` reads one; it is one real bind and counts at the directory"),
            );
            return Ok(None);
        };
        let started = Instant::now();
        let proof = noted(session.bind(dn, password).await.map_err(Unbound::trouble), "bind", started, steps)?;
        let refused = self.refusal(&proof);
        let step = match (&proof, refused) {
            (Proof::Proven { expires_in: Some(seconds) }, _) => {
                let soon = Step::new("bind", Outcome::Warning, format!("the password is right, and expires in {} days", seconds / 86_400));
                soon.advice("change it in time")
            }
            (Proof::Proven { expires_in: None }, _) => Step::good("bind", "the password is right"),
            (Proof::Refused { detail, .. }, None) => {
                Step::new("bind", Outcome::Warning, format!("the password is right and let in by `accounts`: {detail}"))
            }
            (Proof::Refused { detail, .. }, Some(rejection)) => {
                let step = Step::new("bind", Outcome::Wrong, format!("{}: {detail}", rejection.as_str()));
                step.advice(bind_advice(rejection))
            }
        };
        steps.push(step.took(started.elapsed()));
        Ok(refused)
    }

    /// How many groups were found in which way, each of them, and what does not count.
    fn told_groups(&self, groups: &Memberships) -> Step {
        let Memberships { found, left_out } = groups;
        let mut details = Vec::new();
        for (group, way) in found {
            let place = group.dn.as_deref().or(group.id.as_deref()).unwrap_or_default();
            let base = group.dn.as_deref().and_then(|dn| self.groups.base_of(dn)).map(|base| format!(", below {base}"));
            details.push(format!("{}: {}, {place}{}", group.name, way_in_words(*way), base.unwrap_or_default()));
        }
        details.extend(left_out.elsewhere.iter().map(|dn| format!("left out, not below `groups.bases`: {dn}")));
        if left_out.nameless > 0 {
            details.push(format!("left out, not below `groups.bases` or not taken by `groups.filter`: {} more", left_out.nameless));
        }
        let strategy = self.groups.strategy();
        let counted = counted(found.values().copied());
        let step = Step::good("groups", format!("{} finds {}{counted}", strategy.as_str(), found.len()));
        let none = found.is_empty() && strategy != GroupStrategy::None;
        let step = if none { Step { outcome: Outcome::Note, ..step } } else { step };
        let step = step.details(details);
        match (none, left_out.elsewhere.is_empty() && left_out.nameless == 0) {
            (true, true) => step.advice("is `groups.strategy` the one of this directory, and may the service account read groups?"),
            (true, false) => step.advice("where one of those left out should count, add its place to `groups.bases`"),
            (false, _) => step,
        }
    }
}

/// Takes a failure down among the steps and hands it on.
fn noted<T>(outcome: Result<T, Trouble>, name: &str, since: Instant, steps: &mut Vec<Step>) -> Result<T, Trouble> {
    outcome.inspect_err(|trouble| steps.push(failed(name, trouble, since)))
}

fn way_in_words(way: Way) -> String {
    match way {
        Way::Direct => "direct".to_owned(),
        Way::Primary => "primary".to_owned(),
        Way::Nested(1) => "over 1 group".to_owned(),
        Way::Nested(between) => format!("over {between} groups"),
        Way::Followed => "direct or over groups".to_owned(),
    }
}

/// `: 2 direct, 1 over 1 group`.
fn counted(ways: impl Iterator<Item = Way>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for way in ways {
        *counts.entry(way).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(way, count)| format!("{count} {}", way_in_words(way))).collect();
    if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) }
}

fn bind_advice(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::WrongPassword => "the password is wrong, or the directory refuses the account without saying why; each try counts there",
        Rejection::LockedOut => "wrong passwords locked the account: wait until the directory forgets them, or unlock it there",
        Rejection::Disabled => "enable the account, where that is what you want",
        Rejection::Locked => "unlock the account in the directory",
        Rejection::Expired => "change the password, or extend the account",
        Rejection::MustChange => {
            "change the password first; `accounts: {must_change: allow}` lets in where the directory accepts the bind, which Active Directory does not"
        }
        Rejection::Grace => "change the password; `accounts: {grace: allow}` would let in, and each bind uses up one of the last logins",
        Rejection::Restricted => "the directory lets the account in at other hours, or from other computers",
        Rejection::Ambiguous | Rejection::Source | Rejection::InteractionRequired | Rejection::NoOfflineAccess => "look at the other steps",
    }
}
