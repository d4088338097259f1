//! The rule file as it is written: which keys stand where, with their places. What they mean is for `compile`.

mod read;
mod when;
mod who;

use super::node::NodeReader;
use crate::source::{Diagnostics, Located, Place, SourceFile};

/// A text and where it stands.
pub(super) type Text = Located<String>;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// `realm`
    pub(super) realm: Option<Text>,
    /// `timezone`
    pub(super) timezone: Option<Text>,
    /// Keys that are there, of those that a file with `within` may not have.
    pub(super) general: Vec<Text>,
    /// `reserved`, which may be there and empty.
    pub(super) reserved: Option<Vec<Text>>,
    /// `roles`
    pub(super) roles: Vec<(Text, Vec<Text>)>,
    /// `groups`
    pub(super) groups: Vec<(Text, Vec<Original>)>,
    /// `rules`
    pub(super) rules: Vec<RuleText>,
}

/// What an alias stands for.
#[derive(Debug)]
pub(super) enum Original {
    /// A name or a DN.
    Name(Text),
    /// `{id: …}`
    Id(Text),
}

/// One rule.
#[derive(Debug)]
pub(super) struct RuleText {
    /// Where it starts.
    pub(super) place: Place,
    /// `name`
    pub(super) name: Option<Text>,
    /// `to`; `None` inside where it could not be read.
    pub(super) to: Located<Option<To>>,
    /// Whether the words stand behind `allow` or `deny`.
    pub(super) effect: EffectKind,
    /// Roles and actions.
    pub(super) words: Vec<Text>,
    /// `repository`; empty where it is not there.
    pub(super) repository: Vec<Text>,
    /// Whether `repository` is missing because its key is misspelt, which is said already.
    pub(super) misspelt: bool,
    /// `except`
    pub(super) except: Vec<Choice>,
    /// `when`
    pub(super) when: Option<WhenText>,
    /// `ttl`: each action with its life; a life for all of them has no action.
    pub(super) ttl: Vec<(Option<Text>, Text)>,
    /// `tags`; empty where it is not there.
    pub(super) tags: Vec<Text>,
}

/// `when`; every key that is there has to hold.
#[derive(Debug, Default)]
pub(super) struct WhenText {
    /// `services`
    pub(super) services: Vec<Text>,
    /// `source`
    pub(super) source: Vec<Text>,
    /// `from`
    pub(super) from: Option<Text>,
    /// `until`
    pub(super) until: Option<Text>,
    /// `weekly`
    pub(super) weekly: Option<WeeklyText>,
}

/// `weekly`
#[derive(Debug, Default)]
pub(super) struct WeeklyText {
    /// Where it stands.
    pub(super) place: Place,
    /// `days`; empty where it is not there.
    pub(super) days: Vec<Text>,
    /// `from`
    pub(super) from: Option<Text>,
    /// `until`
    pub(super) until: Option<Text>,
}

/// `allow` or `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EffectKind {
    /// Adds actions.
    Allow,
    /// Takes actions away.
    Deny,
}

/// Whom a rule is for.
#[derive(Debug)]
pub(super) enum To {
    /// Everybody, also without credentials.
    Anyone,
    /// People and users of a file.
    Authenticated,
    /// Any of these.
    Any(Vec<Choice>),
}

/// A map, or `all` with several of them; every one must hold.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Where it stands.
    pub(super) place: Place,
    /// The maps.
    pub(super) all: Vec<WhoText>,
    /// `repository`, which only `except` knows.
    pub(super) repository: Vec<Text>,
}

/// One map; each key that is there has to hold, by any of its values.
#[derive(Debug, Default)]
pub(super) struct WhoText {
    /// Where it stands.
    pub(super) place: Place,
    /// `user`
    pub(super) user: Vec<Text>,
    /// `group`
    pub(super) group: Vec<Text>,
    /// `provider`
    pub(super) provider: Vec<Text>,
    /// `realm`
    pub(super) realm: Vec<Text>,
    /// `claims`: each claim with its values.
    pub(super) claims: Vec<(Text, Vec<Text>)>,
    /// `mfa: {within}`
    pub(super) mfa: Option<Text>,
}

impl WhoText {
    fn is_empty(&self) -> bool {
        let names = [&self.user, &self.group, &self.provider, &self.realm];
        names.iter().all(|names| names.is_empty()) && self.claims.is_empty() && self.mfa.is_none()
    }
}

/// Reads a file. What could be read is handed out beside the findings, so that compiling it can find the rest.
pub(super) fn read(file: &SourceFile, findings: &mut Diagnostics) -> Document {
    let mut reader = NodeReader::new(file);
    let document = match file.parse() {
        Ok(node) => reader.document(node),
        Err(finding) => {
            findings.push(finding);
            Document::default()
        }
    };
    findings.0.append(&mut reader.findings.0);
    document
}
