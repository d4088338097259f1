//! `oidc-provider` from npm, once for a build folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::OnceCell;

use crate::require;

pub(super) const NODE: &str = "node";
const MANIFEST: &str = include_str!("package.json");
const LOCK: &str = include_str!("package-lock.json");

static MODULES: OnceCell<Option<PathBuf>> = OnceCell::const_new();

/// The folder of what is installed; `None` where it cannot be.
pub(super) async fn modules() -> Option<PathBuf> {
    let install = || async { tokio::task::spawn_blocking(install).await.unwrap() };
    MODULES.get_or_init(install).await.clone()
}

fn install() -> Option<PathBuf> {
    // Node.js 20 is the oldest that this version runs on.
    let recent = version(NODE).is_some_and(|major| major >= 20);
    if !require::available("Node.js 20 or newer, with npm", recent && version("npm").is_some()) {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openid_provider");
    fs::create_dir_all(&folder).unwrap();
    // Test processes may run side by side.
    let guard = File::create(folder.join("guard")).unwrap();
    guard.lock().unwrap();
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).ok().as_deref() != Some(LOCK) {
        fs::write(folder.join("package.json"), MANIFEST).unwrap();
        fs::write(folder.join("package-lock.json"), LOCK).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier"]).current_dir(&folder).stdin(Stdio::null());
        let output = npm.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if !require::available("oidc-provider (npm installs it from its registry)", output.status.success()) {
            eprintln!("{told}");
            return None;
        }
        fs::write(installed, LOCK).unwrap();
    }
    Some(folder.join("node_modules"))
}

/// The first number of what `--version` prints.
fn version(program: &str) -> Option<u32> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    printed.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}
