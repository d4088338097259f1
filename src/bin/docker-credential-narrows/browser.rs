//! Opens an address in the browser of the person at the screen.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use url::Url;

use crate::address;

const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Hands the address to the desktop as one argument, never through a shell. Says whether that could be done.
pub(crate) fn open(address: &str) -> bool {
    // Parsed and written anew: quotes, spaces and control characters are percent-encoded then.
    let Some(url) = Url::parse(address).ok().filter(address::is_safe) else { return false };
    Command::new(OPENER)
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C ends the waiting here, not the browser.
        .process_group(0)
        .spawn()
        .is_ok()
}
