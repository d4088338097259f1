//! A network namespace with one address that the tests reach: for servers whose ports are fixed, and for packets that get lost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::require;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace. Ends with its value, and whatever runs in it.
pub(crate) struct Namespace {
    name: String,
    outside: String,
    address: String,
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
            let lab = Self {
                name: format!("narrows-{process}-{number}"),
                outside: format!("nw{:x}", process.wrapping_mul(64).wrapping_add(number)),
                address: format!("10.231.{third}.{}", fourth + 2),
            };
            if lab.set_up(&format!("10.231.{third}.{}", fourth + 1)) {
                return Some(lab);
            }
        }
        panic!("no network namespace can be made");
    }

    fn set_up(&self, outside_address: &str) -> bool {
        let (name, outside) = (self.name.as_str(), self.outside.as_str());
        let taken = Command::new("ip").args(["-o", "addr"]).output().unwrap();
        if String::from_utf8_lossy(&taken.stdout).contains(&format!(" {outside_address}/")) {
            return false;
        }
        ip(&["netns", "add", name])
            && ip(&["link", "add", outside, "type", "veth", "peer", "name", "inside", "netns", name])
            && ip(&["addr", "add", &format!("{outside_address}/30"), "dev", outside])
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

    /// From now on packets that come in are dropped without a word.
    pub(crate) fn lose_packets(&self) {
        self.iptables("-A");
    }

    /// They arrive again.
    pub(crate) fn find_packets(&self) {
        self.iptables("-D");
    }

    fn iptables(&self, change: &str) {
        let status = self.command("iptables").args(["-w", change, "INPUT", "-i", "inside", "-j", "DROP"]).status().unwrap();
        assert!(status.success(), "iptables {change}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
        let _ = ip(&["link", "del", &self.outside]);
    }
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
