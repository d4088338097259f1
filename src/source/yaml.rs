//! Reading YAML strictly: one document, no aliases, no merge keys, no doubled keys, bounded size and depth.

use std::thread;

use serde::de::DeserializeOwned;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::diagnostic::Diagnostic;
use super::file::SourceFile;
use super::located::Place;
use super::words;

/// Deeper nesting is refused.
pub(super) const MAX_DEPTH: usize = 64;
/// Stack for the deepest nesting that is read: 64 KiB a level in a debug build, 8 KiB in a release build.
const STACK: usize = 8 * 1024 * 1024;
/// More keys, values, lists and mappings are refused: each takes memory whatever its length. Ten thousand rules have a
/// quarter of this.
pub(super) const MAX_NODES: usize = 1_000_000;

impl SourceFile {
    /// Parses the whole file as one strict document.
    pub fn parse<T: DeserializeOwned + Send>(&self) -> Result<T, Diagnostic> {
        // A thread of its own, because the stack of the caller's may be small and what nesting takes of it is not ours to say.
        let read = thread::scope(|scope| {
            let reader = thread::Builder::new().name("yaml".to_owned()).stack_size(STACK).spawn_scoped(scope, || self.read());
            reader.map(thread::ScopedJoinHandle::join)
        });
        match read {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(Diagnostic::whole(self.path(), "the YAML reader gave up").hint("report this with the file, please")),
            Err(cause) => Err(Diagnostic::whole(self.path(), format!("there is no thread to read the file: {cause}"))),
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        let options = serde_yaml::options! {
            budget: serde_yaml::budget! {
                max_depth: MAX_DEPTH,
                flow_nesting_limit: MAX_DEPTH,
                max_nodes: MAX_NODES,
                // Lists and mappings end as well, and the document and the file begin and end.
                max_events: 2 * MAX_NODES + 4,
                max_aliases: 0,
                max_anchors: 0,
                max_documents: 1,
            },
            duplicate_keys: DuplicateKeyPolicy::Error,
            merge_keys: MergeKeyPolicy::Error,
            // Its errors would carry a copy of the text around them, which is shown by `Excerpt`.
            with_snippet: false,
        };
        serde_yaml::from_str_with_options(self.text(), options).map_err(|error| self.syntax(&error))
    }

    fn syntax(&self, error: &serde_yaml::Error) -> Diagnostic {
        let place = error.location().map_or_else(Place::default, |location| Place {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        });
        let words = words::describe(error);
        let finding = self.error(place, words.message);
        let trap = if words.understood { None } else { self.trap(place) };
        match words.hint.or(trap) {
            Some(hint) => finding.hint(hint),
            None => finding,
        }
    }

    /// Advice for the characters that YAML gives a meaning of its own.
    fn trap(&self, place: Place) -> Option<String> {
        let line = self.around(place)?;
        let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start_matches(['-', ' ', '[']);
        let first = value.chars().next()?;
        let bare = without_quoted(line);
        if has_loose_brace(&bare) {
            return Some("quote a text that holds `{` or `}`, as in \"registry-{team}\"".to_owned());
        }
        if ["[*", ", *", ": *", "[&", ", &", ": &"].iter().any(|trap| bare.contains(trap)) {
            return Some("quote a text that starts with `*` or `&`: YAML gives it a meaning of its own".to_owned());
        }
        match first {
            // `{a: b}` is meant as it stands, `{team}/**` is not.
            '{' if !goes_on_after_brace(value) => None,
            '*' | '&' | '!' | '{' | '%' | '@' | '`' => {
                Some(format!("quote a text that starts with `{first}`: YAML gives it a meaning of its own"))
            }
            _ if line.contains('\t') => Some("indent with spaces; YAML allows no tabs there".to_owned()),
            _ if line.contains(" <<") || line.starts_with("<<") => Some("write the keys out; merge keys are refused".to_owned()),
            _ => None,
        }
    }
}

/// The first part of a line, with nothing in the place of what stands between quotes.
fn without_quoted(line: &str) -> String {
    let mut quote = None;
    let outside = |letter: &char| match (quote, *letter) {
        (Some(open), letter) => {
            quote = quote.filter(|_| letter != open);
            false
        }
        (None, '"' | '\'') => {
            quote = Some(*letter);
            false
        }
        (None, _) => true,
    };
    line.chars().take(1000).filter(outside).collect()
}

/// Whether a brace opens inside of a text, as in `registry-{team}`.
fn has_loose_brace(line: &str) -> bool {
    let letters: Vec<char> = line.chars().collect();
    letters.windows(2).any(|pair| matches!(pair, [before, '{'] if before.is_alphanumeric() || "-_./".contains(*before)))
}

/// Whether a text follows directly on a closing brace.
fn goes_on_after_brace(value: &str) -> bool {
    value.split('}').skip(1).any(|rest| rest.starts_with(|next: char| next.is_alphanumeric() || "/-_.*{".contains(next)))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::source::{Located, OneOrMany};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(default)]
        names: Option<OneOrMany>,
        #[serde(default)]
        count: Option<Located<u32>>,
        #[serde(default)]
        password: Option<String>,
    }

    fn check(text: &str, expected: &str) {
        let shown = match SourceFile::new("x.yaml", text).parse::<Example>() {
            Ok(example) => {
                let names =
                    example.names.map(|names| names.0.iter().map(|n| format!("{}@{}", n.value, n.place)).collect::<Vec<_>>().join(" "));
                format!("{} {} {}", names.unwrap_or_default(), example.count.map_or(0, |c| c.value), example.password.unwrap_or_default())
                    .trim()
                    .to_owned()
            }
            Err(finding) => finding.to_string(),
        };
        assert!(shown.contains(expected), "{text:?}\n--- expected\n{expected}\n--- got\n{shown}");
    }

    #[test]
    fn places_survive_one_and_many() {
        check("names: a\ncount: 3\n", "a@1:8 3");
        check("names:\n  - a\n  - b\n", "a@2:5 b@3:5");
        check("names: [a, b]\n", "a@1:9 b@1:12");
    }

    #[test]
    fn what_yaml_would_take_silently_is_refused_with_its_place() {
        check("count: 1\ncount: 2\n", "x.yaml:2:1");
        check("cuont: 1\n", "cuont");
        check("names: &a b\n", "x.yaml:1");
        check("a: &x 1\nb: *x\n", "x.yaml:1");
        check("<<: {count: 1}\n", "x.yaml:1");
        check("count: 1\n---\ncount: 2\n", "x.yaml");
        check("names: *\n", "quote a text that starts with `*`");
        check("names: {team}/**\n", "quote a text that starts with `{`");
        check("names: 5\n", "x.yaml:1");
    }

    #[test]
    fn a_secret_in_an_offending_line_is_not_shown() {
        check("password: [hunter2]\n", "(not shown)");
        let finding = SourceFile::new("x.yaml", "password: [hunter2]\n").parse::<Example>().unwrap_err();
        assert!(!finding.to_string().contains("hunter2"), "{finding}");
    }

    #[test]
    fn deep_and_doubled_documents_are_refused_quickly() {
        let deep = format!("names: {}", "[".repeat(100_000));
        let started = std::time::Instant::now();
        check(&deep, "x.yaml:1");
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
