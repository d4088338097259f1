//! What the environment says: where files are, and whether there is a screen.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folder of this program's own files.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    if let Some(folder) = set("NARROWS_HELPER_CONFIG") {
        return Ok(PathBuf::from(folder));
    }
    // A relative one is invalid (XDG Base Directory Specification).
    match set("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        Some(folder) => Ok(folder.join("narrows")),
        None => Ok(home("NARROWS_HELPER_CONFIG")?.join(".config/narrows")),
    }
}

/// Docker's configuration, which is also read by podman, skopeo, buildah and nerdctl.
pub(crate) fn docker_configuration() -> Result<PathBuf, Failure> {
    let folder = match set("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => home("DOCKER_CONFIG")?.join(".docker"),
    };
    Ok(folder.join("config.json"))
}

/// The files that podman, skopeo and buildah read before docker's (containers-auth.json(5)).
pub(crate) fn containers_files() -> Vec<PathBuf> {
    let named = set("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let running = set("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("containers/auth.json"));
    let default = running.or_else(|| Some(PathBuf::from(format!("/run/containers/{}/auth.json", rustix::process::geteuid().as_raw()))));
    let configured = set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home("HOME").ok()?.join(".config")));
    let configured = configured.map(|folder| folder.join("containers/auth.json"));
    named.or(default).into_iter().chain(configured).collect()
}

/// Whether a browser may be opened: somebody sits at a screen and did not forbid it.
pub(crate) fn has_screen() -> bool {
    let forbidden = env::var_os("BROWSER").is_some_and(|browser| browser == "none");
    !forbidden && (cfg!(target_os = "macos") || set("DISPLAY").is_some() || set("WAYLAND_DISPLAY").is_some())
}

/// Whether a program of this name can be started by its name.
pub(crate) fn finds(program: &str) -> bool {
    let runs = |path: &Path| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    set("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| runs(&folder.join(program))))
}

/// The home folder; `instead` names what can be set where there is none.
fn home(instead: &str) -> Result<PathBuf, Failure> {
    let home = env::home_dir().filter(|home| home.is_absolute());
    home.ok_or_else(|| Failure::Bad(format!("there is no home folder: set HOME, or set {instead} to a folder")))
}

/// A variable that is there and says something.
fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
