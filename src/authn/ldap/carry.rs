//! The task between ldap3 and the directory. It knows what was asked, so that nothing else reaches ldap3, and it bounds what
//! may pile up there: ldap3's queues have no end of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ber::{BerError, Elements, unsigned};
use super::frame::{self, FrameError, MAX_ANSWER, MAX_MESSAGE, Message};

/// More entries than this of one search say that the configuration is wrong.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Nor may one search weigh more than this.
pub(super) const MAX_SEARCH: usize = 4 * 1024 * 1024;
/// All unfinished searches of a connection together.
const MAX_CONNECTION: usize = 6 * 1024 * 1024;
/// What ldap3 makes of one element takes about so much more than its bytes.
const ELEMENT_WEIGHT: usize = 80;
/// So many answers that nobody asked for may come in a row; an abandoned search may leave some.
const MAX_STRAY: usize = 20_000;
/// What a search is told that grew too large.
pub(super) const CUT: &str = "narrows: too large";

/// Why a connection ended, told by the task that carries it; and when it brought something last.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    reason: watch::Receiver<Option<String>>,
    brought: Arc<Brought>,
}

/// The time of the last message.
#[derive(Debug)]
struct Brought {
    began: Instant,
    milliseconds: AtomicU64,
}

/// Who tells of the end.
#[derive(Debug)]
pub(super) struct Teller {
    reason: watch::Sender<Option<String>>,
    brought: Arc<Brought>,
}

impl Ending {
    /// Both ends of the telling.
    pub(super) fn new() -> (Teller, Self) {
        let (sender, reason) = watch::channel(None);
        let brought = Arc::new(Brought { began: Instant::now(), milliseconds: AtomicU64::new(0) });
        (Teller { reason: sender, brought: Arc::clone(&brought) }, Self { reason, brought })
    }

    /// The reason, if the connection ended.
    pub(super) fn reason(&self) -> Option<String> {
        let ended = self.reason.has_changed().is_err();
        self.reason.borrow().clone().or_else(|| ended.then(|| "the connection ended".to_owned()))
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) {
        let mut reason = self.reason.clone();
        // An error is an end too: who would tell is gone.
        let _ = reason.wait_for(Option::is_some).await;
    }

    /// Whether the directory has sent nothing since then.
    pub(super) fn is_silent_since(&self, then: Instant) -> bool {
        self.brought.milliseconds.load(Ordering::Relaxed) < self.brought.until(then)
    }
}

