//! OIDC issuers: people sign in there, by a browser, by a device that has none, or (where it is switched on) by a password
//! that narrows passes on.

mod claims;
mod flow;
mod groups;
mod person;
mod relying_party;
mod settings;

pub use flow::{Authorization, Callback, DeviceAuthorization, DevicePoll, DeviceStartError, KeptAuthorization, SignInError, SignedIn};
pub use relying_party::RelyingParty;
pub use settings::{
    ClaimValue, ClaimsFrom, ClientAuthentication, ClientSettings, DeviceGrant, GroupSource, GroupTransform, IdentityClaims,
    OidcAuthorities, OidcGroups, OidcPreset, OidcSettings, OidcTls, Overage, PasswordGrant, SecondFactor, TokenChecks,
};
