//! Configuration becomes the running parts here, and nowhere else. [`App`] is the only shared state.

mod candidate;
mod comparison;
mod order;
mod policy_tests;
mod sign_in;
mod status;

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use secrecy::SecretString;
use tokio::sync::mpsc;

pub use candidate::{Candidate, Reread};
pub use comparison::{ChangeKind, Comparison, Example};
pub use order::{ReloadOrder, ReloadOutcome, ReloadReport};
pub use policy_tests::check_policy_tests;
pub use status::{HeldStatus, KeyStatus, ProviderStatus, ReloadStatus, Status};

use crate::audit::Audit;
use crate::authn::throttle::Throttle;
use crate::authz::Rulebook;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::issue::{
    Caller, Client, CodeTexts, DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted, Issued, Issuer, Pauses,
    RETRY_AFTER, Refusal, TokenRequest, Who, WhoRequest,
};
use crate::metrics::{self, Exporter};
use crate::source::Diagnostics;
use crate::store::{StateKey, Store};
use crate::token::Keys;
use crate::token::identity_token::IdentityTokens;

/// The running service: what outlives a reload, and the generation that a reload replaces as a whole.
#[derive(Debug)]
pub struct App {
    issuer: ArcSwap<Issuer>,
    config: ArcSwap<Config>,
    reloads: ArcSwap<ReloadStatus>,
    orders: ArcSwapOption<mpsc::Sender<ReloadOrder>>,
    store: Store,
    keys: Arc<Keys>,
    exporter: Exporter,
    clock: Clock,
}

impl App {
    /// Opens the state, the keys and the audit, reads providers and rules, and asks nobody. Where the rule file is bad
    /// and the state holds the last good one, that one is used and [`App::status`] says so.
    pub async fn start(config: Config, clock: Clock, exporter: Exporter) -> anyhow::Result<Self> {
        let folder = config.folder().to_owned();
        let state_key = StateKey::open_or_create(&config.state.key_file(&folder)).context("cannot open the state key")?;
        let state = config.state.database(&folder);
        let store = Store::open(&state, &state_key).await.with_context(|| format!("cannot open `{}`", state.display()))?;
        let audit = Arc::new(Audit::open(&config.audit, &folder, &state_key).context("cannot open the audit")?);
        let keys = Arc::new(open_keys(&config, &store, &clock).await?);
        let identity_tokens = Arc::new(IdentityTokens::new(store.clone(), &state_key, config.identity_tokens.clone(), clock.clone()));
        let throttle = Throttle::remembering(store.clone(), &state_key, clock.clone()).await;
        let throttle = Arc::new(throttle.context("cannot read from the state which logins failed")?);
        let authenticator = candidate::authenticator(&config, throttle, &clock)?;
        let (rulebook, problem) = match candidate::rules(&config, clock.now()) {
            Ok(candidate::Rules { rulebook, .. }) => {
                store.keep_rules(&rulebook.to_kept()).await.context("cannot keep the rules in the state")?;
                (rulebook, None)
            }
            Err(findings) => (last_good(&store, &config, clock.now(), &findings).await?, Some(findings)),
        };
        let issuer = Issuer {
            generation: 1,
            services: candidate::services(&config),
            rulebook: Arc::new(rulebook),
            authenticator: Arc::new(authenticator),
            identity_tokens,
            rechecks: Arc::default(),
            keys: Arc::clone(&keys),
            audit,
            store: store.clone(),
            login_codes: Arc::new(CodeTexts::new(&state_key)),
            public_url: config.public_url.as_ref().map(|url| Arc::new(url.value.clone())),
            clock: clock.clone(),
            request_deadline: config.request_deadline.duration(),
            rejection_floor: config.throttle.rejection_floor.value.duration(),
        };
        metrics::generation(issuer.generation);
        metrics::reload_waits(problem.is_some(), false);
        let reloads = ReloadStatus::started(clock.now(), problem.as_ref());
        Ok(Self {
            issuer: ArcSwap::from_pointee(issuer),
            config: ArcSwap::from_pointee(config),
            reloads: ArcSwap::from_pointee(reloads),
            orders: ArcSwapOption::empty(),
            store,
            keys,
            exporter,
            clock,
        })
    }

