//! `docker login -u device`: a device login that docker itself carries, in two commands, where no helper can be installed.
//!
//! The first command is refused with the address, the code and the second command; the second one brings the login. Docker prints
//! what it is told, so all of that may be seen by others. What they do not have is the secret that the person chose as the password
//! of both commands; of it a keyed digest is kept.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::authenticate::Proof;
use super::device::{TOO_MANY, not_started, unavailable};
use super::device_flow::{Flow, Lock, NewFlow, PollError, Polled, StartError, decode, encode};
use super::record::Record;
use super::{Client, DeviceRefusal, Issuer, RETRY_AFTER, Refusal, Service, TokenRequest, randomness, refused};
use crate::authn::identity::Principal;
use crate::authn::oidc::{DeviceStartError, NO_OFFLINE_ACCESS, OFFLINE_ADVICE, RelyingParty, SignedIn};
use crate::store::{Begun, NewPending, PendingCaps, PendingKind};
use crate::token::identity_token::Born;

const NAME: &str = "device";
/// 40 bits, as 8 letters and digits: it is public, and only has to be one of its own.
const RANDOM: usize = 5;
const ID_LENGTH: usize = 8;
/// A shorter secret could be guessed.
const SHORTEST: usize = 12;
/// Wrong secrets that end a flow.
const WRONG: usize = 3;
/// Within so many seconds the same secret from the same address is the same command: docker may ask twice.
const SAME: i64 = 60;
/// First commands within [`SAME`]: in all, and from one source.
const STARTS: PendingCaps = PendingCaps { all: 300, source: 3 };
/// The edge cuts longer messages off, and with them what to type.
const LONGEST_TEXT: usize = 400;

/// What a typed name asks for.
enum Asked<'a> {
    /// `device` or `device@PROVIDER`: a flow is to begin.
    Begin(&'a RelyingParty),
    /// `device-…`: one that began.
    Redeem(SecretString),
}

/// Which flow a secret began, until docker no longer asks twice.
#[derive(Deserialize, Serialize)]
struct Start {
    flow: String,
}

impl Issuer {
    /// The answer to a name and a password that carry a device login; none where they are an ordinary user's. Nobody's shield is
    /// touched: no directory hears of it.
    pub(super) async fn in_band(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        (username, secret): (&str, &SecretString),
        record: &mut Record,
    ) -> Option<Result<Proof, Refusal>> {
        let asked = self.asked_in_band(username, &request.client)?;
        record.because("device_login");
        Some(if request.offline {
            match asked {
                Asked::Begin(party) => Err(self.begin_in_band(request, service, party, secret, record).await),
                Asked::Redeem(id) => self.redeem_in_band(request, service, &id, secret, record).await,
            }
        } else {
            record.because("device_login_without_identity_token");
            Err(told("a device login works with docker login alone, which keeps what it gets: use docker login, or another way to log in"))
        })
    }

