//! `who`: the keys that describe somebody.

use super::case::Who;
use crate::authn::identity::{Group, IdentityClaims};
use crate::authz::asker::{Asker, AskerError, Mfa};
use crate::authz::dn::group_of_dn;
use crate::authz::node::{Keys, Kind, Node, NodeReader};
use crate::source::Located;

/// Reads `who`.
pub(super) fn read(reader: &mut NodeReader<'_>, node: Node) -> Option<Located<Who>> {
    let place = node.place;
    let hint = "write `anonymous`, or a map as in `{user: alice, groups: [releasers]}`";
    let value = match node.value {
        Kind::Text(word) if word == "anonymous" => Who::Anonymous,
        Kind::Map(_) => Who::Somebody(somebody(reader, node)?),
        Kind::Text(word) => {
            reader.error(place, format!("`{word}` is nobody"), hint);
            return None;
        }
        other @ (Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::List(_)) => {
            reader.error(place, format!("`who` is one person, not {}", other.article()), hint);
            return None;
        }
    };
    Some(Located { value, place })
}

/// What to do about a description that is nobody.
pub(super) fn hint(error: &AskerError) -> &'static str {
    match error {
        AskerError::UnknownRealm { .. } | AskerError::UnknownProvider(_) | AskerError::ForeignProvider { .. } => {
            "name one of the configuration that the rules belong to"
        }
        AskerError::OpenRealm(_) => "add `realm`, or `realm` to the rule file",
        AskerError::Nameless => "add `user`; only a workload may go without: a provider of workloads, or `provider` with `claims`",
        AskerError::GroupsOfWorkload(_) => "remove `groups`; a person with claims needs `config`, which says what the provider knows",
    }
}

fn somebody(reader: &mut NodeReader<'_>, node: Node) -> Option<Asker> {
    let mut asker = Asker::default();
    let mut seen = Keys::new(&["user", "groups", "realm", "provider", "claims", "mfa"]);
    for (key, value) in reader.map(node, "`who`")? {
        match key.value.as_str() {
            "user" => asker.user = reader.text(value, "`user`").map(|text| text.value),
            "groups" => asker.groups = NodeReader::items(value).into_iter().filter_map(|item| group(reader, item)).collect(),
            "realm" => asker.realm = reader.text(value, "`realm`").map(|text| text.value),
            "provider" => asker.provider = reader.text(value, "`provider`").map(|text| text.value),
            "claims" => asker.claims = claims(reader, value),
            "mfa" => asker.mfa = mfa(reader, value).unwrap_or_default(),
            _ => reader.unknown(&key, &mut seen),
        }
    }
    Some(asker)
}

/// A name, a DN, or `{name, dn, id}`.
fn group(reader: &mut NodeReader<'_>, node: Node) -> Option<Group> {
    let place = node.place;
    if !matches!(node.value, Kind::Map(_)) {
        let text = reader.text(node, "a group")?;
        return if text.value.contains('=') { of_dn(reader, &text) } else { Some(Group::named(text.value)) };
    }
    let before = reader.findings.0.len();
    let (mut name, mut dn, mut id) = (None, None, None);
    let mut seen = Keys::new(&["name", "dn", "id"]);
    for (key, value) in reader.map(node, "a group")? {
        match key.value.as_str() {
            "name" => name = Some(reader.text(value, "`name`")?.value),
            "dn" => dn = Some(reader.text(value, "`dn`").and_then(|text| of_dn(reader, &text))?),
            "id" => id = Some(reader.text(value, "`id`")?.value),
            _ => reader.unknown(&key, &mut seen),
        }
    }
    let Some(called) = name.or_else(|| dn.as_ref().map(|group| group.name.clone())).or_else(|| id.clone()) else {
        if reader.findings.0.len() == before {
            reader.error(place, "a group without a name", "write a name, a DN, or some of {name: …, dn: …, id: …}");
        }
        return None;
    };
    Some(Group { name: called, dn: dn.and_then(|group| group.dn), id })
}

/// A group with its DN, called by the first value of it.
fn of_dn(reader: &mut NodeReader<'_>, text: &Located<String>) -> Option<Group> {
    let group = group_of_dn(&text.value);
    if group.is_none() {
        let hint = "write the whole one, as in \"CN=payments,OU=teams,DC=corp,DC=example\"; in a list it needs the quotes";
        reader.error(text.place, format!("`{}` is no DN", text.value), hint);
    }
    group
}

/// Each claim with a text or a list of texts. A claim that is missing is not known; an empty list is known to be empty.
fn claims(reader: &mut NodeReader<'_>, node: Node) -> IdentityClaims {
    let entries = reader.map(node, "`claims`").unwrap_or_default();
    entries
        .into_iter()
        .map(|(name, value)| {
            let values = reader.texts(value, &format!("the claim `{}`", name.value));
            (name.value, values.into_iter().map(|text| text.value).collect())
        })
        .collect()
}

/// `none`, or how long before the request.
fn mfa(reader: &mut NodeReader<'_>, node: Node) -> Option<Mfa> {
    let text = reader.text(node, "`mfa`")?;
    let read = text.value.parse().ok();
    if read.is_none() {
        let hint = "write how long before the request, as in 10m or 12h; or `none`; without the key it is not known";
        reader.error(text.place, format!("a second factor was not used `{}` ago", text.value), hint);
    }
    read
}
