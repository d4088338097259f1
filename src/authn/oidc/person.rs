//! Who a token is about: the stable id, the name, what must hold, and what rules may ask.

use std::collections::BTreeMap;

use serde_json::Value;

use super::claims::{Claims, Documents, instant};
use super::settings::{ClaimValue, OidcSettings};
use crate::authn::identity::{IdentityClaims, SecondFactor};
use crate::clock::Timestamp;
use crate::source::is_hidden;

/// A `sub` is at most this long (OpenID Connect Core §2).
const MAX_SUB: usize = 255;
const MAX_NAME: usize = 256;
/// So many claims are kept for rules.
const MAX_CLAIMS: usize = 64;
/// A longer claim is not kept.
const MAX_CLAIM: usize = 4096;
/// All that is kept of one person's claims.
const MAX_ALL: usize = 32 * 1024;

/// Claims about a token and its session. They change at each login, hold secrets, or say nothing of the person.
const OF_THE_TOKEN: [&str; 26] = [
    "acr",
    "aio",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "rat",
    "rh",
    "s_hash",
    "session_state",
    "sid",
    "typ",
    "updated_at",
    "urn:openid:params:jwt:claim:rar",
    "uti",
    "ver",
    "_claim_names",
    "_claim_sources",
];

/// How claims become somebody.
#[derive(Debug)]
pub(super) struct Person {
    username: Vec<String>,
    strip_suffix: Option<String>,
    ignore_case: bool,
    require: BTreeMap<String, ClaimValue>,
    amr: Vec<String>,
    acr: Vec<String>,
    /// Claims that hold groups, which rules ask by other words.
    groups: Vec<String>,
}

/// Somebody, without their groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// `sub`.
    pub(super) id: String,
    /// The name of rules, audit and tokens.
    pub(super) username: String,
    /// What rules may ask.
    pub(super) claims: IdentityClaims,
}

/// Why claims are nobody who is let in. The claim's name is for operators; its value is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// The word of logs and audit.
    pub(super) word: &'static str,
    /// What is wrong.
    pub(super) reason: String,
}

/// The words of [`Unfit`].
const CLAIM_REQUIRED: &str = "claim_required";
const NO_SUBJECT: &str = "no_subject";
const USERNAME: &str = "username";

impl Person {
    /// From settings that were checked.
    pub(super) fn new(settings: &OidcSettings, ignore_case: bool) -> Self {
        let suffix = settings.identity.strip_suffix.as_ref().map(|suffix| suffix.value.clone());
        Self {
            username: settings.username_claims(),
            strip_suffix: suffix.filter(|suffix| !suffix.is_empty()),
            ignore_case,
            require: settings.required_claims(),
            amr: settings.second_factors(),
            acr: settings.mfa.acr.iter().map(|word| word.value.clone()).collect(),
            groups: settings.group_sources().into_iter().filter_map(|source| Some(source.claim?.value)).collect(),
        }
    }

    /// Whether the `id_token` alone does not say who it is, or not that they may come in.
    pub(super) fn needs_more_than(&self, id_token: &Claims) -> bool {
        let alone = Documents { id_token, userinfo: None };
        !self.username.iter().any(|name| alone.claim(name).is_some_and(|value| value.as_str() != Some("")))
            || self.require.keys().any(|name| alone.claim(name).is_none())
    }

    /// Whether a refusal of this word is about the person, and not about the token.
    pub(super) fn says(word: &str) -> bool {
        [CLAIM_REQUIRED, NO_SUBJECT, USERNAME].contains(&word)
    }

