//! `make bench`: tokens a second over HTTP from the real binary, its memory, and how long it takes to be ready.
//!
//! The clients run on the same machine and share its cores with the service, so the figures are a lower bound.

mod site;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use site::{Client, Service, ask_many, free_address, narrows, token_request};

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
        let request = token_request(address, name, "alice", PASSWORD);
        // The first one verifies the password; the rest is the path with a verified identity.
        let mut client = Client::connect(address)?;
        client.ask(&request)?;
        ensure!(client.body().contains("\"token\""), "no token: {}", client.body());
        let before = service.cpu()?;
        let seconds = ask_many(address, CONNECTIONS, count, |_| request.clone())?.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        let (rate, micros) = (count as f64 / seconds, service.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / count as f64);
        writeln!(out, "{algorithm}, {CONNECTIONS} connections      {rate:>9.0} tokens/s, {micros:.0} µs of own processor time each")?;
        writeln!(out, "resident after {count:>7}    {:>9.1} MiB", service.resident_mib()?)?;
    }
    Ok(())
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
