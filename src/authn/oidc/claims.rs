//! What an issuer says of somebody: JSON that was verified, and the places in it.

use serde_json::Value;

use super::settings::ClaimsFrom;
pub(super) use crate::authn::jwt::Claims;
use crate::clock::Timestamp;

/// Everything that the issuer says of one person now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Documents<'a> {
    /// The verified `id_token`.
    pub(super) id_token: &'a Claims,
    /// The answer of the userinfo endpoint for the same `sub`, where it was asked.
    pub(super) userinfo: Option<&'a Claims>,
}

impl<'a> Documents<'a> {
    /// One of them.
    pub(super) fn of(self, from: ClaimsFrom) -> Option<&'a Claims> {
        match from {
            ClaimsFrom::IdToken => Some(self.id_token),
            ClaimsFrom::Userinfo => self.userinfo,
        }
    }

    /// A claim, wherever it stands; the `id_token` is signed and counts first.
    pub(super) fn claim(self, name: &str) -> Option<&'a Value> {
        let stands = |value: &&Value| !value.is_null();
        self.id_token.get(name).filter(stands).or_else(|| self.userinfo?.get(name).filter(stands))
    }
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
pub(super) fn instant(claims: &Claims, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is no matter, and what is out of range ends at its edge")]
    let seconds = || value.as_f64().map(|seconds| seconds as i64);
    value.as_i64().or_else(seconds).map(Timestamp)
}

/// The claim of exactly this name; where there is none, what the dots in it lead to (`realm_access.roles`). Names may hold
/// dots themselves (`https://corp.example/groups`), so the whole counts first.
pub(super) fn at_name<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let found = claims.get(name).or_else(|| {
        let mut steps = name.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.as_object()?.get(step))
    });
    found.filter(|value| !value.is_null())
}

/// The value at a JSON pointer (RFC 6901).
pub(super) fn at_pointer<'a>(claims: &'a Claims, pointer: &str) -> Option<&'a Value> {
    let mut steps = pointer.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    let found = steps.try_fold(first, |value, step| match value {
        Value::Object(members) => members.get(&step),
        // No sign, no leading zero.
        Value::Array(items) if step == "0" || !step.starts_with(['0', '+']) => items.get(step.parse::<usize>().ok()?),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    });
    found.filter(|value| !value.is_null())
}

#[cfg(test)]
pub(super) fn claims(value: Value) -> Claims {
    let Value::Object(claims) = value else { panic!("no object: {value}") };
    claims
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn document() -> Claims {
        claims(json!({
            "groups": ["a"],
            "realm_access": {"roles": ["r"]},
            "https://corp.example/groups": ["u"],
            "a.b": "whole",
            "a": {"b": "deep"},
            "m~n": {"": [10, 11]},
            "nothing": null,
        }))
    }

    #[test]
    fn a_name_is_whole_first_and_a_way_then() {
        let check = |name: &str, expected: Option<Value>| assert_eq!(at_name(&document(), name), expected.as_ref(), "{name}");
        check("groups", Some(json!(["a"])));
        check("realm_access.roles", Some(json!(["r"])));
        check("https://corp.example/groups", Some(json!(["u"])));
        check("a.b", Some(json!("whole")));
        check("realm_access.none", None);
        check("realm_access.roles.0", None);
        check("nothing", None);
        check("", None);
        check(".", None);
    }

    #[test]
    fn a_pointer_is_one_of_the_rfc() {
        let check = |pointer: &str, expected: Option<Value>| assert_eq!(at_pointer(&document(), pointer), expected.as_ref(), "{pointer}");
        check("/groups", Some(json!(["a"])));
        check("/groups/0", Some(json!("a")));
        check("/groups/00", None);
        check("/groups/+0", None);
        check("/groups/-", None);
        check("/groups/1", None);
        check("/https:~1~1corp.example~1groups/0", Some(json!("u")));
        check("/m~0n//1", Some(json!(11)));
        check("/nothing", None);
        check("", None);
        check("groups", None);
    }

    proptest! {
        #[test]
        fn no_way_panics(way in "[/~.01a-c+\\PC]{0,24}") {
            let _ = (at_name(&document(), &way), at_pointer(&document(), &way));
        }

        #[test]
        fn an_escaped_name_is_found(name in "\\PC{0,12}") {
            let document = claims(json!({ name.clone(): 7 }));
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            prop_assert_eq!(at_pointer(&document, &pointer), Some(&json!(7)));
        }
    }
}
