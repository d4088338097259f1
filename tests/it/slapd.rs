//! A real OpenLDAP server of our own: temporary folder, free ports on loopback, its own CA.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::labs::ports;
use crate::require;

const SUFFIX: &str = "dc=example,dc=org";
pub(crate) const SERVICE_DN: &str = "cn=narrows,ou=services,dc=example,dc=org";
pub(crate) const SERVICE_PASSWORD: &str = "service-secret";
const ROOT_DN: &str = "cn=admin,dc=example,dc=org";
const ROOT_PASSWORD: &str = "root-secret";

/// What the server is like.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Whether groups are also written into their members' entries.
    pub(crate) member_of: bool,
    /// Whether it has a certificate.
    pub(crate) tls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { member_of: true, tls: true }
    }
}

/// A running server. Ends with its value.
pub(crate) struct Slapd {
    folder: TempDir,
    process: Child,
    port: u16,
    tls_port: u16,
    options: Options,
}

impl Slapd {
    /// Starts one with the seeds; `None` where OpenLDAP is not installed.
    pub(crate) async fn start(options: Options) -> Option<Self> {
        let installed = ["/usr/sbin/slapd", "/usr/sbin/slapadd", "/usr/bin/ldapmodify", "/etc/ldap/schema/core.schema"];
        if !require::available("slapd (packages slapd and ldap-utils)", installed.iter().all(|path| Path::new(path).exists())) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("narrows-slapd-").tempdir().unwrap();
        fs::create_dir(folder.path().join("db")).unwrap();
        certificates(folder.path());
        fs::write(folder.path().join("slapd.conf"), configuration(folder.path(), options)).unwrap();
        fs::write(folder.path().join("seed.ldif"), SEED).unwrap();
        run(Command::new("/usr/sbin/slapadd").arg("-q").arg("-f").arg("slapd.conf").arg("-l").arg("seed.ldif").current_dir(&folder), "");
        // Somebody else may take a port between the choice and the start.
        for _ in 0..5 {
            let (port, tls_port) = (ports::free().port(), ports::free().port());
            let mut process = launch(folder.path(), port, tls_port, options);
            if listens(&mut process, port).await {
                let lab = Self { folder, process, port, tls_port, options };
                lab.modify(GROUPS);
                return Some(lab);
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("slapd does not start");
    }

    /// Where `ldap://` is.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
    /// Where `ldaps://` is.
    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
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
        self.folder.path()
    }
    /// Carries out LDIF with `changetype:` records as the administrator.
    pub(crate) fn modify(&self, ldif: &str) {
        let url = self.url();
        run(Command::new("/usr/bin/ldapmodify").args(["-x", "-H", &url, "-D", ROOT_DN, "-w", ROOT_PASSWORD, "-e", "relax"]), ldif);
    }
    /// Freezes the process: connections are still accepted by the system, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }
    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }
    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
    /// Starts it again on the same ports and with the same database.
    pub(crate) async fn restart(&mut self) {
        self.process = launch(self.folder.path(), self.port, self.tls_port, self.options);
        assert!(listens(&mut self.process, self.port).await, "slapd does not start again");
    }
    /// How many binds with this DN it has seen.
    pub(crate) fn binds(&self, dn: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("slapd.log")).unwrap();
        log.lines().filter(|line| line.contains(&format!("BIND dn=\"{dn}\" method=128"))).count()
    }

    /// How many binds by a client certificate it has seen.
    pub(crate) fn external_binds(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("slapd.log")).unwrap();
        log.lines().filter(|line| line.contains("BIND dn=\"\" method=163")).count()
    }
    /// How many connections it has accepted, but for those of the tests' own commands.
    pub(crate) fn connections(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("slapd.log")).unwrap();
        log.lines().filter(|line| line.contains("ACCEPT from") && line.contains(&format!("127.0.0.1:{})", self.tls_port))).count()
    }

    fn signal(&self, name: &str) {
        run(Command::new("kill").args([name, &self.process.id().to_string()]), "");
    }
}

