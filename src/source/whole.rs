//! Files that are read whole: regular ones of a bounded length.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads a regular file of at most `most` bytes; a link is followed.
///
/// Whoever put something else at its place must not stop the service: opening a pipe waits for a writer, and a device
/// never ends.
pub fn read_whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Asked before it is opened, because the opening is what waits.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} KiB", most / 1024)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_within_its_bound_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, pipe, link) = (folder.path().join("file"), folder.path().join("pipe"), folder.path().join("link"));
        fs::write(&file, [7; 1024]).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read_whole(&link, 1024).unwrap(), [7; 1024]);
        let refused = |path: &Path, most| read_whole(path, most).unwrap_err().to_string();
        assert_eq!(refused(&file, 1023), "it is larger than 0 KiB");
        for path in [&*pipe, folder.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            assert_eq!(refused(path, 1024), "it is not a regular file", "{}", path.display());
        }
        assert_eq!(read_whole(&folder.path().join("none"), 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