    /// What a name means to somebody who comes from there. Where no issuer lets them in this way it is a name as any other.
    fn asked_in_band(&self, username: &str, client: &Client) -> Option<Asked<'_>> {
        let rest = username.strip_prefix(NAME)?;
        let mut parties = self.in_band_issuers(client);
        let first = parties.next()?;
        if rest.is_empty() {
            return Some(Asked::Begin(first));
        }
        if let Some(name) = rest.strip_prefix('@') {
            return std::iter::once(first).chain(parties).find(|party| *party.names().provider == *name).map(Asked::Begin);
        }
        let id = rest.strip_prefix('-')?;
        let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        is_id.then(|| Asked::Redeem(SecretString::from(username)))
    }

    fn in_band_issuers(&self, client: &Client) -> impl Iterator<Item = &RelyingParty> + use<'_> {
        let source = client.source();
        self.authenticator.relying_parties().filter(move |party| {
            let grant = party.device_grant();
            let from = source.is_some_and(|source| grant.from.iter().any(|network| network.value.contains(&source)));
            grant.enabled && grant.in_band.value && from
        })
    }

    /// The first command. Its answer is never a login.
    async fn begin_in_band(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        party: &RelyingParty,
        secret: &SecretString,
        record: &mut Record,
    ) -> Refusal {
        if secret.expose_secret().chars().count() < SHORTEST {
            record.because("device_login_secret_too_short");
            return told("choose a secret of your own of at least 12 characters as the password, and run the same command again");
        }
        let source = request.client.network();
        // Docker may ask twice at once.
        let turn = self.rechecks.take(&format!("device login from {source}"), self.circumstances(request).deadline).await;
        if turn.is_none() {
            return Refusal::Unavailable { retry_after: RETRY_AFTER };
        }
        match self.began_in_band(request, service, party, (secret, &source)).await {
            Ok(text) => told(text),
            Err(refusal) => refusal,
        }
    }

    /// The text of the flow that this secret begins, or began a moment ago.
    async fn began_in_band(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        party: &RelyingParty,
        (secret, source): (&SecretString, &str),
    ) -> Result<String, Refusal> {
        let (provider, kind, now) = (&*party.names().provider, PendingKind::InBandStart, self.clock.now());
        let same = SecretString::from(format!("{source} {} {provider} {}", service.name(), secret.expose_secret()));
        if let Some(start) = self.store.pending(kind, &same, now).await.map_err(|error| unavailable(&error))? {
            let id = decode::<Start>(&start.value).map(|start| SecretString::from(start.flow));
            let flow = match &id {
                Some(id) => self.flows().find(PendingKind::InBandFlow, id).await.map_err(|error| unavailable(&error))?,
                None => None,
            };
            return match (id, flow) {
                (Some(id), Some((_, flow))) => whole(what_to_do(&flow, id.expose_secret(), service)),
                (_, None) | (None, _) => Err(told("a device login with this secret is over: wait a minute, or choose another secret")),
            };
        }
        let id = random_id()?;
        let start = encode(&Start { flow: id.expose_secret().to_owned() });
        let new = NewPending { kind, key: &same, source, expires: now.plus(SAME), value: &start };
        match self.store.begin_pending(&new, now, STARTS).await.map_err(|error| unavailable(&error))? {
            Begun::Kept => {}
            Begun::SourceFull | Begun::Full => return Err(Refusal::TooManyLogins { retry_after: TOO_MANY }),
        }
        let (service_name, deadline) = (service.name(), self.circumstances(request).deadline);
        let fingerprint = self.authenticator.fingerprint(provider).ok_or(Refusal::Unavailable { retry_after: RETRY_AFTER })?;
        let new = NewFlow {
            kind: PendingKind::InBandFlow,
            key: &id,
            source,
            provider,
            fingerprint: &fingerprint,
            service: service_name,
            lock: Some(Lock::new(secret)?),
        };
        match self.flows().begin(new, party.start_device(deadline)).await {
            Ok(flow) => {
                tracing::info!(request_id = %request.id, provider, "a device login begins at {provider}, carried by docker");
                whole(what_to_do(&flow, id.expose_secret(), service))
            }
            Err(error) => {
                // Nothing began; the same command may be tried again at once, unless the issuer had enough.
                if matches!(error, StartError::Issuer(DeviceStartError::Unavailable(_)) | StartError::Store(_))
                    && let Ok(Some(start)) = self.store.pending(kind, &same, now).await
                {
                    self.store.take_pending(kind, &same, &start).await.map_err(|error| unavailable(&error))?;
                }
                Err(match not_started(&error, &request.id, provider) {
                    DeviceRefusal::Refused(refusal) => refusal,
                    DeviceRefusal::NotOffered
                    | DeviceRefusal::UnknownProvider(_)
                    | DeviceRefusal::SeveralProviders(_)
                    | DeviceRefusal::Pending { .. }
                    | DeviceRefusal::SlowDown { .. }
                    | DeviceRefusal::Denied
                    | DeviceRefusal::Expired
                    | DeviceRefusal::UnknownFlow => {
                        told("the issuer offers no device login: ask your administrator for another way to log in")
                    }
                })
            }
        }
    }

    /// The second command.
    async fn redeem_in_band(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        id: &SecretString,
        secret: &SecretString,
        record: &mut Record,
    ) -> Result<Proof, Refusal> {
        let (kind, flows, deadline) = (PendingKind::InBandFlow, self.flows(), self.circumstances(request).deadline);
        let flow = self.unlocked(id, secret, deadline, record).await?;
        if flow.service != service.name() {
            record.because("other_service");
            return Err(told("this device login is for another registry: run docker login -u device for this one"));
        }
        let party = self.in_band_issuers(&request.client).find(|party| *party.names().provider == *flow.provider);
        let Some(party) = party.filter(|_| self.is_still(&flow.provider, &flow.fingerprint)) else {
            return Err(over(record, "provider_changed"));
        };
        let polled = flows.poll(kind, id, self.request_deadline, async |code| party.poll_device(&code, deadline).await).await;
        match polled {
            Ok(Polled::SignedIn(signed_in)) => self.proven_in_band(request, service, *signed_in, record).await,
            Ok(Polled::Pending(_) | Polled::SlowDown(_)) => {
                record.because("device_login_pending");
                let Flow { verification_uri, user_code, .. } = &flow;
                Err(told(whole(format!(
                    "not approved yet: open {verification_uri} and enter {user_code}, then run the same command again"
                ))?))
            }
            Ok(Polled::Ended("denied")) => {
                record.because("denied");
                Err(told("the device login was refused at the issuer: run docker login -u device again to begin a new one"))
            }
            Ok(Polled::Ended(NO_OFFLINE_ACCESS)) => {
                refused::turned_away(&request.id, &flow.provider, NO_OFFLINE_ACCESS);
                record.because(NO_OFFLINE_ACCESS);
                Err(told(OFFLINE_ADVICE))
            }
            Ok(Polled::Ended(reason)) => Err(over(record, reason)),
            Ok(Polled::Unknown) => Err(over(record, "device_login_over")),
            Err(PollError::Issuer(error)) => {
                record.unavailable(&error.provider);
                tracing::warn!(request_id = %request.id, error = %error, "a device login could not be asked about");
                Err(Refusal::Unavailable { retry_after: error.retry_after })
            }
            Err(PollError::Store(error)) => Err(unavailable(&error)),
        }
    }

    /// Somebody signed in, and this request alone was told.
    async fn proven_in_band(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        signed_in: SignedIn,
        record: &mut Record,
    ) -> Result<Proof, Refusal> {
        self.let_in(request, service, &signed_in, record).await?;
        let SignedIn { identity, renewal } = signed_in;
        Ok(Proof { fresh: true, born: Born::InBand, renewal, ..Proof::of(Principal::Identified(identity.into())) })
    }

    /// The flow, for who has its secret.
    async fn unlocked(&self, id: &SecretString, secret: &SecretString, deadline: Instant, record: &mut Record) -> Result<Flow, Refusal> {
        // One at a time, so that many guesses at once are counted before the next one is compared.
        let turn = self.rechecks.take(id.expose_secret(), deadline).await;
        if turn.is_none() {
            return Err(Refusal::Unavailable { retry_after: RETRY_AFTER });
        }
        let found = self.flows().find(PendingKind::InBandFlow, id).await.map_err(|error| unavailable(&error))?;
        let Some((_, flow)) = found else { return Err(over(record, "device_login_over")) };
        if flow.lock.as_ref().is_some_and(|lock| lock.opens(secret)) {
            return Ok(flow);
        }
        Err(self.wrong_secret(id, secret, record).await)
    }

    /// Counts a wrong secret, each once: docker may ask twice. The third ends the flow.
    async fn wrong_secret(&self, id: &SecretString, secret: &SecretString, record: &mut Record) -> Refusal {
        let (kind, flows) = (PendingKind::InBandFlow, self.flows());
        let counted = flows.change(kind, id, |flow| {
            if let Some(lock) = &mut flow.lock {
                lock.note(secret);
            }
        });
        match counted.await {
            Ok(Some(flow)) if flow.lock.as_ref().is_some_and(|lock| lock.wrong.len() < WRONG) => {
                record.because("device_login_wrong_secret");
                told("this is not the secret that the device login began with: give the same one as in the first command")
            }
            Ok(_) => match flows.end(kind, id).await {
                Ok(_) => over(record, "device_login_wrong_secret"),
                Err(error) => unavailable(&error),
            },
            Err(error) => unavailable(&error),
        }
    }
}

