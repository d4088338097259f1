//! `make bench`: logins at a real OpenLDAP server over LDAPS with nothing remembered, each one search, one bind and the
//! groups, side by side with connections that are kept and with new ones for each; the processor time of
//! narrows alone for each; and bare binds the same way.
//!
//! The directory and the clients run on the same machine and share its cores with the service.

mod site;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::ldap::{Directory, LdapSettings};
use narrows::authn::provider::Names;
use narrows::authn::verdict::{Circumstances, Rejection, Verdict};
use narrows::clock::Clock;
use narrows::source::SourceFile;
use secrecy::SecretString;

use site::{Client, Service, ask_many, free_address, narrows, token_request};

const SUFFIX: &str = "dc=example,dc=org";
const PEOPLE: usize = 500;
const IN_FLIGHT: usize = 16;
const LOGINS: usize = 20_000;
/// Memory is looked at until there were so many.
const SEARCHES: u64 = 300_000;
/// The metric with one line for each operation and outcome.
const COUNTED: &str = "narrows_directory_operation_seconds_count{";

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = io::stdout();
    let folder = tempfile::tempdir()?;
    let slapd = Slapd::start(folder.path())?;

    let service = logins(folder.path(), &slapd)?;
    writeln!(out, "logins over HTTP              {:>9.0} /s   {:>6.0} µs of own processor time each", service.rate, service.cpu_micros)?;
    for (searches, memory) in service.memory {
        writeln!(out, "resident after {searches:>7} searches {memory:>6.1} MiB")?;
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let user = String::new();
    let template = format!("bind: template, template: \"uid={{username}},ou=people,{SUFFIX}\", ");
    // With `bind: template` a wrong password is one bind and nothing else.
    for (what, user, password, count) in [("whole logins", &user, "secret", 20_000), ("bare binds", &template, "wrong", 40_000)] {
        let recipe = Arc::new(Recipe::new(&slapd, folder.path(), user, password)?);
        let shared = Arc::new(recipe.directory()?);
        let kept = runtime.block_on(async {
            ask_directory(&recipe, Some(&shared), count / 10).await?;
            ask_directory(&recipe, Some(&shared), count).await
        })?;
        let fresh = runtime.block_on(ask_directory(&recipe, None, 3_000))?;
        writeln!(out, "{what}, connections kept   {kept:>9.0} /s")?;
        writeln!(out, "{what}, new for each one   {fresh:>9.0} /s")?;
        writeln!(out, "                              {:>9.1} times as many", kept / fresh)?;
    }
    Ok(())
}

struct Figures {
    rate: f64,
    cpu_micros: f64,
    /// Searches until then, and what is resident.
    memory: Vec<(u64, f64)>,
}

/// Logins of different people over HTTP, nothing remembered.
fn logins(folder: &Path, slapd: &Slapd) -> Result<Figures> {
    let (address, admin) = (free_address()?, free_address()?);
    let site = folder.join(format!("site-{}", address.port()));
    fs::create_dir(&site)?;
    let configuration = site.join("narrows.yaml");
    fs::write(
        &configuration,
        format!(
            "listen: {address}\nadmin_listen: {admin}\nservices: [{{name: registry.test}}]\nrules: rules.yaml\n\
             credentials_cache: {{verified: 0s, rejected: 0s}}\naudit: {{file: audit.jsonl}}\nlog: {{level: warn}}\n\
             providers:\n  - name: staff\n    ldap:\n{}",
            indented(&directory_settings(slapd, folder, "")),
        ),
    )?;
    let rules = "version: 1\nreserved: []\nrules: [{to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}]\n";
    fs::write(site.join("rules.yaml"), rules)?;
    narrows(&["keys", "init", "--config", configuration.to_str().context("a path of UTF-8")?], "")?;
    let mut service = Service::start(&configuration, site.join("log"))?;
    service.wait_until_ready(address)?;

    let request = |number: usize| token_request(address, "registry.test", &format!("user{:03}", number % PEOPLE), "secret");
    // Connections are opened and code is warm before anything is measured.
    ask_many(address, IN_FLIGHT, LOGINS / 10, request)?;
    let before = service.cpu()?;
    let took = ask_many(address, IN_FLIGHT, LOGINS, request)?;
    let cpu = service.cpu()?.saturating_sub(before);
    let mut memory = vec![(searches(admin)?, service.resident_mib()?)];
    while memory.last().is_some_and(|(searches, _)| *searches < SEARCHES) {
        ask_many(address, IN_FLIGHT, LOGINS, request)?;
        memory.push((searches(admin)?, service.resident_mib()?));
    }
    Ok(Figures { rate: per_second(LOGINS, took), cpu_micros: cpu.as_secs_f64() * 1e6 / as_float(LOGINS), memory })
}

