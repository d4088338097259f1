//! What a registry answers to somebody without a token: where to fetch one, and for which service (RFC 9110 §11.6.1).

use url::Url;

/// A `Bearer` challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where the token is fetched.
    pub(crate) realm: Option<String>,
    /// What it is for.
    pub(crate) service: Option<String>,
}

impl Challenge {
    /// The realm as an address.
    pub(crate) fn realm(&self) -> Option<Url> {
        Url::parse(self.realm.as_deref()?).ok()
    }
}

/// All `Bearer` challenges in headers `WWW-Authenticate`, each of which may hold several challenges.
pub(crate) fn bearer(headers: &[String]) -> Vec<Challenge> {
    let mut found = Vec::new();
    for header in headers {
        let mut rest = header.as_str();
        let mut current: Option<Challenge> = None;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (word, after) = word(rest);
            if word.is_empty() {
                break;
            }
            if let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') {
                let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
                rest = after;
                if let Some(challenge) = &mut current {
                    let place = match word.to_ascii_lowercase().as_str() {
                        "realm" => &mut challenge.realm,
                        "service" => &mut challenge.service,
                        _ => continue,
                    };
                    *place = Some(value);
                }
            } else {
                rest = after;
                found.extend(current.take());
                current = word.eq_ignore_ascii_case("bearer").then(Challenge::default);
            }
        }
        found.extend(current);
    }
    found
}

/// A word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let ends = |character: char| character.is_whitespace() || matches!(character, ',' | '=' | '"');
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = word(text);
        return (value.to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expected: &[(&str, &str)]) {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        let found: Vec<_> = bearer(&headers).into_iter().map(|it| (it.realm.unwrap_or_default(), it.service.unwrap_or_default())).collect();
        let expected: Vec<_> = expected.iter().map(|(realm, service)| ((*realm).to_owned(), (*service).to_owned())).collect();
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn challenges_are_read_in_every_writing() {
        check(&[r#"Bearer realm="https://a.test/token",service="reg""#], &[("https://a.test/token", "reg")]);
        check(&[r#"bearer service=reg , REALM = "https://a.test/t,=x" , error="x""#], &[("https://a.test/t,=x", "reg")]);
        check(&[r#"Basic realm="b", Bearer realm="c", Bearer realm="d",service="e""#], &[("c", ""), ("d", "e")]);
        check(&[r#"Basic realm="b""#, r#"Bearer realm="q\"uo\\te""#], &[("q\"uo\\te", "")]);
        check(&["Negotiate", "Bearer"], &[("", "")]);
    }

    #[test]
    fn garbage_ends() {
        for text in ["", "=", "\"", "Bearer realm=\"", "Bearer realm", ",,,", "Bearer ==", "Bearer \"\"", "\u{e4}=\u{e4}"] {
            let _ = bearer(&[text.to_owned()]);
        }
        check(&["=\"\", Bearer realm=x"], &[]);
    }
}
