//! When the directory itself locks an account, compared with how many wrong passwords are let through to it: more, and anybody
//! who knows a name could lock its owner out.

use std::time::Duration;

use ldap3::Scope;
use tokio::time::Instant;

use super::Directory;
use super::connection::Search;
use super::entry::Entry;
use super::session::Session;
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use crate::authn::rehearsal::{BindBudget, Outcome, Step};
use crate::source::Period;

/// What the step is called.
pub const NAME: &str = "lock-out";
/// `LDAP_CAP_ACTIVE_DIRECTORY_OID` ([MS-ADTS] §3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// Policies of one directory that are looked at.
const MAX_POLICIES: u8 = 100;

/// How one kind of directory writes a policy.
struct Words {
    class: &'static str,
    /// Whether it locks at all; without the attribute it does.
    locks: Option<&'static str>,
    threshold: &'static str,
    /// In seconds; 0 or absent: never.
    window: &'static str,
}

/// OpenLDAP's overlay, `FreeIPA`'s Kerberos, and 389 Directory Server's own, which may also stand in `cn=config`.
const WORDS: [Words; 3] = [
    Words { class: "pwdPolicy", locks: Some("pwdLockout"), threshold: "pwdMaxFailure", window: "pwdFailureCountInterval" },
    Words { class: "krbPwdPolicy", locks: None, threshold: "krbPwdMaxFailure", window: "krbPwdFailureCountInterval" },
    Words { class: "passwordPolicy", locks: Some("passwordLockout"), threshold: "passwordMaxFailure", window: "passwordResetFailureCount" },
];

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lockout {
    /// Where it stands.
    dn: String,
    /// It locks at so many failures; `None`: never.
    threshold: Option<u64>,
    /// It forgets them after so long; `None`: only after a success.
    window: Option<Duration>,
}

impl Directory {
    /// A step for every policy that can be read, or one that says that none can.
    pub(super) async fn probed_lockout(&self, person: Option<&Entry>, budget: BindBudget, session: &Session<'_>) -> Vec<Step> {
        let started = Instant::now();
        // What cannot be read is said to be so, and fails nothing: few service accounts may read policies.
        let read = read(person, session).await.unwrap_or_default();
        if read.is_empty() {
            let unread = Step::new(NAME, Outcome::Note, "the directory's lock-out policy cannot be read");
            let sure = format!(
                "make sure that it locks an account after more than {} wrong passwords (`throttle.failures`), and forgets them within {} \
                 (`throttle.window`)",
                budget.failures,
                told(budget.window)
            );
            return vec![unread.advice(sure).took(started.elapsed())];
        }
        // Of policies that lock nobody one says enough, and none where others lock.
        let locking: Vec<&Lockout> = read.iter().filter(|lockout| lockout.threshold.is_some()).collect();
        let told = if locking.is_empty() { read.iter().take(1).collect() } else { locking };
        told.into_iter().map(|lockout| judged(lockout, budget).took(started.elapsed())).collect()
    }
}

fn judged(lockout: &Lockout, budget: BindBudget) -> Step {
    let Lockout { dn, threshold, window } = lockout;
    let Some(threshold) = *threshold else { return Step::good(NAME, format!("{dn} locks nobody")) };
    let forgets = window.map_or_else(|| "until a success".to_owned(), |window| format!("within {}", told(window)));
    let ours = format!("{} within {}", budget.failures, told(budget.window));
    let found = format!("{dn} locks after {threshold} wrong passwords {forgets}; narrows lets through {ours}");
    if u64::from(budget.failures) >= threshold {
        let advice = if threshold > 1 {
            format!("set `throttle.failures` to at most {}, or raise the directory's limit", threshold - 1)
        } else {
            "raise the directory's limit: no `throttle.failures` is small enough".to_owned()
        };
        let lets = "anybody who knows a name could lock its owner out";
        return Step::new(NAME, Outcome::Wrong, format!("{found}: {lets}")).advice(advice);
    }
    match window {
        Some(window) if budget.window < *window => {
            let advice = format!("set `throttle.window` to at least {}, or shorten the directory's", told(*window));
            Step::new(NAME, Outcome::Wrong, format!("{found}, which it adds up")).advice(advice)
        }
        Some(_) => Step::good(NAME, found),
        None => {
            let advice = format!("let the directory forget wrong passwords within {}", told(budget.window));
            Step::new(NAME, Outcome::Warning, format!("{found}, which it adds up")).advice(advice)
        }
    }
}