    /// One token request, answered by the generation that runs when it comes. It is finished and written to the audit
    /// also when the client leaves.
    pub async fn issue(&self, request: TokenRequest) -> Result<Issued, Refusal> {
        let issuer = self.issuer.load_full();
        owned(async move { issuer.issue(request).await }).await
    }

    /// Who somebody is.
    pub async fn who(&self, request: WhoRequest) -> Result<Who, Refusal> {
        let issuer = self.issuer.load_full();
        owned(async move { issuer.who(request).await }).await
    }

    /// Ends an identity token; the token is its own proof (RFC 7009), and an unknown one is no error.
    pub async fn revoke(&self, caller: Caller, token: SecretString) -> Result<(), Refusal> {
        let issuer = self.issuer.load_full();
        owned(async move { issuer.revoke(&caller, &token).await }).await
    }

    /// Begins a device login of a credential helper.
    pub async fn start_device(&self, request: DeviceStartRequest) -> Result<DeviceStarted, DeviceRefusal> {
        let issuer = self.issuer.load_full();
        owned(async move { issuer.start_device(request).await }).await
    }

    /// Asks what became of one. A login that was approved is finished and written down also when the client leaves.
    pub async fn poll_device(&self, request: DevicePollRequest) -> Result<DeviceLogin, DeviceRefusal> {
        let issuer = self.issuer.load_full();
        owned(async move { issuer.poll_device(request).await }).await
    }

    /// A request that the edge refused before it meant anything.
    pub fn invalid(&self, id: &str, client: &Client, reason: &'static str) {
        let (issuer, id, client) = (self.issuer.load_full(), id.to_owned(), *client);
        tokio::spawn(async move { issuer.invalid(&id, &client, reason).await });
    }

    /// The registries.
    pub fn services(&self) -> Vec<String> {
        self.issuer.load().services.keys().cloned().collect()
    }

    /// The signing keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whose word on a client's address is taken.
    pub fn trusted_proxies(&self) -> Arc<[IpNet]> {
        Arc::clone(&self.config.load().trusted_proxies)
    }

