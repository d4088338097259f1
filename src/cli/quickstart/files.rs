//! What the quickstart writes.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use data_encoding::{BASE32_NOPAD, HEXLOWER};

/// Who may do what, to start from.
pub(super) const RULES: &str = include_str!("../../../config/quickstart-rules.yaml");
const CONFIGURATION: &str = include_str!("../../../config/quickstart.yaml");
const USERS: &str = include_str!("../../../config/quickstart-users.yaml");

/// The folder under its first name; removed again unless it is kept.
pub(super) struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Makes a folder beside the final one. A registry may read its bundle there; what is secret in it is closed by itself.
    pub(super) fn new(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!(".narrows-quickstart-{}", random_name()?));
        DirBuilder::new().mode(0o755).create(&path)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name))?;
        file.write_all(text.as_bytes())?;
        Ok(file.sync_all()?)
    }

    /// Gives the folder its name; an empty folder of that name is replaced, anything else is not.
    pub(super) fn keep_as(mut self, directory: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.path, directory)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What cannot be removed is an empty leftover beside the folder, and the error that led here is reported.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Replaces a public file as a whole. All may read what registries trust and nobody but the owner may write it, whatever
/// the umask; what somebody else put at the first name is not written to.
pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let next = path.with_added_extension(random_name()?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&next)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&next, path));
    if written.is_err() {
        // What is left would only be litter; the error that matters is the first one.
        let _ = std::fs::remove_file(&next);
    }
    Ok(written?)
}

/// Part of a name that nobody can have taken before.
fn random_name() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 8];
    rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    Ok(HEXLOWER.encode(&bytes))
}

/// 100 random bits in words that can be read out loud.
pub(super) fn password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 13];
    rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
    let groups: Vec<_> = text.as_bytes().chunks(5).take(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    Ok(groups.join("-"))
}

/// The configuration file with these addresses and this registry.
pub(super) fn configuration(listen: SocketAddr, admin: SocketAddr, registry: &str) -> anyhow::Result<String> {
    // A text as YAML wants it; JSON strings are YAML strings.
    let registry = serde_json::to_string(registry)?;
    Ok(CONFIGURATION
        .replace("127.0.0.1:5001", &listen.to_string())
        .replace("127.0.0.1:5002", &admin.to_string())
        .replace("\"localhost:5000\"", &registry))
}

/// The users file with alice's hash.
pub(super) fn users(hash: &str) -> String {
    USERS.replace("HASH", hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_have_a_hundred_bits() {
        let (one, two) = (password().unwrap(), password().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 23, "{one}");
    }

    #[test]
    fn a_draft_that_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let draft = Draft::new(folder.path()).unwrap();
        draft.write("a", "b").unwrap();
        assert!(draft.write("a", "c").is_err());
        drop(draft);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_public_file_is_replaced_and_a_link_to_elsewhere_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, elsewhere) = (folder.path().join("bundle.pem"), folder.path().join("elsewhere"));
        std::fs::write(&elsewhere, "mine").unwrap();
        for planted in ["bundle.pem", "bundle.next"] {
            std::os::unix::fs::symlink(&elsewhere, folder.path().join(planted)).unwrap();
        }
        replace(&bundle, "one").unwrap();
        replace(&bundle, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&bundle).unwrap(), "two");
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "mine");
        let metadata = std::fs::symlink_metadata(&bundle).unwrap();
        assert!(metadata.is_file());
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o133, 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "the draft is gone");
    }

    #[test]
    fn a_folder_that_holds_something_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        std::fs::create_dir(&there).unwrap();
        std::fs::write(there.join("mine"), "x").unwrap();
        let draft = Draft::new(folder.path()).unwrap();
        assert!(draft.keep_as(&there).is_err());
        assert_eq!(std::fs::read_to_string(there.join("mine")).unwrap(), "x");
    }
}
