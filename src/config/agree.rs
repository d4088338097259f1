//! What the keys of the service and several sections must agree on.

use std::path::PathBuf;

use super::document::Document;
use crate::audit::settings::AuditSettings;
use crate::authz::settings::RulesSettings;
use crate::source::{Diagnostics, Located, Period, Place, SourceFile};

/// Docker gives up on a token request after 15 s; an answer must leave well before.
const LONGEST_REQUEST: Period = Period::seconds(12);
/// Less leaves a directory no time to answer.
const SHORTEST_REQUEST: Period = Period::seconds(1);

/// Adds what is wrong between sections, and what is missing.
pub(super) fn check(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    rules(document, file, findings);
    deadline(document, file, findings);
    shared_files(document, file, findings);
    public_url(document, file, findings);
}

/// A browser that signed in has to find its way back.
fn public_url(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    if document.public_url.is_some() {
        return;
    }
    for provider in &document.providers {
        let Some(oidc) = &provider.oidc else { continue };
        let message = format!("provider `{}` needs `public_url`: people who sign in there come back to it", provider.name.value);
        let hint = "write how browsers and docker reach narrows, as in public_url: https://auth.corp.example";
        findings.push(file.error(oidc.place, message).hint(hint));
    }
}

/// Every service has rules.
fn rules(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    let needed = document.services.is_empty() || document.services.iter().any(|service| service.rules.is_none());
    if needed && document.rules.is_none() {
        findings.push(file.error(Place::default(), "`rules` is missing").hint("name the rule file, as in rules: rules.yaml"));
    }
}

fn deadline(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    let written = &document.request_deadline;
    let floor = &document.throttle.rejection_floor;
    let (place, message, hint) = if written.value > LONGEST_REQUEST {
        let message = format!("`request_deadline` is {}, over {LONGEST_REQUEST}", written.value);
        (written.place, message, "docker gives up after 15s and would not see the answer; the default is 8s")
    } else if written.value < SHORTEST_REQUEST {
        let message = format!("`request_deadline` is {}, under {SHORTEST_REQUEST}", written.value);
        (written.place, message, "a directory needs time to answer; the default is 8s")
    } else if floor.value >= written.value {
        let message = format!("`rejection_floor` is {}, not under `request_deadline`, which is {}", floor.value, written.value);
        (floor.place, message, "the default is 400ms")
    } else {
        return;
    };
    findings.push(file.error(place, message).hint(hint));
}

/// A file that narrows writes must be nobody else's.
fn shared_files(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    let mut taken = |written: &[(&str, &Located<PathBuf>)], key: &str, path: &Located<PathBuf>| {
        if let Some((owner, _)) = written.iter().find(|(_, owned)| owned.value == path.value) {
            let message = format!("`{key}` and `{owner}` are one file, `{}`", path.value.display());
            findings.push(file.error(path.place, message).hint("give each a file of its own"));
        }
    };
    // That `state.path` and `state.key` differ is checked by their section.
    let mut written = vec![("state.path", &document.state.path), ("state.key", &document.state.key)];
    if let AuditSettings::File(path) = &document.audit {
        taken(&written, "audit.file", path);
        written.push(("audit.file", path));
    }
    let own = document.services.iter().filter_map(|service| service.rules.as_ref());
    for rules in document.rules.iter().chain(own).flat_map(RulesSettings::paths) {
        taken(&written, "rules", &rules);
    }
    for tests in document.policy_tests.paths() {
        taken(&written, "policy_tests", &tests);
    }
    for users in document.providers.iter().filter_map(|provider| provider.file.as_ref()?.value.path.as_ref()) {
        taken(&written, "file.path", users);
    }
}
