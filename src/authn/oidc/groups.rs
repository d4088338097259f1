//! Which groups somebody is in: a set that cannot be read whole is never taken for a smaller one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::claims::{Claims, Documents, at_name, at_pointer};
use super::settings::{ClaimsFrom, GroupSource, GroupTransform, OidcPreset, OidcSettings, Overage};
use crate::authn::identity::Group;
use crate::authn::ldap::leading_value;
use crate::source::is_hidden;

const MAX_NAME: usize = 256;
/// Okta leaves out all but so many groups of a claim, without a word.
const OKTA_LIMIT: usize = 100;

/// Where groups are read, and what becomes of their names.
#[derive(Debug)]
pub(super) struct Groups {
    sources: Vec<Source>,
    changes: Vec<Change>,
    max: usize,
    /// A claim with so many values may have been cut off.
    limit: Option<usize>,
    /// Whether values may be object ids.
    ids: bool,
    pub(super) overage: Overage,
}

#[derive(Debug)]
struct Source {
    from: ClaimsFrom,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Name(String),
    Pointer(String),
}

/// One change to a name.
#[derive(Debug)]
enum Change {
    StripLeading(String),
    DnToCn,
}

/// What the documents say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Every group.
    Whole {
        /// In order, without doubles.
        groups: Vec<Group>,
        /// Whether no source was there at all.
        nowhere: bool,
    },
    /// The issuer left some out, or may have.
    CutOff(Cut),
}

/// What there is where an issuer left groups out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// How that shows.
    pub(super) sign: &'static str,
    /// What stands in sources that are whole.
    whole: Vec<String>,
    /// Which sources are not, by their position.
    missing: Vec<usize>,
}

/// Why groups cannot be read; names the place and never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(String);

impl Groups {
    /// From settings that were checked.
    pub(super) fn new(settings: &OidcSettings) -> Self {
        let preset = settings.kind();
        let source = |source: GroupSource| {
            let way = match (source.claim, source.pointer) {
                (_, Some(pointer)) => Way::Pointer(pointer.value),
                (Some(claim), None) => Way::Name(claim.value),
                (None, None) => return None,
            };
            Some(Source { from: source.from, way })
        };
        Self {
            sources: settings.group_sources().into_iter().filter_map(source).collect(),
            changes: settings.group_transforms().iter().flat_map(changes).collect(),
            max: usize::try_from(settings.groups.max.value).unwrap_or(usize::MAX),
            limit: (preset == OidcPreset::Okta).then_some(OKTA_LIMIT),
            ids: preset == OidcPreset::Entra,
            overage: settings.groups.overage,
        }
    }

    /// Whether the userinfo endpoint has to be asked.
    pub(super) fn need_userinfo(&self) -> bool {
        self.sources.iter().any(|source| source.from == ClaimsFrom::Userinfo)
    }

