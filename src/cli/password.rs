//! Passwords for commands: from standard input or a terminal, never from the arguments, which everybody can read.

use std::io::{BufRead, Read};

use anyhow::{Context, bail};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::authn::credentials::Credentials;

/// More than any password that a request may hold, with its line break.
const LIMIT: u64 = 4096 + 3;

/// Reads one password from standard input; `command` is what it is piped into.
pub(super) fn read(input: &mut dyn BufRead, command: &str) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it at once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LIMIT)?));
    input.take(LIMIT).read_to_end(&mut bytes).context("standard input could not be read")?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { bail!("the password is not UTF-8, so no client could send it") };
    let password = Zeroizing::new(text.to_owned());
    if password.is_empty() {
        bail!("the password is empty: pipe it in, as in `printf %s \"$PASSWORD\" | {command}`");
    }
    if password.contains(['\n', '\r']) {
        bail!("standard input holds more than one line: pipe in one password");
    }
    usable("user", &password)?;
    Ok(password)
}

/// Asks for one at the terminal and does not show what is typed.
pub(super) fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let typed =
        rpassword::prompt_password(prompt).context("there is no terminal to ask for the password: pipe it in with --password-stdin")?;
    let password = Zeroizing::new(typed);
    usable("user", &password)?;
    Ok(password)
}

/// Whatever a request with this name and password would be taken for, it has to be a password.
pub(super) fn usable(username: &str, password: &str) -> anyhow::Result<()> {
    match Credentials::classify(username, SecretString::from(password)) {
        Credentials::Password { .. } => Ok(()),
        Credentials::Unusable(reason) => bail!("nobody can log in with this password: {reason}"),
        Credentials::Anonymous | Credentials::IdentityToken(_) | Credentials::LoginCode { .. } | Credentials::WorkloadToken(_) => {
            bail!("nobody can log in with this password: it looks like a token")
        }
    }
}
