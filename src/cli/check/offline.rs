//! What the configuration names is there, readable, and means something. Writes nothing and asks nobody.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use super::report::{Report, Summary};
use crate::app;
use crate::audit::settings::AuditSettings;
use crate::authn::authenticator::Authenticator;
use crate::authn::throttle::Throttle;
use crate::authz::Rulebook;
use crate::clock::Clock;
use crate::config::Config;
use crate::lifecycle::Tls;
use crate::source::{Diagnostic, Located, SourceFile};
use crate::token::settings::SigningSettings;
use crate::token::{Keys, KeysError};

/// Looks at every file; the providers and the rules where both are good.
pub(super) fn inspect(config: &Config, clock: &Clock, report: &mut Report) -> Option<(Authenticator, Rulebook)> {
    certificate(config, report);
    keys(config, clock, report);
    state(config, report);
    let shield = (Arc::new(Throttle::forgetting(clock.clone())), &config.throttle);
    let (authenticator, warnings) = match Authenticator::build(&config.providers, &config.credentials_cache, &config.file, clock, shield) {
        Ok(built) => built,
        Err(errors) => {
            report.found(errors);
            return None;
        }
    };
    report.found(warnings);
    let rulebook = rules(config, clock, report)?;
    report.summary = Some(Summary { providers: config.providers.len(), rules: rulebook.rule_count(), services: config.services.len() });
    Some((authenticator, rulebook))
}

fn rules(config: &Config, clock: &Clock, report: &mut Report) -> Option<Rulebook> {
    let mut whole = true;
    let rules = config.rule_files().into_iter().map(|path| ("rule file", path));
    for (what, written) in rules.chain(config.policy_tests.paths().map(|path| ("policy test", path))) {
        if let Err(unreadable) = SourceFile::load(&config.folder().join(&written.value)) {
            let message = format!("the {what} `{}`: {}", written.value.display(), unreadable.message);
            report.found(config.file.error(written.place, message).into());
            whole = false;
        }
    }
    if !whole {
        return None;
    }
    match Rulebook::load(&config.rule_sets(), &config.environment(clock.now())) {
        Ok((rulebook, warnings)) => {
            report.found(warnings);
            report.found(app::check_policy_tests(config, &rulebook, clock.now()));
            Some(rulebook)
        }
        Err(errors) => {
            report.found(errors);
            None
        }
    }
}

fn certificate(config: &Config, report: &mut Report) {
    let Some(written) = &config.tls else { return };
    let path = |file: &Located<PathBuf>| config.folder().join(&file.value);
    if let Err(error) = Tls::load(&path(&written.certificate), &path(&written.key)) {
        report.found(told(config, &written.certificate, &error).into());
    }
}

/// Keys that were never made are what a first `check` finds; everything else about them is an error.
fn keys(config: &Config, clock: &Clock, report: &mut Report) {
    // `check` makes nothing, whatever `serve` may do.
    let settings = SigningSettings { create: false, ..config.signing.clone() };
    for service in &config.services {
        let one = slice::from_ref(service);
        match Keys::open(&settings, one, config.folder(), &BTreeMap::new(), clock) {
            Ok(_) => {}
            Err(KeysError::Missing { service: name }) => {
                if !config.signing.create {
                    let finding = config.file.warning(service.name.place, format!("service `{name}` has no keys"));
                    let command = format!("run `narrows keys init --config {}`", config.file.path().display());
                    report.found(finding.hint(command).into());
                }
            }
            Err(error) => report.found(told(config, &service.name, &error).into()),
        }
    }
}

/// An error of another part at the place of a key. What follows `hint:` in it is advice.
fn told<T>(config: &Config, at: &Located<T>, error: &dyn Display) -> Diagnostic {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => config.file.error(at.place, message).hint(hint),
        None => config.file.error(at.place, text),
    }
}

/// The files that the service writes or makes.
fn state(config: &Config, report: &mut Report) {
    usable(config, "state.path", &config.state.path, can_append, report);
    usable(config, "state.key", &config.state.key, can_read, report);
    match &config.audit {
        AuditSettings::Stdout => {}
        AuditSettings::File(path) => usable(config, "audit.file", path, can_append, report),
    }
}

fn usable(config: &Config, key: &str, written: &Located<PathBuf>, open: fn(&Path) -> io::Result<()>, report: &mut Report) {
    let path = config.folder().join(&written.value);
    let opened = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => can_make(&path),
        result => result,
    };
    if let Err(error) = opened {
        let message = format!("`{key}`: `{}` cannot be used: {error}", written.value.display());
        report.found(config.file.error(written.place, message).hint("run the check as the user that the service runs as").into());
    }
}

fn can_append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path).map(drop)
}

fn can_read(path: &Path) -> io::Result<()> {
    File::open(path).map(drop)
}

/// Whether a file that is missing could be made, as far as that can be told without making it.
fn can_make(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let found = std::fs::metadata(folder).map_err(|error| io::Error::new(error.kind(), format!("its folder: {error}")))?;
    if !found.is_dir() {
        return Err(io::Error::other("its folder is a file"));
    }
    if found.permissions().readonly() {
        return Err(io::Error::other("its folder may not be written"));
    }
    Ok(())
}
