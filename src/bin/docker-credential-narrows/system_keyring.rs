//! The system's keyring: Secret Service, or the keychain of macOS.

use secrecy::SecretString;

use crate::token::Token;

/// What its entries are filed under, beside the registry.
const SERVICE: &str = "docker-credential-narrows";

/// Whether the keyring took a token.
#[derive(Debug)]
#[expect(dead_code, reason = "one variant is that of a build without a keyring")]
pub(crate) enum Kept {
    /// It did.
    Yes,
    /// It did not, and why.
    No(String),
    /// There is none to ask.
    NotBuilt,
}

/// Puts the token of a registry in.
pub(crate) fn keep(registry: &str, token: &Token) -> Kept {
    let kept = entry(registry).and_then(|entry| entry.set_password(token.expose()).map_err(|error| told(&error)));
    kept.map_or_else(Kept::No, |()| Kept::Yes)
}

/// The token of a registry.
pub(crate) fn recall(registry: &str) -> Result<Option<Token>, String> {
    match entry(registry)?.get_password() {
        Ok(text) => Token::try_from(SecretString::from(text)).map(Some).map_err(|error| error.to_string()),
        Err(::keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

/// Takes the token of a registry out.
pub(crate) fn forget(registry: &str) -> Result<(), String> {
    match entry(registry)?.delete_credential() {
        Ok(()) | Err(::keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(told(&error)),
    }
}

fn entry(registry: &str) -> Result<::keyring::Entry, String> {
    ::keyring::Entry::new(SERVICE, registry).map_err(|error| told(&error))
}

/// Its message, without what it may quote of a secret.
fn told(error: &::keyring::Error) -> String {
    match error {
        ::keyring::Error::BadEncoding(_) => "the entry is not text".to_owned(),
        error => crate::terminal::shown(&error.to_string()),
    }
}
