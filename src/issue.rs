//! The path of a token request: authenticate → decide → sign → audit. Knows no HTTP.

mod authenticate;
mod device;
mod device_flow;
mod give_back;
mod in_band;
mod lease;
mod login_code;
mod look;
mod randomness;
mod record;
mod refused;
mod request;
mod sign_in;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use device::{DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted};
pub use give_back::Pauses;
pub use login_code::{CodeTexts, LoginCode};
pub use request::{Client, GrantType, Issued, Refusal, TokenRequest, Who, WhoRequest};
pub use sign_in::{
    BegunSignIn, Caller, LoginView, ReachView, Returned, SIGN_IN_LIFE, ServiceView, SessionProof, SignInOffer, SignInRefusal, SignInView,
    callback_of,
};
pub use turns::Turns;

use self::authenticate::Proof;
use self::record::Record;
use crate::audit::Audit;
use crate::authn::authenticator::Authenticator;
use crate::authn::identity::{Identity, Principal};
use crate::authn::verdict::{Circumstances, Renewal};
use crate::authz::{Context, Decision, Life, Policy, Rulebook};
use crate::clock::{Clock, Timestamp};
use crate::metrics;
use crate::registry::ResourceScope;
use crate::store::{Store, TokenRow};
use crate::token::identity_token::{Birth, IdentityTokens, Recheck};
use crate::token::settings::{ServiceSettings, TokenTtl};
use crate::token::{self, Access, Claims, Keys, Lives, TokenId};

/// How long a client waits before it asks again when one of our own parts failed.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Everything that one request needs, of one generation: a request sees one and the same from its start to its end.
#[derive(Debug)]
pub struct Issuer {
    /// Counts the reloads; stands in every audit event.
    pub generation: u64,
    /// The registries by name.
    pub services: BTreeMap<String, ServiceSettings>,
    /// The rules of each of them.
    pub rulebook: Arc<Rulebook>,
    /// The providers and what they answered lately.
    pub authenticator: Arc<Authenticator>,
    /// The logins that docker keeps.
    pub identity_tokens: Arc<IdentityTokens>,
    /// Re-checks under way, one for each login.
    pub rechecks: Arc<Turns>,
    /// What tokens are signed with.
    pub keys: Arc<Keys>,
    /// Where decisions are written.
    pub audit: Arc<Audit>,
    /// Logins that are under way.
    pub store: Store,
    /// The texts of login codes.
    pub login_codes: Arc<CodeTexts>,
    /// How browsers and clients reach this service; without it nobody signs in with a browser.
    pub public_url: Option<Arc<Url>>,
    /// The time.
    pub clock: Clock,
    /// The whole of a request, directory included.
    pub request_deadline: Duration,
    /// A refusal of credentials leaves no earlier than this after its request came.
    pub rejection_floor: Duration,
}

/// A registry, and the rules that decide for it.
#[derive(Clone, Copy)]
struct Service<'a> {
    settings: &'a ServiceSettings,
    policy: &'a Policy,
}

impl Service<'_> {
    fn name(&self) -> &str {
        &self.settings.name.value
    }

    /// Takes the whole proof, so that nobody is given more than it is good for.
    fn decide(&self, proof: &Proof, request: &TokenRequest, now: Timestamp, record: &mut Record) -> Decision {
        let context = Context { service: self.name(), now, source: request.client.source() };
        let decision = self.policy.decide(&proof.principal, &request.scopes.scopes, &context);
        let decision = match proof.stale {
            // No rule's own life is longer then.
            Some(stale) => decision
                .pull_only(stale.until.min(now.plus(i64::try_from(self.settings.token_ttl.pull.value.as_seconds()).unwrap_or(i64::MAX)))),
            None => decision,
        };
        record.decided(&decision);
        decision
    }
}

impl Issuer {
    /// Answers one token request. Every outcome is written to the audit before it leaves; a grant that cannot be
    /// written is not given.
    pub async fn issue(&self, request: TokenRequest) -> Result<Issued, Refusal> {
        let mut record = Record::of(self, &request);
        let result = self.sign_for(&request, &mut record).await;
        self.conclude(record, result, &request).await
    }

    /// Says who somebody is and what they would be granted; signs nothing.
    pub async fn who(&self, request: WhoRequest) -> Result<Who, Refusal> {
        let request = TokenRequest {
            service: request.service,
            scopes: request.scopes,
            credentials: request.credentials,
            grant: GrantType::Basic,
            offline: false,
            client: request.client,
            id: request.id,
            received: request.received,
        };
        let mut record = Record::of(self, &request);
        record.is_a_question();
        let result = self.describe(&request, &mut record).await;
        self.conclude(record, result, &request).await
    }

