//! Files that belong to the service alone: 0600, made with `O_EXCL`, refused when others may read or write them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::StoreError;

/// Every bit that gives something to the group or to others.
const OTHERS: u32 = 0o077;

/// Makes a new empty file; fails where there is one, a dangling link included.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes the file where it is missing; not its folder, which tells a mistyped path.
pub(super) fn make_missing(path: &Path) -> Result<(), StoreError> {
    match create(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(StoreError::File { path: path.to_owned(), cause }),
    }
}

/// Refuses a file that is missing, not regular, or open to others.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let metadata = std::fs::metadata(path).map_err(|cause| {
        if cause.kind() == io::ErrorKind::NotFound {
            StoreError::Missing(path.to_owned())
        } else {
            StoreError::File { path: path.to_owned(), cause }
        }
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() {
        return Err(StoreError::NotAFile(path.to_owned()));
    }
    if mode & OTHERS != 0 {
        return Err(StoreError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}
