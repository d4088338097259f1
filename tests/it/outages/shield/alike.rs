//! The same requests for names of every kind: whoever asks cannot tell one from another, and each runs out at the same request.

use std::fmt::Write;

use reqwest::header::RETRY_AFTER;

use super::from;
use crate::outages::lab::{Answer, Lab, Plan};

/// Requests: the last number of the address, and which password.
const SEQUENCES: [&[(u8, u8)]; 4] = [
    // One source, always another password.
    &[(10, 0), (10, 1), (10, 2), (10, 3), (10, 4), (10, 5), (10, 6), (10, 7)],
    // A machine that repeats one, and then somebody who guesses.
    &[(11, 0), (11, 0), (11, 0), (11, 0), (12, 1), (12, 2), (11, 0), (12, 3)],
    // Two that know nothing of each other, and one password of both.
    &[(13, 0), (14, 0), (13, 1), (14, 2), (14, 3), (13, 4), (15, 0)],
    // Forms of one name.
    &[(16, 0), (16, 1), (17, 1), (17, 0), (18, 2), (18, 3)],
];

/// Kinds of names at the directory; `{}` is the sequence.
const KINDS: [&str; 5] = ["nobody{}", "known{}", "locked{}", "double{}", "change{}"];

fn seed(lab: &Lab) {
    let mut ldif = "dn: cn=default,ou=policies,dc=example,dc=org\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 4\n\n\
                    dn: ou=other,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: organizationalUnit\nou: other\n\n"
        .to_owned();
    for number in 0..SEQUENCES.len() {
        for (name, place, more) in [
            ("known", "", ""),
            ("locked", "", "pwdAccountLockedTime: 000001010000Z\n"),
            ("double", "", ""),
            ("double", "ou=other,", ""),
            ("change", "", "pwdReset: TRUE\npwdPolicySubentry: cn=must-change,ou=policies,dc=example,dc=org\n"),
        ] {
            write!(
                ldif,
                "dn: uid={name}{number},{place}ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\n\
                 uid: {name}{number}\ncn: x\nsn: x\nuserPassword: secret\n{more}\n"
            )
            .unwrap();
        }
    }
    lab.slapd.modify(&ldif);
}

/// What a client sees, but for the time and the request's number.
fn seen(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let shown = |name: &str| !matches!(name, "date" | "x-request-id" | "retry-after");
    let headers = answer.headers.iter().filter(|(name, _)| shown(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.body.to_string(), headers.collect())
}

fn wait(answer: &Answer) -> u32 {
    answer.headers.get(RETRY_AFTER).map_or(0, |wait| wait.to_str().unwrap().parse().unwrap())
}

async fn run(lab: &Lab, sequence: usize, name: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (number, (source, password)) in SEQUENCES[sequence].iter().enumerate() {
        // The last sequence writes the name in other letters every time.
        let typed = if sequence == 3 && number % 2 == 1 { name.to_uppercase() } else { name.to_owned() };
        answers.push(from(lab, *source, (&typed, &format!("guess {password}"))).await);
    }
    answers
}

async fn compare(lab: &Lab, names: &[&str]) {
    for sequence in 0..SEQUENCES.len() {
        let names: Vec<String> = names.iter().map(|name| name.replace("{}", &sequence.to_string())).collect();
        let all = futures_util::future::join_all(names.iter().map(|name| run(lab, sequence, name))).await;
        let (first, others) = all.split_first().unwrap();
        for (name, answers) in names.iter().skip(1).zip(others) {
            for (number, (expected, answer)) in first.iter().zip(answers).enumerate() {
                assert_eq!(seen(expected), seen(answer), "request {number} of sequence {sequence}: {} and {name}", names[0]);
                // They were not asked in the same second.
                assert!(wait(expected).abs_diff(wait(answer)) <= 5, "{expected:?} {answer:?}");
            }
        }
        let statuses: Vec<u16> = first.iter().map(|answer| answer.status).collect();
        eprintln!("measured: sequence {sequence} of {names:?}: {statuses:?}");
        assert_eq!(statuses[0], 401);
    }
}

#[tokio::test]
async fn names_at_a_directory_cannot_be_told_apart() {
    let plan = Plan { top: "throttle: {failures: 3, comparisons_per_source: 6, rejection_floor: 50ms}", ..Plan::default() };
    let Some(lab) = Lab::start(plan).await else { return };
    seed(&lab);
    compare(&lab, &KINDS).await;
}

#[tokio::test]
async fn names_that_are_bound_unseen_cannot_be_told_apart() {
    let plan = Plan { top: "throttle: {failures: 3, comparisons_per_source: 6, rejection_floor: 50ms}", ..Plan::default() };
    let Some(lab) = Lab::start(plan).await else { return };
    seed(&lab);
    let site = lab.bridge.site();
    let written = std::fs::read_to_string(site.configuration()).unwrap();
    let changed =
        written.replace("user: {bases:", "user: {bind: template, template: \"uid={username},ou=people,dc=example,dc=org\", bases:");
    assert_ne!(written, changed);
    site.write("narrows.yaml", &changed);
    let lab = lab.crash().await;
    compare(&lab, &["nobody{}", "known{}", "locked{}", "change{}"]).await;
}

#[tokio::test]
async fn names_of_a_file_cannot_be_told_apart() {
    let plan = Plan { top: "throttle: {comparisons_per_source: 3, rejection_floor: 50ms}", ..Plan::default() };
    let Some(lab) = Lab::start(plan).await else { return };
    let site = lab.bridge.site();
    let users = std::fs::read_to_string(site.folder().join("users.yaml")).unwrap();
    let (_, hash) = users.split_once("password: [").unwrap();
    let (hash, _) = hash.split_once(']').unwrap();
    let mut users = "users:\n".to_owned();
    for number in 0..SEQUENCES.len() {
        writeln!(users, "  - {{name: robot-known{number}, password: [{hash}]}}").unwrap();
        writeln!(users, "  - {{name: robot-disabled{number}, password: [{hash}], disabled: true}}").unwrap();
    }
    site.write("users.yaml", &users);
    let lab = lab.crash().await;
    compare(&lab, &["robot-nobody{}", "robot-known{}", "robot-disabled{}"]).await;
}
