//! Which narrows signs people in for which registry: written by `setup`, believed by everything else. A registry is
//! never asked again, so that one that turns hostile cannot send anybody elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address::{NarrowsUrl, Registry};
use crate::failure::Failure;
use crate::folder::{Folder, Lock};

const FILE: &str = "credential-helper.json";

/// Where people of one registry sign in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Pin {
    /// Where narrows is.
    pub(crate) narrows: NarrowsUrl,
    /// What narrows calls the registry.
    pub(crate) service: String,
    /// The issuer to sign in at, where narrows has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// Certificates to trust beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

/// All registries that were set up.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Pins {
    #[serde(default)]
    registries: BTreeMap<String, Pin>,
}

impl Pins {
    /// Reads them.
    pub(crate) fn load(folder: &Folder) -> Result<Self, Failure> {
        folder.read(FILE)
    }

    /// The one of a registry.
    pub(crate) fn of(&self, registry: &Registry) -> Option<&Pin> {
        self.registries.get(registry.name())
    }

    /// Puts one in, and writes all of them.
    pub(crate) fn put(&mut self, registry: &Registry, pin: Pin, folder: &Folder, lock: &Lock) -> Result<(), Failure> {
        self.registries.insert(registry.name().to_owned(), pin);
        folder.write(FILE, self, lock)
    }
}

/// What somebody should run where a registry is unknown here.
pub(crate) fn not_set_up(registry: &Registry) -> String {
    format!("`{registry}` is not set up here: run `docker-credential-narrows setup {registry} --narrows URL`")
}
