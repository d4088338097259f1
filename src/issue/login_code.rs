//! Login codes: what somebody who signed in with a browser types as the password of `docker login`, once.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::authenticate::Proof;
use super::randomness::{self, NoRandomness};
use super::record::{self, Record};
use super::sign_in::{Caller, KeptCode, SessionProof, SignInRefusal, decode, encode, person_of};
use super::{Issuer, RETRY_AFTER, Refusal, Service, TokenRequest};
use crate::audit::Outcome;
use crate::authn::identity::{Identity, Method, Principal};
use crate::store::{PendingCaps, PendingKind, StateKey, StoreError};
use crate::token::identity_token::{Birth, Born};

/// How long a code may be used, in seconds.
const LIFE: i64 = 5 * 60;
const PREFIX: &str = "nrl_";
/// 96 bits: within five minutes nobody guesses one.
const RANDOM: usize = 12;
const CHECKSUM: usize = 3;
/// Codes that nobody used yet: in all, and of one person.
const CODES: PendingCaps = PendingCaps { all: 10_000, source: 30 };

/// Makes the texts of codes and tells them from garbage, which costs no look-up.
pub struct CodeTexts(hmac::Key);

impl fmt::Debug for CodeTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeTexts")
    }
}

/// A code, and what to type.
#[derive(Clone, Debug)]
pub struct LoginCode {
    /// The code.
    pub code: SecretString,
    /// The name that goes with it.
    pub username: String,
    /// The service that it is for.
    pub service: String,
    /// What people type behind `docker login`.
    pub address: String,
}

impl CodeTexts {
    /// Those of one state key.
    pub fn new(key: &StateKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.derive("login code checksum")))
    }

    /// A new code: `nrl_`, then 96 random bits and a checksum of 24 in base32, all in small letters, so that a double click
    /// takes all of it.
    fn make(&self) -> Result<SecretString, NoRandomness> {
        let mut bytes = Zeroizing::new([0; RANDOM + CHECKSUM]);
        let (random, checksum) = bytes.split_at_mut(RANDOM);
        randomness::fill(random)?;
        checksum.iter_mut().zip(hmac::sign(&self.0, random).as_ref()).for_each(|(to, from)| *to = *from);
        let text = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_slice()).to_ascii_lowercase());
        Ok(SecretString::from(format!("{PREFIX}{}", text.as_str())))
    }

    /// Whether a text may be one of ours.
    fn knows(&self, code: &SecretString) -> bool {
        let read = || {
            let text = code.expose_secret().strip_prefix(PREFIX)?;
            if text.len() != (RANDOM + CHECKSUM) / 5 * 8 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return None;
            }
            let text = Zeroizing::new(text.to_ascii_uppercase());
            let bytes = Zeroizing::new(BASE32_NOPAD.decode(text.as_bytes()).ok()?);
            let (random, checksum) = bytes.split_at_checked(RANDOM)?;
            Some(hmac::sign(&self.0, random).as_ref().get(..CHECKSUM)?.ct_eq(checksum).into())
        };
        read().unwrap_or(false)
    }
}

impl Issuer {
    /// The one code of a sign-in. It takes the issuer's renewal along: two saved logins that shared one would end each other
    /// at an issuer that gives a new one at every use.
    pub async fn login_code(&self, caller: &Caller, proof: &SessionProof, service: &str) -> Result<LoginCode, SignInRefusal> {
        let session = self.ordered(proof).await?;
        let settings = self.services.get(service).ok_or(SignInRefusal::UnknownService)?;
        if session.kept.code_given {
            return Err(SignInRefusal::CodeGiven);
        }
        let code = self.login_codes.make()?;
        let mut given = session.kept.clone();
        (given.renewal, given.code_given) = (None, true);
        if !self.store.replace_pending(PendingKind::SignIn, &proof.session, &session.row, &encode(&given)).await? {
            return Err(SignInRefusal::CodeGiven);
        }
        let (identity, service) = (session.kept.identity, settings.name.value.clone());
        let mut event = record::sign_in(self, caller, "login_code", "", Outcome::Empty);
        event.service = Some(service.clone());
        event.realm = Some(identity.realm.to_string());
        event.provider = Some(identity.provider.to_string());
        event.subject = self.rulebook.policy(&service).map(|policy| policy.subject(&identity));
        event.username = Some(identity.username.clone());
        event.proof = Some((&identity).into());
        let (username, person) = (identity.username.clone(), person_of(&identity));
        let kept = KeptCode { identity, fingerprint: session.kept.fingerprint, renewal: session.kept.renewal, service: service.clone() };
        if let Err(refusal) = self.keep(PendingKind::LoginCode, &code, &person, LIFE, &encode(&kept), CODES).await {
            self.leave(&kept.identity, Some(kept.fingerprint), kept.renewal.and_then(Into::into)).await;
            return Err(refusal);
        }
        self.write(&event).await?;
        tracing::info!(request_id = %caller.id, provider = %kept.identity.provider, username = %username, service, "a login code was given for {service}");
        Ok(LoginCode { code, username, service, address: settings.address().to_owned() })
    }