impl Brought {
    fn until(&self, then: Instant) -> u64 {
        u64::try_from(then.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What was asked and is not answered to its end.
#[derive(Debug, Default)]
struct Ledger {
    open: HashMap<u32, Open>,
    weight: usize,
    stray: usize,
}

#[derive(Debug, Default)]
struct Open {
    kind: Kind,
    weight: usize,
    entries: usize,
    /// It grew too large, ldap3 was told that it ended, and the rest of it is dropped.
    cut: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Search,
    Bind,
    Extended,
}

/// What becomes of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Forward,
    Drop,
    /// The search ends here for ldap3.
    Cut,
}

impl Ledger {
    /// Notes a request of ldap3.
    fn asked(&mut self, request: &[u8]) -> Result<(), BerError> {
        let mut parts = Elements::of(Elements::of(request).expect(0x30)?);
        let id = unsigned(parts.expect(0x02)?)?;
        let operation = parts.element()?;
        let kind = match operation.tag {
            0x60 => Kind::Bind,
            0x63 => Kind::Search,
            0x77 => Kind::Extended,
            // Abandon.
            0x50 => {
                self.forget(unsigned(operation.content)?);
                return Ok(());
            }
            // Unbind, and nothing else is sent.
            _ => return Ok(()),
        };
        self.open.insert(id, Open { kind, ..Open::default() });
        Ok(())
    }

    fn forget(&mut self, id: u32) {
        if let Some(open) = self.open.remove(&id) {
            self.weight = self.weight.saturating_sub(open.weight);
        }
    }

    /// How large the next message may be.
    fn largest(&self) -> usize {
        if self.open.values().any(|open| open.kind == Kind::Search) { MAX_MESSAGE } else { MAX_ANSWER }
    }

    /// What becomes of an answer; an error ends the connection.
    fn answered(&mut self, message: &Message) -> Result<Fate, String> {
        if message.id == 0 {
            return Err("the directory announced that it closes the connection".to_owned());
        }
        let Some(open) = self.open.get_mut(&message.id) else {
            self.stray += 1;
            return if self.stray > MAX_STRAY {
                Err("the directory sends answers that nobody asked for".to_owned())
            } else {
                Ok(Fate::Drop)
            };
        };
        self.stray = 0;
        match (open.kind, message.tag) {
            (Kind::Bind, 0x61) | (Kind::Extended, 0x78) => {
                self.forget(message.id);
                Ok(Fate::Forward)
            }
            (Kind::Search, 0x65) => {
                let cut = open.cut;
                self.forget(message.id);
                Ok(if cut { Fate::Drop } else { Fate::Forward })
            }
            (Kind::Search, 0x64 | 0x73 | 0x79) if open.cut => {
                self.stray += 1;
                Ok(Fate::Drop)
            }
            (Kind::Search, 0x64 | 0x73 | 0x79) => {
                let weight = message.bytes.len() + message.elements * ELEMENT_WEIGHT;
                open.entries += 1;
                open.weight += weight;
                self.weight += weight;
                if open.entries > MAX_ENTRIES || open.weight > MAX_SEARCH {
                    open.cut = true;
                    self.weight = self.weight.saturating_sub(open.weight);
                    open.weight = 0;
                    return Ok(Fate::Cut);
                }
                if self.weight > MAX_CONNECTION {
                    return Err("the directory sends more than can be kept".to_owned());
                }
                Ok(Fate::Forward)
            }
            _ => Err("the directory answers another operation than was asked for".to_owned()),
        }
    }
}

/// The end of a search, as ldap3 reads it: `adminLimitExceeded`.
fn cut(id: u32) -> Vec<u8> {
    let [a, b, c, d] = id.to_be_bytes();
    let text = CUT.as_bytes();
    let length = |length: usize| u8::try_from(length).unwrap_or_default();
    let mut bytes =
        vec![0x30, length(text.len() + 15), 0x02, 0x04, a, b, c, d, 0x65, length(text.len() + 7), 0x0a, 0x01, 11, 0x04, 0x00, 0x04];
    bytes.push(length(text.len()));
    bytes.extend(text);
    bytes
}

/// Carries messages until either side ends.
pub(super) async fn carry(directory: impl AsyncRead + AsyncWrite, client: UnixStream, teller: Teller) {
    let ledger = Mutex::new(Ledger::default());
    let (from_directory, mut to_directory) = tokio::io::split(directory);
    let (from_client, mut to_client) = client.into_split();
    let mut from_directory = BufReader::new(Box::pin(from_directory));
    let mut from_client = BufReader::new(from_client);
    let answers = async {
        loop {
            let message = match frame::read(&mut from_directory, || locked(&ledger).largest()).await {
                Ok(message) => message,
                Err(error) => return error.to_string(),
            };
            teller.brought.milliseconds.store(teller.brought.until(Instant::now()), Ordering::Relaxed);
            let fate = locked(&ledger).answered(&message);
            let written = match fate {
                Ok(Fate::Forward) => to_client.write_all(&message.bytes).await,
                Ok(Fate::Cut) => to_client.write_all(&cut(message.id)).await,
                Ok(Fate::Drop) => Ok(()),
                Err(reason) => return reason,
            };
            if let Err(error) = written {
                return error.to_string();
            }
        }
    };
    let requests = async {
        loop {
            let request = match frame::read_whole(&mut from_client, || MAX_MESSAGE).await {
                Ok(request) => request,
                Err(FrameError::Closed) => return "closed".to_owned(),
                Err(error) => return format!("a request cannot be read: {error}"),
            };
            if let Err(error) = locked(&ledger).asked(&request) {
                return format!("a request cannot be read: {error}");
            }
            // Zeroed where they hold passwords: ldap3's own copies are not ours to zero.
            let request = zeroize::Zeroizing::new(request);
            let sent = async {
                to_directory.write_all(&request).await?;
                to_directory.flush().await
            };
            if let Err(error) = sent.await {
                return error.to_string();
            }
        }
    };
    let reason = tokio::select! {
        reason = answers => reason,
        reason = requests => reason,
    };
    // Set before the sockets are dropped, so that whoever sees the end can read why.
    teller.reason.send_replace(Some(reason));
}

fn locked(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u8, tag: u8) -> Vec<u8> {
        vec![0x30, 0x05, 0x02, 0x01, id, tag, 0x00]
    }

    fn answer(id: u32, tag: u8, length: usize) -> Message {
        Message { bytes: vec![0; length], id, tag, elements: 4 }
    }

    #[test]
    fn only_answers_to_what_was_asked_reach_ldap3() {
        let mut ledger = Ledger::default();
        ledger.asked(&request(1, 0x60)).unwrap();
        ledger.asked(&request(2, 0x63)).unwrap();
        assert_eq!(ledger.answered(&answer(3, 0x64, 10)), Ok(Fate::Drop));
        assert_eq!(ledger.answered(&answer(2, 0x64, 10)), Ok(Fate::Forward));
        assert_eq!(ledger.answered(&answer(1, 0x61, 10)), Ok(Fate::Forward));
        // The second answer to one bind is nobody's.
        assert_eq!(ledger.answered(&answer(1, 0x61, 10)), Ok(Fate::Drop));
        assert!(ledger.answered(&answer(2, 0x61, 10)).is_err());
        assert!(ledger.answered(&answer(0, 0x78, 10)).is_err());
        assert_eq!(ledger.answered(&answer(2, 0x65, 10)), Ok(Fate::Forward));
        assert_eq!((ledger.open.len(), ledger.weight), (0, 0));
        for _ in 0..MAX_STRAY {
            let _ = ledger.answered(&answer(7, 0x64, 10));
        }
        assert!(ledger.answered(&answer(7, 0x64, 10)).is_err());
    }

    #[test]
    fn an_abandoned_search_is_nobodys() {
        let mut ledger = Ledger::default();
        ledger.asked(&request(2, 0x63)).unwrap();
        assert_eq!(ledger.answered(&answer(2, 0x64, 1000)), Ok(Fate::Forward));
        ledger.asked(b"\x30\x06\x02\x01\x03\x50\x01\x02").unwrap();
        assert_eq!((ledger.answered(&answer(2, 0x65, 10)), ledger.weight), (Ok(Fate::Drop), 0));
    }

    #[test]
    fn a_search_ends_where_it_grows_too_large_and_the_others_go_on() {
        let mut ledger = Ledger::default();
        for id in 1..=4 {
            ledger.asked(&request(id, 0x63)).unwrap();
        }
        assert_eq!(ledger.largest(), MAX_MESSAGE);
        assert_eq!(ledger.answered(&answer(1, 0x64, MAX_SEARCH)), Ok(Fate::Cut));
        assert_eq!(ledger.answered(&answer(1, 0x64, 10)), Ok(Fate::Drop));
        assert_eq!(ledger.answered(&answer(2, 0x64, 10)), Ok(Fate::Forward));
        assert_eq!(ledger.answered(&answer(1, 0x65, 10)), Ok(Fate::Drop));
        for _ in 0..MAX_ENTRIES {
            assert_eq!(ledger.answered(&answer(3, 0x64, 10)), Ok(Fate::Forward));
        }
        assert_eq!(ledger.answered(&answer(3, 0x64, 10)), Ok(Fate::Cut));
        assert_eq!(ledger.answered(&answer(2, 0x64, MAX_SEARCH - 1000)), Ok(Fate::Forward));
        assert!(ledger.answered(&answer(4, 0x64, MAX_SEARCH - 1000)).is_err());
        ledger.open.clear();
        assert_eq!(ledger.largest(), MAX_ANSWER);
    }

    #[tokio::test]
    async fn a_cut_is_a_message_that_the_guard_itself_would_admit() {
        let message = frame::read(&mut cut(70_000).as_slice(), || MAX_ANSWER).await.unwrap();
        assert_eq!((message.id, message.tag), (70_000, 0x65));
    }
}
