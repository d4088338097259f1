//! What providers must satisfy, each for itself and all of them together.

use std::collections::BTreeMap;

use super::{ProviderKind, ProviderSettings};
use crate::authn::ldap::BindMode;
use crate::source::{Diagnostics, Period, Place, SourceFile};

const MAX_NAME: usize = 64;
/// Whoever left keeps pulling through an outage for so long.
const MAX_STALE: Period = Period::hours(24);
/// Times are kept in whole seconds.
const MIN_STALE: Period = Period::seconds(1);

/// Everything that can be said about `providers` without reading another file.
pub fn check_providers(providers: &[ProviderSettings], file: &SourceFile, findings: &mut Diagnostics) {
    if providers.is_empty() {
        let hint = "name one: `providers: [{name: robots, file: {path: users.yaml}}]`";
        findings.push(file.error(Place::default(), "there is no provider, so nobody could log in").hint(hint));
    }
    for provider in providers {
        provider.check(file, findings);
    }
    check_names(providers, file, findings);
    check_realms(providers, file, findings);
    check_order(providers, file, findings);
}

impl ProviderSettings {
    /// What this provider says, for itself.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        self.check_words(file, findings);
        self.check_stale(file, findings);
        let name = &self.name.value;
        match self.kinds().as_slice() {
            [] => findings.push(
                file.error(self.name.place, format!("provider `{name}` says no kind"))
                    .hint("add `ldap: {…}` or `file: {path: users.yaml}`"),
            ),
            [one] => check_kind(name, *one, file, findings),
            [_, second, ..] => findings.push(
                file.error(second.place(), format!("provider `{name}` has two kinds"))
                    .hint("make it two providers; they may share a `realm`"),
            ),
        }
    }

    fn check_stale(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let Some(stale) = self.stale_if_error.as_ref().filter(|stale| !stale.value.is_zero()) else { return };
        if self.ldap.is_none() && self.oidc.is_none() {
            let hint = "remove it: it is for a directory, which may be unreachable";
            findings.push(file.error(stale.place, "`stale_if_error` means nothing here: this provider asks nobody").hint(hint));
        } else if stale.value > MAX_STALE {
            let message = format!("`stale_if_error` is longer than {MAX_STALE}");
            findings.push(
                file.error(stale.place, message).hint("somebody who was disabled meanwhile goes on pulling for as long; 30m is plenty"),
            );
        } else if stale.value < MIN_STALE {
            let message = format!("`stale_if_error` is shorter than {MIN_STALE}");
            findings.push(file.error(stale.place, message).hint("write 0s to turn it off, or minutes, as in 30m"));
        }
    }

    fn check_words(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let name = &self.name;
        if !is_word(&name.value, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            let message = format!("`{}` is no name of a provider", name.value.escape_debug());
            findings.push(file.error(name.place, message).hint("write 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit"));
        }
        if let Some(realm) = &self.realm
            && !is_word(&realm.value, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        {
            let message = format!("`{}` is no name of a realm", realm.value.escape_debug());
            findings.push(
                file.error(realm.place, message).hint("write 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit"),
            );
        }
        let Some(patterns) = &self.names else { return };
        if patterns.0.is_empty() {
            let message = format!("provider `{}` is asked for no name", name.value);
            findings.push(file.error(name.place, message).hint("write `names: [\"*\"]`, or leave `names` out"));
        }
        for pattern in patterns.0.iter().filter(|pattern| pattern.value.is_empty() || pattern.value.chars().any(char::is_control)) {
            let message = format!("`{}` matches no name", pattern.value.escape_debug());
            findings.push(file.error(pattern.place, message).hint("write a name, with `*` for any run of characters"));
        }
    }

    /// Whether an unknown name and a wrong password look alike here, so that nobody behind it would be asked.
    fn cannot_say_unknown(&self) -> bool {
        self.kinds().iter().any(|kind| match kind {
            ProviderKind::Ldap(ldap) => ldap.value.user.bind.value != BindMode::Search,
            ProviderKind::Oidc(oidc) => oidc.value.password_grant.enabled.value,
            ProviderKind::File(_) | ProviderKind::Workload(_) => false,
        })
    }

    /// Whether it is asked about passwords, and if so in which turn: files come first. An issuer is only where its password grant
    /// is on.
    fn turn(&self) -> Option<u8> {
        self.kinds().first().and_then(|kind| match kind {
            ProviderKind::File(_) => Some(0),
            ProviderKind::Ldap(_) => Some(1),
            ProviderKind::Oidc(oidc) => oidc.value.password_grant.enabled.value.then_some(1),
            ProviderKind::Workload(_) => None,
        })
    }
}

