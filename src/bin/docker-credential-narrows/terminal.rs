//! What is said to people, with nothing in it that drives their terminal.

use std::io::{IsTerminal, Write};

use narrows::source::is_hidden;

/// More of a stranger's text than anybody reads.
const LONGEST: usize = 400;

/// Writes talk, as opposed to data, to standard error.
pub(crate) fn talk(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// Whether somebody reads it as it is written.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Text of a server, fit to be shown: no control characters, nothing that reorders or hides, not too much.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !is_hidden(*character)).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_server_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb\r\n\u{7}\u{202e}c\u{9b}31m"), "a[2Jbc31m");
        assert_eq!(shown("AB\u{200b}CD"), "ABCD");
        assert_eq!(shown(&"x".repeat(10_000)).len(), LONGEST);
    }
}
