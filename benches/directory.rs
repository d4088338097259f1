//! `make bench`: logins at a real OpenLDAP server over LDAPS with nothing remembered, each one search, one bind and the
//! groups, side by side with connections that are kept and with a new connection for each operation; the processor time of
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

use site::{Service, ask_many, free_address, narrows, token_request};

const SUFFIX: &str = "dc=example,dc=org";
const PEOPLE: usize = 500;
const IN_FLIGHT: usize = 16;
/// Connections that live for one operation, as a directory is asked without a pool.
const UNPOOLED: &str = "{max_operations: 1}";
const POOLED: &str = "{}";

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = io::stdout();
    let folder = tempfile::tempdir()?;
    let slapd = Slapd::start(folder.path())?;

    let pooled = logins(folder.path(), &slapd, POOLED, 20_000)?;
    writeln!(out, "whole logins, pooled          {:>9.0} /s   {:>6.0} µs of own processor time each", pooled.rate, pooled.cpu_micros)?;
    writeln!(out, "resident after them           {:>9.1} MiB", pooled.memory)?;
    let fresh = logins(folder.path(), &slapd, UNPOOLED, 3_000)?;
    writeln!(out, "whole logins, new connections {:>9.0} /s   {:>6.0} µs of own processor time each", fresh.rate, fresh.cpu_micros)?;
    writeln!(out, "                              {:>9.1} times as many", pooled.rate / fresh.rate)?;

    let pooled = binds(folder.path(), &slapd, POOLED, 40_000)?;
    writeln!(out, "bare binds, pooled            {pooled:>9.0} /s")?;
    let fresh = binds(folder.path(), &slapd, UNPOOLED, 3_000)?;
    writeln!(out, "bare binds, new connections   {fresh:>9.0} /s")?;
    writeln!(out, "                              {:>9.1} times as many", pooled / fresh)?;
    Ok(())
}

struct Figures {
    rate: f64,
    cpu_micros: f64,
    memory: f64,
}

/// Logins of different people over HTTP, nothing remembered.
fn logins(folder: &Path, slapd: &Slapd, pool: &str, count: usize) -> Result<Figures> {
    let address = free_address()?;
    let site = folder.join(format!("site-{}", address.port()));
    fs::create_dir(&site)?;
    let configuration = site.join("narrows.yaml");
    fs::write(
        &configuration,
        format!(
            "listen: {address}\nadmin_listen: {}\nservices: [{{name: registry.test}}]\nrules: rules.yaml\n\
             credentials_cache: {{verified: 0s, rejected: 0s}}\naudit: {{file: audit.jsonl}}\nlog: {{level: warn}}\n\
             providers:\n  - name: staff\n    ldap:\n{}",
            free_address()?,
            indented(&directory_settings(slapd, folder, pool, "")),
        ),
    )?;
    let rules = "version: 1\nreserved: []\nrules: [{to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}]\n";
    fs::write(site.join("rules.yaml"), rules)?;
    narrows(&["keys", "init", "--config", configuration.to_str().context("a path of UTF-8")?], "")?;
    let mut service = Service::start(&configuration, site.join("log"))?;
    service.wait_until_ready(address)?;

    let request = |number: usize| token_request(address, "registry.test", &format!("user{:03}", number % PEOPLE), "secret");
    // Connections are opened and code is warm before anything is measured.
    ask_many(address, IN_FLIGHT, count / 10, request)?;
    let before = service.cpu()?;
    let took = ask_many(address, IN_FLIGHT, count, request)?;
    let cpu = service.cpu()?.saturating_sub(before);
    let memory = service.resident_mib()?;
    Ok(Figures { rate: per_second(count, took), cpu_micros: cpu.as_secs_f64() * 1e6 / as_float(count), memory })
}

/// Binds and nothing else: with `bind: template` a wrong password is one bind.
fn binds(folder: &Path, slapd: &Slapd, pool: &str, count: usize) -> Result<f64> {
    let template = format!("bind: template, template: \"uid={{username}},ou=people,{SUFFIX}\", ");
    let file = SourceFile::new(folder.join("binds.yaml"), directory_settings(slapd, folder, pool, &template));
    let settings: LdapSettings = file.parse().map_err(|finding| anyhow::anyhow!("{finding}"))?;
    let names = Names { provider: Arc::from("staff"), realm: Arc::from("corp"), ignore_case: true };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let directory = Directory::build(names, &settings, &file, &Clock::system()).map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let directory = Arc::new(directory);
    runtime.block_on(async {
        bind_many(&directory, count / 10).await?;
        let started = Instant::now();
        bind_many(&directory, count).await?;
        Ok(per_second(count, started.elapsed()))
    })
}

async fn bind_many(directory: &Arc<Directory>, count: usize) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    let asked = Arc::new(AtomicUsize::new(0));
    for _ in 0..IN_FLIGHT {
        let (directory, asked) = (Arc::clone(directory), Arc::clone(&asked));
        tasks.spawn(async move {
            let password = SecretString::from("wrong");
            while asked.fetch_add(1, Ordering::Relaxed) < count {
                let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
                let circumstances = Circumstances { source: None, deadline };
                let verdict = directory.verify("user001", &password, &circumstances, Freshness::CacheAllowed, &Attempt::default()).await?;
                ensure!(matches!(verdict, Verdict::Rejected(Rejection::WrongPassword)), "{verdict:?}");
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn directory_settings(slapd: &Slapd, folder: &Path, pool: &str, user: &str) -> String {
    let folder = folder.display();
    format!(
        "servers: [\"ldaps://{}\"]\ntls: {{ca: {{file: {folder}/ca.pem}}}}\npool: {pool}\n\
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
             modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             TLSCACertificateFile {shown}/ca.pem\nTLSCertificateFile {shown}/server.pem\nTLSCertificateKeyFile {shown}/server.key\n\
             database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"cn=admin,{SUFFIX}\"\ndirectory {shown}/db\nmaxsize 67108864\n\
             index objectClass,uid,member,entryUUID eq\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n"
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
        write!(ldif, "userPassword: secret\n\n")?;
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
