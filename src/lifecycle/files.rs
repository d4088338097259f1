//! The files of a configuration, by what has to be read again when they change.

use super::watch::{Reading, Watch};
use crate::config::Config;
use crate::source::SourceFile;

/// To be made before the files are read for their use: what changes in between is then a change.
#[derive(Clone, Debug)]
pub struct Files {
    rules: Watch,
    providers: Watch,
    tls: Watch,
}

/// What a look at all of them found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The one thing to do about all of them.
    pub(super) reading: Reading,
    /// Whether users, certificates of directories or secrets changed and settled.
    pub(super) providers: bool,
}

impl Files {
    /// Looks at every file that the configuration names.
    pub fn of(config: &Config) -> Self {
        let tls = config.tls_files().map(|(certificate, key)| vec![certificate, key]);
        Self {
            rules: Watch::new(config.policy_files()),
            providers: Watch::new(config.provider_files()),
            tls: Watch::new(tls.unwrap_or_default()),
        }
    }

    /// Looks again. While one of them moves the others wait for it: they may belong together.
    pub(super) fn look(&mut self) -> Look {
        let readings = [self.rules.look(), self.providers.look(), self.tls.look()];
        let reading = if readings.contains(&Reading::Moving) {
            Reading::Moving
        } else if readings.contains(&Reading::Settled) {
            Reading::Settled
        } else {
            Reading::Unchanged
        };
        let [_, providers, _] = readings;
        Look { reading, providers: providers == Reading::Settled }
    }

    /// What the last look saw was loaded or refused.
    pub(super) fn tried(&mut self) {
        self.rules.tried();
        self.providers.tried();
        self.tls.tried();
    }

    /// Whether these files were read as the last look saw them: together with that look this is the second equal reading.
    pub(super) fn were_seen_as(&self, read: &[SourceFile]) -> bool {
        read.iter().all(|file| self.rules.saw(file.path(), file.text().as_bytes()))
    }

    /// Whether all of them still are as the last look saw them.
    pub(super) fn stand_still(&self) -> bool {
        self.rules.stands_still() && self.providers.stands_still() && self.tls.stands_still()
    }

    /// Whether the last look saw the same files, with the same content, as `tried` were when they were tried.
    pub(super) fn are(&self, tried: &Self) -> bool {
        self.rules.is(&tried.rules) && self.providers.is(&tried.providers) && self.tls.is(&tried.tls)
    }

    /// The same of users, certificates of directories and secrets alone.
    pub(super) fn have_providers_of(&self, tried: &Self) -> bool {
        self.providers.is(&tried.providers)
    }
}
