//! `make bench`: tokens a second over HTTP from the real binary, its memory, and how long it takes to be ready.
//!
//! The clients run on the same machine and share its cores with the service, so the figures are a lower bound.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");
const PASSWORD: &str = "bench-password";
const CONNECTIONS: usize = 8;
/// A service each: its name, its algorithm, how many tokens it is asked for.
const SERVICES: [(&str, &str, usize); 2] = [("es.test", "ES256", 100_000), ("rs.test", "RS256", 20_000)];

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = io::stdout();
    let folder = tempfile::tempdir()?;
    let (address, configuration) = (free_address()?, folder.path().join("narrows.yaml"));
    write_site(folder.path(), &configuration, address)?;

    let started = Instant::now();
    let mut service = Service::start(&configuration, folder.path().join("log"))?;
    service.wait_until_ready(address)?;
    writeln!(out, "start to ready            {:>9.1} ms", started.elapsed().as_secs_f64() * 1000.0)?;
    writeln!(out, "resident, idle            {:>9.1} MiB", service.resident_mib()?)?;

    for (name, algorithm, count) in SERVICES {
        let request = format!(
            "GET /token?service={name}&scope=repository%3Apayments%2Fapi%3Apull%2Cpush&account=alice HTTP/1.1\r\n\
             Host: {address}\r\nAuthorization: Basic {}\r\n\r\n",
            data_encoding::BASE64.encode(format!("alice:{PASSWORD}").as_bytes()),
        );
        // The first one verifies the password; the rest is the path with a verified identity.
        Client::connect(address)?.ask(&request)?;
        let seconds = ask_many(address, &request, count)?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        let rate = count as f64 / seconds;
        writeln!(out, "{algorithm}, {CONNECTIONS} connections      {rate:>9.0} tokens/s")?;
        writeln!(out, "resident after {count:>7}    {:>9.1} MiB", service.resident_mib()?)?;
    }
    Ok(())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A configuration with a user, rules and keys.
fn write_site(folder: &Path, configuration: &Path, address: SocketAddr) -> Result<()> {
    let hash = narrows(&["hash"], PASSWORD)?;
    let services = SERVICES.map(|(name, algorithm, _)| format!("  - {{name: {name}, algorithm: {algorithm}}}\n")).concat();
    let admin = free_address()?;
    let text = format!(
        "listen: {address}\nadmin_listen: {admin}\nservices:\n{services}rules: rules.yaml\n\
         providers: [{{name: staff, file: {{path: users.yaml}}}}]\naudit: {{file: audit.jsonl}}\nlog: {{level: warn}}\n"
    );
    fs::write(configuration, text)?;
    let users = format!("users: [{{name: alice, password: [\"{}\"], groups: [registry-payments]}}]\n", hash.trim());
    fs::write(folder.join("users.yaml"), users)?;
    let rules = "version: 1\nreserved: []\nrules: [{to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}]\n";
    fs::write(folder.join("rules.yaml"), rules)?;
    narrows(&["keys", "init", "--config", configuration.to_str().context("a path of UTF-8")?], "")?;
    Ok(())
}

/// Runs a command to its end.
fn narrows(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(PROGRAM).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "narrows {arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// Asks `count` times over several connections; how long that took.
fn ask_many(address: SocketAddr, request: &str, count: usize) -> Result<Duration> {
    let asked = AtomicUsize::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut client = Client::connect(address)?;
                    while asked.fetch_add(1, Ordering::Relaxed) < count {
                        client.ask(request)?;
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    Ok(started.elapsed())
}

/// A connection that is kept open.
struct Client {
    reader: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { reader: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Sends a request and reads its answer, which must be 200.
    fn ask(&mut self, request: &str) -> Result<()> {
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        let mut status = None;
        loop {
            self.line.clear();
            ensure!(self.reader.read_line(&mut self.line)? > 0, "the service closed the connection");
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = Some(line.to_owned());
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.reader.read_exact(&mut self.body)?;
        let status = status.unwrap_or_default();
        ensure!(status.starts_with("HTTP/1.1 200"), "{status}: {}", String::from_utf8_lossy(&self.body));
        Ok(())
    }
}

/// The running binary.
struct Service {
    process: Child,
    log: PathBuf,
}

impl Service {
    fn start(configuration: &Path, log: PathBuf) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(configuration).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        Ok(Self { process: command.spawn()?, log })
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> Result<()> {
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = Client::connect(address).and_then(|mut client| client.ask(&request)) {
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(status) = self.process.try_wait()? {
                bail!("the service ended with {status}:\n{}", log());
            }
            ensure!(Instant::now() < deadline, "not ready within 30 s: {error:#}\n{}", log());
            thread::park_timeout(Duration::from_micros(200));
        }
        Ok(())
    }

    /// The memory that it really holds.
    fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc tells the resident memory")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing is kept that an orderly end would save.
        let _: io::Result<()> = self.process.kill();
        let _: io::Result<std::process::ExitStatus> = self.process.wait();
    }
}
