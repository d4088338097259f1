//! A login by password step by step, for operators.

use secrecy::SecretString;
use tokio::time::Instant;

use super::flow::{NO_OFFLINE_ACCESS, SignInError};
use super::refusal::OfPassword;
use super::relying_party::RelyingParty;
use super::remote::Checks;
use super::token_endpoint::Reply;
use crate::authn::cache::Freshness;
use crate::authn::identity::Method;
use crate::authn::ldap::may_be_a_name;
use crate::authn::rehearsal::{End, Outcome, Rehearsal, Step};
use crate::authn::verdict::Circumstances;

impl RelyingParty {
    /// A login step by step. With a password it is a real one, which counts at the issuer.
    pub(in crate::authn) async fn rehearse(
        &self,
        typed: &str,
        password: Option<&SecretString>,
        circumstances: &Circumstances,
    ) -> Rehearsal {
        let mut steps = Vec::new();
        let end = self.rehearsed(typed, password, circumstances.deadline, &mut steps).await;
        Rehearsal { steps, end }
    }

    async fn rehearsed(&self, typed: &str, password: Option<&SecretString>, deadline: Instant, steps: &mut Vec<Step>) -> End {
        let started = Instant::now();
        let metadata = match self.metadata(deadline).await {
            Ok(metadata) => metadata,
            Err(error) => return failed("discovery", error.reason, started, steps),
        };
        let endpoints = vec![format!("token endpoint: {}", metadata.token())];
        steps.push(Step::good("discovery", self.remote.issuer()).details(endpoints).took(started.elapsed()));
        if !self.takes_passwords() {
            let advice = "people sign in with a browser; `password_grant: {enabled: true}` would send passwords to the issuer";
            steps.push(Step::new("password grant", Outcome::Note, "it is switched off").advice(advice));
            return End::NotMine;
        }
        if !may_be_a_name(self.person.stripped(typed)) {
            steps.push(Step::new("name", Outcome::Wrong, format!("`{typed}` can be nobody's name here")));
            return End::NotMine;
        }
        steps.push(Step::good("name", format!("`{typed}` is sent as it was typed")));
        let Some(password) = password else {
            steps.push(Step::new("password grant", Outcome::Note, "not tried: an issuer says nothing of somebody without their password"));
            return End::NotMine;
        };
        let started = Instant::now();
        let tokens = match self.ask_with_password(&metadata, (typed, password), Freshness::CacheAllowed, deadline).await {
            Ok(Reply::Tokens(tokens)) => tokens,
            Ok(Reply::Refused(refusal)) => {
                let word = match refusal.of_password(self.settings.kind()) {
                    OfPassword::Wrong => "wrong_password",
                    OfPassword::Barred => "locked_out",
                    OfPassword::MoreWanted => "interaction_required",
                    OfPassword::NoOfflineAccess => NO_OFFLINE_ACCESS,
                    OfPassword::Misconfigured | OfPassword::Unknown => {
                        return failed("password grant", self.blamed(&refusal, Some(password)).reason, started, steps);
                    }
                };
                steps.push(Step::new("password grant", Outcome::Wrong, refusal.word()).took(started.elapsed()));
                return End::Refused(word.to_owned());
            }
            Err(trouble) => return failed("password grant", trouble.to_string(), started, steps),
        };
        steps.push(Step::good("password grant", "the password is right").took(started.elapsed()));
        let started = Instant::now();
        match self.signed_in(&tokens, Checks::default(), Method::Password, deadline).await {
            Ok(signed_in) => {
                let details = signed_in.identity.groups.iter().map(|group| format!("group: {}", group.name)).collect();
                steps.push(Step::good("identity", signed_in.identity.username.clone()).details(details).took(started.elapsed()));
                End::LetIn(Box::new(signed_in.identity))
            }
            Err(SignInError::Refused(word)) => {
                steps.push(Step::new("identity", Outcome::Wrong, word).took(started.elapsed()));
                End::Refused(word.to_owned())
            }
            Err(SignInError::Unavailable(error)) => failed("identity", error.reason, started, steps),
        }
    }
}

fn failed(step: &str, reason: String, started: Instant, steps: &mut Vec<Step>) -> End {
    steps.push(Step::new(step, Outcome::Failed, reason.clone()).took(started.elapsed()));
    End::Unavailable(reason)
}
