//! narrows as an issuer's client: what every way to sign in there has in common, and whom its tokens make.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openidconnect::http::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::claims::{Claims, Documents};
use super::flow::{SignInError, SignedIn};
use super::graph;
use super::groups::{Cut, Groups, Reading, Unreadable};
use super::person::{Person, Unfit};
use super::remote::{Checks, Lane, Metadata, Remote, Trouble, Unverified};
use super::settings::{DeviceGrant, OidcPreset, OidcSettings, Overage};
use super::token_endpoint::{self, Reply, Tokens};
use super::upstream;
use crate::authn::identity::{Group, Identity, Kind, Method, SecondFactor};
use crate::authn::ldap::counted;
use crate::authn::provider::{Health, Names};
use crate::authn::verdict::Unavailable;
use crate::clock::{Clock, Timestamp};
use crate::source::{Diagnostics, SourceFile};

/// When it makes sense to ask again after an answer that could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One issuer, ready to be asked.
#[derive(Debug)]
pub struct RelyingParty {
    pub(super) names: Names,
    pub(super) settings: OidcSettings,
    pub(super) remote: Remote,
    pub(super) person: Person,
    pub(super) groups: Groups,
    pub(super) scopes: String,
    pub(super) clock: Clock,
    /// Where Microsoft tells the groups that do not fit into a token.
    graph: Url,
    /// Whether it was said that no source of groups is there.
    told: AtomicBool,
    /// Whether it was said that a refresh token is not taken back.
    pub(super) told_of_refusal: AtomicBool,
}

/// What is known of somebody beside their name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) method: Method,
    pub(super) proven: Timestamp,
    pub(super) second_factor: SecondFactor,
}

impl RelyingParty {
    /// Reads certificates and secrets; asks nobody.
    pub(in crate::authn) fn build(names: Names, settings: &OidcSettings, file: &SourceFile, clock: &Clock) -> Result<Self, Diagnostics> {
        let remote = Remote::build(Arc::clone(&names.provider), settings, file, clock)?;
        let graph = Url::parse(graph::HOST).map_err(|error| file.error(settings.issuer.place, error.to_string()))?;
        Ok(Self {
            person: Person::new(settings, names.ignore_case),
            groups: Groups::new(settings),
            scopes: settings.asked_scopes().join(" "),
            settings: settings.clone(),
            clock: clock.clone(),
            told: AtomicBool::new(false),
            told_of_refusal: AtomicBool::new(false),
            names,
            remote,
            graph,
        })
    }

    /// The same, with what a former generation knows of the same issuer.
    #[must_use]
    pub(in crate::authn) fn succeeding(self, former: &Self) -> Self {
        Self { remote: self.remote.succeeding(&former.remote), ..self }
    }

    /// Asks in the background for what is due of the issuer's documents. To be called every second or so.
    pub fn tend(&self) {
        self.remote.tend();
    }

    /// Whether passwords are sent there.
    pub(in crate::authn) fn takes_passwords(&self) -> bool {
        self.settings.password_grant.enabled.value
    }

    /// What it is called here, and whether names compare without regard to case.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Who may log in by a device, and from where.
    pub fn device_grant(&self) -> &DeviceGrant {
        &self.settings.device_grant
    }

    /// A typed name as it is counted: issuers take more spellings for one account than rules do.
    pub(in crate::authn) fn counted_as(&self, typed: &str) -> String {
        counted(self.person.stripped(typed))
    }

    /// Whether it answered the last time.
    pub(in crate::authn) fn health(&self) -> Health {
        self.remote.health()
    }

    /// Whether the issuer keeps one refresh token for each person and client, as Dex does.
    pub(in crate::authn) fn shares_renewals(&self) -> bool {
        self.settings.kind() == OidcPreset::Dex
    }