    /// The counters, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        self.exporter.render()
    }

    /// The configuration that runs.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// How everything stands, for operators.
    pub fn status(&self) -> Status {
        Status::of(&self.issuer.load(), &self.reloads.load())
    }

    /// Reads again what `reread` names and builds the next generation beside the running one. Changes nothing.
    pub fn prepare(&self, reread: Reread) -> Result<Candidate, Diagnostics> {
        Candidate::read(reread, &self.config.load_full(), &self.issuer.load_full(), &self.clock)
    }

    /// What of a prepared generation can run under the rules that run; `None` where it is rules alone. Reads files.
    pub fn set_rules_aside(&self, candidate: Candidate) -> Result<Option<Candidate>, Diagnostics> {
        candidate.under_former_rules(&self.config.load_full(), &self.issuer.load_full(), &self.clock)
    }

    /// Makes the prepared generation the running one.
    pub async fn adopt(&self, candidate: Candidate) {
        self.adopt_beside(candidate, None).await;
    }

    /// The same, beside rules that are held back.
    pub async fn adopt_beside(&self, candidate: Candidate, held: Option<HeldStatus>) {
        let (before, status) = (self.issuer.load_full(), self.reloads.load_full());
        let same_rules = Arc::ptr_eq(&before.rulebook, &candidate.issuer.rulebook);
        if let Err(error) = self.store.keep_rules(&candidate.kept).await {
            tracing::warn!(error = %error, "the rules run, but could not be kept for the next start");
        }
        // A configuration that waits was not looked at by a reload of other files.
        let waiting = status.held.clone().filter(|held| held.configuration && !candidate.configuration);
        let loaded = ReloadStatus { last_good: status.last_good && same_rules, ..ReloadStatus::loaded(self.clock.now()) };
        let generation = candidate.issuer.generation;
        self.config.store(Arc::new(candidate.config));
        self.issuer.store(Arc::new(candidate.issuer));
        metrics::generation(generation);
        match held.or(waiting) {
            Some(held) => self.keep_status(ReloadStatus { held: status.held.clone(), ..loaded }.holding(held)),
            None => self.keep_status(loaded),
        }
        metrics::reload("loaded");
    }

    /// Notes that rules are held back; what ran goes on running.
    pub fn hold(&self, held: HeldStatus) {
        self.keep_status(self.reloads.load().holding(held));
        metrics::reload("held");
    }

    /// Notes that a reload was refused and why; what ran goes on running.
    pub fn refuse(&self, findings: &Diagnostics) {
        self.keep_status(self.reloads.load().refused(self.clock.now(), findings));
        metrics::reload("refused");
    }

    fn keep_status(&self, status: ReloadStatus) {
        metrics::reload_waits(status.error.is_some(), status.held.is_some());
        self.reloads.store(Arc::new(status));
    }

    /// How rules that widen are held back from now on.
    pub fn held(&self, candidate: &Candidate, comparison: Comparison, configuration: bool) -> HeldStatus {
        HeldStatus::new(self.clock.now(), candidate.rulebook().digest().to_owned(), comparison, configuration)
    }

    /// The rules that run.
    pub fn rulebook(&self) -> Arc<Rulebook> {
        Arc::clone(&self.issuer.load().rulebook)
    }

    /// Opens the audit file anew, for log rotation.
    pub fn reopen_audit(&self) {
        if let Err(error) = self.issuer.load().audit.reopen() {
            tracing::error!(error = %error, "the audit file could not be opened again");
        }
    }

    /// Lets the counters put their samples away.
    pub fn drain_counters(&self) {
        self.exporter.upkeep();
    }

    /// Writes what the state holds back to its file: the last thing at an end.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Replaces leaf certificates that are due, and takes up a change that `narrows keys` made.
    pub async fn renew_keys(&self) {
        match self.keys.renew(&self.clock) {
            Ok(0) => return,
            Ok(renewed) => tracing::info!(renewed, "signing keys were renewed"),
            // Those of other services may have been.
            Err(error) => tracing::error!(error = %error, "a signing key could not be renewed"),
        }
        if let Err(error) = self.store.remember_keys(&self.keys.fingerprints()).await {
            tracing::error!(error = %error, "the signing keys could not be remembered for the next start");
        }
    }

    /// Lets issuers be asked for what is due of their documents; waits for none of them.
    pub fn tend(&self) {
        for party in self.issuer.load().authenticator.relying_parties() {
            party.tend();
        }
    }

    /// Gives issuers back what logins lived by that are over.
    pub async fn give_back(&self, pauses: &mut Pauses) {
        self.issuer.load_full().give_back(pauses).await;
    }

    /// Waits until a login ended in this process.
    pub async fn login_ended(&self) {
        self.issuer.load_full().identity_tokens.ended().await;
    }

    /// Replaces leaf certificates that are due and drops ended identity tokens and logins that nobody finished.
    pub async fn upkeep(&self) {
        self.renew_keys().await;
        let issuer = self.issuer.load_full();
        issuer.authenticator.purge().await;
        if let Err(error) = issuer.identity_tokens.purge().await {
            tracing::warn!(error = %error, "ended identity tokens could not be dropped");
        }
        if let Err(error) = self.store.purge_pending(self.clock.now()).await {
            tracing::warn!(error = %error, "logins that are over could not be dropped");
        }
    }
}

/// Runs a request in a task of its own: it ends, counts and is written down whether or not its client waits.
async fn owned<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Refusal> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(error = %error, "a request ended without an answer");
            Err(Refusal::Unavailable { retry_after: RETRY_AFTER }.into())
        }
    }
}

async fn open_keys(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<Keys> {
    let remembered = store.remembered_keys().await.context("cannot read which keys this service used before")?;
    let keys =
        Keys::open(&config.signing, &config.services, config.folder(), &remembered, clock).context("cannot open the signing keys")?;
    store.remember_keys(&keys.fingerprints()).await.context("cannot remember the signing keys")?;
    Ok(keys)
}

/// The rules of the last good load; without them bad rule files refuse the start.
async fn last_good(store: &Store, config: &Config, now: Timestamp, findings: &Diagnostics) -> anyhow::Result<Rulebook> {
    let kept = store.kept_rules().await.context("cannot read the last good rules")?;
    let rulebook = kept.and_then(|kept| candidate::compile_kept(kept, config, now)).ok_or_else(|| anyhow::Error::new(findings.clone()))?;
    tracing::error!(findings = %findings, "the rules are bad: the last good ones run until they are mended");
    Ok(rulebook)
}
