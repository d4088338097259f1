//! `make bench`: what a decision costs per scope, and what loading ten thousand rules takes, for several kinds of rule files.
//!
//! Every decision is compared with the one that is right; a wrong one ends the run with an error, a slow one does not.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use narrows::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use narrows::authz::{Context, Policy, Realm, Realms};
use narrows::clock::Timestamp;
use narrows::registry::{ActionSet, ResourceScope, ScopeRequest};
use narrows::source::SourceFile;

/// How many samples a median is made of, and how long each lasts at least.
const SAMPLES: usize = 31;
const SAMPLE: Duration = Duration::from_millis(2);
/// How often a file is loaded, each time in a process of its own.
const LOADS: usize = 5;
/// Tells a process that it is one of them.
const LOAD: &str = "--load";

/// One kind of rule file: what each of its rules says, and what somebody gets by them.
struct Mix {
    name: &'static str,
    /// The rule of this number.
    rule: fn(usize) -> String,
    /// How many rules in a row are about one number.
    about_one: usize,
    /// Scopes and what is granted of them to `somebody`, whatever the number of groups; `LAST` is the last number.
    asked: [(&'static str, &'static str); 3],
}

const MIXES: [Mix; 6] = [
    Mix {
        name: "teams by group",
        rule: team,
        about_one: 1,
        asked: [("t2/api:pull,push", "pull,push"), ("t4/web/ui:pull,push,delete", "pull,push"), ("tLAST/api:pull,push", "")],
    },
    Mix {
        name: "teams by capture",
        rule: capture,
        about_one: 1,
        asked: [("t2/api:pull,push", "pull,push"), ("d4/ops/web/ui:pull,push", "pull,push"), ("dLAST/dev/api:pull,push", "")],
    },
    Mix {
        name: "people and robots",
        rule: person,
        about_one: 1,
        asked: [
            ("users/alice/app:pull,push,delete", "pull,push,delete"),
            ("users/bob/app:pull,push", ""),
            ("base/linux:pull,push", "pull"),
        ],
    },
    Mix {
        name: "production",
        rule: production,
        about_one: 2,
        asked: [("prod/t4/api:pull,push", "pull,push"), ("prod/t3/api:pull,push", "pull"), ("prod/tLAST/api:pull,push", "")],
    },
    Mix {
        name: "one first segment",
        rule: shared_segment,
        about_one: 1,
        asked: [("corp/team2/api:pull,push", "pull,push"), ("corp/team4/web/ui:pull,push", "pull,push"), ("corp/teamLAST/api:pull", "")],
    },
    Mix {
        name: "all of these",
        rule: mixed,
        about_one: 5,
        asked: [("t2/api:pull,push", "pull,push"), ("prod/t3/api:pull,push", "pull"), ("corp/teamLAST/api:pull,push", "")],
    },
];

fn team(number: usize) -> String {
    format!("  - name: team {number}\n    to: {{group: registry-t{number}}}\n    allow: contributor\n    repository: t{number}/**\n")
}

fn capture(number: usize) -> String {
    match number {
        0 => "  - name: teams\n    to: {group: \"registry-{team}\"}\n    allow: contributor\n    repository: \"{team}/**\"\n".to_owned(),
        _ => format!(
            "  - name: teams of {number}\n    to: {{group: \"d{number}-{{team}}\"}}\n    allow: contributor\n    \
             repository: \"d{number}/{{team}}/**\"\n"
        ),
    }
}

fn person(number: usize) -> String {
    match number {
        0 => "  - name: own\n    to: authenticated\n    allow: owner\n    repository: \"users/{user}/**\"\n".to_owned(),
        1 => "  - name: base images\n    to: anyone\n    allow: viewer\n    repository: base/**\n".to_owned(),
        _ => format!(
            "  - name: robot {number}\n    to: {{user: [robot-{number}, spare-{number}]}}\n    allow: [pull, push]\n    \
             repository: [robots/r{number}/**, base/r{number}/*]\n"
        ),
    }
}

fn production(number: usize) -> String {
    let team = number / 2;
    match number % 2 {
        0 => {
            format!("  - name: production {team}\n    to: {{group: registry-t{team}}}\n    allow: owner\n    repository: prod/t{team}/**\n")
        }
        _ => format!(
            "  - name: releases {team}\n    to: anyone\n    deny: [push, delete]\n    repository: prod/t{team}/**\n    \
             except: [{{group: releasers-t{team}}}, {{user: breakglass}}]\n"
        ),
    }
}

fn shared_segment(number: usize) -> String {
    format!(
        "  - name: team {number} of the company\n    to: [{{group: registry-t{number}}}, {{user: robot-{number}}}]\n    \
         allow: contributor\n    repository: corp/team{number}/**\n"
    )
}

fn mixed(number: usize) -> String {
    let part = number / 5;
    match number % 5 {
        0 => team(part),
        // The first capture would cover the teams.
        1 => capture(part + 1),
        2 => person(part),
        3 => shared_segment(part),
        _ => production(part),
    }
}

impl Mix {
    fn text(&self, count: usize) -> String {
        let mut text = "version: 1\nrealm: corp\nreserved: [base, corp, prod, robots, users]\nrules:\n".to_owned();
        for number in 0..count {
            text.push_str(&(self.rule)(number));
        }
        text
    }

    fn asked(&self, count: usize) -> Result<(Vec<ResourceScope>, Vec<ActionSet>)> {
        let last = ((count - 1) / self.about_one).to_string();
        let read = |what: &str, actions: &str| -> Result<ResourceScope> {
            let text = format!("repository:{}:{actions}", what.replace("LAST", &last));
            ScopeRequest::parse([text.as_str()])?.scopes.pop().with_context(|| text)
        };
        let mut scopes = Vec::new();
        let mut expected = Vec::new();
        for (scope, granted) in self.asked {
            let (name, actions) = scope.split_once(':').context("a name and its actions")?;
            scopes.push(read(name, actions)?);
            expected.push(if granted.is_empty() { ActionSet::EMPTY } else { read(name, granted)?.actions });
        }
        Ok((scopes, expected))
    }
}