    /// Changes when a stable id may mean somebody else: a `sub` is the issuer's, and with some issuers the client's.
    pub(in crate::authn) fn fingerprint(&self) -> String {
        let settings = serde_json::json!(["oidc", self.names.realm, self.remote.issuer(), self.remote.client_id()]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, settings.to_string().as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// Points at another place than Microsoft's.
    #[cfg(test)]
    pub(super) fn with_graph(self, graph: Url) -> Self {
        Self { graph, ..self }
    }

    // === What the ways to sign in share ===

    pub(super) async fn metadata(&self, deadline: Instant) -> Result<Arc<Metadata>, Unavailable> {
        self.remote.metadata(deadline).await.map_err(|trouble| self.unasked(&trouble))
    }

    /// Asks the token endpoint.
    pub(super) async fn ask(&self, form: &[(&str, &str)], lane: Lane, deadline: Instant) -> Result<Reply, Unavailable> {
        let metadata = self.metadata(deadline).await?;
        token_endpoint::ask(&self.remote, metadata.token(), form, lane, deadline).await.map_err(|trouble| self.unasked(&trouble))
    }

    /// Whom the tokens of a new sign-in make.
    pub(super) async fn signed_in(
        &self,
        tokens: &Tokens,
        checks: Checks<'_>,
        method: Method,
        deadline: Instant,
    ) -> Result<SignedIn, SignInError> {
        let id_token = self.verified(tokens, checks, deadline).await?;
        let now = self.clock.now();
        let known = Known { method, proven: now, second_factor: self.person.second_factor(&id_token, now) };
        let identity = self.identity(&id_token, tokens.access_token.as_ref(), known, deadline).await?;
        Ok(SignedIn { identity, renewal: tokens.renewal() })
    }

    /// The claims of the `id_token` among the tokens.
    pub(super) async fn verified(&self, tokens: &Tokens, checks: Checks<'_>, deadline: Instant) -> Result<Claims, SignInError> {
        let Some(id_token) = &tokens.id_token else {
            let reason = "the issuer sent no id_token: is `openid` among `scopes`, and may the client have it?";
            return Err(self.misconfigured(reason).into());
        };
        let checks = Checks { access_token: tokens.access_token.as_ref().map(ExposeSecret::expose_secret), ..checks };
        self.remote.verify(id_token.expose_secret(), checks, deadline).await.map_err(|unverified| match unverified {
            Unverified::Refused(word) => {
                // Whoever brings a code of their own can cause it.
                tracing::warn!(provider = %self.names.provider, reason = word, "an id_token is not accepted");
                SignInError::Refused(word)
            }
            Unverified::Unavailable(trouble) => self.unasked(&trouble).into(),
        })
    }

    /// The person whom a verified `id_token` is about, with every group.
    pub(super) async fn identity(
        &self,
        id_token: &Claims,
        access_token: Option<&SecretString>,
        known: Known,
        deadline: Instant,
    ) -> Result<Identity, SignInError> {
        let mut userinfo = None;
        if self.groups.need_userinfo() || self.person.needs_more_than(id_token) {
            userinfo = self.userinfo(id_token, access_token, deadline).await?;
            if userinfo.is_none() && self.groups.need_userinfo() {
                return Err(self
                    .misconfigured("groups are read from userinfo, and the issuer has no such endpoint or sent no access token")
                    .into());
            }
        }
        let documents = Documents { id_token, userinfo: userinfo.as_ref() };
        let (groups, nowhere) = match self.groups.read(documents).map_err(|error| self.unreadable(&error))? {
            Reading::Whole { groups, nowhere } => (groups, nowhere),
            Reading::CutOff(cut) => (self.fetched(cut, documents, access_token, deadline).await?, false),
        };
        let identity = self.made(documents, groups, known)?;
        if nowhere {
            self.tell_once(&identity.username);
        }
        Ok(identity)
    }

    /// The person whom documents are about, in these groups.
    pub(super) fn made(&self, documents: Documents<'_>, groups: Vec<Group>, known: Known) -> Result<Identity, SignInError> {
        let described = self.person.described(documents).map_err(|Unfit { word, reason }| {
            tracing::warn!(provider = %self.names.provider, word, reason, "somebody signed in at the issuer and is not let in here");
            SignInError::Refused(word)
        })?;
        Ok(Identity {
            realm: Arc::clone(&self.names.realm),
            provider: Arc::clone(&self.names.provider),
            id: described.id,
            username: described.username,
            groups,
            kind: Kind::Person,
            method: known.method,
            proven: known.proven,
            marker: None,
            claims: described.claims,
            second_factor: known.second_factor,
        })
    }

    /// What the userinfo endpoint says of the same person (OpenID Connect Core §5.3); `None` where it cannot be asked by design.
    pub(super) async fn userinfo(
        &self,
        id_token: &Claims,
        access_token: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<Option<Claims>, Unavailable> {
        let Some(subject) = id_token.get("sub").and_then(Value::as_str) else { return Ok(None) };
        self.userinfo_of(subject, access_token, deadline).await
    }

    pub(super) async fn userinfo_of(
        &self,
        subject: &str,
        access_token: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<Option<Claims>, Unavailable> {
        let metadata = self.metadata(deadline).await?;
        let (Some(endpoint), Some(access_token)) = (metadata.userinfo(), access_token) else { return Ok(None) };
        let answered = async {
            let mut request = upstream::get(endpoint)?;
            request.headers_mut().insert(AUTHORIZATION, bearer(access_token)?);
            let answer = self.remote.send(request, Lane::Main, deadline).await?;
            if answer.status.is_success() && !answer.is_json() {
                return Err(Trouble::new("userinfo", "the answer is no JSON: signed or encrypted userinfo is not read"));
            }
            answer.json::<Claims>().map_err(|trouble| trouble.within("userinfo"))
        };
        let claims = answered.await.map_err(|trouble| self.unasked(&trouble))?;
        // OpenID Connect Core §5.3.2: or else somebody else's claims would be taken for theirs.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(self.misconfigured("the userinfo endpoint's `sub` is not that of the id_token"));
        }
        Ok(Some(claims))
    }

    /// Every group where the token does not hold them all. There is no smaller set to fall back on.
    async fn fetched(
        &self,
        cut: Cut,
        documents: Documents<'_>,
        access_token: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<Vec<Group>, SignInError> {
        let sign = cut.sign;
        let failed = |why: &str| self.unavailable(format!("groups were left out of a token ({sign}), and {why}"));
        if self.groups.overage == Overage::Unavailable {
            return Err(failed("`groups.overage` is `unavailable`: have the issuer send fewer, or set it to `fetch`").into());
        }
        if self.settings.kind() == OidcPreset::Entra {
            if !self.groups.misses_only(&cut, "groups") {
                return Err(failed("Microsoft Graph knows only those of the claim `groups`").into());
            }
            let (Some(person), Some(access_token)) = (graph::person(documents.id_token), access_token) else {
                return Err(failed("the id_token lacks `oid` and `tid`, or there is no access token").into());
            };
            let ids = graph::groups(&self.remote, &self.graph, &person, access_token, deadline).await;
            let ids = ids.map_err(|trouble| failed(&format!("Microsoft Graph did not tell them: {trouble}")))?;
            return self.groups.completed(cut, ids).map_err(|error| self.unreadable(&error).into());
        }
        let asked;
        let userinfo = if let Some(userinfo) = documents.userinfo {
            userinfo
        } else {
            asked = self.userinfo(documents.id_token, access_token, deadline).await?;
            asked.as_ref().ok_or_else(|| failed("there is no userinfo endpoint to ask, or no access token"))?
        };
        let groups = self.groups.completed_in(cut, userinfo).map_err(|error| self.unreadable(&error))?;
        Ok(groups.ok_or_else(|| failed("userinfo does not hold them all either"))?)
    }

    fn tell_once(&self, username: &str) {
        if self.groups.are_wanted() && !self.told.swap(true, Ordering::Relaxed) {
            let (places, hint) = (self.groups.places(), self.settings.groups_hint());
            tracing::warn!(
                provider = %self.names.provider, username, hint,
                "a sign-in holds no groups at {places}: the person is taken to be in none; if nobody ever is in one, the issuer has to be \
                 told to send them"
            );
        }
    }

    // === What goes wrong, said once ===

    /// Nothing came that says anything.
    pub(super) fn unasked(&self, trouble: &Trouble) -> Unavailable {
        tracing::warn!(provider = %self.names.provider, reason = %trouble, "the issuer cannot be asked");
        self.remote.unavailable(trouble)
    }

    /// Something came that cannot be gone by.
    pub(super) fn unavailable(&self, reason: impl Into<String>) -> Unavailable {
        let reason = reason.into();
        tracing::warn!(provider = %self.names.provider, reason, "the issuer's answer cannot be used");
        self.outage(reason)
    }

    /// Something is set up wrongly, here or there: nobody gets in before somebody acts.
    pub(super) fn misconfigured(&self, reason: impl Into<String>) -> Unavailable {
        self.misfit(reason.into(), None)
    }

    pub(super) fn unreadable(&self, error: &Unreadable) -> Unavailable {
        self.misconfigured(format!("groups: {error}"))
    }

    /// What the issuer says of a setting, without what must not be told.
    pub(super) fn blamed(&self, refusal: &super::refusal::Refusal, secret: Option<&SecretString>) -> Unavailable {
        let secrets: Vec<&str> = self.remote.client_secret().into_iter().chain(secret).map(ExposeSecret::expose_secret).collect();
        self.misfit(format!("the token endpoint refuses the client: {}", refusal.told(&secrets)), refusal.hint())
    }

    fn misfit(&self, reason: String, hint: Option<&str>) -> Unavailable {
        tracing::error!(provider = %self.names.provider, reason, hint, "the issuer and the configuration do not fit together");
        Unavailable { is_misconfigured: true, ..self.outage(reason) }
    }

    fn outage(&self, reason: String) -> Unavailable {
        Unavailable { provider: self.names.provider.to_string(), reason, retry_after: RETRY_AFTER, is_misconfigured: false }
    }
}

/// RFC 6750 §2.1.
pub(super) fn bearer(token: &SecretString) -> Result<HeaderValue, Trouble> {
    let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| Trouble::new("request", "the access token cannot be sent").unsent())?;
    value.set_sensitive(true);
    Ok(value)
}
