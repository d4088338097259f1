//! OIDC issuers: people sign in there, by a browser, by a device that has none, or (where it is switched on) by a password
//! that narrows passes on.

mod address;
mod breaker;
mod browser;
mod claims;
mod device;
#[cfg(test)]
pub(crate) mod fake;
mod flow;
mod graph;
mod groups;
mod http;
mod kept;
mod metadata;
mod password;
mod person;
mod probe;
mod recheck;
mod redirect;
mod refusal;
mod rehearsal;
mod relying_party;
mod remote;
mod revocation;
mod settings;
mod token_endpoint;
mod trouble;
mod upstream;

pub use flow::{
    Authorization, Callback, CallbackAnswer, CallbackError, DeviceAuthorization, DevicePoll, DeviceStartError, KeptAuthorization,
    NO_OFFLINE_ACCESS, OFFLINE_ADVICE, SignInError, SignedIn, hint,
};
pub use relying_party::RelyingParty;
pub use settings::{
    ClaimValue, ClaimsFrom, ClientAuthentication, ClientSettings, DeviceGrant, GroupSource, GroupTransform, IdentityClaims,
    OidcAuthorities, OidcGroups, OidcPreset, OidcSettings, OidcTls, Overage, PasswordGrant, SecondFactor, TokenChecks,
};

#[cfg(test)]
mod tests;
