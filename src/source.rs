//! Files that people write: YAML with places, secrets, periods, and the diagnostics that point into them.
//!
//! This is the only module that knows the YAML crate. Everything it hands out carries its place (line and column), so
//! that a later check can still show the line it speaks of.

mod diagnostic;
mod excerpt;
mod file;
mod lines;
mod located;
mod network;
mod period;
mod schema;
mod secret;
mod secret_keys;
mod visible;
mod whole;
mod words;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use excerpt::Excerpt;
pub use file::SourceFile;
pub use located::{Located, OneOrMany, Place};
pub use network::{NotANetwork, parse_network};
pub use period::{Period, PeriodError};
pub use schema::{AnyScalar, exactly_one_of};
pub use secret::{SecretError, SecretSource};
pub use visible::is_hidden;
pub use whole::read_whole;
pub use words::nearest;
