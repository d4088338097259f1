//! Which lines hold a secret, and from where on they are not shown.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Keys whose value is never shown in a finding.
const SECRET_KEYS: [&str; 5] = ["password", "secret", "token", "hash", "key"];
/// What was found in a shorter line is not kept, because finding it again costs little.
const LONG: usize = 1024;

/// Remembers how far long lines were looked through, so that many findings in one line cost what one does.
#[derive(Debug, Default)]
pub(super) struct SecretKeys {
    /// By the byte at which the line begins.
    lines: Mutex<BTreeMap<usize, Seen>>,
}

/// What was seen of a line.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Up to which byte.
    to: usize,
    /// The end of the first key whose value is a secret.
    key: Option<usize>,
}

impl SecretKeys {
    /// The end of the first key between two bytes of a line that names a secret; the first byte begins the line.
    pub(super) fn first(&self, text: &str, start: usize, end: usize) -> Option<usize> {
        if end.saturating_sub(start) <= LONG {
            return first_key(text, start, end);
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = lines.entry(start).or_insert(Seen { to: start, key: None });
        if seen.key.is_none() && seen.to < end {
            *seen = Seen { to: end, key: first_key(text, seen.to, end) };
        }
        seen.key.filter(|&key| key < end)
    }
}

fn first_key(text: &str, from: usize, to: usize) -> Option<usize> {
    let part = text.get(from..to)?;
    part.match_indices(':').find_map(|(index, _)| secret_key(text, from + index))
}

/// The end of the key before this colon, if that names a secret that stands behind the colon.
fn secret_key(text: &str, colon: usize) -> Option<usize> {
    let (head, tail) = text.split_at_checked(colon)?;
    let key = head.trim_end_matches([' ', '\t']).trim_end_matches(['"', '\'']);
    if !SECRET_KEYS.iter().any(|secret| ends_with(key, secret)) {
        return None;
    }
    let value = tail.trim_start_matches([':', ' ', '\t']);
    let empty = value.is_empty() || value.starts_with(['\n', '\r']);
    (!empty && !refers(value)).then_some(key.len())
}

fn ends_with(text: &str, word: &str) -> bool {
    text.len().checked_sub(word.len()).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

/// Whether a value says where the secret is: `{file: …}` or `{env: …}`.
fn refers(value: &str) -> bool {
    let Some(inside) = value.strip_prefix('{') else { return false };
    let inside = inside.trim_start_matches(' ');
    ["file", "env"].iter().any(|word| inside.strip_prefix(word).is_some_and(|rest| rest.trim_start_matches(' ').starts_with(':')))
}