    /// Whether they are read anywhere.
    pub(super) fn are_wanted(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Where they are read, for messages.
    pub(super) fn places(&self) -> String {
        let places: Vec<&str> = self.sources.iter().map(|source| source.way.text()).collect();
        format!("`{}`", places.join("`, `"))
    }

    /// What both documents say.
    pub(super) fn read(&self, documents: Documents<'_>) -> Result<Reading, Unreadable> {
        self.reading(|source| documents.of(source.from))
    }

    /// What one document says of every source, wherever it is configured to stand; `None` where one of them is missing. At a
    /// re-check without a new `id_token` it is all there is to go by.
    pub(super) fn read_all_in(&self, claims: &Claims) -> Result<Option<Reading>, Unreadable> {
        if self.sources.iter().any(|source| source.way.find(claims).is_none()) {
            return Ok(None);
        }
        self.reading(|_| Some(claims)).map(Some)
    }

    /// Whether all that is missing is the claim of this name.
    pub(super) fn misses_only(&self, cut: &Cut, claim: &str) -> bool {
        cut.missing.iter().filter_map(|position| self.sources.get(*position)).all(|source| source.way.begins_with(claim))
    }

    /// With what was fetched for every source that was cut off.
    pub(super) fn completed(&self, cut: Cut, fetched: Vec<String>) -> Result<Vec<Group>, Unreadable> {
        self.made(cut.whole.into_iter().chain(fetched).collect())
    }

    /// With what another document says of every source that was cut off; `None` where it lacks one, or is cut off as well.
    pub(super) fn completed_in(&self, cut: Cut, claims: &Claims) -> Result<Option<Vec<Group>>, Unreadable> {
        let mut fetched = Vec::new();
        for source in cut.missing.iter().filter_map(|position| self.sources.get(*position)) {
            let Some(value) = source.way.find(claims).filter(|_| source.way.sign_of_more(claims).is_none()) else { return Ok(None) };
            let listed = listed(value, source.way.text())?;
            if self.may_be_cut_off(&listed) {
                return Ok(None);
            }
            fetched.extend(listed);
        }
        self.completed(cut, fetched).map(Some)
    }

    fn reading<'a>(&self, document: impl Fn(&Source) -> Option<&'a Claims>) -> Result<Reading, Unreadable> {
        let mut cut = Cut { sign: "", whole: Vec::new(), missing: Vec::new() };
        let mut nowhere = true;
        for (position, source) in self.sources.iter().enumerate() {
            let Some(claims) = document(source) else { continue };
            if let Some(sign) = source.way.sign_of_more(claims) {
                cut.sign = sign;
                cut.missing.push(position);
                continue;
            }
            let Some(value) = source.way.find(claims) else { continue };
            nowhere = false;
            let listed = listed(value, source.way.text())?;
            if self.may_be_cut_off(&listed) {
                cut.sign = "the issuer never puts more groups than these into a token";
                cut.missing.push(position);
                continue;
            }
            cut.whole.extend(listed);
        }
        if !cut.missing.is_empty() {
            return Ok(Reading::CutOff(cut));
        }
        Ok(Reading::Whole { groups: self.made(cut.whole)?, nowhere })
    }

    fn may_be_cut_off(&self, listed: &[String]) -> bool {
        self.limit.is_some_and(|limit| listed.len() == limit)
    }

    fn made(&self, names: Vec<String>) -> Result<Vec<Group>, Unreadable> {
        if names.len() > self.max {
            return Err(Unreadable(format!("more than {} groups (`groups.max`)", self.max)));
        }
        let groups: Result<BTreeSet<Group>, Unreadable> = names.into_iter().map(|name| self.group(name)).collect();
        Ok(groups?.into_iter().collect())
    }

    fn group(&self, written: String) -> Result<Group, Unreadable> {
        let usable = |name: &str| !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(is_hidden);
        // A distinguished name may be longer than any name in it.
        let dn = Some(&written).filter(|text| text.contains('=') && leading_value(text).is_some()).cloned();
        let mut name = written;
        for change in &self.changes {
            match change {
                Change::StripLeading(text) => {
                    if let Some(rest) = name.strip_prefix(text.as_str()) {
                        name = rest.to_owned();
                    }
                }
                Change::DnToCn => {
                    name = leading_value(&name).ok_or_else(|| Unreadable("a group is no distinguished name (`dn_to_cn`)".to_owned()))?;
                }
            }
        }
        if !usable(&name) || dn.as_deref().is_some_and(|dn| dn.chars().any(is_hidden)) {
            return Err(Unreadable(format!("a group's name is empty, longer than {MAX_NAME} characters, or holds hidden ones")));
        }
        let id = Some(&name).filter(|name| self.ids && is_guid(name)).cloned();
        Ok(Group { name, dn, id })
    }
}

