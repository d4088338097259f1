//! A real 389 Directory Server of our own: temporary folder, free ports on loopback, its own CA. Its installer wants
//! systemd and `/etc/dirsrv`; the server itself needs neither, only the folder that the installer would fill.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::net::TcpStream;

use crate::labs::process::{self, Server};
use crate::labs::{certificates, ports};
use crate::require;

const SUFFIX: &str = "dc=example,dc=org";
const ROOT_DN: &str = "cn=Directory Manager";
const ROOT_PASSWORD: &str = "root-secret";

/// A running server. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Ds389 {
    folder: PathBuf,
    /// `None` between `kill` and `restart`.
    server: Option<Server>,
    port: u16,
    tls_port: u16,
}

impl Ds389 {
    /// Starts one with the seeds; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        // The last one only root and the server's own user may read.
        let installed = [
            "/usr/sbin/ns-slapd",
            TEMPLATE,
            "/usr/bin/certutil",
            "/usr/bin/openssl",
            "/usr/bin/ldapmodify",
            "/etc/dirsrv/schema/99user.ldif",
        ];
        if !require::available("389 Directory Server (root, package 389-ds-base)", installed.iter().all(|it| Path::new(it).exists())) {
            return None;
        }
        let folder = process::folder();
        certificates::write(&folder, &["localhost", "127.0.0.1"]);
        for made in ["config/schema", "cert", "db", "ldif", "bak", "lock", "log", "run", "tmp"] {
            fs::create_dir_all(folder.join(made)).unwrap();
        }
        for (from, to) in
            [("config/slapd-collations.conf", "config"), ("config/certmap.conf", "config"), ("schema/99user.ldif", "config/schema")]
        {
            fs::copy(Path::new("/etc/dirsrv").join(from), folder.join(to).join(Path::new(from).file_name().unwrap())).unwrap();
        }
        trust(&folder);
        let mut lab = Self { folder, server: None, port: ports::free().port(), tls_port: ports::free().port() };
        fs::write(lab.folder.join("config/dse.ldif"), lab.configuration()).unwrap();
        lab.restart().await;
        lab.modify(SEED);
        Some(lab)
    }

    /// `ldap://…`
    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }
    /// `ldaps://…`
    pub(crate) fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }
    /// Where its CA is (`ca.pem`), and where a test may put files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
    /// Carries out LDIF with `changetype:` records as the administrator.
    pub(crate) fn modify(&self, ldif: &str) {
        run(Command::new("/usr/bin/ldapmodify").args(["-x", "-H", &self.url(), "-D", ROOT_DN, "-w", ROOT_PASSWORD]), ldif);
    }
    /// How many simple binds with this DN it has seen.
    pub(crate) fn binds(&self, dn: &str) -> usize {
        let log = fs::read_to_string(self.folder.join("log/access")).unwrap();
        log.lines().filter(|line| line.contains(&format!("BIND dn=\"{dn}\" method=128"))).count()
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
    /// Starts it again on the same ports and with the same database.
    pub(crate) async fn restart(&mut self) {
        let (config, pid) = (self.folder.join("config"), self.folder.join("run/pid"));
        // With -d it stays in the foreground.
        let arguments = ["-D", config.to_str().unwrap(), "-i", pid.to_str().unwrap(), "-d", "0"];
        let server = Server::start("ns-slapd", self.folder.clone(), Path::new("/usr/sbin/ns-slapd"), &arguments);
        let server = self.server.insert(server);
        let listens = async |port| TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| format!("{port}: {error}"));
        let (port, tls_port) = (self.port, self.tls_port);
        server.ready(async || listens(port).await.and(listens(tls_port).await)).await;
    }

    fn signal(&self, name: &str) {
        self.server.as_ref().expect("it runs").signal(name);
    }

    /// The configuration that the installer would write, with our paths and what differs from its defaults.
    fn configuration(&self) -> String {
        let folder = self.folder.display();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let mut text = fs::read_to_string(TEMPLATE).unwrap();
        for name in ["cert", "ldif", "bak", "lock", "log", "run", "tmp", "config", "db"] {
            text = text.replace(&format!("%{name}_dir%"), &format!("{folder}/{name}"));
        }
        for (name, value) in [
            ("schema_dir", &*format!("{folder}/config/schema")),
            ("inst_dir", &*folder.to_string()),
            ("db_home_dir", &*format!("{folder}/db")),
            ("db_lib", "bdb"),
            ("fqdn", "localhost"),
            ("ds_port", &*self.port.to_string()),
            ("ds_user", user.trim()),
            ("ds_suffix", SUFFIX),
            ("rootdn", ROOT_DN),
            ("ds_passwd", &*format!("{{CLEAR}}{ROOT_PASSWORD}")),
            ("ldapi_enabled", "off"),
            ("ldapi", &*format!("{folder}/run/ldapi")),
            ("ldapi_autobind", "off"),
        ] {
            text = text.replace(&format!("%{name}%"), value);
        }
        let unknown = text.lines().find(|line| line.matches('%').count() > 1);
        assert_eq!(unknown, None, "the template of this version asks for something else");
        let more = format!(
            "nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1\nnsslapd-secureport: {}\nnsslapd-security: on\n\
             nsslapd-accesslog-logbuffering: off\npasswordLockout: on\npasswordMaxFailure: 3\npasswordTrackUpdateTime: on\n",
            self.tls_port
        );
        let (before, plugin) = text.split_once("dn: cn=MemberOf Plugin").expect("the template has the plugin");
        let before = before.replacen("cn: config\n", &format!("cn: config\n{more}"), 1);
        let plugin = plugin.replacen("nsslapd-pluginenabled: off", "nsslapd-pluginenabled: on", 1);
        format!("{before}dn: cn=MemberOf Plugin{}\n\n{BACKEND}", plugin.trim_end())
    }
}

impl Drop for Ds389 {
    fn drop(&mut self) {
        match &self.server {
            // It may be frozen, and then no other signal reaches it.
            Some(server) => server.signal("KILL"),
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// Puts the certificates where it looks for them: a database of its TLS library.
fn trust(folder: &Path) {
    let step = |program: &str, arguments: &[&str]| run(Command::new(program).args(arguments).current_dir(folder), "");
    let export =
        ["-export", "-in", "server.pem", "-inkey", "server.key", "-name", "Server-Cert", "-passout", "pass:x", "-out", "server.p12"];
    step("/usr/bin/certutil", &["-N", "-d", "cert", "--empty-password"]);
    step("/usr/bin/openssl", &[&["pkcs12"], &export[..]].concat());
    step("/usr/bin/pk12util", &["-i", "server.p12", "-d", "cert", "-W", "x", "-K", ""]);
    step("/usr/bin/certutil", &["-A", "-d", "cert", "-n", "CA", "-t", "CT,,", "-i", "ca.pem"]);
}

fn run(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const TEMPLATE: &str = "/usr/share/dirsrv/data/template-dse.ldif";

const BACKEND: &str = "dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userRoot
nsslapd-suffix: dc=example,dc=org

dn: cn=\"dc=example,dc=org\",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: dc=example,dc=org
nsslapd-state: backend
nsslapd-backend: userRoot
";

const SEED: &str = include_str!("ds389/seed.ldif");