/// How many searches the service has sent.
fn searches(admin: SocketAddr) -> Result<u64> {
    let mut client = Client::connect(admin)?;
    client.ask(&format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\n\r\n"))?;
    let metrics = client.body();
    let counted = metrics.lines().find(|line| line.starts_with(COUNTED) && line.contains("operation=\"search\""));
    Ok(counted.and_then(|line| line.rsplit_once(' ')).context("the searches are counted")?.1.parse()?)
}

/// What it takes to ask a directory, and what is asked.
struct Recipe {
    names: Names,
    settings: LdapSettings,
    file: SourceFile,
    password: &'static str,
}

impl Recipe {
    fn new(slapd: &Slapd, folder: &Path, user: &str, password: &'static str) -> Result<Self> {
        let file = SourceFile::new(folder.join("directory.yaml"), directory_settings(slapd, folder, user));
        let settings = file.parse().map_err(|finding| anyhow::anyhow!("{finding}"))?;
        let names = Names { provider: Arc::from("staff"), realm: Arc::from("corp"), ignore_case: true };
        Ok(Self { names, settings, file, password })
    }

    /// One without any connection yet.
    fn directory(&self) -> Result<Directory> {
        let built = Directory::build(self.names.clone(), &self.settings, &self.file, &Clock::system());
        built.map_err(|findings| anyhow::anyhow!("{findings}"))
    }

    fn expects(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Authenticated(identity, _) => self.password == "secret" && !identity.groups.is_empty(),
            Verdict::Rejected(Rejection::WrongPassword) => self.password == "wrong",
            Verdict::Rejected(_) | Verdict::NotMine | Verdict::Throttled(_) => false,
        }
    }
}

/// Asks for different people, so many at a time; how many a second. Without a shared directory each has its own, and with it
/// connections of its own.
async fn ask_directory(recipe: &Arc<Recipe>, shared: Option<&Arc<Directory>>, count: usize) -> Result<f64> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let asked = Arc::new(AtomicUsize::new(0));
    for _ in 0..IN_FLIGHT {
        let (recipe, shared, asked) = (Arc::clone(recipe), shared.map(Arc::clone), Arc::clone(&asked));
        tasks.spawn(async move {
            let password = SecretString::from(recipe.password);
            loop {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let directory = shared.as_ref().map_or_else(|| recipe.directory().map(Arc::new), |shared| Ok(Arc::clone(shared)))?;
                let circumstances = Circumstances { source: None, deadline: tokio::time::Instant::now() + Duration::from_secs(8) };
                let name = format!("user{:03}", number % PEOPLE);
                let verdict = directory.verify(&name, &password, &circumstances, Freshness::CacheAllowed, &Attempt::default()).await?;
                ensure!(recipe.expects(&verdict), "{verdict:?}");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(per_second(count, started.elapsed()))
}

fn directory_settings(slapd: &Slapd, folder: &Path, user: &str) -> String {
    let folder = folder.display();
    format!(
        "servers: [\"ldaps://{}\"]\ntls: {{ca: {{file: {folder}/ca.pem}}}}\n\
         service_account: {{dn: \"cn=narrows,{SUFFIX}\", password: {{file: {folder}/service-password}}}}\n\
         user: {{{user}bases: [\"ou=people,{SUFFIX}\"]}}\n\
         groups: {{strategy: member, bases: [\"ou=groups,{SUFFIX}\"], age: 0s, nested: {{depth: 0}}}}\n",
        slapd.address,
    )
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "      {line}");
        all
    })
}

