//! What a provider wants back at the next re-check, where many wait for one look-up: an issuer that gives a new refresh token at
//! every use takes one that comes from two places for stolen (RFC 9700 §4.14).

use std::sync::{Arc, Mutex, PoisonError};

use crate::authn::verdict::Renewal;

/// The renewal of one look-up.
#[derive(Clone, Debug)]
pub(in crate::authn) enum Handout {
    /// Everybody who waits may keep it; also where there is none to be had.
    ForAll(Option<Renewal>),
    /// One of those who wait may keep it.
    ForOne(Arc<Mutex<Option<Renewal>>>),
    /// Nobody who began the look-up wanted one.
    NotAskedFor,
}

/// Whoever needs a renewal has to ask for one of their own.
#[derive(Debug)]
pub(super) struct Spent;

impl Handout {
    /// One that is given away once.
    pub(in crate::authn) fn once(renewal: Renewal) -> Self {
        Self::ForOne(Arc::new(Mutex::new(Some(renewal))))
    }

    /// The renewal for somebody who keeps it.
    pub(super) fn take(&self) -> Result<Option<Renewal>, Spent> {
        match self {
            Self::ForAll(renewal) => Ok(renewal.clone()),
            Self::ForOne(renewal) => renewal.lock().unwrap_or_else(PoisonError::into_inner).take().map(Some).ok_or(Spent),
            Self::NotAskedFor => Err(Spent),
        }
    }
}