async fn read(person: Option<&Entry>, session: &Session<'_>) -> Result<Vec<Lockout>, Trouble> {
    let Some(root) = at("", &["supportedCapabilities", "defaultNamingContext", "namingContexts"], session).await? else {
        return Ok(Vec::new());
    };
    if root.texts("supportedCapabilities")?.contains(&ACTIVE_DIRECTORY) {
        let Some(domain) = root.text("defaultNamingContext")? else { return Ok(Vec::new()) };
        return of_domain(domain, person, session).await;
    }
    let mut found = Vec::new();
    // 389 Directory Server shows its policies only to those who ask for such entries.
    let classes = WORDS.iter().map(|words| words.class).chain(["ldapSubEntry"]);
    let classes: Vec<Filter> = classes.map(|class| Filter::equals("objectClass", &FilterValue::text(class))).collect();
    let attributes = attributes();
    for base in root.texts("namingContexts")? {
        for filter in &Filter::any_of(&classes) {
            let search = Search { base, scope: Scope::Subtree, filter, attributes: &attributes, at_most: Some(MAX_POLICIES) };
            // One of several may be closed to the service account.
            let policies = session.search(&search).await.unwrap_or_default();
            found.extend(policies.iter().filter_map(of_entry));
        }
    }
    if let Ok(Some(server)) = at("cn=config", &attributes, session).await {
        found.extend(of_entry(&server));
    }
    Ok(found)
}

/// Active Directory: the domain's own policy, and that which is meant for the one person.
async fn of_domain(domain: &str, person: Option<&Entry>, session: &Session<'_>) -> Result<Vec<Lockout>, Trouble> {
    let mut found = Vec::new();
    if let Some(entry) = at(domain, &["lockoutThreshold", "lockOutObservationWindow"], session).await? {
        found.extend(of_windows(&entry, "lockoutThreshold", "lockOutObservationWindow"));
    }
    let Some(person) = person else { return Ok(found) };
    let own = at(&person.dn, &["msDS-ResultantPSO"], session).await?;
    if let Some(policy) = own.as_ref().map(|own| own.text("msDS-ResultantPSO")).transpose()?.flatten()
        && let Ok(Some(entry)) = at(policy, &["msDS-LockoutThreshold", "msDS-LockoutObservationWindow"], session).await
    {
        found.extend(of_windows(&entry, "msDS-LockoutThreshold", "msDS-LockoutObservationWindow"));
    }
    Ok(found)
}

fn of_windows(entry: &Entry, threshold: &str, window: &str) -> Option<Lockout> {
    let threshold: u64 = entry.text(threshold).ok()??.parse().ok()?;
    // Hundreds of nanoseconds, negative.
    let window: i64 = entry.text(window).ok()??.parse().ok()?;
    let window = Duration::from_secs(window.unsigned_abs() / 10_000_000);
    Some(Lockout { dn: entry.dn.clone(), threshold: (threshold > 0).then_some(threshold), window: Some(window) })
}

/// One policy in the words of its directory.
fn of_entry(entry: &Entry) -> Option<Lockout> {
    WORDS.iter().find_map(|words| {
        let number = |attribute: &str| entry.text(attribute).ok().flatten().map(str::parse::<u64>);
        let threshold = match number(words.threshold) {
            Some(threshold) => threshold.ok()?,
            // A policy that says nothing of failures locks nobody; an entry without any of the words is none.
            None => words.locks.and_then(|locks| entry.text(locks).ok().flatten()).map(|_| 0)?,
        };
        let off = words.locks.is_some_and(|locks| {
            let said = entry.text(locks).ok().flatten();
            !said.is_some_and(|said| said.eq_ignore_ascii_case("true") || said.eq_ignore_ascii_case("on"))
        });
        let window = number(words.window).and_then(Result::ok).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Some(Lockout { dn: entry.dn.clone(), threshold: (threshold > 0 && !off).then_some(threshold), window })
    })
}

