//! Who asks, from what the command line says of them.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::ExplainArgs;
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use crate::authz::{Policy, Realm, Realms, group_of_dn};
use crate::clock::Clock;

/// Who the arguments say is asking. What was assumed, or cannot match, is said to `talk`.
pub(super) fn principal(args: &ExplainArgs, policy: &Policy, realms: &Realms, talk: &mut dyn Write) -> anyhow::Result<Principal> {
    let user = match (&args.user, args.anonymous) {
        (Some(user), _) => user,
        (None, true) => return Ok(Principal::Anonymous),
        (None, false) => bail!("say who asks: --user NAME with a --group for each group, or --anonymous"),
    };
    let (realm, provider) = origin(args, policy, realms, talk)?;
    let identity = Identity {
        realm,
        provider,
        id: user.clone(),
        username: user.clone(),
        groups: args.group.iter().map(|text| group(text)).collect::<anyhow::Result<_>>()?,
        kind: Kind::Person,
        method: Method::Password,
        proven: Clock::system().now(),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    };
    for group in policy.hidden_groups(&identity) {
        writeln!(talk, "the group `{}` matches nothing: the rules use that name as an alias; give a group that it stands for", group.name)?;
    }
    Ok(Principal::Identified(Arc::new(identity)))
}

/// A name, or a DN, which also names the group by its first value.
fn group(text: &str) -> anyhow::Result<Group> {
    if text.contains('=') {
        group_of_dn(text).with_context(|| format!("`{text}` is no DN; write the whole one, as in CN=payments,OU=teams,DC=corp,DC=example"))
    } else {
        Ok(Group::named(text))
    }
}

/// Realm and provider. Without a configuration any is as good as another.
fn origin(args: &ExplainArgs, policy: &Policy, realms: &Realms, talk: &mut dyn Write) -> anyhow::Result<(Arc<str>, Arc<str>)> {
    let (wanted, provider) = (args.realm.as_deref(), args.provider.as_deref());
    if realms.0.is_empty() {
        let realm = wanted.or(policy.realm().map(AsRef::as_ref)).unwrap_or_default();
        return Ok((realm.into(), provider.unwrap_or(realm).into()));
    }
    let realm = realm_of(wanted, provider, policy, realms)?;
    match (provider, realm.providers.as_slice()) {
        (Some(provider), known) if !known.iter().any(|one| **one == *provider) => {
            bail!("the realm `{}` has no provider `{provider}`; it has {}", realm.name, known.join(", "))
        }
        (Some(provider), _) => Ok((Arc::clone(&realm.name), provider.into())),
        (None, [only]) => Ok((Arc::clone(&realm.name), Arc::clone(only))),
        (None, known) => {
            let first = known.first().context("the realm has no provider")?;
            writeln!(talk, "as if the provider `{first}` vouched; --provider names another of {}", known.join(", "))?;
            Ok((Arc::clone(&realm.name), Arc::clone(first)))
        }
    }
}

fn realm_of<'a>(wanted: Option<&str>, provider: Option<&str>, policy: &Policy, realms: &'a Realms) -> anyhow::Result<&'a Realm> {
    let names = || realms.0.iter().map(|realm| &*realm.name).collect::<Vec<_>>().join(", ");
    if let (None, Some(provider)) = (wanted, provider) {
        let found = realms.0.iter().find(|realm| realm.providers.iter().any(|one| **one == *provider));
        return found.with_context(|| format!("the configuration has no provider `{provider}`"));
    }
    let Some(wanted) = wanted.or(policy.realm().map(AsRef::as_ref)) else {
        bail!("say whose user this is: --realm with one of {}", names());
    };
    let found = realms.0.iter().find(|realm| *realm.name == *wanted);
    found.with_context(|| format!("the configuration has no realm `{wanted}`; it has {}", names()))
}