    /// Who it is.
    pub(super) fn described(&self, documents: Documents<'_>) -> Result<Described, Unfit> {
        for (name, wanted) in &self.require {
            if !documents.claim(name).is_some_and(|value| holds(value, wanted)) {
                return Err(Unfit { word: CLAIM_REQUIRED, reason: format!("the claim `{name}` is missing or has another value") });
            }
        }
        let id = documents.id_token.get("sub").and_then(Value::as_str).unwrap_or_default();
        if id.is_empty() || id.chars().count() > MAX_SUB || id.chars().any(is_hidden) {
            return Err(Unfit { word: NO_SUBJECT, reason: "the claim `sub` is missing or can be nobody's".to_owned() });
        }
        Ok(Described { id: id.to_owned(), username: self.name(documents)?, claims: self.kept(documents) })
    }

    /// What the login's `id_token` says of a second factor. It is the one of then that counts, at every re-check.
    pub(super) fn second_factor(&self, id_token: &Claims, now: Timestamp) -> SecondFactor {
        let says = |claim: &str, wanted: &[String]| {
            let value = id_token.get(claim).filter(|value| !wanted.is_empty() && !value.is_null())?;
            let texts = match value {
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                Value::String(text) => vec![text.as_str()],
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
            };
            Some(texts.into_iter().any(|text| wanted.iter().any(|wanted| wanted == text)))
        };
        let said = [says("amr", &self.amr), says("acr", &self.acr)];
        if said.contains(&Some(true)) {
            // When it was used, or, where the issuer keeps that to itself, when it said so. Never a time that is to come.
            let at = instant(id_token, "auth_time").or_else(|| instant(id_token, "iat"));
            return at.map_or(SecondFactor::Unknown, |at| SecondFactor::Used(at.min(now)));
        }
        if said.contains(&Some(false)) { SecondFactor::Absent } else { SecondFactor::Unknown }
    }

    /// A typed name without the suffix that names of this issuer lose, however often it stands there.
    pub(super) fn stripped<'a>(&self, typed: &'a str) -> &'a str {
        let mut name = typed;
        while let Some(shorter) = self.without_suffix(name, true) {
            name = shorter;
        }
        name
    }

    fn name(&self, documents: Documents<'_>) -> Result<String, Unfit> {
        let unusable = |claim: &str, what: &str| Unfit { word: USERNAME, reason: format!("the claim `{claim}` {what}") };
        for claim in &self.username {
            let text = match documents.claim(claim) {
                None => continue,
                Some(Value::String(text)) if text.is_empty() => continue,
                Some(Value::String(text)) => text,
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    return Err(unusable(claim, "is no text"));
                }
            };
            // Somebody else's address would be somebody else's name.
            if claim == "email" && documents.claim("email_verified").is_some_and(|verified| verified != &Value::Bool(true)) {
                return Err(unusable(claim, "is not verified, says `email_verified`"));
            }
            let name = self.without_suffix(text, self.ignore_case).unwrap_or(text);
            return if may_be_a_name(name) { Ok(name.to_owned()) } else { Err(unusable(claim, "can be nobody's name")) };
        }
        Err(Unfit { word: USERNAME, reason: format!("none of the claims `{}` holds a name", self.username.join("`, `")) })
    }

    fn without_suffix<'a>(&self, name: &'a str, ignore_case: bool) -> Option<&'a str> {
        let suffix = self.strip_suffix.as_deref()?;
        let (rest, found) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
        let equal = if ignore_case { found.eq_ignore_ascii_case(suffix) } else { found == suffix };
        equal.then_some(rest)
    }

    /// Texts, numbers, truth values and lists of these. One that is too large is not known, rather than known in part.
    fn kept(&self, documents: Documents<'_>) -> IdentityClaims {
        let mut kept = IdentityClaims::new();
        let mut left = MAX_ALL;
        let names: std::collections::BTreeSet<&String> =
            documents.userinfo.into_iter().flat_map(Claims::keys).chain(documents.id_token.keys()).collect();
        for name in names {
            let is_of_the_person = !OF_THE_TOKEN.contains(&name.as_str()) && !self.groups.contains(name);
            let Some(values) = documents.claim(name).filter(|_| is_of_the_person).and_then(texts) else { continue };
            let size = name.len() + values.iter().map(|value| value.len() + size_of::<String>()).sum::<usize>();
            if kept.len() == MAX_CLAIMS || size > MAX_CLAIM || size > left {
                tracing::debug!(claim = name, "a claim is too large to be kept for rules, or there are too many");
                continue;
            }
            left -= size;
            kept.insert(name.clone(), values);
        }
        kept
    }
}

