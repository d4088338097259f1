//! Who asks, from what the command line says of them.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::ExplainArgs;
use crate::authn::identity::{Group, Identity, Principal};
use crate::authz::{Asker, Policy, Realms, group_of_dn};
use crate::clock::Timestamp;

/// Who the arguments say is asking. What was assumed, or cannot match, is said to `talk`.
pub(super) fn principal(
    args: &ExplainArgs,
    policy: &Policy,
    realms: &Realms,
    now: Timestamp,
    talk: &mut dyn Write,
) -> anyhow::Result<Principal> {
    if args.anonymous {
        return Ok(Principal::Anonymous);
    }
    if args.user.is_none() {
        bail!("say who asks: --user NAME with a --group for each group, or --anonymous");
    }
    let asker = Asker {
        user: args.user.clone(),
        groups: args.group.iter().map(|text| group(text)).collect::<anyhow::Result<_>>()?,
        realm: args.realm.clone(),
        provider: args.provider.clone(),
        ..Asker::default()
    };
    let identity = asker.identity(policy.realm(), realms, now)?;
    if args.provider.is_none() {
        write_assumed(&identity, realms, talk)?;
    }
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

/// Says which provider stands for several.
fn write_assumed(identity: &Identity, realms: &Realms, talk: &mut dyn Write) -> anyhow::Result<()> {
    let realm = realms.0.iter().find(|realm| realm.name == identity.realm);
    if let Some(realm) = realm.filter(|realm| realm.providers.len() > 1) {
        let known = realm.providers.join(", ");
        writeln!(talk, "as if the provider `{}` vouched; --provider names another of {known}", identity.provider)?;
    }
    Ok(())
}
