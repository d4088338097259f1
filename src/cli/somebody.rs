//! Who asks, from what the command line says of them.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio::time::Instant;

use super::rule_files::Opened;
use crate::audit;
use crate::authn::authenticator::Authenticator;
use crate::authn::identity::{Group, Identity, Principal};
use crate::authn::provider::Provider;
use crate::authn::throttle::Throttle;
use crate::authn::verdict::Circumstances;
use crate::authz::{Asker, Mfa, Realms, group_of_dn};
use crate::clock::{Clock, Timestamp};

/// What is known of somebody beside the name.
#[derive(Clone, Debug, Args)]
pub struct Somebody {
    /// A group of the user; a text with `=` is a DN. May be repeated.
    #[arg(long, value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub group: Vec<String>,
    /// The user's realm. Default: the one that the rules mean, or the provider's.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// The provider that vouches for the user. Default: the first of the realm.
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Take the canonical name and the groups of the user from this provider, without a password; needs --config.
    #[arg(long, value_name = "PROVIDER", conflicts_with_all = ["group", "provider", "realm"])]
    pub lookup: Option<String>,
    /// A claim of the user's or workload's token. May be repeated, also for one claim with several values.
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    pub claim: Vec<(String, String)>,
    /// How long ago a second factor was used, as 10m; or `none`. Default: it is not known.
    #[arg(long, value_name = "PERIOD", value_parser = |text: &str| text.parse::<Mfa>())]
    pub mfa: Option<Mfa>,
}

/// `NAME=VALUE`; the value may hold more of `=`.
fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write the claim's name and its value, as in ref=refs/heads/main".to_owned()),
    }
}

impl Somebody {
    /// Who this is at that moment. What was assumed, or cannot match, is said to `talk`.
    pub(super) fn principal(&self, user: Option<&str>, opened: &Opened, now: Timestamp, talk: &mut dyn Write) -> anyhow::Result<Principal> {
        let mut asker = Asker {
            user: user.map(ToOwned::to_owned),
            groups: self.group.iter().map(|text| group(text)).collect::<anyhow::Result<_>>()?,
            realm: self.realm.clone(),
            provider: self.provider.clone(),
            mfa: self.mfa.unwrap_or_default(),
            ..Asker::default()
        };
        if let Some(provider) = &self.lookup {
            let Some(name) = user else { bail!("--lookup needs the name of a user") };
            let found = look_up(provider, name, opened)?;
            writeln!(talk, "{}", audit::escaped(&told(&found)))?;
            (asker.user, asker.groups, asker.provider) = (Some(found.username), found.groups, Some(provider.clone()));
        }
        for (name, value) in &self.claim {
            asker.claims.entry(name.clone()).or_default().push(value.clone());
        }
        let (policy, realms) = (&opened.policy, &opened.environment.realms);
        let identity = asker.identity(policy.realm(), realms, now)?;
        if asker.provider.is_none() {
            write_assumed(&identity, realms, talk)?;
        }
        for group in policy.hidden_groups(&identity) {
            writeln!(
                talk,
                "the group `{}` matches nothing: the rules use that name as an alias; give a group that it stands for",
                group.name
            )?;
        }
        Ok(Principal::Identified(Arc::new(identity)))
    }
}

/// Asks a provider who has this name, in the time of a token request.
fn look_up(name: &str, username: &str, opened: &Opened) -> anyhow::Result<Identity> {
    let Some(config) = &opened.config else { bail!("--lookup asks a provider of a configuration: name it with --config") };
    let clock = Clock::system();
    let shield = (Arc::new(Throttle::forgetting(clock.clone())), &config.throttle);
    let built = Authenticator::build(&config.providers, &config.credentials_cache, &config.file, &clock, shield);
    let (authenticator, _) = built?;
    let Some(provider) = authenticator.provider(name) else {
        let known: Vec<String> = authenticator.health().iter().map(|report| report.name.to_string()).collect();
        bail!("the configuration has no provider `{name}`; it has {}", known.join(", "));
    };
    if matches!(provider, Provider::Oidc(_)) {
        bail!(
            "provider `{name}` is an OIDC issuer, which tells groups only to who signs in: leave --lookup out, and name each with --group"
        );
    }
    let found = super::runtime()?.block_on(async {
        let deadline = Instant::now() + config.request_deadline.duration();
        provider.look_up(username, &Circumstances { source: None, deadline }).await
    })?;
    found.with_context(|| format!("the provider has no user `{}`", audit::escaped(username)))
}

/// Who was found.
fn told(identity: &Identity) -> String {
    let groups: Vec<&str> = identity.groups.iter().map(|group| group.dn.as_deref().unwrap_or(&group.name)).collect();
    let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
    format!("{} found {}: {groups}", identity.provider, identity.username)
}

/// A name, or a DN, which also names the group by its first value.
fn group(text: &str) -> anyhow::Result<Group> {
    if text.contains('=') {
        group_of_dn(text).with_context(|| format!("`{text}` is no DN; write the whole one, as in CN=payments,OU=teams,DC=corp,DC=example"))
    } else {
        Ok(Group::named(text))
    }
}

/// Says which provider stands for several.
fn write_assumed(identity: &Identity, realms: &Realms, talk: &mut dyn Write) -> anyhow::Result<()> {
    let realm = realms.0.iter().find(|realm| realm.name == identity.realm);
    if let Some(realm) = realm.filter(|realm| realm.providers.len() > 1) {
        let known = realm.providers.join(", ");
        writeln!(talk, "as if the provider `{}` vouched; --provider names another of {known}", identity.provider)?;
    }
    Ok(())
}