/// Equal, and of the same type: `"true"` is not `true`. A list holds where one of its texts is the wanted one.
fn holds(value: &Value, wanted: &ClaimValue) -> bool {
    match (value, wanted) {
        (Value::Bool(value), ClaimValue::Truth(wanted)) => value == wanted,
        (Value::String(value), ClaimValue::Text(wanted)) => value == wanted,
        (Value::Array(values), ClaimValue::Text(wanted)) => values.iter().any(|value| value.as_str() == Some(wanted)),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_), _) => false,
    }
}

/// Rules and logs show it, docker sends it back, and it must never be taken for a token.
fn may_be_a_name(name: &str) -> bool {
    let looks_like_a_token = name.starts_with("nrw_")
        || name.starts_with("nrl_")
        || name == "<token>"
        || name.starts_with("eyJ") && name.matches('.').count() == 2;
    !name.is_empty() && name.trim() == name && name.chars().count() <= MAX_NAME && !name.chars().any(is_hidden) && !looks_like_a_token
}

/// A claim's values as rules compare them.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Some(vec![text(value)?]),
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::claims::claims;
    use super::*;

    fn person(settings: Value) -> Person {
        let mut whole = json!({"issuer": "https://sso.corp.example", "client": {"id": "registry"}});
        for (key, value) in settings.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let file = crate::source::SourceFile::new("narrows.yaml", whole.to_string());
        let settings: OidcSettings = file.parse().unwrap();
        Person::new(&settings, true)
    }

    fn check(settings: Value, id_token: Value, userinfo: Option<Value>, expected: &str) {
        let (shown, userinfo) = (format!("{id_token} {userinfo:?}"), userinfo.map(claims));
        let id_token = claims(id_token);
        let described = person(settings).described(Documents { id_token: &id_token, userinfo: userinfo.as_ref() });
        let found = described.map_or_else(|unfit| format!("{}: {}", unfit.word, unfit.reason), |it| format!("{} {}", it.id, it.username));
        assert_eq!(found, expected, "{shown}");
    }

    #[test]
    fn the_first_claim_that_holds_a_name_is_the_name() {
        check(json!({}), json!({"sub": "7", "preferred_username": "alice"}), None, "7 alice");
        check(json!({}), json!({"sub": "7", "preferred_username": ""}), None, "7 7");
        check(json!({}), json!({"sub": "7", "preferred_username": null}), None, "7 7");
        check(json!({}), json!({"sub": "7"}), Some(json!({"sub": "7", "preferred_username": "alice"})), "7 alice");
        check(json!({}), json!({"sub": "7", "preferred_username": 5}), None, "username: the claim `preferred_username` is no text");
        let upn = json!({"identity": {"username": "upn"}});
        check(upn, json!({"sub": "7"}), None, "username: none of the claims `upn` holds a name");
        for wrong in ["a\u{202e}b", "a\nb", " a", "nrw_x", "nrl_x", "<token>", "eyJh.eyJz.c2ln", &"x".repeat(257)] {
            let token = json!({"sub": "7", "preferred_username": wrong});
            check(json!({}), token, None, "username: the claim `preferred_username` can be nobody's name");
        }
        check(json!({}), json!({"sub": "7", "preferred_username": "x".repeat(256)}), None, &format!("7 {}", "x".repeat(256)));
        for wrong in [json!({}), json!({"sub": ""}), json!({"sub": 7}), json!({"sub": "a\u{7}"}), json!({"sub": "x".repeat(256)})] {
            check(json!({"identity": {"username": "sub"}}), wrong, None, "no_subject: the claim `sub` is missing or can be nobody's");
        }
    }

    #[test]
    fn an_address_that_is_not_verified_is_no_name() {
        let by_email = || json!({"identity": {"username": ["email", "sub"]}});
        check(by_email(), json!({"sub": "7", "email": "a@corp.example"}), None, "7 a@corp.example");
        check(by_email(), json!({"sub": "7", "email": "a@corp.example", "email_verified": true}), None, "7 a@corp.example");
        for no in [json!(false), json!("true"), json!(1)] {
            let token = json!({"sub": "7", "email": "a@corp.example", "email_verified": no});
            check(by_email(), token, None, "username: the claim `email` is not verified, says `email_verified`");
        }
    }

    #[test]
    fn a_suffix_is_cut_off_the_name_once_and_off_what_is_typed_however_often() {
        let cutting = || json!({"identity": {"strip_suffix": "@corp.example"}});
        let named = |name: &str| json!({"sub": "7", "preferred_username": name});
        check(cutting(), named("alice@corp.example"), None, "7 alice");
        check(cutting(), named("alice@CORP.example"), None, "7 alice");
        check(cutting(), named("alice@corp.example@corp.example"), None, "7 alice@corp.example");
        check(cutting(), named("alice@other.example"), None, "7 alice@other.example");
        check(cutting(), named("é"), None, "7 é");
        check(cutting(), named("@corp.example"), None, "username: the claim `preferred_username` can be nobody's name");
        let person = person(cutting());
        assert_eq!(person.stripped("alice@corp.example@CORP.example"), "alice");
        assert_eq!(person.stripped("alice"), "alice");
    }

    #[test]
    fn what_is_required_has_the_type_and_the_value() {
        let refused = |claim: &str| format!("claim_required: the claim `{claim}` is missing or has another value");
        let verified = || json!({"identity": {"require": {"email_verified": true}}});
        check(verified(), json!({"sub": "7", "email_verified": true}), None, "7 7");
        check(verified(), json!({"sub": "7"}), Some(json!({"sub": "7", "email_verified": true})), "7 7");
        // The signed word counts before the other one.
        check(verified(), json!({"sub": "7", "email_verified": false}), Some(json!({"email_verified": true})), &refused("email_verified"));
        for no in [json!({"sub": "7"}), json!({"sub": "7", "email_verified": "true"}), json!({"sub": "7", "email_verified": [true]})] {
            check(verified(), no, None, &refused("email_verified"));
        }
        let domain = || json!({"identity": {"require": {"hd": "corp.example"}}});
        check(domain(), json!({"sub": "7", "hd": "corp.example"}), None, "7 7");
        check(domain(), json!({"sub": "7", "hd": ["other.example", "corp.example"]}), None, "7 7");
        for no in [json!("Corp.example"), json!("corp.example.org"), json!([["corp.example"]]), json!({"corp.example": 1}), json!(null)] {
            check(domain(), json!({"sub": "7", "hd": no}), None, &refused("hd"));
        }
    }

    #[test]
    fn what_the_id_token_lacks_is_asked_for() {
        let needs = |settings: Value, token: Value| person(settings).needs_more_than(&claims(token));
        let by_name = || json!({"identity": {"username": "preferred_username", "require": {"email_verified": true}}});
        assert!(needs(by_name(), json!({"sub": "7"})));
        assert!(needs(by_name(), json!({"sub": "7", "preferred_username": "alice"})));
        assert!(needs(by_name(), json!({"sub": "7", "email_verified": true, "preferred_username": ""})));
        assert!(!needs(by_name(), json!({"preferred_username": "alice", "email_verified": false})));
        assert!(!needs(json!({}), json!({"sub": "7"})));
    }

    #[test]
    fn rules_may_ask_what_is_of_the_person() {
        let token = claims(json!({
            "sub": "7", "iss": "i", "aud": "a", "exp": 9, "iat": 8, "nonce": "n", "at_hash": "h", "amr": ["pwd"],
            "department": "it", "level": 3, "staff": true, "sites": ["b", 4, false], "none": [], "gone": null,
            "deep": {"a": 1}, "mixed": ["a", {"b": 1}], "long": "x".repeat(4097), "groups": ["g"],
        }));
        let userinfo = claims(json!({"department": "other", "phone": "5", "at_hash": "h"}));
        let described = person(json!({})).described(Documents { id_token: &token, userinfo: Some(&userinfo) }).unwrap();
        let expected = json!({
            "sub": ["7"], "department": ["it"], "level": ["3"], "staff": ["true"], "sites": ["b", "4", "false"], "none": [], "phone": ["5"],
        });
        assert_eq!(serde_json::to_value(described.claims).unwrap(), expected);
    }

    #[test]
    fn what_is_kept_has_bounds() {
        let many: Claims =
            (0..500).map(|number| (format!("c{number:03}"), json!("x".repeat(1000)))).chain([("sub".to_owned(), json!("7"))]).collect();
        let described = person(json!({})).described(Documents { id_token: &many, userinfo: None }).unwrap();
        let size: usize = described.claims.values().flatten().map(String::len).sum();
        assert!(described.claims.len() <= MAX_CLAIMS && size <= MAX_ALL && !described.claims.is_empty(), "{size}");
    }

    #[test]
    fn a_second_factor_is_what_the_settings_call_one() {
        let now = Timestamp(1000);
        let check = |settings: Value, token: Value, expected: SecondFactor| {
            assert_eq!(person(json!({ "mfa": settings })).second_factor(&claims(token.clone()), now), expected, "{token}");
        };
        let amr = || json!({"amr": ["otp", "mfa"]});
        check(amr(), json!({"amr": ["pwd", "otp"], "auth_time": 900, "iat": 990}), SecondFactor::Used(Timestamp(900)));
        check(amr(), json!({"amr": "mfa", "iat": 990}), SecondFactor::Used(Timestamp(990)));
        check(amr(), json!({"amr": ["mfa"], "auth_time": 5000}), SecondFactor::Used(now));
        check(amr(), json!({"amr": ["mfa"]}), SecondFactor::Unknown);
        check(amr(), json!({"amr": ["pwd"], "auth_time": 900}), SecondFactor::Absent);
        check(amr(), json!({"amr": []}), SecondFactor::Absent);
        check(amr(), json!({"acr": "mfa", "auth_time": 900}), SecondFactor::Unknown);
        check(amr(), json!({"amr": 5}), SecondFactor::Unknown);
        let both = || json!({"amr": ["otp"], "acr": ["phr"]});
        check(both(), json!({"amr": ["pwd"], "acr": "phr", "auth_time": 900}), SecondFactor::Used(Timestamp(900)));
        check(both(), json!({"acr": "0"}), SecondFactor::Absent);
        check(both(), json!({}), SecondFactor::Unknown);
        check(json!({}), json!({"amr": ["otp"], "auth_time": 900}), SecondFactor::Unknown);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_claims_panic_and_every_name_can_be_shown(name in any_value(), more in any_value(), amr in any_value(), time in any_value()) {
            let token = claims(json!({"sub": "7", "preferred_username": name, "more": more, "amr": amr, "auth_time": time}));
            let person = person(json!({"mfa": {"amr": ["a"]}, "identity": {"strip_suffix": "x", "require": {"sub": "7"}}}));
            let _ = person.second_factor(&token, Timestamp(1));
            if let Ok(described) = person.described(Documents { id_token: &token, userinfo: None }) {
                prop_assert!(!described.username.is_empty() && !described.username.chars().any(is_hidden));
            }
        }
    }
}
