//! The registry's own words: names, actions, scopes. Pure, and the one place where a request's text becomes a value.

mod action;
mod name;
mod scope;

pub use action::{Action, ActionSet};
pub use name::{NameError, PathComponent, RepositoryName};
pub use scope::{Resource, ResourceScope, ScopeError, ScopeRequest, TooManyScopes};