fn told(time: Duration) -> Period {
    Period::seconds(time.as_secs())
}

fn attributes() -> Vec<&'static str> {
    WORDS.iter().flat_map(|words| words.locks.into_iter().chain([words.threshold, words.window])).collect()
}

async fn at(dn: &str, attributes: &[&str], session: &Session<'_>) -> Result<Option<Entry>, Trouble> {
    let search = Search { base: dn, scope: Scope::Base, filter: &Filter::any(), attributes, at_most: None };
    Ok(session.search(&search).await?.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: BindBudget = BindBudget { failures: 3, window: Duration::from_mins(30) };

    fn check(lockout: Option<Lockout>, expected: Option<(Outcome, &str)>) {
        let shown = lockout.map(|lockout| judged(&lockout, BUDGET));
        match (&shown, expected) {
            (None, None) => {}
            (Some(step), Some((outcome, words))) => {
                let said = format!("{} {}", step.found, step.advice.clone().unwrap_or_default());
                assert!(step.outcome == outcome && said.contains(words), "{outcome:?} {words}: {step:?}");
            }
            (shown, expected) => panic!("{expected:?}: {shown:?}"),
        }
    }

    #[test]
    fn the_budget_has_to_end_before_the_directory_locks() {
        let policy = |threshold: &str, window: &str| {
            let entry = Entry::of("cn=p", &[("pwdLockout", "TRUE"), ("pwdMaxFailure", threshold), ("pwdFailureCountInterval", window)]);
            of_entry(&entry)
        };
        check(policy("5", "900"), Some((Outcome::Good, "locks after 5 wrong passwords within 15m")));
        check(policy("4", "1800"), Some((Outcome::Good, "3 within 30m")));
        check(policy("3", "900"), Some((Outcome::Wrong, "`throttle.failures` to at most 2")));
        check(policy("1", "900"), Some((Outcome::Wrong, "no `throttle.failures` is small enough")));
        check(policy("5", "3600"), Some((Outcome::Wrong, "`throttle.window` to at least 1h")));
        check(policy("5", "0"), Some((Outcome::Warning, "until a success")));
        check(policy("0", "900"), Some((Outcome::Good, "locks nobody")));
    }

    #[test]
    fn every_directory_has_its_own_words() {
        let of = |attributes: &[(&str, &str)]| of_entry(&Entry::of("cn=p", attributes));
        check(of(&[("pwdLockout", "FALSE"), ("pwdMaxFailure", "3")]), Some((Outcome::Good, "locks nobody")));
        check(of(&[("pwdMaxFailure", "3")]), Some((Outcome::Good, "locks nobody")));
        check(of(&[("pwdLockout", "TRUE")]), Some((Outcome::Good, "locks nobody")));
        check(of(&[("krbPwdMaxFailure", "3"), ("krbPwdFailureCountInterval", "60")]), Some((Outcome::Wrong, "to at most 2")));
        let server = [("passwordLockout", "on"), ("passwordMaxFailure", "6"), ("passwordResetFailureCount", "600")];
        check(of(&server), Some((Outcome::Good, "locks after 6 wrong passwords within 10m")));
        check(of(&[("passwordLockout", "off"), ("passwordMaxFailure", "3")]), Some((Outcome::Good, "locks nobody")));
        check(of(&[("cn", "p")]), None);
        let domain = |threshold: &str, window: &str| of_windows(&Entry::of("dc=x", &[("a", threshold), ("b", window)]), "a", "b");
        check(domain("5", "-18000000000"), Some((Outcome::Good, "locks after 5 wrong passwords within 30m")));
        check(domain("0", "-18000000000"), Some((Outcome::Good, "locks nobody")));
        check(domain("3", "-18000000000"), Some((Outcome::Wrong, "lock its owner out")));
    }
}
