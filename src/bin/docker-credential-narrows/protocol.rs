//! Docker's side: `get`, `store`, `erase`, `list` and `version`, by standard input and output. They ask nobody anything but
//! for the end of a token, and nobody is prompted: docker may run them where nobody sits.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use narrows::clock::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::address::Registry;
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::login;
use crate::pins::{Pin, Pins, not_set_up};
use crate::terminal::talk;
use crate::token::Token;
use crate::tokens::Tokens;

/// What docker writes, and shows `docker logout`: it may hold a token.
pub(crate) type Answer = Zeroizing<String>;

/// The user name that tells docker, and podman, that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// Docker compares these texts (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found in native keychain";
const NO_SERVER: &str = "no credentials server URL";
const NO_USERNAME: &str = "no credentials username";
/// Of what docker writes.
const LARGEST: u64 = 64 * 1024;
/// Docker waits while narrows is told of a log-out.
const FAREWELL: Duration = Duration::from_secs(5);

/// The one object of the protocol.
#[derive(Serialize)]
struct Credentials<'text> {
    #[serde(rename = "ServerURL")]
    server: &'text str,
    #[serde(rename = "Username")]
    username: &'text str,
    #[serde(rename = "Secret")]
    secret: &'text str,
}

/// The same as docker writes it.
#[derive(Deserialize)]
struct Given {
    #[serde(rename = "ServerURL", default)]
    server: String,
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default = "nothing")]
    secret: SecretString,
}

/// The token of the registry that standard input names.
pub(crate) fn get(input: &mut dyn Read) -> Result<Answer, Failure> {
    let server = server(input)?;
    let not_found = || Failure::Denied(NOT_FOUND.to_owned());
    // Docker asks for whatever it meets; a host that is none of ours is not an error.
    let registry: Registry = server.parse().map_err(|_| not_found())?;
    let folder = Folder::find()?.ok_or_else(not_found)?;
    if Pins::load(&folder)?.of(&registry).is_none() {
        return Err(not_found());
    }
    let tokens = Tokens::load(&folder)?;
    let row = tokens.row(&registry).ok_or_else(not_found)?;
    if row.is_over(Clock::system().now()) {
        talk(&format!("The sign-in to {registry} has ended: run `{}`", login_command(&registry)));
        return Err(not_found());
    }
    let token = tokens.token(&registry)?.ok_or_else(not_found)?;
    json(&Credentials { server: &server, username: TOKEN_USER, secret: token.expose() })
}

/// Keeps the identity token that `docker login` was given; a password never.
pub(crate) fn store(input: &mut dyn Read) -> Result<Answer, Failure> {
    let text = read(input)?;
    // The library's message may quote what is a secret.
    let given: Given = serde_json::from_str(&text).map_err(|_| Failure::Bad("standard input is not what docker stores".to_owned()))?;
    if given.server.trim().is_empty() {
        return Err(Failure::Bad(NO_SERVER.to_owned()));
    }
    if given.username.is_empty() {
        return Err(Failure::Bad(NO_USERNAME.to_owned()));
    }
    let registry: Registry = given.server.parse().map_err(|error| Failure::Bad(format!("the server has a strange name: {error}")))?;
    let Some(folder) = Folder::find()? else { return Err(Failure::Bad(not_set_up(&registry))) };
    if Pins::load(&folder)?.of(&registry).is_none() {
        return Err(Failure::Bad(not_set_up(&registry)));
    }
    let token = (given.username == TOKEN_USER).then(|| given.secret.expose_secret().parse::<Token>());
    let Some(Ok(token)) = token else {
        let command = login_command(&registry);
        return Err(Failure::Denied(format!("passwords are not kept: run `{command}` to sign in; no `docker login` is needed then")));
    };
    let lock = folder.lock()?;
    let mut tokens = Tokens::load(&folder)?;
    // One that is stored again is as old as it was.
    let same = tokens.token(&registry).is_ok_and(|before| before.as_ref() == Some(&token));
    let known = tokens.row(&registry).filter(|_| same).map(|row| (row.username.clone(), row.expires));
    let (username, expires) = known.unwrap_or_default();
    tokens.put(&registry, token, username, expires, &folder, &lock)?;
    Ok(Answer::default())
}

/// Forgets the token of the registry that standard input names, and ends it at narrows. One that is not there is gone.
pub(crate) fn erase(input: &mut dyn Read) -> Result<Answer, Failure> {
    let server = server(input)?;
    let Ok(registry) = server.parse::<Registry>() else { return Ok(Answer::default()) };
    let Some(folder) = Folder::find()? else { return Ok(Answer::default()) };
    let lock = folder.lock()?;
    let taken = Tokens::load(&folder)?.take(&registry, &folder, &lock)?;
    drop(lock);
    if let Some((token, row)) = taken
        && !row.is_over(Clock::system().now())
    {
        revoke(Pins::load(&folder)?.of(&registry), &registry, &token);
    }
    Ok(Answer::default())
}

/// Ends a token that is no longer kept; says so where narrows cannot be told.
pub(crate) fn revoke(pin: Option<&Pin>, registry: &Registry, token: &Token) {
    let told = match pin {
        None => Err("it is not known where narrows is".to_owned()),
        Some(pin) => login::runtime().and_then(|runtime| Ok((runtime, Bridge::of(pin)?))).map_err(|failure| failure.to_string()).and_then(
            |(runtime, bridge)| {
                let revoked = runtime.block_on(bridge.revoke(token, FAREWELL));
                // A look-up of a name that hangs must not hold docker up.
                runtime.shutdown_background();
                revoked
            },
        ),
    };
    if let Err(cause) = told {
        talk(&format!(
            "The token of {registry} is gone from here, but narrows could not be told ({cause}): it lives on there until its time is \
             over. If somebody may have copied it, ask for `narrows tokens revoke`."
        ));
    }
}

/// For which registries there are tokens.
pub(crate) fn list() -> Result<Answer, Failure> {
    let tokens = match Folder::find()? {
        Some(folder) => Tokens::load(&folder)?,
        None => Tokens::default(),
    };
    let listed: BTreeMap<&str, &str> = tokens.registries().map(|registry| (registry, TOKEN_USER)).collect();
    json(&listed)
}

/// The version, as other helpers of docker write it.
pub(crate) fn version() -> Answer {
    Answer::new(concat!("docker-credential-narrows ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// What somebody types to sign in.
pub(crate) fn login_command(registry: &Registry) -> String {
    format!("docker-credential-narrows login {registry}")
}

fn server(input: &mut dyn Read) -> Result<String, Failure> {
    let text = read(input)?;
    let server = text.trim();
    if server.is_empty() { Err(Failure::Bad(NO_SERVER.to_owned())) } else { Ok(server.to_owned()) }
}

/// All of standard input.
fn read(input: &mut dyn Read) -> Result<Answer, Failure> {
    // Room for all of it at once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or_default() + 2));
    let read = input.take(LARGEST + 1).read_to_end(&mut bytes).is_ok_and(|length| u64::try_from(length).is_ok_and(|it| it <= LARGEST));
    let text = std::str::from_utf8(&bytes).ok().filter(|_| read);
    text.map(|text| Answer::new(text.to_owned())).ok_or_else(|| Failure::Bad("standard input is not what docker writes".to_owned()))
}

fn json<T: Serialize>(value: &T) -> Result<Answer, Failure> {
    serde_json::to_string(value).map(Answer::new).map_err(|error| Failure::Bad(error.to_string()))
}

fn nothing() -> SecretString {
    SecretString::from("")
}
