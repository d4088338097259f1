//! A certificate authority of a lab's own, and a server's certificate of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `ca.pem`, and `server.pem` with `server.key` for these names and addresses.
pub(crate) fn write(folder: &Path, names: &[&str]) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "narrows test CA");
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    fs::write(folder.join("server.pem"), server.signed_by(&server_key, &issuer).unwrap().pem()).unwrap();
    let key_path = folder.join("server.key");
    fs::write(&key_path, server_key.serialize_pem()).unwrap();
    // Samba takes no key that others may read.
    fs::set_permissions(key_path, fs::Permissions::from_mode(0o600)).unwrap();
}
