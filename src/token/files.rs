//! Files with secrets: read only where nobody else can, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// No key, certificate or list of ours is longer.
const LONGEST: u64 = 256 * 1024;
/// What nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {what} `{}`: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it answered.
        source: io::Error,
    },
    /// A key that others can read is no secret.
    #[error("`{}` has mode {mode:04o}: others than its owner can reach it\nhint: if nobody has read it, run `chmod {wanted} {}`; if somebody may have, replace the key", path.display(), path.display())]
    Open {
        /// Which file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        wanted: &'static str,
    },
    /// A folder, a device, or far too long.
    #[error("`{}` is not a file of at most 256 KiB", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The operating system gave no randomness for a name.
    #[error("the operating system gave no randomness")]
    Randomness,
}

/// Reads a file that nobody but its owner may reach. The mode is asked of the open file, so nothing can come between.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open_file(path)?;
    let mode = file.metadata().map_err(system("read", path))?.mode();
    if mode & OTHERS != 0 {
        return Err(FileError::Open { path: path.to_owned(), mode: mode & 0o7777, wanted: "600" });
    }
    read(file, path)
}

/// Reads a file that may be seen by all.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, FileError> {
    Ok(read(open_file(path)?, path)?.to_vec())
}

/// Makes a folder that only its owner can enter, with the folders above it where they are missing.
pub(super) fn make_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(system("make", path))
}

/// Refuses a folder that others can enter or change.
pub(super) fn require_private_folder(path: &Path) -> Result<(), FileError> {
    let mode = fs::metadata(path).map_err(system("read", path))?.mode();
    if mode & OTHERS == 0 { Ok(()) } else { Err(FileError::Open { path: path.to_owned(), mode: mode & 0o7777, wanted: "700" }) }
}

/// Whether there is such a file. Not being allowed to look is a failure, not an absence.
pub(super) fn exists(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(system("read", path))
}

/// The names in a folder; none where there is no folder.
pub(super) fn names(path: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(system("read", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is no text is none of ours.
        names.extend(entry.map_err(system("read", path))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Makes a folder with these files, or nothing: it is filled under another name and then renamed. An existing folder of that name
/// that holds anything is left alone, and this fails.
pub(super) fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<(), FileError> {
    let temporary = beside(path)?;
    DirBuilder::new().mode(0o700).create(&temporary).map_err(system("make", &temporary))?;
    let written = files
        .iter()
        .try_for_each(|(name, content)| write_new(&temporary.join(name), content))
        .and_then(|()| sync_folder(&temporary))
        .and_then(|()| fs::rename(&temporary, path).map_err(system("make", path)));
    if written.is_err() {
        // What is left would only be litter; the error that matters is the first one.
        let _ = fs::remove_dir_all(&temporary);
    }
    written.and_then(|()| sync_folder(parent(path)))
}

/// Puts a file in the place of another in one step.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let temporary = beside(path)?;
    let written = write_new(&temporary, content).and_then(|()| fs::rename(&temporary, path).map_err(system("write", path)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(parent(path)))
}

/// Removes a folder; what is interrupted leaves a name that nobody looks at.
pub(super) fn remove_folder(path: &Path) -> Result<(), FileError> {
    let temporary = beside(path)?;
    fs::rename(path, &temporary).map_err(system("remove", path))?;
    fs::remove_dir_all(&temporary).map_err(system("remove", &temporary))?;
    sync_folder(parent(path))
}

fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(system("read", path))
}

/// Opens what is to be read. Asked before it is opened, because opening a pipe waits for a writer.
fn open_file(path: &Path) -> Result<File, FileError> {
    if !fs::metadata(path).map_err(system("read", path))?.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    open(path)
}

fn read(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let not_a_file = || FileError::NotAFile { path: path.to_owned() };
    let metadata = file.metadata().map_err(system("read", path))?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(not_a_file());
    }
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).map_err(|_| not_a_file())? + 1));
    file.take(LONGEST).read_to_end(&mut content).map_err(system("read", path))?;
    Ok(content)
}

/// INVARIANT: 0600 from its first moment, and never over a file that is there (`O_EXCL`).
fn write_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(system("write", path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(system("write", path))
}

fn sync_folder(path: &Path) -> Result<(), FileError> {
    open(path)?.sync_all().map_err(system("write", path))
}

/// A name in the same folder that nobody looks at: it opens with a dot.
fn beside(path: &Path) -> Result<PathBuf, FileError> {
    let mut random = [0_u8; 8];
    rand::fill(&mut random).map_err(|_| FileError::Randomness)?;
    Ok(parent(path).join(format!(".{}.tmp", HEXLOWER.encode(&random))))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn system(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::System { what, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_written_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("a/b");
        make_folder(&made).unwrap();
        write_folder(&made.join("pair"), &[("key", b"secret")]).unwrap();
        replace(&made.join("active"), b"1").unwrap();
        assert_eq!(mode(&made), 0o700);
        assert_eq!(mode(&made.join("pair")), 0o700);
        assert_eq!(mode(&made.join("pair/key")), 0o600);
        assert_eq!(mode(&made.join("active")), 0o600);
        assert_eq!(names(&made).unwrap(), ["active", "pair"]);
    }

    #[test]
    fn a_folder_that_holds_something_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let pair = folder.path().join("pair");
        write_folder(&pair, &[("key", b"first")]).unwrap();
        write_folder(&pair, &[("key", b"second")]).unwrap_err();
        assert_eq!(*read_private(&pair.join("key")).unwrap(), b"first");
        assert_eq!(names(folder.path()).unwrap(), ["pair"]);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for shared in [0o640, 0o604, 0o660, 0o610] {
            fs::write(&path, b"secret").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(shared)).unwrap();
            let message = read_private(&path).unwrap_err().to_string();
            assert!(message.contains("chmod 600"), "{message}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(*read_private(&path).unwrap(), b"secret");
    }

    #[test]
    fn only_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_public(folder.path()), Err(FileError::NotAFile { .. })));
        let path = folder.path().join("long");
        fs::write(&path, vec![b'a'; 300 * 1024]).unwrap();
        assert!(matches!(read_public(&path), Err(FileError::NotAFile { .. })));
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
        assert!(matches!(read_public(&path), Err(FileError::NotAFile { .. })));
        assert!(matches!(read_private(&path), Err(FileError::NotAFile { .. })));
    }
}
