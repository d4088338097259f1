//! What a client presented, told apart by its look before anybody is asked.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Longer passwords are refused unsent.
const MAX_PASSWORD: usize = 4096;
/// Longer names are refused unsent.
const MAX_USERNAME: usize = 256;

/// What one request holds of proof.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing at all.
    Anonymous,
    /// A name and a password that may be sent to a directory: not empty, no NUL, within the caps.
    Password {
        /// The name exactly as typed.
        username: String,
        /// The password exactly as typed.
        password: SecretString,
    },
    /// `nrw_…`: a token that narrows gave to docker instead of the password.
    IdentityToken(SecretString),
    /// `nrl_…`: a code from the sign-in page.
    LoginCode {
        /// The name exactly as typed.
        username: String,
        /// The code.
        code: SecretString,
    },
    /// Three base64url parts: the token of a workload issuer.
    WorkloadToken(SecretString),
    /// Something that can never be right (an empty password, NUL, over the caps); asked of nobody.
    Unusable(&'static str),
}

impl Credentials {
    /// Sorts a typed name and secret by the secret's look, whatever the name is. An empty name, or docker's `<token>`,
    /// with a secret is an identity token or nothing.
    pub fn classify(username: &str, secret: SecretString) -> Self {
        let text = secret.expose_secret();
        if username.is_empty() && text.is_empty() {
            return Self::Anonymous;
        }
        if text.starts_with("nrw_") {
            return Self::IdentityToken(secret);
        }
        if text.starts_with("nrl_") {
            return Self::LoginCode { username: username.to_owned(), code: secret };
        }
        if looks_like_jwt(text) {
            return Self::WorkloadToken(secret);
        }
        if text.is_empty() {
            return Self::Unusable("empty password");
        }
        if username.is_empty() || username == "<token>" {
            return Self::Unusable("no identity token");
        }
        if text.len() > MAX_PASSWORD || username.len() > MAX_USERNAME {
            return Self::Unusable("too long");
        }
        if text.contains('\0') || username.chars().any(char::is_control) {
            return Self::Unusable("control characters");
        }
        Self::Password { username: username.to_owned(), password: secret }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
            Self::LoginCode { .. } => "LoginCode",
            Self::WorkloadToken(_) => "WorkloadToken",
            Self::Unusable(_) => "Unusable",
        })
    }
}

/// Three parts of base64url, the first of which opens like a JSON object (`eyJ`).
fn looks_like_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let (header, rest): (_, Vec<_>) = (parts.next().unwrap_or_default(), parts.collect());
    header.starts_with("eyJ")
        && rest.len() == 2
        && std::iter::once(header)
            .chain(rest)
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(username: &str, secret: &str, expected: &str) {
        let credentials = Credentials::classify(username, SecretString::from(secret.to_owned()));
        assert_eq!(format!("{credentials:?}"), expected, "{username:?} {secret:?}");
    }

    #[test]
    fn the_look_decides_before_anybody_is_asked() {
        check("", "", "Anonymous");
        check("alice", "secret", "Password");
        check("alice", "", "Unusable");
        check("", "secret", "Unusable");
        check("<token>", "secret", "Unusable");
        check("", "nrw_x", "IdentityToken");
        check("alice", "nrw_x", "IdentityToken");
        check("alice", "nrl_x", "LoginCode");
        check("alice", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln", "WorkloadToken");
        check("alice", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0", "Password");
        check("alice", "a.b.c", "Password");
        check("alice", "a\0b", "Unusable");
        check("al\nice", "a", "Unusable");
        check("alice", &"x".repeat(4097), "Unusable");
        check(&"x".repeat(257), "a", "Unusable");
    }
}
