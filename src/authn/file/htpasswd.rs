//! An htpasswd file: `name:hash` a line, bcrypt only, no groups.

use std::sync::Arc;

use super::reading::{Reading, hidden};
use super::user::{LiveHash, User};
use crate::source::Place;

/// Reads every line into `reading`.
pub(super) fn read(reading: &mut Reading<'_>) {
    for (number, line) in (1_u32..).zip(reading.file().text().lines()) {
        let place = Place { line: number, column: 1 };
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, hash)) = line.split_once(':') else {
            let finding = reading.file().error(place, "this line is not `name:hash`");
            reading.findings.push(hidden(finding.hint("make lines with `htpasswd -B`")));
            continue;
        };
        reading.check_name(name, place);
        if hash.starts_with("$argon2") {
            let finding = reading.file().error(place, format!("user `{name}`: an htpasswd file holds bcrypt hashes only"));
            reading.findings.push(hidden(finding.hint("use a users file (`file: {path: users.yaml}`) for argon2id")));
            continue;
        }
        let Some(hash) = reading.hash(name, hash, place) else { continue };
        let hashes = Arc::new([LiveHash { hash, until: None }]);
        reading.add(User { name: name.to_owned(), hashes, groups: Vec::new(), disabled: false, expires: None, sources: None }, place);
    }
}
