//! What a token endpoint's refusal means (RFC 6749 §5.2), and what each kind of issuer says in its own words.

use super::settings::OidcPreset;

/// A refusal as it was sent. Its text is the issuer's: for operators at most, never for clients.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `error`; empty where the body was.
    pub(super) error: String,
    /// `error_description`.
    pub(super) description: String,
    /// Numbers of Microsoft's errors, from `error_codes` or the description.
    pub(super) codes: Vec<u32>,
    /// The HTTP status.
    pub(super) status: u16,
}

/// What a refusal of a password means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfPassword {
    /// Wrong, or nobody's.
    Wrong,
    /// The account is locked or disabled, and nothing was compared.
    Barred,
    /// It is right, and does not do.
    MoreWanted,
    /// It is right, and the account may not have a refresh token that lasts.
    NoOfflineAccess,
    /// narrows is set up wrongly, here or there.
    Misconfigured,
    /// Neither yes nor no.
    Unknown,
}

/// What a refusal of a refresh token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfRenewal {
    /// Whoever it was given to has to sign in again.
    Ended,
    /// narrows is set up wrongly, here or there.
    Misconfigured,
    /// Neither yes nor no.
    Unknown,
}

/// Microsoft: a second factor, a consent, a new password, or a place that a browser alone may come from.
const MICROSOFT_WANTS_MORE: [u32; 14] = [50055, 50072, 50074, 50076, 50078, 50079, 50097, 50144, 50158, 53000, 53001, 53003, 53004, 65001];
/// Microsoft: wrong, or nobody in this directory.
const MICROSOFT_SAYS_WRONG: [u32; 5] = [50020, 50034, 50056, 50126, 51004];
/// Microsoft: locked, disabled. Anybody who can type a name can cause the first.
const MICROSOFT_BARS: [u32; 2] = [50053, 50057];

/// Words of `error` that mean that a browser is needed (OpenID Connect Core §3.1.2.6, and Auth0's).
const WANTS_MORE: [&str; 6] =
    ["interaction_required", "login_required", "consent_required", "account_selection_required", "mfa_required", "password_leaked"];
/// Words of `error` that no person can do anything about.
const MISCONFIGURED: [&str; 6] =
    ["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request", "invalid_target"];

/// A text in a description that says more than the word beside it.
struct Told {
    preset: OidcPreset,
    error: &'static str,
    /// In lower case.
    contains: &'static str,
    means: OfPassword,
}

const TOLD: [Told; 15] = [
    told(OidcPreset::Keycloak, "invalid_grant", "account is not fully set up", OfPassword::MoreWanted),
    told(OidcPreset::Keycloak, "invalid_grant", "account disabled", OfPassword::Barred),
    told(OidcPreset::Keycloak, "invalid_grant", "account is disabled", OfPassword::Barred),
    told(OidcPreset::Keycloak, "invalid_grant", "account temporarily disabled", OfPassword::Barred),
    told(OidcPreset::Keycloak, "not_allowed", OFFLINE, OfPassword::NoOfflineAccess),
    told(OidcPreset::Okta, "invalid_grant", "mfa", OfPassword::MoreWanted),
    told(OidcPreset::Okta, "invalid_grant", "sign on policy", OfPassword::MoreWanted),
    told(OidcPreset::Okta, "access_denied", "policy", OfPassword::MoreWanted),
    told(OidcPreset::Okta, "invalid_grant", "locked", OfPassword::Barred),
    told(OidcPreset::Dex, "access_denied", "", OfPassword::Wrong),
    told(OidcPreset::Generic, "invalid_grant", "mfa required", OfPassword::MoreWanted),
    told(OidcPreset::Generic, "invalid_grant", "multi-factor", OfPassword::MoreWanted),
    told(OidcPreset::Generic, "invalid_grant", "multifactor", OfPassword::MoreWanted),
    told(OidcPreset::Generic, "unauthorized", "blocked", OfPassword::Barred),
    told(OidcPreset::Generic, "access_denied", "", OfPassword::Wrong),
];

/// What to do where the issuer refuses the client.
pub(super) const CLIENT_HINT: &str =
    "the client id is unknown, or the secret is wrong or has expired, or is sent in another way: see `client.auth`";
