//! What benchmarks of the real binary share: its process, a client that keeps its connection, and many of them at once.

use std::borrow::Cow;
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

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Runs a command of narrows to its end.
pub(crate) fn narrows(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(PROGRAM).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "narrows {arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// A request for a token to push and pull `payments/api`.
pub(crate) fn token_request(address: SocketAddr, service: &str, username: &str, password: &str) -> String {
    format!(
        "GET /token?service={service}&scope=repository%3Apayments%2Fapi%3Apull%2Cpush&account={username} HTTP/1.1\r\n\
         Host: {address}\r\nAuthorization: Basic {}\r\n\r\n",
        data_encoding::BASE64.encode(format!("{username}:{password}").as_bytes()),
    )
}

/// Asks `count` times over so many connections, each time the request of that number; how long that took.
pub(crate) fn ask_many(
    address: SocketAddr,
    connections: usize,
    count: usize,
    request: impl Fn(usize) -> String + Sync,
) -> Result<Duration> {
    let asked = AtomicUsize::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut client = Client::connect(address)?;
                    loop {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok(());
                        }
                        client.ask(&request(number))?;
                    }
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    Ok(started.elapsed())
}

/// A connection that is kept open.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { reader: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// The last answer's body.
    pub(crate) fn body(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Sends a request and reads its answer, which must be 200.
    pub(crate) fn ask(&mut self, request: &str) -> Result<()> {
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
pub(crate) struct Service {
    process: Child,
    log: PathBuf,
}

impl Service {
    pub(crate) fn start(configuration: &Path, log: PathBuf) -> Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(configuration).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        Ok(Self { process: command.spawn()?, log })
    }

    pub(crate) fn wait_until_ready(&mut self, address: SocketAddr) -> Result<()> {
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

    /// The time that its own threads took on the processors so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name stands in brackets and may hold spaces; user and system time are the 14th and 15th field (proc(5)).
        let (_, fields) = stat.rsplit_once(") ").context("/proc tells the processor time")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// The memory that it really holds.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
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