impl ProviderKind<'_> {
    fn place(self) -> Place {
        match self {
            Self::Ldap(it) => it.place,
            Self::File(it) => it.place,
            Self::Oidc(it) => it.place,
            Self::Workload(it) => it.place,
        }
    }
}

fn check_kind(name: &str, kind: ProviderKind<'_>, file: &SourceFile, findings: &mut Diagnostics) {
    match kind {
        // These say it themselves.
        ProviderKind::Ldap(_) | ProviderKind::Oidc(_) => {}
        ProviderKind::File(settings) => settings.value.check(file, findings),
        ProviderKind::Workload(_) => {
            findings
                .push(file.error(kind.place(), format!("provider `{name}`: workload is not available yet")).hint("remove the provider"));
        }
    }
}

fn is_word(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= MAX_NAME && text.bytes().all(allowed) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// Nobody gets in under a name of a users file but its own user, so that a file which holds every name shuts out whoever signs in at an
/// issuer of its realm.
fn check_holder(holder: &ProviderSettings, providers: &[ProviderSettings], file: &SourceFile, findings: &mut Diagnostics) {
    let Some(settings) = holder.file.as_ref().filter(|_| holder.patterns().match_everything()) else { return };
    let realm = holder.names().realm;
    for issuer in providers.iter().filter(|provider| provider.file.is_none() && provider.oidc.is_some() && provider.names().realm == realm)
    {
        let place = holder.names.as_ref().and_then(|names| names.0.first()).map_or(settings.place, |pattern| pattern.place);
        let (holder, issuer) = (&holder.name.value, &issuer.name.value);
        let message = format!("file provider `{holder}` has every name of realm `{realm}`, so nobody who signs in at `{issuer}` is let in");
        findings.push(file.error(place, message).hint("say whom it holds: `names: [\"robot-*\", breakglass]`"));
    }
}

/// A name means one provider: caches, rules, the audit and identity tokens say it.
fn check_names(providers: &[ProviderSettings], file: &SourceFile, findings: &mut Diagnostics) {
    let mut first = BTreeMap::new();
    for provider in providers {
        let name = &provider.name;
        if let Some(line) = first.insert(name.value.as_str(), name.place.line) {
            let message = format!("two providers are called `{}`", name.value);
            findings.push(file.error(name.place, message).hint(format!("the other one stands in line {line}")));
        }
    }
}

/// Two providers of one realm vouch for the same people, so a name has to be the same one at both.
fn check_realms(providers: &[ProviderSettings], file: &SourceFile, findings: &mut Diagnostics) {
    let mut first = BTreeMap::new();
    for provider in providers {
        let names = provider.names();
        let (other, ignore_case) = first.entry(names.realm.clone()).or_insert_with(|| (names.provider.clone(), names.ignore_case));
        if *ignore_case != names.ignore_case {
            let place = provider.ignore_case.as_ref().map_or(provider.name.place, |it| it.place);
            let message = format!("`{other}` and `{}` share realm `{}`, and only one of them ignores case", names.provider, names.realm);
            findings.push(
                file.error(place, message)
                    .hint("write the same `ignore_case` at both; it is true for ldap and false for the others by default"),
            );
        }
    }
}

/// Whoever is asked first must not keep a name from those behind it.
fn check_order(providers: &[ProviderSettings], file: &SourceFile, findings: &mut Diagnostics) {
    let mut turns: Vec<(u8, &ProviderSettings)> = providers.iter().filter_map(|it| Some((it.turn()?, it))).collect();
    turns.sort_by_key(|(turn, _)| *turn);
    for (position, (_, provider)) in turns.iter().enumerate() {
        let patterns = provider.patterns();
        if let Some(settings) = &provider.file
            && turns.len() > 1
            && patterns.match_everything()
        {
            let place = provider.names.as_ref().and_then(|names| names.0.first()).map_or(settings.place, |pattern| pattern.place);
            let message = format!("file provider `{}` is asked for every name, beside another provider of passwords", provider.name.value);
            findings.push(file.error(place, message).hint("say whom it holds: `names: [\"robot-*\", breakglass]`"));
        }
        if turns.len() == 1 {
            check_holder(provider, providers, file, findings);
        }
        if provider.cannot_say_unknown() {
            for (_, behind) in turns.iter().skip(position + 1).filter(|(_, behind)| patterns.overlap(&behind.patterns())) {
                let message = format!("`{}` is never asked for names that `{}` is asked for first", behind.name.value, provider.name.value);
                let hint = "an unknown name looks like a wrong password there: put that provider last, or make their `names` disjoint";
                findings.push(file.error(behind.name.place, message).hint(hint));
            }
        }
    }
}