    /// Ends an identity token; an unknown one is no error (RFC 7009 §2.2).
    pub async fn revoke(&self, caller: &Caller, token: &SecretString) -> Result<(), Refusal> {
        match self.identity_tokens.revoke(token).await {
            Ok(Some(row)) => {
                tracing::info!(
                    request_id = %caller.id, provider = row.provider, username = row.username, token.id = row.id,
                    "identity token {} was revoked by its holder", row.id
                );
                self.write_revoked(caller, &row).await;
                Ok(())
            }
            Ok(None) => {
                tracing::debug!(request_id = %caller.id, "what is to be revoked is no live identity token");
                Ok(())
            }
            Err(error) => {
                tracing::error!(request_id = %caller.id, error = %error, "an identity token could not be revoked");
                Err(Refusal::Unavailable { retry_after: RETRY_AFTER })
            }
        }
    }

    /// It is over, whether that can be written down or not.
    async fn write_revoked(&self, caller: &Caller, row: &TokenRow) {
        if let Err(error) = self.audit.record(&record::revoked(self, caller, row)).await {
            tracing::error!(error = %error, request_id = %caller.id, "the audit event could not be written");
        }
    }

    /// A request that the edge refused before it meant anything: counted and written, never more.
    pub async fn invalid(&self, id: &str, client: &Client, reason: &'static str) {
        let event = record::invalid(self, id, client, reason);
        if let Err(error) = self.audit.record(&event).await {
            tracing::error!(error = %error, request_id = id, "the audit event could not be written");
        }
        metrics::token_request(event.outcome.as_str(), Duration::ZERO);
    }

    async fn sign_for(&self, request: &TokenRequest, record: &mut Record) -> Result<Issued, Refusal> {
        let service = self.service(request.service.as_deref(), record)?;
        let proof = self.authenticate(request, service, record).await?;
        // The token lives from the moment of its decision, however long the rest takes.
        let now = self.clock.now();
        let decision = service.decide(&proof, request, now, record);
        if proof.principal == Principal::Anonymous && decision.is_empty() {
            return Err(Refusal::AuthenticationRequired);
        }
        let refresh_token = self.identity_token(request, service, &proof).await?;
        self.sign(service, &proof.principal, &decision, refresh_token, now, record)
    }

    async fn describe(&self, request: &TokenRequest, record: &mut Record) -> Result<Who, Refusal> {
        let service = self.service(request.service.as_deref(), record)?;
        let proof = self.authenticate(request, service, record).await?;
        let Principal::Identified(identity) = &proof.principal else { return Err(Refusal::AuthenticationRequired) };
        let decision = service.decide(&proof, request, self.clock.now(), record);
        Ok(Who {
            username: identity.username.clone(),
            realm: identity.realm.to_string(),
            groups: service.policy.mentioned_groups(identity),
            granted: scopes_of(&decision),
            stale: proof.stale.map(|stale| stale.asked.rfc3339()),
        })
    }

