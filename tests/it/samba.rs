//! Samba as an Active Directory domain controller: temporary folder, network namespace of its own, its own CA.

mod domain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::labs::certificates;
use crate::labs::namespace::Namespace;
use crate::labs::process::{self, Server};
use crate::require;

pub(crate) const BASE: &str = "DC=ad,DC=example,DC=org";
pub(crate) const SERVICE_DN: &str = "CN=svc-narrows,OU=Service,DC=ad,DC=example,DC=org";
/// Everybody's.
pub(crate) const PASSWORD: &str = "Secret.123";

/// Whose certificate a controller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// One of a CA of the tests, for its name and its address; `ca.pem` in its folder.
    Good,
    /// What Samba makes by itself, without any subjectAltName; `private/tls/ca.pem` in its folder.
    OfSamba,
}

/// A running domain controller. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Samba {
    folder: PathBuf,
    namespace: Namespace,
    /// `None` between `kill` and `restart`.
    server: Option<Server>,
}

static SHARED: OnceCell<Option<Samba>> = OnceCell::const_new();

impl Samba {
    /// The one of all tests of a run; they must not change what others see.
    pub(crate) async fn shared() -> Option<&'static Self> {
        SHARED.get_or_init(Self::start).await.as_ref()
    }

    /// One of one's own, to break; `None` where Samba is not installed or namespaces are not allowed.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(Certificate::Good).await
    }

    /// The same, with that certificate.
    pub(crate) async fn start_with(certificate: Certificate) -> Option<Self> {
        let installed = ["/usr/sbin/samba", "/usr/bin/samba-tool", "/usr/share/samba/setup/provision.ldif", "/usr/bin/ldapmodify"];
        if !require::available("samba (packages samba-ad-dc and samba-ad-provision)", installed.iter().all(|it| Path::new(it).exists())) {
            return None;
        }
        let namespace = Namespace::make()?;
        let folder = process::folder();
        domain::unpack(&folder);
        fs::write(folder.join("service-password"), PASSWORD).unwrap();
        if certificate == Certificate::Good {
            certificates::write(&folder, &["dc1.ad.example.org", namespace.address()]);
        }
        configure(&folder, namespace.address(), certificate);
        let mut lab = Self { folder, namespace, server: None };
        lab.restart().await;
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
        &self.folder
    }
    /// The network that it stands in.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
    /// Changes the database as nobody over LDAP may: LDIF with `changetype:` records.
    pub(crate) fn modify(&self, ldif: &str) {
        let file = self.folder.join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let mut command = Command::new("/usr/bin/ldapmodify");
        command.args(["-x", "-H", &self.url(), "-D", "Administrator@ad.example.org", "-w", "Passw0rd!Admin", "-f"]).arg(&file);
        run(&mut command);
    }
    /// Gives somebody a new password, as an administrator does.
    pub(crate) fn set_password(&self, username: &str, password: &str) {
        let mut command = Command::new("/usr/bin/samba-tool");
        command.args(["user", "setpassword", username, &format!("--newpassword={password}"), "-s"]);
        run(command.arg(self.folder.join("etc/smb.conf")).arg("-H").arg(self.folder.join("private/sam.ldb")));
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
    /// How many simple binds with somebody's name or DN it has seen, right and wrong ones.
    pub(crate) fn binds(&self, username: &str) -> usize {
        // `became` after the right password, `mapped to` after a wrong one.
        let (right, wrong) = (format!("became [CORP]\\[{username}]"), format!("mapped to [CORP]\\[{username}]"));
        let log = self.server.as_ref().expect("it runs").stderr();
        log.lines().filter(|line| line.contains("Auth: [LDAP,simple bind") && (line.contains(&right) || line.contains(&wrong))).count()
    }
    /// Freezes the process: connections are still accepted by the system, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }
    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }
    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        self.server.take().expect("it runs").end();
    }
    /// Starts it again with the same database.
    pub(crate) async fn restart(&mut self) {
        let [program, arguments @ ..] = self.namespace.prefix();
        let configuration = self.folder.join("etc/smb.conf").display().to_string();
        // In the foreground, as one process, and without its switch to the log file.
        let samba = ["/usr/sbin/samba", "--interactive", "--model=single", "-s", &configuration];
        let server = Server::start("samba", self.folder.clone(), Path::new(program), &[&arguments, &samba[..]].concat());
        let server = self.server.insert(server);
        // Both ports: they are not opened at the same moment.
        let address = self.namespace.address();
        let listens = async |port| TcpStream::connect((address, port)).await.map(drop).map_err(|error| format!("{port}: {error}"));
        server.ready(async || listens(389).await.and(listens(636).await)).await;
    }

    fn signal(&self, name: &str) {
        self.server.as_ref().expect("it runs").signal(name);
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        match &self.server {
            // It may be frozen, and then no other signal reaches it.
            Some(server) => server.signal("KILL"),
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// Only LDAP, only at the namespace's address, and nothing outside of the folder.
fn configure(folder: &Path, address: &str, certificate: Certificate) {
    let path = folder.join("etc/smb.conf");
    let shown = folder.display();
    for made in ["run", "ncalrpc"] {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = written.lines().filter(|line| !line.contains("server services") && !line.contains("log file")).collect();
    let tls = match certificate {
        Certificate::Good => format!("tls keyfile = {shown}/server.key\ntls certfile = {shown}/server.pem\ntls cafile = {shown}/ca.pem\n"),
        Certificate::OfSamba => String::new(),
    };
    let global = format!(
        "[global]\n\
         server services = ldap\n\
         interfaces = {address}\nbind interfaces only = yes\n\
         pid directory = {shown}/run\nncalrpc dir = {shown}/ncalrpc\n\
         winbindd socket directory = {shown}/run/winbindd\nntp signd socket directory = {shown}/run/ntp\n\
         log file = {shown}/log.%m\nlog level = 1 auth_audit:3\n\
         ldap server require strong auth = no\n\
         {tls}"
    );
    fs::write(&path, kept.join("\n").replacen("[global]", &global, 1)).unwrap();
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
