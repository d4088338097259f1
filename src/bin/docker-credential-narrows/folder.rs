//! The folder of this program's own files: nobody else may read it, or it is not used.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::environment;
use crate::failure::Failure;
use crate::replace::replace;

/// Hundreds of registries fit.
const LARGEST: u64 = 1024 * 1024;
/// Every bit that gives something to the group or to others.
const OTHERS: u32 = 0o077;
const LOCK: &str = "credential-helper.lock";
/// Others hold the lock for a moment only.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folder, checked.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

/// Held while a file is read, changed and written, so that of two changes at once none is lost.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: File,
}

impl Folder {
    /// The folder where it is; `None` where there is none yet.
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        let path = environment::folder()?;
        match fs::metadata(&path) {
            Ok(metadata) => {
                owned(&path, &metadata, "chmod 700")?;
                if metadata.is_dir() { Ok(Some(Self(path))) } else { Err(Failure::Bad(format!("`{}` is not a folder", path.display()))) }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// The folder, made where it is missing.
    pub(crate) fn find_or_make() -> Result<Self, Failure> {
        if let Some(folder) = Self::find()? {
            return Ok(folder);
        }
        let path = environment::folder()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| unusable(&path, &error))?;
        Ok(Self(path))
    }

    /// Waits for its turn.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let path = self.0.join(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_links());
        let file = options.open(&path).map_err(|error| unusable(&path, &error))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _held: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    #[expect(clippy::disallowed_methods, reason = "nothing else runs in this process")]
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    let path = path.display();
                    return Err(Failure::Unavailable(format!("another docker-credential-narrows holds `{path}` and does not end: end it")));
                }
                Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
            }
        }
    }

    /// What a file holds; the default where there is none.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Failure> {
        let path = self.0.join(name);
        let Some(bytes) = read(&path)? else { return Ok(T::default()) };
        // The library's message may quote a value, and a value may be a token: its place says enough.
        serde_json::from_slice(&bytes).map_err(|error| {
            let (path, line, column) = (path.display(), error.line(), error.column());
            Failure::Bad(format!("`{path}` cannot be understood at line {line}, column {column}: repair it, or remove it and begin again"))
        })
    }

    /// Writes a file whole.
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T, _lock: &Lock) -> Result<(), Failure> {
        let path = self.0.join(name);
        let text = serde_json::to_vec_pretty(value).map(Zeroizing::new).map_err(|error| Failure::Bad(error.to_string()))?;
        replace(&path, &text, 0o600).map_err(|error| unusable(&path, &error))
    }
}

fn no_links() -> i32 {
    // A pipe in the file's place must not be waited for.
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default()
}

/// Reads a regular file that belongs to the user alone.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            return Err(Failure::Bad(format!("`{}` is a link; put the file itself there, or remove it and log in again", path.display())));
        }
        Ok(metadata) if !metadata.is_file() => return Err(Failure::Bad(format!("`{}` is not a regular file: remove it", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // What is there now counts, and that is asked of the open file.
        Ok(_) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(no_links()).open(path).map_err(|error| unusable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unusable(path, &error))?;
    owned(path, &metadata, "chmod 600")?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(Failure::Bad(format!("`{}` is not a file of this program: remove it", path.display())));
    }
    // Room for all of it at once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default().saturating_add(1)));
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| unusable(path, &error))?;
    Ok(Some(bytes))
}

/// Refuses what belongs to somebody else or is open to somebody else; `remedy` closes it.
fn owned(path: &Path, metadata: &Metadata, remedy: &str) -> Result<(), Failure> {
    let path = path.display();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Failure::Bad(format!(
            "`{path}` belongs to user number {}, not to you: remove it, or name another folder in NARROWS_HELPER_CONFIG",
            metadata.uid()
        )));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(Failure::Bad(format!(
            "`{path}` is open to others (mode {mode:04o}): run `{remedy} '{path}'`; if others could read it, log out and in again"
        )));
    }
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::Bad(format!("cannot use `{}`: {error}", path.display()))
}
