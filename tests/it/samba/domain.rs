//! The domain that every controller starts from: provisioned and filled once for these sources, then unpacked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest;

use super::run;

const SEED: &str = include_str!("seed.py");
/// Stands for the folder in the configuration that is packed.
const FOLDER: &str = "@FOLDER@";

/// Puts the domain into `folder`: `private/`, `state/` and `etc/smb.conf`.
pub(super) fn unpack(folder: &Path) {
    let archive = archive();
    run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder));
    let configuration = folder.join("etc/smb.conf");
    let written = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, written.replace(FOLDER, &folder.display().to_string())).unwrap();
}

/// Where the packed domain is. Makes it where there is none of these sources and this Samba; another test process that
/// wants one at the same time waits.
fn archive() -> PathBuf {
    let labs = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("labs");
    fs::create_dir_all(&labs).unwrap();
    let archive = labs.join(format!("domain-{}.tar.gz", version()));
    let lock = File::create(labs.join("domain.lock")).unwrap();
    lock.lock().unwrap();
    if !archive.exists() {
        let domain = tempfile::Builder::new().prefix("domain-").tempdir_in(&labs).unwrap();
        make(domain.path());
        let part = archive.with_extension("part");
        run(Command::new("tar").arg("-czf").arg(&part).arg("-C").arg(domain.path()).arg("."));
        fs::rename(part, &archive).unwrap();
    }
    archive
}

/// A digest of everything that the domain is made of.
fn version() -> String {
    let samba = Command::new("/usr/sbin/samba").arg("--version").output().unwrap().stdout;
    let sources = [include_str!("domain.rs").as_bytes(), SEED.as_bytes(), &samba].concat();
    data_encoding::HEXLOWER.encode(&digest::digest(&digest::SHA256, &sources).as_ref()[..8])
}

fn make(folder: &Path) {
    let mut command = Command::new("/usr/bin/samba-tool");
    command.args(["domain", "provision", "--server-role=dc", "--use-rfc2307", "--dns-backend=NONE"]);
    command.args(["--realm=AD.EXAMPLE.ORG", "--domain=CORP", "--adminpass=Passw0rd!Admin", "--host-name=dc1", "--host-ip=127.0.0.1"]);
    // A folder without extended attributes will do.
    command.arg("--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb").arg(format!("--targetdir={}", folder.display()));
    run(&mut command);
    run(Command::new("/usr/bin/python3").args(["-c", SEED]).arg(folder));
    let configuration = folder.join("etc/smb.conf");
    let written = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, written.replace(&folder.display().to_string(), FOLDER)).unwrap();
}
