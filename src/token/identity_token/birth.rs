//! How a token came to be, and where from: what its owner and operators recognise it by.

use std::net::IpAddr;

/// By which kind of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Born {
    /// A password that the provider proved.
    Password,
    /// The sign-in page.
    SignIn,
    /// A device login that a credential helper began.
    Device,
    /// A device login that `docker login` itself began.
    InBand,
}

impl Born {
    const ALL: [Self; 4] = [Self::Password, Self::SignIn, Self::Device, Self::InBand];

    /// The word of listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SignIn => "sign_in",
            Self::Device => "device",
            Self::InBand => "in_band",
        }
    }

    /// The one of this word; none for a word that only a newer version knows.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|born| born.as_str() == word)
    }
}

/// How and where from a token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// By which kind of login.
    pub how: Born,
    /// The client's address, where it could be believed.
    pub source: Option<IpAddr>,
}