/// What to do where it refuses a scope.
pub(super) const SCOPE_HINT: &str =
    "let the client have every one of `scopes` at the issuer, or take out of `scopes` what it does not know";

/// What Keycloak says to somebody without the realm role `offline_access` who is to be given such a refresh token. In lower case.
const OFFLINE: &str = "offline tokens not allowed";

/// What Dex says of a refresh token that is no more, in the words of a request that makes no sense. In lower case.
const DEX_ENDED: [&str; 2] = ["refresh token is invalid", "refresh token expired"];

const fn told(preset: OidcPreset, error: &'static str, contains: &'static str, means: OfPassword) -> Told {
    Told { preset, error, contains, means }
}

impl Refusal {
    /// Of the token endpoint to a name and a password.
    pub(super) fn of_password(&self, preset: OidcPreset) -> OfPassword {
        if self.error.is_empty() {
            // Glewlwyd says "wrong password" by 403 alone, and "wrong client" by 400.
            let says_wrong = preset == OidcPreset::Generic && self.status == 403;
            return if says_wrong { OfPassword::Wrong } else { OfPassword::Unknown };
        }
        if let Some(means) = self.of_microsoft() {
            return means;
        }
        let description = self.description.to_ascii_lowercase();
        let told = TOLD.iter().find(|it| it.preset == preset && it.error == self.error && description.contains(it.contains));
        if let Some(told) = told {
            return told.means;
        }
        match self.error.as_str() {
            // With a number that is not known here it may be anything.
            "invalid_grant" if self.codes.is_empty() => OfPassword::Wrong,
            error if WANTS_MORE.contains(&error) => OfPassword::MoreWanted,
            error if MISCONFIGURED.contains(&error) => OfPassword::Misconfigured,
            _ => OfPassword::Unknown,
        }
    }

    /// Of the token endpoint to a refresh token.
    pub(super) fn of_renewal(&self, preset: OidcPreset) -> OfRenewal {
        match self.error.as_str() {
            // Glewlwyd says by 400 alone that a refresh token is over, and that the client's secret is wrong: a new secret must not
            // end everybody's login.
            "invalid_request" if preset == OidcPreset::Dex && self.status == 400 && self.is_told_of_end() => OfRenewal::Ended,
            // Whoever can type a name can lock it, and must not end what somebody else has begun.
            "invalid_grant" if self.codes.contains(&50053) => OfRenewal::Unknown,
            "invalid_grant" => OfRenewal::Ended,
            error if WANTS_MORE.contains(&error) => OfRenewal::Ended,
            error if MISCONFIGURED.contains(&error) => OfRenewal::Misconfigured,
            _ => OfRenewal::Unknown,
        }
    }

    fn is_told_of_end(&self) -> bool {
        let description = self.description.to_ascii_lowercase();
        DEX_ENDED.iter().any(|words| description.starts_with(words))
    }

    /// Whether somebody signed in, and may not have a refresh token that lasts. Once the role is taken from somebody, Keycloak answers
    /// their refresh token with `invalid_grant`.
    pub(super) fn denies_offline_access(&self, preset: OidcPreset) -> bool {
        self.of_password(preset) == OfPassword::NoOfflineAccess
    }

    /// Whether the client is none, or has another secret: nothing that was asked for was looked at. Keycloak says `unauthorized_client` of
    /// a wrong secret.
    pub(super) fn refuses_client(&self) -> bool {
        self.error == "invalid_client" || self.error == "unauthorized_client" && self.status == 401
    }

