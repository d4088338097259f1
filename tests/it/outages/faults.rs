//! Every fault of the network between narrows and a directory, under load: answers in time, nobody wrongly in or out, and
//! people are served again soon after it is over.

use std::fs;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::lab::{AT_MOST, Answer, Lab, PAYMENTS, Plan, SERVICE};
use crate::labs::tap::Tap;
use crate::slapd::{Options, Slapd};

/// With the caches off every request asks the directory.
const NOTHING_REMEMBERED: &str = "credentials_cache: {verified: 0s, rejected: 0s}\nthrottle: {failures: 1000}";
/// People, and whether they may push to the group's namespace.
const PEOPLE: [(&str, bool); 3] = [("alice", true), ("victim", false), ("nomarker", false)];
/// Whose password is always typed wrong: the directory's policy does not lock this account.
const MISTYPED: &str = "grace";
const CLIENTS: usize = 12;
/// How long a fault lasts.
const LASTS: Duration = Duration::from_secs(3);
/// More than this is a leak.
const GROWTH: u64 = 32 * 1024;

/// What happens to the way.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Everything comes so many milliseconds later, in both directions.
    Late(u64),
    /// Nothing gets through, as when a cable is pulled.
    Held,
    /// The directory's end is closed.
    HalfClosed,
    /// Connections are reset, also new ones.
    Reset,
    /// Each connection ends after so many bytes of the directory, in the middle of a message.
    CutAfter(usize),
    /// What the directory sends arrives as something else.
    Garbled,
}

impl Fault {
    fn begin(self, tap: &Tap) {
        match self {
            Self::Late(milliseconds) => tap.delay(Duration::from_millis(milliseconds)),
            Self::Held => tap.hold(),
            Self::HalfClosed => tap.half_close_all(),
            Self::Reset => tap.reset_all(),
            // Those that stand have had theirs.
            Self::CutAfter(bytes) => {
                tap.cut_after(Some(bytes));
                tap.reset();
            }
            Self::Garbled => tap.garble(),
        }
    }
}

const FAULTS: [Fault; 8] = [
    Fault::Late(250),
    Fault::Held,
    Fault::HalfClosed,
    Fault::Reset,
    Fault::CutAfter(1),
    Fault::CutAfter(37),
    Fault::CutAfter(700),
    Fault::Garbled,
];

#[tokio::test]
async fn no_fault_over_ldaps_lets_anybody_wrongly_in_or_out() {
    faults(Plan { top: NOTHING_REMEMBERED, ..Plan::default() }).await;
}

#[tokio::test]
async fn no_fault_over_start_tls_lets_anybody_wrongly_in_or_out() {
    faults(Plan { top: NOTHING_REMEMBERED, start_tls: true, ..Plan::default() }).await;
}

/// Without TLS a garbled or cut answer reaches the guard, and not the TLS library.
#[tokio::test]
async fn no_fault_without_tls_lets_anybody_wrongly_in_or_out() {
    faults(Plan { top: NOTHING_REMEMBERED, start_tls: true, ldap: &["allow_plaintext: true"], ..Plan::default() }).await;
}

async fn faults(plan: Plan) {
    let Some(slapd) = Slapd::start(Options::default()).await else { return };
    let tap = Tap::start(&if plan.start_tls { slapd.url() } else { slapd.tls_url() }).await;
    let lab = Lab::of(Plan { port: Some(tap.port()), ..plan }, slapd).await;
    // What a first crowd needs stays.
    crowd(&lab, Instant::now() + Duration::from_millis(500)).await;
    let before = resident(&lab);
    for fault in FAULTS {
        fault.begin(&tap);
        let answers = crowd(&lab, Instant::now() + LASTS).await;
        let outages = answers.iter().filter(|answer| answer.status == 503).count();
        tap.mend();
        let again = lab.served_again(("alice", "secret")).await;
        let slowest = answers.iter().map(|answer| answer.took).max().unwrap_or_default();
        eprintln!(
            "measured: {fault:?}: {} answers, {outages} of them 503, the slowest after {slowest:?}; served again after {again:?}",
            answers.len()
        );
        if matches!(fault, Fault::Late(_)) {
            assert_eq!(outages, 0, "{fault:?} is slow and no outage; {}", lab.bridge.log());
        } else {
            assert!(outages > 0, "{fault:?} did nothing");
        }
        // Two connections that search, sixteen that bind.
        assert!(tap.open() <= 18, "{} connections are open after {fault:?}", tap.open());
    }
    assert!(tap.most() <= 40, "{} connections were open at a time", tap.most());
    let grown = resident(&lab).saturating_sub(before);
    eprintln!("measured: {grown} KiB more are resident after {} faults", FAULTS.len());
    assert!(grown <= GROWTH, "{grown} KiB more are resident");
}

/// Clients that ask until then; each answer is what it may be at any time.
async fn crowd(lab: &Lab, until: Instant) -> Vec<Answer> {
    let client = reqwest::Client::new();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, url) = (client.clone(), lab.bridge.url("/token"));
        clients.spawn(async move {
            let mut answers = Vec::new();
            let mut asked = 0;
            while answers.is_empty() || Instant::now() < until {
                let wrong = (number + asked) % 5 == 4;
                let (name, may_push) = if wrong { (MISTYPED, false) } else { PEOPLE[(number + asked) % PEOPLE.len()] };
                let password = if wrong { "wrong" } else { "secret" };
                asked += 1;
                let request = client.get(&url).query(&[("service", SERVICE), ("scope", PAYMENTS)]).basic_auth(name, Some(password));
                let answer = Answer::of(request).await;
                assert!(answer.took <= AT_MOST + Duration::from_millis(500), "{name}: {answer:?}");
                match answer.status {
                    200 => {
                        assert!(!wrong, "a wrong password of {name} was taken");
                        assert_eq!(answer.opens().len(), usize::from(may_push), "{name} got {answer:?}");
                    }
                    401 => assert!(wrong, "the right password of {name} was refused: {answer:?}"),
                    503 => answer.is_an_outage(),
                    _ => panic!("{name}: {answer:?}"),
                }
                answers.push(answer);
            }
            answers
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

/// KiB of the bridge that are resident.
fn resident(lab: &Lab) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", lab.bridge.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
