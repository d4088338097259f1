//! What a registry token says.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::signer::SignError;
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource};

/// `iat` and `nbf` lie so far back, because zot and others give a clock that is ahead of theirs no leeway.
const BACKDATED: i64 = 10;

/// Everything that one token says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// `iss`: the service's issuer.
    pub issuer: String,
    /// `sub`: who asked; empty for anonymous.
    pub subject: String,
    /// `aud`: the service.
    pub audience: String,
    /// When it is issued, by the real clock.
    pub issued: Timestamp,
    /// Seconds that it lives from `issued`.
    pub lifetime: u32,
    /// `jti`.
    pub id: TokenId,
    /// `access`: what was granted.
    pub access: Vec<Access>,
}

/// One entry of `access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// On what.
    pub resource: Resource,
    /// What was granted on it.
    pub actions: ActionSet,
    /// Tags that stay closed, as globs by action: for the registry to enforce.
    pub denied_tags: Vec<(Action, Vec<String>)>,
}

/// The id of one token, in the token and in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenId(String);

impl TokenId {
    /// 144 bits of the operating system's randomness.
    pub fn random() -> Result<Self, SignError> {
        let mut bytes = [0_u8; 18];
        rand::fill(&mut bytes).map_err(|_| SignError::Randomness)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes)))
    }

    /// The id as it stands in `jti`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The claims as they go over the wire. The fields have the types that the strictest registry wants: distribution 2.8
/// refuses an `aud` that is a list and a time that is no integer.
#[derive(Serialize)]
pub(super) struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: &'a str,
    access: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    actions: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

/// What GitLab's registry reads beside the actions: tags that must match none of these, as regular expressions (RE2).
#[derive(Serialize)]
struct Meta {
    tag_deny_access_patterns: BTreeMap<&'static str, Vec<String>>,
}

impl Claims {
    pub(super) fn expiry(&self) -> Timestamp {
        self.issued.plus(self.lifetime.into())
    }

    pub(super) fn payload(&self) -> Payload<'_> {
        let begin = self.issued.plus(-BACKDATED).0;
        Payload {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            exp: self.expiry().0,
            nbf: begin,
            iat: begin,
            jti: self.id.as_str(),
            access: self.access.iter().filter_map(entry).collect(),
        }
    }
}

/// INVARIANT: a `*` is never signed for a repository. Who decides has already turned it into the actions it stands for; what
/// is left of it here is cut, which can only take away.
fn entry(access: &Access) -> Option<Entry<'_>> {
    let (kind, name, possible) = match &access.resource {
        Resource::Repository(name) => ("repository", name.as_str(), ActionSet::REPOSITORY),
        Resource::Catalog => ("registry", "catalog", ActionSet::CATALOG),
    };
    let actions: Vec<_> = (access.actions & possible).iter().map(Action::as_str).collect();
    let denied = access.denied_tags.iter().map(|(action, tags)| (action.as_str(), tags.iter().map(|tag| expression(tag)).collect()));
    let meta = (!access.denied_tags.is_empty()).then(|| Meta { tag_deny_access_patterns: denied.collect() });
    (!actions.is_empty()).then_some(Entry { kind, name, actions, meta })
}

/// A glob over tags as an expression that matches whole tags; `*` is one or more characters.
fn expression(glob: &str) -> String {
    let mut text = "^".to_owned();
    for character in glob.chars() {
        match character {
            '*' => text.push_str(".+"),
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '_' | '-') => text.push(plain),
            special => text.extend(['\\', special]),
        }
    }
    text.push('$');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(access: Vec<(Resource, ActionSet)>) -> Claims {
        let access = access.into_iter().map(|(resource, actions)| Access { resource, actions, denied_tags: Vec::new() }).collect();
        Claims {
            issuer: "narrows".to_owned(),
            subject: "alice".to_owned(),
            audience: "registry.corp.example".to_owned(),
            issued: Timestamp(1_700_000_000),
            lifetime: 300,
            id: TokenId("fixed".to_owned()),
            access,
        }
    }
    fn repository(name: &str) -> Resource {
        Resource::Repository(name.parse().unwrap())
    }

    #[test]
    fn the_payload_is_exactly_what_registries_read() {
        let both = [Action::Push, Action::Pull].into_iter().collect();
        let access = vec![(repository("team/app"), both), (Resource::Catalog, ActionSet::CATALOG)];
        assert_eq!(
            serde_json::to_string(&claims(access).payload()).unwrap(),
            concat!(
                r#"{"iss":"narrows","sub":"alice","aud":"registry.corp.example","exp":1700000300,"#,
                r#""nbf":1699999990,"iat":1699999990,"jti":"fixed","access":["#,
                r#"{"type":"repository","name":"team/app","actions":["pull","push"]},"#,
                r#"{"type":"registry","name":"catalog","actions":["*"]}]}"#
            )
        );
    }

    #[test]
    fn closed_tags_go_along_as_whole_expressions() {
        let mut claims = claims(vec![(repository("a"), ActionSet::REPOSITORY)]);
        claims.access[0].denied_tags =
            vec![(Action::Push, vec!["v*".to_owned(), "1.0_x-y".to_owned()]), (Action::Delete, vec!["*".to_owned()])];
        let text = serde_json::to_string(&claims.payload()).unwrap();
        let expected = r#""meta":{"tag_deny_access_patterns":{"delete":["^.+$"],"push":["^v.+$","^1\\.0_x-y$"]}}}]}"#;
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn nothing_granted_is_an_empty_list() {
        assert!(serde_json::to_string(&claims(Vec::new()).payload()).unwrap().ends_with(r#""access":[]}"#));
    }

    #[test]
    fn a_star_is_never_signed_for_a_repository() {
        let access = vec![
            (repository("a"), ActionSet::from(Action::All)),
            (repository("b"), ActionSet::from(Action::All) | Action::Pull.into()),
            (Resource::Catalog, ActionSet::REPOSITORY),
        ];
        let text = serde_json::to_string(&claims(access).payload()).unwrap();
        assert!(text.ends_with(r#""access":[{"type":"repository","name":"b","actions":["pull"]}]}"#), "{text}");
    }

    #[test]
    fn token_ids_hold_over_128_bits_and_differ() {
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| TokenId::random().unwrap().0).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 24));
    }
}