    /// What to do, where a setting is to blame.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self.error.as_str() {
            _ if self.refuses_client() => Some(CLIENT_HINT),
            "unauthorized_client" | "unsupported_grant_type" => Some("allow the client this grant at the issuer"),
            "invalid_scope" => Some(SCOPE_HINT),
            _ => None,
        }
    }

    /// Whether a setting is to blame, whatever was asked.
    pub(super) fn is_misconfigured(&self) -> bool {
        MISCONFIGURED.contains(&self.error.as_str())
    }

    /// For operators: the word and the numbers.
    pub(super) fn word(&self) -> String {
        let error = match self.error.as_str() {
            "" => "an empty body",
            error if is_word(error) => error,
            _ => "an unknown error",
        };
        let codes: Vec<String> = self.codes.iter().map(|code| format!(" AADSTS{code}")).collect();
        format!("{error}{} (HTTP {})", codes.concat(), self.status)
    }

    /// For operators, where a setting is wrong: what the issuer says of it, unless that holds a secret.
    pub(super) fn told(&self, secrets: &[&str]) -> String {
        let holds_secret = secrets.iter().any(|secret| !secret.is_empty() && self.description.contains(secret));
        let text: String = self.description.chars().filter(|c| !crate::source::is_hidden(*c)).take(200).collect();
        if holds_secret || text.is_empty() { self.word() } else { format!("{}: {text}", self.word()) }
    }

    fn of_microsoft(&self) -> Option<OfPassword> {
        let has = |codes: &[u32]| self.codes.iter().any(|code| codes.contains(code));
        if has(&MICROSOFT_BARS) {
            Some(OfPassword::Barred)
        } else if has(&MICROSOFT_SAYS_WRONG) {
            Some(OfPassword::Wrong)
        } else {
            has(&MICROSOFT_WANTS_MORE).then_some(OfPassword::MoreWanted)
        }
    }
}

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.word())
    }
}