fn per_second(count: usize, took: Duration) -> f64 {
    as_float(count) / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// An OpenLDAP server with many people, which compares passwords as they stand, so that what is measured is the way there.
struct Slapd {
    process: Child,
    address: SocketAddr,
}

impl Slapd {
    fn start(folder: &Path) -> Result<Self> {
        let program = Path::new("/usr/sbin/slapd");
        ensure!(program.exists(), "this needs OpenLDAP: `make packages` installs it");
        fs::write(folder.join("service-password"), "service-secret")?;
        certificate(folder)?;
        fs::create_dir(folder.join("db"))?;
        let shown = folder.display();
        let configuration = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n\
             TLSCACertificateFile {shown}/ca.pem\nTLSCertificateFile {shown}/server.pem\nTLSCertificateKeyFile {shown}/server.key\n\
             database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"cn=admin,{SUFFIX}\"\ndirectory {shown}/db\nmaxsize 67108864\n\
             index objectClass,uid,member,entryUUID eq\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\noverlay ppolicy\n"
        );
        fs::write(folder.join("slapd.conf"), configuration)?;
        fs::write(folder.join("seed.ldif"), seed()?)?;
        let loaded = Command::new("/usr/sbin/slapadd").args(["-q", "-f", "slapd.conf", "-l", "seed.ldif"]).current_dir(folder).status()?;
        ensure!(loaded.success(), "slapadd failed");
        let address = free_address()?;
        let mut command = Command::new(program);
        command.args(["-f", "slapd.conf", "-h", &format!("ldaps://{address}"), "-d", "0"]).current_dir(folder);
        let mut slapd = Self { process: command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            if slapd.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("slapd does not start");
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        Ok(slapd)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _: io::Result<()> = self.process.kill();
        let _: io::Result<std::process::ExitStatus> = self.process.wait();
    }
}

/// Every person is in three groups of twenty, and one of them gives a right.
fn seed() -> Result<String> {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: cn=narrows,{SUFFIX}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: narrows\n\
         userPassword: service-secret\n\n"
    );
    for number in 0..PEOPLE {
        let name = format!("user{number:03}");
        write!(ldif, "dn: uid={name},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n")?;
        write!(ldif, "userPassword: secret\npwdChangedTime: 20240101000000Z\n\n")?;
    }
    for group in 0..20 {
        let name = if group == 0 { "registry-payments".to_owned() } else { format!("group{group}") };
        write!(ldif, "dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n")?;
        for number in (0..PEOPLE).filter(|number| [number % 20, number % 19 + 1, (number + 7) % 20].contains(&group)) {
            writeln!(ldif, "member: uid=user{number:03},ou=people,{SUFFIX}")?;
        }
        ldif.push('\n');
    }
    Ok(ldif)
}

/// `ca.pem`, and `server.pem` with `server.key` for 127.0.0.1.
fn certificate(folder: &Path) -> Result<()> {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate()?;
    fs::write(folder.join("ca.pem"), authority.self_signed(&key)?.pem())?;
    let issuer = rcgen::Issuer::new(authority, key);
    let server_key = rcgen::KeyPair::generate()?;
    let server = rcgen::CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&server_key, &issuer)?;
    fs::write(folder.join("server.pem"), server.pem())?;
    fs::write(folder.join("server.key"), server_key.serialize_pem())?;
    Ok(())
}
