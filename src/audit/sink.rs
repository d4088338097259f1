//! Where lines go. A file gets each line by one `write(2)` with `O_APPEND`; after a write that failed in the middle, the
//! next line starts on a line of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::AuditError;

/// The group may read (a collector); it may not write, and others get nothing.
const REFUSED: u32 = 0o027;

#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    File { path: PathBuf, end: Mutex<End> },
}

impl Sink {
    pub(super) fn file(path: PathBuf) -> Result<Self, AuditError> {
        let end = Mutex::new(End::open(&path)?);
        Ok(Self::File { path, end })
    }

    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line)?;
                stdout.flush()
            }
            Self::File { end, .. } => end.lock().unwrap_or_else(PoisonError::into_inner).write(line),
        }
    }

    pub(super) fn reopen(&self) -> Result<(), AuditError> {
        match self {
            Self::Stdout => {}
            Self::File { path, end } => {
                let fresh = End::open(path)?;
                *end.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            }
        }
        Ok(())
    }
}

/// The end of the file.
#[derive(Debug)]
pub(super) struct End {
    file: File,
    /// Whether the last line has no line break.
    torn: bool,
}

impl End {
    fn open(path: &Path) -> Result<Self, AuditError> {
        let failed = |cause| AuditError::Open { path: path.to_owned(), cause };
        // Before it is opened: opening a pipe waits for a reader.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(AuditError::NotAFile(path.to_owned()));
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & REFUSED != 0 {
            return Err(AuditError::Exposed { path: path.to_owned(), mode });
        }
        let mut last = [b'\n'];
        if metadata.len() > 0 {
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(failed)?;
        }
        Ok(Self { file, torn: last != *b"\n" })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let separated;
        let mut rest = line;
        if self.torn {
            separated = [b"\n", line].concat();
            rest = &separated;
        }
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = true;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_and_no_line() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut end = End { file, torn: false };
        assert!(end.write(b"{}\n").is_err());
        assert!(!end.torn, "nothing was written");
    }

    #[test]
    fn a_line_after_a_torn_one_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        drop(Sink::file(path.clone()).unwrap());
        std::fs::write(&path, "{\"torn").unwrap();
        let sink = Sink::file(path.clone()).unwrap();
        sink.write(b"{}\n").unwrap();
        sink.write(b"{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"torn\n{}\n{}\n");
    }
}
