//! OIDC issuers: their keys are read, and a provider of this kind is refused by name until it can be asked.

mod settings;

pub use settings::{
    ClaimValue, ClaimsFrom, ClientAuthentication, ClientSettings, DeviceGrant, GroupSource, GroupTransform, IdentityClaims,
    OidcAuthorities, OidcGroups, OidcPreset, OidcSettings, OidcTls, Overage, PasswordGrant, SecondFactor, TokenChecks,
};