/// Alice with so many groups, most of which some rule of a long file is for.
fn somebody(groups: usize) -> Principal {
    let group = |index: usize| match (index % 3, index / 3) {
        (0, team) => format!("registry-t{team}"),
        (1, part) => format!("d{part}-ops"),
        (_, team) => format!("releasers-t{}", 2 * team),
    };
    Principal::Identified(Arc::new(Identity {
        realm: "corp".into(),
        provider: "staff".into(),
        id: "1".to_owned(),
        username: "alice".to_owned(),
        groups: (0..groups).map(|index| Group::named(group(index))).collect(),
        kind: Kind::Person,
        method: Method::Password,
        proven: Timestamp(0),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    }))
}

fn realms() -> Realms {
    Realms(vec![Realm { name: "corp".into(), ignore_case: true, providers: vec!["staff".into()], ..Realm::default() }])
}

fn compile(file: &SourceFile) -> Result<Policy> {
    Policy::compile(file, &realms()).map(|(policy, _)| policy).map_err(|findings| anyhow!("{findings}"))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(LOAD) {
        return load(Path::new(&arguments.next().context("a rule file")?));
    }
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !first.into_iter().chain(arguments).any(|argument| argument == "--bench") {
        return Ok(());
    }
    for (groups, count) in [(30, 100), (30, 10_000), (1000, 10_000)] {
        for mix in &MIXES {
            let microseconds = decide(mix, groups, count)?;
            let name = format!("decide, {groups} groups, {count} rules: {}", mix.name);
            writeln!(io::stdout(), "{name:<56} {microseconds:>10.2} µs/scope")?;
        }
    }
    let folder = tempfile::tempdir()?;
    for mix in &MIXES {
        let path = folder.path().join("rules.yaml");
        fs::write(&path, mix.text(10_000))?;
        let (milliseconds, mib) = load_elsewhere(&path)?;
        writeln!(io::stdout(), "{:<56} {milliseconds:>10.1} ms", format!("load 10000 rules: {}", mix.name))?;
        writeln!(io::stdout(), "{:<56} {mib:>10.1} MiB", format!("peak memory above idle: {}", mix.name))?;
    }
    Ok(())
}

/// Microseconds for a scope, the median of many samples.
fn decide(mix: &Mix, groups: usize, count: usize) -> Result<f64> {
    let policy = compile(&SourceFile::new("rules.yaml", mix.text(count)))?;
    let (principal, (scopes, expected)) = (somebody(groups), mix.asked(count)?);
    let context = Context { service: "registry.test", now: Timestamp(1), source: None };
    let right = || {
        let decision = policy.decide(black_box(&principal), black_box(&scopes), &context);
        decision.grants.iter().map(|grant| grant.granted).eq(expected.iter().copied())
    };
    let first = policy.decide(&principal, &scopes, &context);
    ensure!(right(), "wrong: {}, {groups} groups, {count} rules: {first:#?}", mix.name);
    // As many decisions as a sample needs, which also warms everything up.
    let (mut repeats, mut took) = (1_u32, Duration::ZERO);
    while took < SAMPLE {
        repeats *= 2;
        took = sample(repeats, right)?;
    }
    let samples = (0..SAMPLES).map(|_| sample(repeats, right)).collect::<Result<Vec<_>>>()?;
    let scopes = f64::from(repeats) * f64::from(u32::try_from(scopes.len())?);
    Ok(median(samples.into_iter().map(|sample| sample.as_secs_f64() * 1e6 / scopes)))
}

fn sample(repeats: u32, right: impl Fn() -> bool) -> Result<Duration> {
    let started = Instant::now();
    let wrong = (0..repeats).filter(|_| !right()).count();
    let took = started.elapsed();
    ensure!(wrong == 0, "{wrong} decisions of {repeats} were wrong");
    Ok(took)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Milliseconds and MiB for loading a file, the medians of several processes.
fn load_elsewhere(path: &Path) -> Result<(f64, f64)> {
    let program = std::env::current_exe()?;
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        let output = Command::new(&program).arg(LOAD).arg(path).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "loading failed: {}", String::from_utf8_lossy(&output.stderr));
        let (milliseconds, mib) = text.trim().split_once(' ').context("two figures")?;
        loads.push((milliseconds.parse::<f64>()?, mib.parse::<f64>()?));
    }
    Ok((median(loads.iter().map(|load| load.0)), median(loads.iter().map(|load| load.1))))
}

/// Reads and compiles a file; prints the milliseconds that took and by how many MiB memory rose meanwhile.
fn load(path: &Path) -> Result<()> {
    let idle = memory_kib("VmRSS:")?;
    let started = Instant::now();
    let file = SourceFile::load(path).map_err(|finding| anyhow!("{finding}"))?;
    let policy = compile(&file)?;
    let took = started.elapsed();
    let peak = memory_kib("VmHWM:")?;
    ensure!(policy.rule_count() == 10_000, "{} rules", policy.rule_count());
    let mut line = String::new();
    writeln!(line, "{} {}", took.as_secs_f64() * 1e3, (peak - idle) / 1024.0)?;
    Ok(io::stdout().write_all(line.as_bytes())?)
}

/// A figure of this process: `VmRSS:` is what it holds, `VmHWM:` the most that it ever held.
fn memory_kib(name: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("/proc tells the memory of a process")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