    /// Somebody logs in with a code. It is used up only where a client keeps what it gets for it: one that would send the code
    /// again with every pull is told so instead.
    pub(super) async fn by_login_code(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        (username, code): (&str, &SecretString),
        record: &mut Record,
    ) -> Result<Proof, Refusal> {
        record.typed(&self.audit, username);
        if !self.login_codes.knows(code) {
            return Err(self.used_up("login_code_malformed", record));
        }
        let (kind, now) = (PendingKind::LoginCode, self.clock.now());
        let Some(row) = self.store.pending(kind, code, now).await.map_err(|error| unavailable(&error))? else {
            return Err(self.used_up("login_code_over", record));
        };
        let Some(mut kept) = decode::<KeptCode>(&row.value) else { return Err(self.used_up("login_code_over", record)) };
        kept.identity.method = Method::SignIn;
        let identity = &kept.identity;
        record.identified(service.policy, identity, false);
        if !self.is_named(identity, username) {
            record.rejected("login_code_of_another");
            return Err(Refusal::Rejected);
        }
        if kept.service != service.name() {
            record.rejected("other_service");
            return Err(self.told("this code is for another registry: get one for this registry at"));
        }
        if !self.is_still(&identity.provider, &kept.fingerprint) {
            return Err(self.used_up("provider_changed", record));
        }
        if let Err(rejection) = self.authenticator.admits(identity, request.client.source()) {
            record.rejected(rejection.as_str());
            return Err(Refusal::Rejected);
        }
        if !request.offline {
            record.rejected("login_code_without_identity_token");
            return Err(self.told("this code is for docker login; with podman or skopeo use docker-credential-narrows: see"));
        }
        // Of many that come with it at once one gets past here.
        if !self.store.take_pending(kind, code, &row).await.map_err(|error| unavailable(&error))? {
            return Err(self.used_up("login_code_over", record));
        }
        let (identity, renewal) = (Arc::new(kept.identity), kept.renewal.and_then(Into::into));
        let proof = Proof { fresh: true, born: Born::SignIn, renewal, ..Proof::of(Principal::Identified(identity)) };
        self.as_of_now(request, service, proof, record).await
    }

    /// From a sign-in to the end of its code a quarter of an hour may go by, and nobody is given rights by a look that is too old
    /// for a saved login: the one that is made here is looked at as any other, and ends with a refusal.
    async fn as_of_now(&self, request: &TokenRequest, service: Service<'_>, proof: Proof, record: &mut Record) -> Result<Proof, Refusal> {
        let Principal::Identified(identity) = &proof.principal else { return Ok(proof) };
        if request.scopes.scopes.is_empty() || !self.identity_tokens.is_old(identity.proven) {
            return Ok(proof);
        }
        let birth = Birth { how: proof.born, source: request.client.source() };
        let Some(token) = self.mint(identity, service.name(), proof.renewal, birth).await? else {
            return Err(self.used_up("provider_changed", record));
        };
        let looked = Box::pin(self.by_identity_token(request, service, &token, record)).await;
        let Err(refusal) = looked else { return looked };
        // Nobody has it.
        self.identity_tokens.revoke(&token).await.map_err(|error| unavailable(&error))?;
        let ended = refusal == Refusal::LoginEnded;
        Err(if ended { self.told("the sign-in has ended at the issuer: sign in again at") } else { refusal })
    }

    fn is_named(&self, identity: &Identity, typed: &str) -> bool {
        let folds = self.relying_party(&identity.provider).is_some_and(|party| party.names().ignore_case);
        if folds { identity.username.eq_ignore_ascii_case(typed) } else { identity.username == typed }
    }

    fn used_up(&self, reason: &'static str, record: &mut Record) -> Refusal {
        record.rejected(reason);
        self.told("the login code is used up or older than 5 minutes: get a new one at")
    }

    /// A text that ends in where to go.
    fn told(&self, what: &str) -> Refusal {
        let page = self.sign_in_page().unwrap_or_else(|| "the sign-in page".to_owned());
        Refusal::RejectedWithAdvice(format!("{what} {page}").into())
    }
}

fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(error = %error, "login codes cannot be looked up");
    Refusal::Unavailable { retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> (tempfile::TempDir, CodeTexts) {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        (folder, CodeTexts::new(&key))
    }

    #[test]
    fn a_code_is_told_from_garbage_by_those_who_made_it_alone() {
        let (_folder, ours) = texts();
        let (_other_folder, theirs) = texts();
        let code = ours.make().unwrap();
        let text = code.expose_secret();
        assert_eq!(text.len(), 28);
        assert!(ours.knows(&code) && !theirs.knows(&code));
        assert_ne!(ours.make().unwrap().expose_secret(), text);
        for at in 0..text.len() {
            for other in "abcdefghijklmnopqrstuvwxyz234567ABCDEFGHIJ01=_- \n".chars() {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
                assert_eq!(ours.knows(&SecretString::from(changed.clone())), changed == text, "{changed:?}");
            }
        }
        for garbage in ["", "nrl_", "nrl_x", &format!("{text}a"), &format!(" {text}"), &text.to_uppercase(), &"\u{e9}".repeat(14)] {
            assert!(!ours.knows(&SecretString::from(garbage.to_owned())), "{garbage:?}");
        }
    }
}
