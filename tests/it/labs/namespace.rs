//! A network namespace with one address that the tests reach: for servers whose ports are fixed, and for packets that get lost.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::require;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Removes a namespace with all that runs in it when its own standard input closes: a pipe of the test process, as
/// values in a `static` are never dropped.
const KEEPER: &str = r#"
read -r _
for process in $(ip netns pids "$1"); do kill -KILL "$process"; done
ip -n "$1" link del inside
ip netns del "$1"
"#;

/// A namespace. Ends with its value or with the test process, whichever comes first, and whatever runs in it.
pub(crate) struct Namespace {
    name: String,
    address: String,
    keeper: Child,
    life_line: Option<ChildStdin>,
}

impl Namespace {
    /// Makes one; `None` where this may not be done.
    pub(crate) fn make() -> Option<Self> {
        if !require::available("network namespaces (root, package iproute2)", allowed()) {
            return None;
        }
        sweep();
        let process = std::process::id();
        for _ in 0..50 {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            // Two addresses of a network that is nobody else's here.
            let net = process.wrapping_mul(61).wrapping_add(number) % (64 * 256);
            let (third, fourth) = (net / 64, net % 64 * 4);
            let (name, outside) = (format!("narrows-{process}-{number}"), format!("nw{:x}", process.wrapping_mul(64).wrapping_add(number)));
            let (near, address) = (format!("10.231.{third}.{}", fourth + 1), format!("10.231.{third}.{}", fourth + 2));
            if is_taken(&near) {
                continue;
            }
            // Before there is anything to keep: a run that is killed halfway leaves nothing either.
            let lab = Self::kept(name, address);
            if lab.set_up(&outside, &near) {
                return Some(lab);
            }
        }
        panic!("no network namespace can be made");
    }

    fn kept(name: String, address: String) -> Self {
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal reaches the test process alone; the closed pipe then ends the rest in order.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let life_line = keeper.stdin.take();
        Self { name, address, keeper, life_line }
    }

    fn set_up(&self, outside: &str, near: &str) -> bool {
        let name = self.name.as_str();
        ip(&["netns", "add", name])
            && ip(&["link", "add", outside, "type", "veth", "peer", "name", "inside", "netns", name])
            && ip(&["addr", "add", &format!("{near}/30"), "dev", outside])
            && ip(&["link", "set", outside, "up"])
            && ip(&["-n", name, "addr", "add", &format!("{}/30", self.address), "dev", "inside"])
            && ip(&["-n", name, "link", "set", "inside", "up"])
            && ip(&["-n", name, "link", "set", "lo", "up"])
    }

    /// The address at which what runs inside is reached.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A command that will run inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// The program and the arguments before an own one, for what starts commands by itself.
    pub(crate) fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// From now on packets are dropped without a word, in and out.
    pub(crate) fn lose_packets(&self) {
        self.iptables(&["-A", "INPUT", "-i", "inside", "-j", "DROP"]);
        self.iptables(&["-A", "OUTPUT", "-o", "inside", "-j", "DROP"]);
    }

    /// The same for the TCP connections that stand now, as with a firewall that has forgotten them: new ones work.
    pub(crate) fn lose_connections(&self) {
        let listed = self.command("ss").args(["-Htn", "state", "established"]).output().unwrap();
        assert!(listed.status.success(), "ss: {}", String::from_utf8_lossy(&listed.stderr));
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let peer = line.split_whitespace().last().and_then(|peer| peer.rsplit_once(':'));
            let (_, port) = peer.unwrap_or_else(|| panic!("ss wrote: {line}"));
            self.iptables(&["-A", "INPUT", "-i", "inside", "-p", "tcp", "--sport", port, "-j", "DROP"]);
            self.iptables(&["-A", "OUTPUT", "-o", "inside", "-p", "tcp", "--dport", port, "-j", "DROP"]);
        }
    }

    /// All packets arrive again.
    pub(crate) fn find_packets(&self) {
        self.iptables(&["-F"]);
    }

    fn iptables(&self, arguments: &[&str]) {
        let status = self.command("iptables").arg("-w").args(arguments).status().unwrap();
        assert!(status.success(), "iptables {arguments:?}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.life_line.take());
        if self.keeper.wait().is_err() {
            eprintln!("the keeper of {} could not be waited for", self.name);
        }
    }
}

fn is_taken(address: &str) -> bool {
    let known = Command::new("ip").args(["-o", "addr"]).output().unwrap();
    String::from_utf8_lossy(&known.stdout).contains(&format!(" {address}/"))
}

fn allowed() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    root && ip(&["netns", "list"])
}

/// Namespaces of test runs that were killed.
fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
    for name in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix("narrows-").and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            remove(name);
        }
    }
}

fn remove(name: &str) {
    if let Ok(inside) = Command::new("ip").args(["netns", "pids", name]).output() {
        for process in String::from_utf8_lossy(&inside.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", process]).stderr(Stdio::null()).status();
        }
    }
    let _ = ip(&["netns", "del", name]);
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