impl Way {
    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Pointer(text) => text,
        }
    }

    fn begins_with(&self, name: &str) -> bool {
        match self {
            Self::Name(mine) => mine == name || mine.split('.').next() == Some(name),
            Self::Pointer(pointer) => pointer.split('/').nth(1).is_some_and(|step| step.replace("~1", "/").replace("~0", "~") == name),
        }
    }

    fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        match self {
            Self::Name(name) => at_name(claims, name),
            Self::Pointer(pointer) => at_pointer(claims, pointer),
        }
    }

    /// Whether the document says that the claim stands elsewhere (OpenID Connect Core §5.6.2; Entra's overage), so that what is
    /// here, if anything, is not all.
    fn sign_of_more(&self, claims: &Claims) -> Option<&'static str> {
        if claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.keys().any(|name| self.begins_with(name))) {
            return Some("`_claim_names` says that the groups stand elsewhere");
        }
        let hinted = claims.get("hasgroups").is_some_and(|value| value == &Value::Bool(true) || value.as_str() == Some("true"));
        (hinted && self.begins_with("groups")).then_some("`hasgroups` says that there are more groups than fit into a token")
    }
}

fn changes(transform: &GroupTransform) -> Vec<Change> {
    let strip = transform.strip_leading.as_ref().map(|text| Change::StripLeading(text.value.clone()));
    let dn = transform.dn_to_cn.as_ref().filter(|wanted| wanted.value).map(|_| Change::DnToCn);
    strip.into_iter().chain(dn).collect()
}

/// A text, a list of texts, or an object whose keys are the groups (`{"reader": {…}}`, as Zitadel writes roles).
fn listed(value: &Value, place: &str) -> Result<Vec<String>, Unreadable> {
    let wrong = |what: &str| Unreadable(format!("`{place}` holds {what}, where groups are texts"));
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Object(members) => Ok(members.keys().cloned().collect()),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Number(_) => Err(wrong("numbers")),
                Value::Object(_) => Err(wrong("objects in a list")),
                Value::Array(_) => Err(wrong("lists in a list")),
                Value::Null | Value::Bool(_) => Err(wrong("no texts")),
            })
            .collect(),
        Value::Number(_) => Err(wrong("a number")),
        Value::Null | Value::Bool(_) => Err(wrong("no text")),
    }
}