impl Lock {
    fn new(secret: &SecretString) -> Result<Self, Refusal> {
        let mut key = vec![0; 32];
        randomness::fill(&mut key)?;
        let mut lock = Self { key, digest: Vec::new(), wrong: Vec::new() };
        lock.digest = lock.of(secret);
        Ok(lock)
    }

    /// Whether this is the secret; takes as long for every other.
    fn opens(&self, secret: &SecretString) -> bool {
        hmac::verify(&self.key(), secret.expose_secret().as_bytes(), &self.digest).is_ok()
    }

    fn note(&mut self, secret: &SecretString) {
        let digest = self.of(secret);
        if digest != self.digest && !self.wrong.contains(&digest) {
            self.wrong.push(digest);
        }
    }

    fn of(&self, secret: &SecretString) -> Vec<u8> {
        hmac::sign(&self.key(), secret.expose_secret().as_bytes()).as_ref().to_vec()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.key)
    }
}

/// What the first command is answered with.
fn what_to_do(flow: &Flow, id: &str, service: Service<'_>) -> String {
    let (registry, Flow { verification_uri, user_code, .. }) = (service.settings.address(), flow);
    format!("open {verification_uri} and enter {user_code}, then run: docker login -u {id} {registry} and give the same secret")
}

/// The text, where it arrives whole and holds nothing that a terminal would obey.
fn whole(text: String) -> Result<String, Refusal> {
    if text.len() <= LONGEST_TEXT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(text);
    }
    tracing::error!("the issuer's device page has an address or a code that docker would not print whole: set `in_band: false`");
    Err(Refusal::Unavailable { retry_after: RETRY_AFTER })
}

fn told(text: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::RejectedWithAdvice(text.into())
}

fn over(record: &mut Record, reason: &str) -> Refusal {
    record.because(reason);
    told("this device login is over: run docker login -u device again to begin a new one")
}

/// `device-` and eight letters and digits.
fn random_id() -> Result<SecretString, Refusal> {
    let mut bytes = [0; RANDOM];
    randomness::fill(&mut bytes)?;
    Ok(SecretString::from(format!("{NAME}-{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())))
}
