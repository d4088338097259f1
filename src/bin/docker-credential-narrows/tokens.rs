//! The identity tokens of the user: in a file that nobody else may read, or in the system's keyring where this program
//! was built with it and one answers.

use std::collections::BTreeMap;

use narrows::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::Registry;
use crate::failure::Failure;
use crate::folder::{Folder, Lock};
use crate::keyring;
use crate::terminal;
use crate::token::Token;

const FILE: &str = "credential-helper-tokens.json";

/// What is known of one token.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    /// The token, unless the keyring has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// Who signed in, where narrows said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// When it ends, where narrows said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
}

/// All of them, by the registry's name.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Tokens {
    #[serde(default)]
    tokens: BTreeMap<String, Row>,
}

impl Row {
    /// Whether narrows will refuse it.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl Tokens {
    /// Reads them.
    pub(crate) fn load(folder: &Folder) -> Result<Self, Failure> {
        folder.read(FILE)
    }

    /// What is known of the token of a registry.
    pub(crate) fn row(&self, registry: &Registry) -> Option<&Row> {
        self.tokens.get(registry.name())
    }

    /// The token of a registry.
    pub(crate) fn token(&self, registry: &Registry) -> Result<Option<Token>, Failure> {
        match self.row(registry) {
            None => Ok(None),
            Some(Row { token: Some(token), .. }) => Ok(Some(token.clone())),
            Some(Row { token: None, .. }) => keyring::recall(registry.name()).map_err(|cause| {
                let remedy = format!("unlock it, or run `docker-credential-narrows login {registry}`");
                Failure::Unavailable(format!("the keyring does not give the token of `{registry}`: {cause}; {remedy}"))
            }),
        }
    }

    /// Registries that have a token.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &str> {
        self.tokens.keys().map(String::as_str)
    }

    /// Puts one in the place of what was there, and writes all of them. Answers with the token that was there.
    pub(crate) fn put(
        &mut self,
        registry: &Registry,
        token: Token,
        username: Option<String>,
        expires: Option<Timestamp>,
        folder: &Folder,
        lock: &Lock,
    ) -> Result<Option<Token>, Failure> {
        // One that cannot be read any more needs no farewell.
        let before = self.token(registry).unwrap_or_default();
        let in_file = match keyring::keep(registry.name(), &token) {
            keyring::Kept::Yes => None,
            keyring::Kept::NotBuilt => Some(token),
            keyring::Kept::No(cause) => {
                terminal::talk(&format!("note: no keyring answers ({cause}); the token is kept in a file that only you can read"));
                Some(token)
            }
        };
        self.tokens.insert(registry.name().to_owned(), Row { token: in_file, username, expires });
        folder.write(FILE, self, lock)?;
        Ok(before)
    }

    /// Takes the one of a registry out, and writes the rest. Answers with it.
    pub(crate) fn take(&mut self, registry: &Registry, folder: &Folder, lock: &Lock) -> Result<Option<(Token, Row)>, Failure> {
        if self.row(registry).is_none() {
            return Ok(None);
        }
        let token = self.token(registry)?;
        let row = self.tokens.remove(registry.name());
        folder.write(FILE, self, lock)?;
        if row.as_ref().is_some_and(|row| row.token.is_none()) {
            keyring::forget(registry.name()).map_err(|cause| {
                Failure::Unavailable(format!("the keyring does not let go of the token of `{registry}`: {cause}; remove it there"))
            })?;
        }
        Ok(token.zip(row))
    }
}
