//! Files whose content is looked at again and again. A change counts once two looks in a row saw the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

/// Larger files are told apart by length and time alone.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// What every watched file held at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Snapshot(BTreeMap<PathBuf, Content>);

/// What one file held.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Digest(Vec<u8>),
    Missing(std::io::ErrorKind),
}

impl Snapshot {
    /// Follows symbolic links, so that the swap of a mounted folder is a change.
    fn take(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| (path.clone(), Content::of(path))).collect())
    }
}

impl Content {
    fn digest(bytes: &[u8]) -> Self {
        Self::Digest(digest::digest(&digest::SHA256, bytes).as_ref().to_vec())
    }

    fn of(path: &Path) -> Self {
        let read = || -> std::io::Result<Self> {
            let metadata = std::fs::metadata(path)?;
            if metadata.len() > MAX_BYTES || !metadata.is_file() {
                return Ok(Self::Digest(format!("{} {:?}", metadata.len(), metadata.modified()?).into_bytes()));
            }
            Ok(Self::digest(&std::fs::read(path)?))
        };
        read().unwrap_or_else(|error| Self::Missing(error.kind()))
    }
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it was loaded, or as it was refused.
    Unchanged,
    /// Something changed since the last look; it may still be written to.
    Moving,
    /// Something changed and two looks in a row saw the same.
    Settled,
}

/// A set of files and what was last made of them.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    paths: Vec<PathBuf>,
    tried: Snapshot,
    last: Snapshot,
}

impl Watch {
    /// Starts from what the files hold now.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        let now = Snapshot::take(&paths);
        Self { paths, tried: now.clone(), last: now }
    }

    /// Looks at every file.
    pub(super) fn look(&mut self) -> Reading {
        let now = Snapshot::take(&self.paths);
        let steady = now == self.last;
        self.last = now;
        match (self.last == self.tried, steady) {
            (true, _) => Reading::Unchanged,
            (false, true) => Reading::Settled,
            (false, false) => Reading::Moving,
        }
    }

    /// What the last look saw was loaded or refused: it is not tried again until it changes.
    pub(super) fn tried(&mut self) {
        self.tried = self.last.clone();
    }

    /// Whether every file still is as the last look saw it.
    pub(super) fn stands_still(&self) -> bool {
        Snapshot::take(&self.paths) == self.last
    }

    /// Whether the last look saw this file like this; also where the file is not one of these.
    pub(super) fn saw(&self, path: &Path, bytes: &[u8]) -> bool {
        self.last.0.get(path).is_none_or(|seen| *seen == Content::digest(bytes))
    }

    /// Whether the last look saw what `other` last tried.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.last == other.tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_after_two_equal_looks_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yaml");
        std::fs::write(&path, "one").unwrap();
        let mut watch = Watch::new(vec![path.clone(), folder.path().join("missing")]);
        assert_eq!(watch.look(), Reading::Unchanged);
        std::fs::write(&path, "two").unwrap();
        assert_eq!(watch.look(), Reading::Moving);
        assert!(watch.stands_still());
        std::fs::write(&path, "three").unwrap();
        assert!(!watch.stands_still());
        assert_eq!(watch.look(), Reading::Moving);
        assert_eq!(watch.look(), Reading::Settled);
        assert!(watch.saw(&path, b"three") && !watch.saw(&path, b"thr") && watch.saw(Path::new("elsewhere"), b""));
        watch.tried();
        assert_eq!(watch.look(), Reading::Unchanged);
        assert!(Watch::new(watch.paths.clone()).is(&watch));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watch.look(), Reading::Moving);
        assert_eq!(watch.look(), Reading::Settled);
    }

    #[test]
    fn a_swapped_link_is_a_change_and_the_same_content_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new, link) = (folder.path().join("old"), folder.path().join("new"), folder.path().join("link"));
        std::fs::write(&old, "a").unwrap();
        std::fs::write(&new, "b").unwrap();
        std::os::unix::fs::symlink(&old, &link).unwrap();
        let mut watch = Watch::new(vec![link.clone()]);
        std::fs::write(&old, "a").unwrap();
        assert_eq!(watch.look(), Reading::Unchanged);
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&new, &link).unwrap();
        assert_eq!(watch.look(), Reading::Moving);
    }

    /// As Kubernetes mounts a `ConfigMap`: every file is a link through `..data`, a link to a folder that is swapped whole.
    #[test]
    fn the_swap_of_a_mounted_folder_is_one_change_of_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["base.yaml", "team.yaml"];
        let publish = |version: &str| {
            let own = folder.path().join(format!("..{version}"));
            std::fs::create_dir(&own).unwrap();
            for name in names {
                std::fs::write(own.join(name), format!("{name} of {version}")).unwrap();
            }
            let new = folder.path().join("..data_tmp");
            std::os::unix::fs::symlink(own.file_name().unwrap(), &new).unwrap();
            std::fs::rename(new, folder.path().join("..data")).unwrap();
        };
        publish("one");
        let paths = names.map(|name| folder.path().join(name));
        for (name, path) in names.iter().zip(&paths) {
            std::os::unix::fs::symlink(Path::new("..data").join(name), path).unwrap();
        }
        let mut watch = Watch::new(paths.to_vec());
        assert_eq!(watch.look(), Reading::Unchanged);
        publish("two");
        std::fs::remove_dir_all(folder.path().join("..one")).unwrap();
        assert_eq!((watch.look(), watch.look()), (Reading::Moving, Reading::Settled));
        assert!(watch.saw(&paths[0], b"base.yaml of two") && watch.saw(&paths[1], b"team.yaml of two"));
        watch.tried();
        assert_eq!(watch.look(), Reading::Unchanged);
    }
}
