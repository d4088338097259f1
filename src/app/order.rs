//! Reloads that somebody asks for: the order, who carries it out, and what came of it.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::App;
use super::comparison::Comparison;
use super::status::HeldStatus;

/// So many may wait; each reads every file.
const MOST_WAITING: usize = 8;

/// An order to reload.
#[derive(Debug)]
pub struct ReloadOrder {
    /// The digest of the rules that may be used although they widen.
    pub accept: Option<String>,
    /// Who waits for what comes of it.
    pub answer: oneshot::Sender<ReloadReport>,
}

/// What came of a reload.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReloadReport {
    /// In one word.
    pub outcome: ReloadOutcome,
    /// The generation that runs.
    pub generation: u64,
    /// How the new rules differ from the former ones; `None` where there are no new ones.
    pub comparison: Option<Comparison>,
    /// What is held back.
    pub held: Option<HeldStatus>,
    /// Errors and warnings, as they are printed.
    pub findings: Vec<String>,
    /// Settings that only a restart brings.
    pub needs_restart: Vec<String>,
}

/// What came of a reload, in one word.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ReloadOutcome {
    /// The next generation runs.
    Loaded,
    /// Nothing had changed.
    Unchanged,
    /// The new rules widen, and wait.
    Held,
    /// Something is wrong; what ran goes on running.
    Refused,
}

impl App {
    /// The orders from now on. Whoever calls carries them out.
    pub fn take_orders(&self) -> mpsc::Receiver<ReloadOrder> {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        self.orders.store(Some(sender.into()));
        receiver
    }

    /// Reloads, and waits for what comes of it. `None` where nobody carries out orders: the service ends, or too many wait.
    pub async fn reload(&self, accept: Option<String>) -> Option<ReloadReport> {
        let (answer, report) = oneshot::channel();
        self.orders.load_full()?.try_send(ReloadOrder { accept, answer }).ok()?;
        report.await.ok()
    }
}
