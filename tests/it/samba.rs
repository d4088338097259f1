//! Samba as an Active Directory domain controller: temporary folder, network namespace of its own, its own CA.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::labs::namespace::Namespace;
use crate::require;

pub(crate) const BASE: &str = "DC=ad,DC=example,DC=org";
pub(crate) const SERVICE_DN: &str = "CN=svc-narrows,OU=Service,DC=ad,DC=example,DC=org";
/// Everybody's.
pub(crate) const PASSWORD: &str = "Secret.123";

/// A running domain controller. Ends with its value.
pub(crate) struct Samba {
    folder: TempDir,
    namespace: Namespace,
    process: Child,
}

static SHARED: Mutex<Weak<Samba>> = Mutex::const_new(Weak::new());

impl Samba {
    /// The one of the tests that run at this time; they must not change what others see.
    pub(crate) async fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start().await?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// Makes a domain, fills it and starts its controller; `None` where Samba is not installed or namespaces are not allowed.
    pub(crate) async fn start() -> Option<Self> {
        let installed = ["/usr/sbin/samba", "/usr/bin/samba-tool", "/usr/share/samba/setup/provision.ldif", "/usr/bin/ldapmodify"];
        if !require::available("samba (packages samba-ad-dc and samba-ad-provision)", installed.iter().all(|it| Path::new(it).exists())) {
            return None;
        }
        let namespace = Namespace::make()?;
        let folder = tempfile::Builder::new().prefix("narrows-samba-").tempdir().unwrap();
        provision(folder.path());
        certificates(folder.path(), namespace.address());
        configure(folder.path(), namespace.address());
        fs::write(folder.path().join("service-password"), PASSWORD).unwrap();
        fs::write(folder.path().join("seed.py"), include_str!("samba/seed.py")).unwrap();
        run(Command::new("/usr/bin/python3").arg("seed.py").arg(folder.path()).current_dir(&folder));
        let process = launch(&namespace, folder.path());
        let mut lab = Self { folder, namespace, process };
        lab.listen().await;
        Some(lab)
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        self.namespace.address()
    }
    /// `ldap://…`
    pub(crate) fn url(&self) -> String {
        format!("ldap://{}", self.address())
    }
    /// `ldaps://…`
    pub(crate) fn tls_url(&self) -> String {
        format!("ldaps://{}", self.address())
    }
    /// Where its CA is (`ca.pem`) and the service account's password (`service-password`), and where a test may put files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
    /// The network that it stands in.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
    /// Changes the database as nobody over LDAP may: LDIF with `changetype:` records.
    pub(crate) fn modify(&self, ldif: &str) {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let mut command = Command::new("/usr/bin/ldapmodify");
        command.args(["-x", "-H", &self.url(), "-D", "Administrator@ad.example.org", "-w", "Passw0rd!Admin", "-f"]).arg(&file);
        run(&mut command);
    }
    /// Gives somebody a new password, as an administrator does.
    pub(crate) fn set_password(&self, username: &str, password: &str) {
        let mut command = Command::new("/usr/bin/samba-tool");
        command.args(["user", "setpassword", username, &format!("--newpassword={password}"), "-s"]);
        run(command.arg(self.folder.path().join("etc/smb.conf")).arg("-H").arg(self.folder.path().join("private/sam.ldb")));
    }
    /// What the directory keeps of one account, read as an administrator.
    pub(crate) fn read(&self, username: &str, attribute: &str) -> String {
        let mut command = Command::new("/usr/bin/ldapsearch");
        command.args(["-LLL", "-x", "-H", &self.url(), "-D", "Administrator@ad.example.org", "-w", "Passw0rd!Admin"]);
        command.args(["-b", BASE, &format!("(sAMAccountName={username})"), attribute]);
        let found = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let value = found.lines().find_map(|line| line.strip_prefix(&format!("{attribute}: ")));
        value.unwrap_or_default().to_owned()
    }
    /// Freezes the process: connections are still accepted by the system, and nobody answers.
    pub(crate) fn freeze(&self) {
        run(Command::new("kill").args(["-STOP", &self.process.id().to_string()]));
    }
    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        run(Command::new("kill").args(["-CONT", &self.process.id().to_string()]));
    }
    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
    /// Starts it again with the same database.
    pub(crate) async fn restart(&mut self) {
        self.process = launch(&self.namespace, self.folder.path());
        self.listen().await;
    }

    async fn listen(&mut self) {
        for _ in 0..600 {
            if let Some(status) = self.process.try_wait().unwrap() {
                let log = fs::read_to_string(self.folder.path().join("samba.log")).unwrap();
                panic!("samba ended with {status}: {log}");
            }
            // Both ports: they are not opened at the same moment.
            let plain = tokio::net::TcpStream::connect((self.address(), 389)).await.is_ok();
            if plain && tokio::net::TcpStream::connect((self.address(), 636)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("samba does not answer");
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(namespace: &Namespace, folder: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("samba.log")).unwrap();
    let mut command = namespace.command("/usr/sbin/samba");
    // In the foreground, as one process, and without its switch to the log file.
    command.args(["--interactive", "--model=single", "--debuglevel=1", "-s"]).arg(folder.join("etc/smb.conf"));
    command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn provision(folder: &Path) {
    let mut command = Command::new("/usr/bin/samba-tool");
    command.args(["domain", "provision", "--server-role=dc", "--use-rfc2307", "--dns-backend=NONE"]);
    command.args(["--realm=AD.EXAMPLE.ORG", "--domain=CORP", "--adminpass=Passw0rd!Admin", "--host-name=dc1", "--host-ip=127.0.0.1"]);
    // A folder without extended attributes will do.
    command.arg("--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb").arg(format!("--targetdir={}", folder.display()));
    run(&mut command);
}

/// Only LDAP, only at the namespace's address, and nothing outside of the folder.
fn configure(folder: &Path, address: &str) {
    let path = folder.join("etc/smb.conf");
    let shown = folder.display();
    for made in ["run", "ncalrpc"] {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = written.lines().filter(|line| !line.contains("server services") && !line.contains("log file")).collect();
    let global = format!(
        "[global]\n\
         server services = ldap\n\
         interfaces = {address}\nbind interfaces only = yes\n\
         pid directory = {shown}/run\nncalrpc dir = {shown}/ncalrpc\n\
         winbindd socket directory = {shown}/run/winbindd\nntp signd socket directory = {shown}/run/ntp\n\
         log file = {shown}/log.%m\n\
         ldap server require strong auth = no\n\
         tls keyfile = {shown}/server.key\ntls certfile = {shown}/server.pem\ntls cafile = {shown}/ca.pem\n"
    );
    fs::write(&path, kept.join("\n").replacen("[global]", &global, 1)).unwrap();
}

/// `ca.pem`, and `server.pem` with `server.key` for the controller's name and address.
fn certificates(folder: &Path, address: &str) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "narrows test domain CA");
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["dc1.ad.example.org".to_owned(), address.to_owned()]).unwrap();
    fs::write(folder.join("server.pem"), server.signed_by(&server_key, &issuer).unwrap().pem()).unwrap();
    let key_path = folder.join("server.key");
    fs::write(&key_path, server_key.serialize_pem()).unwrap();
    fs::set_permissions(key_path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