/// Whether a text is the usual form of a GUID.
pub(super) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::claims::claims;
    use super::*;

    fn groups(settings: Value) -> Groups {
        let mut whole = json!({"issuer": "https://sso.corp.example", "client": {"id": "registry"}});
        for (key, value) in settings.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let file = crate::source::SourceFile::new("narrows.yaml", whole.to_string());
        Groups::new(&file.parse().unwrap())
    }

    fn shown(reading: Result<Reading, Unreadable>) -> String {
        match reading {
            Ok(Reading::Whole { nowhere: true, .. }) => "nowhere".to_owned(),
            Ok(Reading::Whole { groups, .. }) => groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(" "),
            Ok(Reading::CutOff(_)) => "cut off".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn check(settings: Value, token: Value, expected: &str) {
        let read = groups(settings).read(Documents { id_token: &claims(token.clone()), userinfo: None });
        assert_eq!(shown(read), expected, "{token}");
    }

    fn from(claim: &str) -> Value {
        json!({"groups": {"sources": [{"claim": claim}]}})
    }

    fn changed(transform: Value) -> Value {
        json!({"groups": {"transform": transform}})
    }

    #[test]
    fn every_shape_of_a_claim_is_read_or_refused_whole() {
        check(json!({}), json!({"groups": ["b", "a", "b"]}), "a b");
        check(json!({}), json!({"groups": "one"}), "one");
        check(json!({}), json!({"groups": []}), "");
        check(json!({}), json!({"groups": {"reader": {"1": "x"}, "owner": {}}}), "owner reader");
        check(json!({}), json!({}), "nowhere");
        check(json!({}), json!({"groups": null}), "nowhere");
        check(json!({}), json!({"groups": ["a", 5]}), "`groups` holds numbers, where groups are texts");
        check(json!({}), json!({"groups": 5}), "`groups` holds a number, where groups are texts");
        check(json!({}), json!({"groups": true}), "`groups` holds no text, where groups are texts");
        check(json!({}), json!({"groups": ["a", null]}), "`groups` holds no texts, where groups are texts");
        check(json!({}), json!({"groups": [{"name": "a"}]}), "`groups` holds objects in a list, where groups are texts");
        check(json!({}), json!({"groups": [["a"]]}), "`groups` holds lists in a list, where groups are texts");
        let unusable = "a group's name is empty, longer than 256 characters, or holds hidden ones";
        for wrong in ["", "a\nb", "a\u{202e}b", &"x".repeat(257)] {
            check(json!({}), json!({"groups": ["a", wrong]}), unusable);
        }
        check(from("realm_access.roles"), json!({"realm_access": {"roles": ["r"]}}), "r");
        check(from("https://corp.example/roles"), json!({"https://corp.example/roles": ["r"]}), "r");
        check(json!({"groups": {"sources": [{"pointer": "/a~1b/0"}]}}), json!({"a/b": ["r", "s"]}), "r");
    }

    #[test]
    fn sources_add_up() {
        let settings = json!({"groups": {"sources": [{"claim": "groups"}, {"from": "userinfo", "claim": "groups"}, {"claim": "roles"}]}});
        let (token, userinfo) = (claims(json!({"groups": ["a"], "roles": "r"})), claims(json!({"groups": ["b", "a"]})));
        let groups = groups(settings);
        assert!(groups.need_userinfo());
        assert_eq!(shown(groups.read(Documents { id_token: &token, userinfo: Some(&userinfo) })), "a b r");
        assert_eq!(shown(groups.read(Documents { id_token: &token, userinfo: None })), "a r");
        assert_eq!(groups.read_all_in(&userinfo), Ok(None), "`roles` is missing there");
        let whole = claims(json!({"groups": ["a"], "roles": []}));
        assert_eq!(shown(groups.read_all_in(&whole).map(Option::unwrap)), "a");
    }

    #[test]
    fn changes_go_in_their_order() {
        let strip = || json!([{"strip_leading": "/"}]);
        check(changed(strip()), json!({"groups": ["/a/b", "c", "//d"]}), "/d a/b c");
        check(changed(json!([{"dn_to_cn": true}])), json!({"groups": ["CN=Dev\\, Ops,OU=G,DC=corp"]}), "Dev, Ops");
        check(changed(json!([{"dn_to_cn": true}, {"strip_leading": "reg-"}])), json!({"groups": ["cn=reg-dev,dc=x"]}), "dev");
        check(changed(json!([{"strip_leading": "x:"}, {"dn_to_cn": true}])), json!({"groups": ["x:cn=dev,dc=x"]}), "dev");
        check(changed(json!([{"dn_to_cn": false}])), json!({"groups": ["cn=dev,dc=x"]}), "cn=dev,dc=x");
        let no_dn = "a group is no distinguished name (`dn_to_cn`)";
        for wrong in ["plain", "cn=a+ou=b,dc=x", "cn=,dc=x", ""] {
            check(changed(json!([{"dn_to_cn": true}])), json!({"groups": ["cn=dev,dc=x", wrong]}), no_dn);
        }
        check(changed(strip()), json!({"groups": ["/"]}), "a group's name is empty, longer than 256 characters, or holds hidden ones");
    }

    #[test]
    fn a_distinguished_name_stays_known_as_one() {
        let read = |settings: Value, value: &str| match groups(settings).made(vec![value.to_owned()]).unwrap().pop() {
            Some(Group { name, dn, id }) => (name, dn, id),
            None => panic!("{value}"),
        };
        let dn = "CN=Dev,OU=Groups,DC=corp";
        assert_eq!(read(json!({}), dn), (dn.to_owned(), Some(dn.to_owned()), None));
        assert_eq!(read(changed(json!([{"dn_to_cn": true}])), dn), ("Dev".to_owned(), Some(dn.to_owned()), None));
        assert_eq!(read(json!({}), "a=b=,").1, None);
        assert_eq!(read(json!({}), "dev"), ("dev".to_owned(), None, None));
        let guid = "8c5f2f6a-33e5-4d6b-9a55-0c6d1f4f9b11";
        assert_eq!(read(json!({"preset": "entra"}), guid), (guid.to_owned(), None, Some(guid.to_owned())));
        assert_eq!(read(json!({"preset": "entra"}), "8c5f2f6a-33e5-4d6b-9a55-0c6d1f4f9b1g").2, None);
        assert_eq!(read(json!({}), guid).2, None);
    }

    #[test]
    fn groups_that_were_left_out_are_no_smaller_set() {
        let elsewhere = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://evil.example"}}});
        check(json!({}), elsewhere.clone(), "cut off");
        check(json!({}), json!({"groups": ["a"], "_claim_names": {"groups": "src1"}}), "cut off");
        check(from("roles"), elsewhere, "nowhere");
        check(json!({}), json!({"hasgroups": true}), "cut off");
        check(json!({}), json!({"hasgroups": "true"}), "cut off");
        check(json!({}), json!({"hasgroups": false}), "nowhere");
        check(from("roles"), json!({"hasgroups": true, "roles": ["r"]}), "r");
        check(json!({"groups": {"sources": [{"pointer": "/groups"}]}}), json!({"hasgroups": true}), "cut off");
        let many = |count: usize| json!({"groups": (0..count).map(|number| format!("g{number:04}")).collect::<Vec<_>>()});
        check(json!({"preset": "okta"}), many(100), "cut off");
        check(json!({"preset": "okta", "groups": {"max": 98}}), many(99), "more than 98 groups (`groups.max`)");
        check(json!({"groups": {"max": 99}}), many(100), "more than 99 groups (`groups.max`)");
        check(json!({}), many(2001), "more than 2000 groups (`groups.max`)");
    }

    #[test]
    fn what_is_fetched_stands_in_for_what_was_cut_off_alone() {
        let sources = json!([{"claim": "groups"}, {"claim": "roles"}]);
        let groups = groups(json!({"preset": "okta", "groups": {"sources": sources, "transform": [{"strip_leading": "/"}]}}));
        let token = claims(json!({"hasgroups": true, "groups": ["part"], "roles": ["/r"]}));
        let cut = || match groups.read(Documents { id_token: &token, userinfo: None }) {
            Ok(Reading::CutOff(cut)) => cut,
            other => panic!("{other:?}"),
        };
        let names = |groups: Vec<Group>| groups.into_iter().map(|group| group.name).collect::<Vec<_>>().join(" ");
        assert!(groups.misses_only(&cut(), "groups") && !groups.misses_only(&cut(), "roles"));
        assert_eq!(names(groups.completed(cut(), vec!["/x".to_owned()]).unwrap()), "r x");
        let within = |document: Value| groups.completed_in(cut(), &claims(document)).map(|found| found.map(names));
        assert_eq!(within(json!({"groups": ["y"], "roles": ["z"]})), Ok(Some("r y".to_owned())));
        assert_eq!(within(json!({"groups": []})), Ok(Some("r".to_owned())));
        assert_eq!(within(json!({"roles": ["z"]})), Ok(None));
        assert_eq!(within(json!({"groups": ["y"], "_claim_names": {"groups": "a"}})), Ok(None));
        assert_eq!(within(json!({"groups": vec!["y"; 100]})), Ok(None));
        assert!(within(json!({"groups": [5]})).is_err());
    }

    proptest! {
        #[test]
        fn no_value_panics_and_no_group_is_lost(names in proptest::collection::vec("[a-z/=,\\\\+ ]{0,12}", 0..12), strip in "[/a-c]{0,2}") {
            let groups = groups(changed(json!([{"strip_leading": strip}])));
            if let Ok(made) = groups.made(names.clone()) {
                let expected: BTreeSet<&str> = names.iter().map(|name| name.strip_prefix(&strip).unwrap_or(name)).collect();
                let found: BTreeSet<&str> = made.iter().map(|group| group.name.as_str()).collect();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn a_dn_is_read_or_refused(noise in ".{0,40}") {
            let groups = groups(changed(json!([{"dn_to_cn": true}])));
            if let Ok(made) = groups.made(vec![noise]) {
                prop_assert_eq!(made.len(), 1);
            }
        }
    }
}
