//! OIDC providers: parsed so far, refused by name until they can be asked.

mod settings;

pub use settings::OidcSettings;