/// Whether it is a word of a standard, or looks like one: nothing else of an issuer's is repeated.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The numbers behind `AADSTS` in a description.
pub(super) fn microsoft_codes(description: &str) -> Vec<u32> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).take(9).collect::<String>();
    description.split("AADSTS").skip(1).filter_map(|rest| digits(rest).parse().ok()).take(8).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(status: u16, error: &str, description: &str) -> Refusal {
        Refusal { error: error.to_owned(), description: description.to_owned(), codes: microsoft_codes(description), status }
    }

    #[test]
    fn every_issuers_words_are_understood() {
        use OfPassword::{Barred, Misconfigured, MoreWanted, NoOfflineAccess, Unknown, Wrong};
        use OidcPreset::{Dex, Entra, Generic, Gitlab, Keycloak, Okta};
        for (preset, status, error, description, means) in [
            (Keycloak, 401, "invalid_grant", "Invalid user credentials", Wrong),
            (Keycloak, 400, "invalid_grant", "Account is not fully set up", MoreWanted),
            (Keycloak, 400, "invalid_grant", "Account disabled", Barred),
            (Keycloak, 400, "not_allowed", "Offline tokens not allowed for the user or client", NoOfflineAccess),
            (Keycloak, 400, "not_allowed", "", Unknown),
            (Generic, 400, "not_allowed", "Offline tokens not allowed for the user or client", Unknown),
            (Keycloak, 401, "unauthorized_client", "Client not allowed for direct access grants", Misconfigured),
            (Entra, 400, "invalid_grant", "AADSTS50126: Error validating credentials due to invalid username or password.", Wrong),
            (Entra, 400, "invalid_grant", "AADSTS50034: The user account does not exist.", Wrong),
            (Entra, 400, "invalid_grant", "AADSTS50076: you must use multi-factor authentication", MoreWanted),
            (Entra, 400, "interaction_required", "AADSTS50158: External security challenge not satisfied.", MoreWanted),
            (Entra, 400, "invalid_grant", "AADSTS65001: not consented", MoreWanted),
            (Entra, 400, "invalid_grant", "AADSTS50055: The password is expired.", MoreWanted),
            (Entra, 400, "invalid_grant", "AADSTS50053: The account is locked", Barred),
            (Entra, 400, "invalid_grant", "AADSTS50057: The user account is disabled.", Barred),
            (Entra, 400, "invalid_grant", "AADSTS99999: something new", Unknown),
            (Entra, 401, "invalid_client", "AADSTS7000215: Invalid client secret provided.", Misconfigured),
            (Okta, 400, "invalid_grant", "The credentials provided were invalid.", Wrong),
            (Okta, 400, "invalid_grant", "Resource owner password credentials authentication denied by sign on policy.", MoreWanted),
            (Okta, 403, "access_denied", "Policy evaluation failed", MoreWanted),
            (Okta, 403, "access_denied", "", Unknown),
            (Dex, 401, "access_denied", "Invalid username or password", Wrong),
            (Gitlab, 401, "invalid_grant", "The provided authorization grant is invalid", Wrong),
            (Generic, 403, "mfa_required", "Multifactor authentication required", MoreWanted),
            (Generic, 403, "invalid_grant", "Wrong email or password.", Wrong),
            (Generic, 400, "invalid_grant", "AADSTS50076", MoreWanted),
            (Generic, 403, "", "", Wrong),
            (Generic, 400, "", "", Unknown),
            (Generic, 401, "", "", Unknown),
            (Keycloak, 403, "", "", Unknown),
            (Generic, 400, "unsupported_grant_type", "", Misconfigured),
            (Generic, 400, "invalid_scope", "", Misconfigured),
            (Generic, 400, "invalid_request", "", Misconfigured),
            (Generic, 400, "server_error", "", Unknown),
            (Generic, 400, "temporarily_unavailable", "", Unknown),
            (Generic, 403, "forbidden", "", Unknown),
        ] {
            assert_eq!(refusal(status, error, description).of_password(preset), means, "{preset:?} {status} {error} {description}");
        }
    }

    #[test]
    fn a_session_ends_by_a_word_of_its_own_alone() {
        use OfRenewal::{Ended, Misconfigured, Unknown};
        use OidcPreset::{Dex, Entra, Generic, Keycloak};
        for (preset, status, error, description, means) in [
            (Keycloak, 400, "invalid_grant", "Session not active", Ended),
            (Keycloak, 400, "invalid_grant", "Offline session invalid because offline access not granted anymore", Ended),
            (Entra, 400, "invalid_grant", "AADSTS50173: the grant has expired", Ended),
            (Entra, 400, "invalid_grant", "AADSTS50057: disabled", Ended),
            (Entra, 400, "invalid_grant", "AADSTS50053: locked", Unknown),
            (Entra, 400, "interaction_required", "AADSTS50076", Ended),
            (Generic, 401, "invalid_client", "", Misconfigured),
            (Generic, 400, "unauthorized_client", "", Misconfigured),
            (Generic, 400, "server_error", "", Unknown),
            (Generic, 400, "", "", Unknown),
            (Generic, 401, "", "", Unknown),
            (Generic, 403, "", "", Unknown),
            (Keycloak, 400, "", "", Unknown),
            (Dex, 400, "", "", Unknown),
            (Dex, 400, "invalid_request", "Refresh token is invalid or has already been claimed by another client.", Ended),
            (Dex, 400, "invalid_request", "Refresh token expired.", Ended),
            (Dex, 400, "invalid_request", "No refresh token is found in request.", Misconfigured),
            (Dex, 400, "invalid_request", "", Misconfigured),
            (Dex, 401, "invalid_client", "Invalid client credentials.", Misconfigured),
            (Generic, 400, "invalid_request", "Refresh token expired.", Misconfigured),
        ] {
            assert_eq!(refusal(status, error, description).of_renewal(preset), means, "{preset:?} {status} {error} {description}");
        }
    }

    #[test]
    fn nothing_secret_and_nothing_hidden_is_told() {
        let refusal = refusal(401, "invalid_client", "the secret s3cr3t is\u{1b}[2J wrong");
        assert_eq!(refusal.told(&["s3cr3t"]), "invalid_client (HTTP 401)");
        assert_eq!(refusal.told(&["other"]), "invalid_client (HTTP 401): the secret s3cr3t is[2J wrong");
        assert_eq!(format!("{refusal:?}"), "invalid_client (HTTP 401)");
        assert_eq!(self::refusal(400, "a b\n", "").word(), "an unknown error (HTTP 400)");
    }

    proptest! {
        #[test]
        fn no_text_panics(error in ".{0,80}", description in "(AADSTS[0-9]{0,12}|.{0,8}){0,6}", status in any::<u16>()) {
            let refusal = refusal(status, &error, &description);
            let _ = (refusal.of_password(OidcPreset::Entra), refusal.of_renewal(OidcPreset::Dex), refusal.word(), refusal.told(&[]));
        }
    }
}