/// Whether the process got as far as accepting connections.
async fn listens(process: &mut Child, port: u16) -> bool {
    for _ in 0..1000 {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(folder: &Path, port: u16, tls_port: u16, options: Options) -> Child {
    // A restart goes on in the same log, so that binds are counted over all of it.
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("slapd.log")).unwrap();
    let plain = format!("ldap://127.0.0.1:{port}");
    let urls = if options.tls { format!("{plain} ldaps://127.0.0.1:{tls_port}") } else { plain };
    let mut command = Command::new("/usr/sbin/slapd");
    // With -d it stays in the foreground and writes its log to standard error.
    command.args(["-f", "slapd.conf", "-h", &urls, "-d", "stats"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn run(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `ca.pem`, and `server.pem` with `server.key` for localhost and 127.0.0.1; `client.pem` with `client.key`, which stands for
/// the service account, and `stranger.pem` for nobody; `other-ca.pem` has signed nothing.
fn certificates(folder: &Path) {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), params, key)
    };
    let (pem, params, key) = authority("narrows test CA");
    fs::write(folder.join("ca.pem"), pem).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.join("server.pem"), server.signed_by(&server_key, &issuer).unwrap().pem()).unwrap();
    fs::write(folder.join("server.key"), server_key.serialize_pem()).unwrap();
    for (file, name) in [("client", "narrows"), ("stranger", "stranger")] {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "lab");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join(format!("{file}.pem")), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
    fs::write(folder.join("other-ca.pem"), authority("somebody else's CA").0).unwrap();
}

fn configuration(folder: &Path, options: Options) -> String {
    let folder = folder.display();
    let tls = format!(
        "TLSCACertificateFile {folder}/ca.pem\nTLSCertificateFile {folder}/server.pem\nTLSCertificateKeyFile {folder}/server.key\n\
         TLSVerifyClient try\nauthz-regexp \"^cn=narrows,o=lab$\" \"{SERVICE_DN}\"\n"
    );
    let member_of = "overlay memberof\nmemberof-group-oc groupOfNames\nmemberof-refint true\n";
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         include /etc/ldap/schema/nis.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\nmoduleload memberof\nmoduleload ppolicy\n\
         pidfile {folder}/slapd.pid\n\
         sizelimit 500\n\
         {tls}\
         database mdb\n\
         suffix \"{SUFFIX}\"\n\
         rootdn \"{ROOT_DN}\"\n\
         rootpw {ROOT_PASSWORD}\n\
         directory {folder}/db\n\
         maxsize 67108864\n\
         dbnosync\n\
         limits dn.exact=\"{SERVICE_DN}\" size.prtotal=600\n\
         index objectClass,uid,member,entryUUID eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{SERVICE_DN}\" read by anonymous auth by * none\n\
         {member_of}\
         overlay ppolicy\n\
         ppolicy_default \"cn=default,ou=policies,{SUFFIX}\"\n\
         ppolicy_use_lockout\n",
        tls = if options.tls { tls.as_str() } else { "" },
        member_of = if options.member_of { member_of } else { "" },
    )
}

const SEED: &str = r"dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=guests,dc=example,dc=org
objectClass: organizationalUnit
ou: guests

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: ou=elsewhere,dc=example,dc=org
objectClass: organizationalUnit
ou: elsewhere

dn: ou=services,dc=example,dc=org
objectClass: organizationalUnit
ou: services

dn: ou=policies,dc=example,dc=org
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdLockoutDuration: 600
pwdMustChange: FALSE

dn: cn=expired,ou=policies,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: expired
pwdAttribute: userPassword
pwdMaxAge: 1
pwdLockout: FALSE

dn: cn=grace,ou=policies,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: grace
pwdAttribute: userPassword
pwdMaxAge: 1
pwdGraceAuthNLimit: 5
pwdLockout: FALSE

dn: cn=must-change,ou=policies,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: must-change
pwdAttribute: userPassword
pwdMustChange: TRUE
pwdLockout: FALSE

dn: cn=narrows,ou=services,dc=example,dc=org
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: narrows
userPassword: service-secret

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Alice
mail: alice@example.org
userPassword: secret
pwdChangedTime: 20240101000000Z

dn: uid=nomarker,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: nomarker
cn: No marker
sn: No marker
userPassword: secret

dn: uid=victim,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: victim
cn: Victim
sn: Victim
userPassword: secret

dn: uid=twin,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: Twin
sn: Twin
userPassword: secret

dn: uid=twin,ou=guests,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: Twin
sn: Twin
userPassword: secret

dn: uid=outsider,ou=elsewhere,dc=example,dc=org
objectClass: inetOrgPerson
uid: outsider
cn: Outsider
sn: Outsider
userPassword: secret

dn: uid=mustchange,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: mustchange
cn: Must change
sn: Must change
userPassword: secret
pwdReset: TRUE
pwdPolicySubentry: cn=must-change,ou=policies,dc=example,dc=org

dn: uid=locked,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: locked
cn: Locked
sn: Locked
userPassword: secret
pwdAccountLockedTime: 000001010000Z

dn: uid=expired,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: expired
cn: Expired
sn: Expired
userPassword: secret
pwdChangedTime: 20200101000000Z
pwdPolicySubentry: cn=expired,ou=policies,dc=example,dc=org

dn: uid=grace,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: grace
cn: Grace
sn: Grace
userPassword: secret
pwdChangedTime: 20200101000000Z
pwdPolicySubentry: cn=grace,ou=policies,dc=example,dc=org

dn: uid=haunted,ou=elsewhere,dc=example,dc=org
objectClass: inetOrgPerson
uid: haunted
cn: Haunted
sn: Haunted
userPassword: secret
memberOf: cn=ghost,ou=groups,dc=example,dc=org

dn: cn=Smith\, John (x*) \#1,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Smith, John (x*) #1
sn: Smith
uid: jsmith
userPassword: secret
";

/// Added over LDAP, as the overlay sees nothing of what slapadd writes.
const GROUPS: &str = r"dn: cn=developers,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: developers
description: Entwicklung
member: uid=alice,ou=people,dc=example,dc=org
member: cn=Smith\, John (x*) \#1,ou=people,dc=example,dc=org

dn: cn=a\, b (c*),ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: a, b (c*)
description: Punctuation
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=admins,ou=elsewhere,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: admins
description: Elsewhere
member: uid=alice,ou=people,dc=example,dc=org
";
