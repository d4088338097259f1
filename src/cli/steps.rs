//! Steps at a provider, for people and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::authn::rehearsal::{Outcome, Step};
use crate::source::is_hidden;

/// A line behind `front`, and a line for each detail and for what to do.
pub(super) fn write(step: &Step, front: &str, out: &mut dyn Write) -> io::Result<()> {
    let word = match step.outcome {
        Outcome::Good | Outcome::Note | Outcome::Warning => step.outcome.as_str().to_owned(),
        Outcome::Wrong | Outcome::Failed => step.outcome.as_str().to_uppercase(),
    };
    let took = step.took.map(|took| format!(", {} ms", took.as_millis())).unwrap_or_default();
    writeln!(out, "{front}{}: {word}: {}{took}", printable(&step.name), printable(&step.found))?;
    let indent = " ".repeat(front.len() - front.trim_start().len() + 2);
    for detail in &step.details {
        writeln!(out, "{indent}{}", printable(detail))?;
    }
    match &step.advice {
        Some(advice) => writeln!(out, "{indent}hint: {}", printable(advice)),
        None => Ok(()),
    }
}

/// The same as a JSON object, at a provider.
pub(super) fn as_json(provider: &str, step: &Step) -> Value {
    let good = match step.outcome {
        Outcome::Good | Outcome::Note | Outcome::Warning => true,
        Outcome::Wrong | Outcome::Failed => false,
    };
    json!({
        "provider": provider,
        "step": step.name,
        "good": good,
        "outcome": step.outcome.as_str(),
        "text": step.found,
        "details": step.details,
        "hint": step.advice,
        "milliseconds": step.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// A directory's text must not move the cursor of whoever reads it.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_says_what_to_do_and_moves_no_cursor() {
        let step = Step::new("base o=x", Outcome::Failed, "no\u{1b}[2J such").details(vec!["a\nb".to_owned()]).advice("look");
        let mut out = Vec::new();
        write(&step.took(Duration::from_millis(3)), "staff: ", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "staff: base o=x: FAILED: no\\u{1b}[2J such, 3 ms\n  a\\u{a}b\n  hint: look\n");
    }
}
