//! An LDAP directory: search with a service account, then bind as the user.

mod settings;

pub use settings::LdapSettings;

use std::time::Duration;

use secrecy::SecretString;

use super::identity::Identity;
use super::provider::{Health, Names, ProbeStep};
use super::verdict::{Circumstances, Standing, Unavailable, Verdict};
use crate::source::{Diagnostics, SourceFile};

/// One directory, ready to be asked.
#[derive(Debug)]
pub struct Directory {
    names: Names,
}

impl Directory {
    /// Reads certificates and the service account's password and checks the templates. Asks nobody.
    pub fn build(names: Names, settings: &LdapSettings, file: &SourceFile) -> Result<Self, Diagnostics> {
        let _ = (settings, file);
        Ok(Self { names })
    }

    /// Whether this name and password are right, and whose they are.
    pub async fn verify(&self, username: &str, password: &SecretString, circumstances: &Circumstances) -> Result<Verdict, Unavailable> {
        let _ = (username, password, circumstances);
        Err(self.unavailable())
    }

    /// How somebody who was verified earlier stands now, found by the stable id.
    pub async fn recheck(&self, identity: &Identity, circumstances: &Circumstances) -> Result<Standing, Unavailable> {
        let _ = (identity, circumstances);
        Err(self.unavailable())
    }

    /// Whether it answered the last time that it was asked.
    pub fn health(&self) -> Health {
        Health::Unknown
    }

    /// Changes when the settings that make a stable id mean somebody change.
    pub fn fingerprint(&self) -> String {
        String::new()
    }

    /// Asks step by step (connect, TLS, service account, bases) for `check --online`.
    pub async fn probe(&self, circumstances: &Circumstances) -> Vec<ProbeStep> {
        let _ = circumstances;
        Vec::new()
    }

    /// The entry of a canonical name, without its password: `explain --lookup`, `check --online`.
    pub async fn find_user(&self, username: &str, circumstances: &Circumstances) -> Result<Option<Identity>, Unavailable> {
        let _ = (username, circumstances);
        Err(self.unavailable())
    }

    /// Whether a group of this name or DN exists.
    pub async fn find_group(&self, group: &str, circumstances: &Circumstances) -> Result<bool, Unavailable> {
        let _ = (group, circumstances);
        Err(self.unavailable())
    }

    fn unavailable(&self) -> Unavailable {
        Unavailable { provider: self.names.provider.to_string(), reason: "not built yet".to_owned(), retry_after: Duration::from_secs(5) }
    }
}
