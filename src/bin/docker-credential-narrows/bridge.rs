//! What is said to narrows: a device login (in the manner of RFC 8628) and a revocation (RFC 7009).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::address::NarrowsUrl;
use crate::client::{Answer, Client, Unreachable};
use crate::failure::Failure;
use crate::pins::Pin;
use crate::terminal::shown;
use crate::token::Token;

/// A narrows, and how to reach it.
#[derive(Debug)]
pub(crate) struct Bridge {
    client: Client,
    address: NarrowsUrl,
}

/// A sign-in that began.
#[derive(Deserialize)]
pub(crate) struct Started {
    /// What this program shows at every poll; whoever has it gets the token.
    flow: SecretString,
    /// Where to sign in.
    pub(crate) verification_uri: String,
    /// The same with the code in it.
    pub(crate) verification_uri_complete: Option<String>,
    /// What the person compares or types.
    pub(crate) user_code: String,
    /// After how many seconds nobody can sign in any more.
    #[serde(default = "ten_minutes")]
    pub(crate) expires_in: u64,
    /// How many seconds to wait between polls.
    #[serde(default = "five_seconds")]
    pub(crate) interval: u64,
}

/// What a poll found.
#[derive(Debug)]
pub(crate) enum Poll {
    /// Nobody signed in yet; perhaps with a new interval in seconds.
    Pending(Option<u64>),
    /// It was asked too often; perhaps with a new interval in seconds.
    TooOften(Option<u64>),
    /// It cannot be said now; perhaps in so many seconds.
    Later(Option<u64>, String),
    /// The person signed in.
    Done(Box<Signed>),
    /// It is over without a token, and why.
    Over(String),
}

/// Who signed in, and what for.
#[derive(Debug, Deserialize)]
pub(crate) struct Signed {
    /// Their name.
    pub(crate) username: String,
    /// What docker will keep.
    pub(crate) refresh_token: Token,
    /// The registry that it is for.
    pub(crate) service: String,
    /// How many seconds it lives.
    pub(crate) expires_in: Option<i64>,
}

/// An error of narrows: the word for programs, and the sentence for people.
#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    errors: Vec<Said>,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
}

impl Bridge {
    /// The one that a registry is pinned to.
    pub(crate) fn of(pin: &Pin) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(pin.narrows.url(), pin.ca.as_deref())?, address: pin.narrows.clone() })
    }

    /// Begins a sign-in.
    pub(crate) async fn start(&self, pin: &Pin) -> Result<Started, Failure> {
        let mut form = vec![("service", pin.service.as_str())];
        form.extend(pin.provider.as_deref().map(|provider| ("provider", provider)));
        let answer = self.client.post(self.address.below(&["device", "start"]), &form).await;
        let answer = answer.map_err(|error| Failure::Unavailable(format!("narrows at {} cannot be reached: {error}", self.address)))?;
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body)
                .map_err(|_| Failure::Unavailable(format!("{} is not narrows: its answer makes no sense", self.address)));
        }
        let said = refused(&answer).text(answer.status);
        Err(match answer.status {
            429 | 503 => {
                let when = answer.retry_after.map(|seconds| format!("; try again in {seconds} s")).unwrap_or_default();
                Failure::Unavailable(format!("narrows at {} cannot begin a sign-in now: {said}{when}", self.address))
            }
            400..500 => Failure::Bad(format!("narrows at {} begins no sign-in: {said}", self.address)),
            _ => Failure::Unavailable(format!("narrows at {} cannot begin a sign-in: {said}", self.address)),
        })
    }

    /// Asks whether somebody signed in.
    pub(crate) async fn poll(&self, started: &Started) -> Poll {
        let form = [("flow", started.flow.expose_secret())];
        let answer = match self.client.post(self.address.below(&["device", "poll"]), &form).await {
            Ok(answer) => answer,
            Err(error) => return Poll::Later(None, error.to_string()),
        };
        if answer.status == 200 {
            return match serde_json::from_slice(&answer.body) {
                Ok(signed) => Poll::Done(Box::new(signed)),
                Err(_) => Poll::Over("narrows sent something that is no identity token".to_owned()),
            };
        }
        let refused = refused(&answer);
        match (answer.status, refused.error.as_str()) {
            (400, "authorization_pending") => Poll::Pending(refused.interval),
            (400, "slow_down") => Poll::TooOften(refused.interval),
            (400, "access_denied") => Poll::Over("the sign-in was refused".to_owned()),
            (400, "expired_token") => Poll::Over("nobody signed in in time".to_owned()),
            (429 | 500.., _) => Poll::Later(answer.retry_after, refused.text(answer.status)),
            _ => Poll::Over(refused.text(answer.status)),
        }
    }

    /// Ends a token, within so much time.
    pub(crate) async fn revoke(&self, token: &Token, within: Duration) -> Result<(), String> {
        let form = [("token", token.expose())];
        let asked = self.client.post(self.address.below(&["revoke"]), &form);
        match tokio::time::timeout(within, asked).await {
            Err(_) => Err("it does not answer in time".to_owned()),
            Ok(Err(Unreachable(cause))) => Err(cause),
            Ok(Ok(answer)) if answer.status == 200 => Ok(()),
            Ok(Ok(answer)) => Err(refused(&answer).text(answer.status)),
        }
    }
}

impl Refused {
    /// For people.
    fn text(&self, status: u16) -> String {
        let sentence = self.errors.first().map(|said| said.message.as_str()).filter(|message| !message.is_empty());
        let text = shown(sentence.unwrap_or(&self.error));
        if text.is_empty() { format!("it answers with status {status}") } else { text }
    }
}

fn refused(answer: &Answer) -> Refused {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn ten_minutes() -> u64 {
    600
}

fn five_seconds() -> u64 {
    5
}
