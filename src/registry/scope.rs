//! Scopes: `type:name:actions`, alone or many in one text (distribution's `auth/scope.md`).

use std::fmt;
use std::str::FromStr;

use super::action::{Action, ActionSet};
use super::name::{NameError, RepositoryName};

/// A request may name so many scopes at most.
const MAX_SCOPES: usize = 100;
/// The longest item worth reading: a name of 255 bytes, a type and the actions.
const MAX_ITEM: usize = 512;

/// What a scope is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `repository:NAME`
    Repository(RepositoryName),
    /// `registry:catalog`: the list of every repository's name.
    Catalog,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(name) => write!(f, "repository:{name}"),
            Self::Catalog => f.write_str("registry:catalog"),
        }
    }
}

/// One resource with the actions asked for (or granted) on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceScope {
    /// On what.
    pub resource: Resource,
    /// Which actions. `*` is [`Action::All`].
    pub actions: ActionSet,
}

/// Why an item grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not three parts.
    #[error("a scope is `type:name:actions`")]
    Shape,
    /// Over 512 bytes.
    #[error("the scope is longer than {MAX_ITEM} bytes")]
    TooLong,
    /// Neither a repository nor the catalogue.
    #[error("only `repository:…` and `registry:catalog:*` are known")]
    UnknownResource,
    /// The name breaks the grammar.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No action that is known.
    #[error("the scope asks for no known action")]
    NoAction,
}

impl FromStr for ResourceScope {
    type Err = ScopeError;

    /// Splits at the first and the last colon, because a name may hold a port. The resource class of old plugins
    /// (`repository(plugin)`) is dropped: registries forget it when they compare, so it must not mean anything here.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_ITEM {
            return Err(ScopeError::TooLong);
        }
        let (kind, rest) = text.split_once(':').ok_or(ScopeError::Shape)?;
        let (name, words) = rest.rsplit_once(':').ok_or(ScopeError::Shape)?;
        let actions: ActionSet = words.split(',').filter_map(Action::from_word).collect();
        let kind = match kind.strip_prefix("repository(").and_then(|class| class.strip_suffix(')')) {
            Some(class) if !class.is_empty() && class.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) => "repository",
            _ => kind,
        };
        let resource = match (kind, name) {
            ("repository", name) => Resource::Repository(name.parse()?),
            ("registry", "catalog") if !actions.contains(Action::All) => return Err(ScopeError::NoAction),
            ("registry", "catalog") => return Ok(Self { resource: Resource::Catalog, actions: ActionSet::CATALOG }),
            _ => return Err(ScopeError::UnknownResource),
        };
        if actions.is_empty() { Err(ScopeError::NoAction) } else { Ok(Self { resource, actions }) }
    }
}

impl fmt::Display for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.actions)
    }
}

/// Everything that one token request asks for: one scope per resource, in the order of their first mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeRequest {
    /// The well-formed scopes, merged by resource.
    pub scopes: Vec<ResourceScope>,
    /// The items that grant nothing, as they came, with the reason.
    pub dropped: Vec<(String, ScopeError)>,
}

/// More than a hundred items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token request may ask for at most {MAX_SCOPES} scopes")]
pub struct TooManyScopes;

impl ScopeRequest {
    /// Reads every `scope` parameter of a request; each may hold several items parted by spaces.
    pub fn parse<'a>(parameters: impl IntoIterator<Item = &'a str>) -> Result<Self, TooManyScopes> {
        let mut request = Self::default();
        let items = parameters.into_iter().flat_map(|text| text.split(' ')).filter(|item| !item.is_empty());
        for (index, item) in items.enumerate() {
            if index >= MAX_SCOPES {
                return Err(TooManyScopes);
            }
            match item.parse::<ResourceScope>() {
                Ok(scope) => request.add(scope),
                Err(error) => request.dropped.push((item.chars().take(MAX_ITEM).collect(), error)),
            }
        }
        Ok(request)
    }

    fn add(&mut self, scope: ResourceScope) {
        match self.scopes.iter_mut().find(|known| known.resource == scope.resource) {
            Some(known) => known.actions |= scope.actions,
            None => self.scopes.push(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let request = ScopeRequest::parse([text]).unwrap();
        let shown: Vec<_> = request.scopes.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" | "), expected, "{text:?}");
    }

    #[test]
    fn scopes_are_split_merged_and_normalised() {
        check("repository:reg:5000/app:pull", "repository:reg:5000/app:pull");
        check("repository:a:push,pull", "repository:a:pull,push");
        check("repository:a:pull repository:a:push repository:b:pull", "repository:a:pull,push | repository:b:pull");
        check("repository:a:*", "repository:a:*");
        check("repository:a:pull,*", "repository:a:pull,*");
        check("repository(plugin):a:pull", "repository:a:pull");
        check("registry:catalog:*", "registry:catalog:*");
        check("repository:a:pull,fly", "repository:a:pull");
        check("repository:a:pull,", "repository:a:pull");
    }

    #[test]
    fn one_bad_item_costs_only_itself() {
        for bad in [
            "repository",
            "repository::pull",
            ":::",
            "repository:foo:",
            "repository:FOO:pull",
            "repository:foo/../bar:pull",
            "registry:catalog:pull",
            "registry:other:*",
            "x:y:z",
            "../../repository:x:pull",
            "Repository:a:pull",
            "repository!!:a:pull",
            "repository():a:pull",
            "repository:a%2fb:pull",
            "repository:a:PULL",
        ] {
            check(&format!("{bad} repository:good:pull"), "repository:good:pull");
        }
    }

    #[test]
    fn more_than_a_hundred_items_are_too_many() {
        let many = vec!["repository:a:pull"; 101].join(" ");
        assert_eq!(ScopeRequest::parse([many.as_str()]), Err(TooManyScopes));
        assert!(ScopeRequest::parse([vec!["repository:a:pull"; 100].join(" ").as_str()]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_displayed_as_itself(text in "(repository|registry|repository\\(plugin\\)):[a-zA-Z0-9/:._*-]{0,20}:[a-z*,]{0,12}") {
            if let Ok(scope) = text.parse::<ResourceScope>() {
                proptest::prop_assert_eq!(scope.to_string().parse::<ResourceScope>(), Ok(scope));
            }
        }
    }
}