    /// The registry that a request names; the only one where it names none (protocol.md R9).
    fn service(&self, name: Option<&str>, record: &mut Record) -> Result<Service<'_>, Refusal> {
        let settings = self.named_service(name)?;
        let name = &settings.name.value;
        record.service(name);
        // A generation is built with rules for every service; without them there is no answer, least of all a grant.
        let policy = self.rulebook.policy(name).ok_or_else(|| {
            tracing::error!(service = %name, "the service has no rules");
            Refusal::Unavailable { retry_after: RETRY_AFTER }
        })?;
        Ok(Service { settings, policy })
    }

    fn named_service(&self, name: Option<&str>) -> Result<&ServiceSettings, Refusal> {
        match name {
            Some(name) if !name.is_empty() => self.services.get(name).ok_or(Refusal::UnknownService),
            Some(_) | None if self.services.len() == 1 => self.services.values().next().ok_or(Refusal::MissingService),
            Some(_) | None => Err(Refusal::MissingService),
        }
    }

    fn circumstances(&self, request: &TokenRequest) -> Circumstances {
        Circumstances { source: request.client.source(), deadline: request.received + self.request_deadline }
    }

    /// The identity token that goes back: a new one only where the password was proven by this very request, the
    /// presented one where one was presented, none unless somebody asked.
    async fn identity_token(&self, request: &TokenRequest, service: Service<'_>, proof: &Proof) -> Result<Option<SecretString>, Refusal> {
        if let Some(presented) = &proof.presented {
            let wanted = request.offline || request.grant == GrantType::RefreshToken;
            return Ok(wanted.then(|| presented.clone()));
        }
        let (Principal::Identified(identity), true, true) = (&proof.principal, request.offline, proof.fresh) else { return Ok(None) };
        let birth = Birth { how: proof.born, source: request.client.source() };
        self.mint(identity, service.name(), proof.renewal.clone(), birth).await
    }

    /// Makes an identity token for somebody who was proven just now; none where their provider is gone.
    async fn mint(
        &self,
        identity: &Identity,
        service: &str,
        renewal: Option<Renewal>,
        birth: Birth,
    ) -> Result<Option<SecretString>, Refusal> {
        let Some(provider) = self.authenticator.provider(&identity.provider) else { return Ok(None) };
        let recheck = if provider.rechecks_by_renewal() && renewal.is_none() { Recheck::Impossible } else { Recheck::ByProvider };
        let minted = self.identity_tokens.mint(identity, service, &provider.fingerprint(), renewal, recheck, birth).await;
        minted.map(Some).map_err(|error| {
            tracing::error!(error = %error, "an identity token could not be stored");
            Refusal::Unavailable { retry_after: RETRY_AFTER }
        })
    }

    fn sign(
        &self,
        service: Service<'_>,
        principal: &Principal,
        decision: &Decision,
        refresh_token: Option<SecretString>,
        issued_at: Timestamp,
        record: &mut Record,
    ) -> Result<Issued, Refusal> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(service = %service.name(), error = %error, "a token could not be signed");
            Refusal::Unavailable { retry_after: RETRY_AFTER }
        };
        let signer = self.keys.signer(service.name()).ok_or_else(|| failed(&"the service has no key"))?;
        let id = TokenId::random().map_err(|error| failed(&error))?;
        let expires_in = lifetime(&service.settings.token_ttl, decision, issued_at);
        record.signed(id.as_str());
        let claims = Claims {
            issuer: service.settings.issuer.value.clone(),
            subject: match principal {
                Principal::Anonymous => String::new(),
                Principal::Identified(identity) => service.policy.subject(identity),
            },
            audience: service.name().to_owned(),
            issued: issued_at,
            lifetime: expires_in,
            id,
            access: access(decision),
        };
        let token = signer.sign(&claims).map_err(|error| failed(&error))?;
        Ok(Issued { token: SecretString::from(token), expires_in, issued_at, scope: scopes_of(decision).join(" "), refresh_token })
    }

    /// Writes the audit event, counts the answer, and holds a rejection back until its floor.
    async fn conclude<T>(&self, record: Record, result: Result<T, Refusal>, request: &TokenRequest) -> Result<T, Refusal> {
        let event = record.into_event(result.as_ref().err(), self.clock.now(), request.received.elapsed());
        let written = self.audit.record(&event).await;
        if let Err(error) = &written {
            tracing::error!(error = %error, request_id = %request.id, "the audit event could not be written");
        }
        let result = match (result, written) {
            (Ok(_), Err(_)) => Err(Refusal::Unavailable { retry_after: RETRY_AFTER }),
            (result, _) => result,
        };
        let result = result.map_err(|refusal| if refusal == Refusal::Rejected { self.rejected() } else { refusal });
        metrics::token_request(event.outcome.as_str(), request.received.elapsed());
        if result.as_ref().is_err_and(Refusal::is_rejection) {
            tokio::time::sleep_until(request.received + self.rejection_floor).await;
        }
        result
    }
}

/// Seconds that a token with what was decided now may live.
pub fn lifetime(ttl: &TokenTtl, decision: &Decision, now: Timestamp) -> u32 {
    let grants = decision.grants.iter().filter(|grant| !grant.granted.is_empty());
    let lives: Vec<Lives<'_>> = grants
        .map(|grant| {
            let own = |action, life: Life| {
                let service = life.service.then(|| ttl.of(action));
                life.longest.into_iter().chain(service).max()
            };
            Lives {
                resource: &grant.requested.resource,
                actions: grant.lives.iter().map(|(action, life)| (*action, own(*action, *life))).collect(),
            }
        })
        .collect();
    let left = decision.until.map(|until| u32::try_from(until.since(now)).unwrap_or(0));
    token::lifetime(ttl, &lives, left)
}

/// What the token carries.
fn access(decision: &Decision) -> Vec<Access> {
    let grants = decision.grants.iter().filter(|grant| !grant.granted.is_empty());
    let access = grants.map(|grant| Access {
        resource: grant.requested.resource.clone(),
        actions: grant.granted,
        denied_tags: grant.denied_tags.clone(),
    });
    access.collect()
}

/// What was granted, as scopes.
fn scopes_of(decision: &Decision) -> Vec<String> {
    decision.access().into_iter().map(|(resource, actions)| ResourceScope { resource, actions }.to_string()).collect()
}
