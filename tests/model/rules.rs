//! Rules as the model reads them: what a rule file says, without its text.

use std::net::IpAddr;

/// Everything that the rule files say together.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    /// Whose users and groups plain names mean.
    pub realm: &'static str,
    /// The zone of days and of times of day.
    pub zone: &'static str,
    pub reserved: Vec<&'static str>,
    pub roles: Vec<(&'static str, Vec<&'static str>)>,
    pub aliases: Vec<(&'static str, Vec<Original>)>,
    pub rules: Vec<Rule>,
    /// The files behind the first one, each with what it has to stay inside.
    pub others: Vec<Option<&'static str>>,
    /// Whether the configuration has the service that does not enforce `tags`.
    pub third: bool,
    /// How the text is spelled where it may be spelled in several ways.
    pub spelling: usize,
}

/// What an alias stands for.
#[derive(Clone, Debug)]
pub enum Original {
    Name(&'static str),
    Id(&'static str),
    Dn(Dn),
}

/// Types and values; in a pattern the values may hold captures.
pub type Dn = Vec<(&'static str, &'static str)>;

#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    /// The file that it stands in; 0 is the first.
    pub file: usize,
    pub allow: bool,
    pub words: Vec<&'static str>,
    pub to: To,
    /// Empty for the catalogue.
    pub repository: Vec<String>,
    pub except: Vec<Choice>,
    pub when: Option<When>,
    pub ttl: Option<Ttl>,
    pub tags: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub enum To {
    Anyone,
    Authenticated,
    Any(Vec<Choice>),
}

/// Every map holds. `repository` is for `except`, where the maps may be missing.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub all: Vec<Map>,
    pub repository: Vec<String>,
}

/// Every key that is there holds, by any of its values.
#[derive(Clone, Debug, Default)]
pub struct Map {
    pub user: Vec<&'static str>,
    pub group: Vec<GroupName>,
    pub provider: Vec<&'static str>,
    pub realm: Vec<&'static str>,
    pub claims: Vec<(&'static str, Vec<&'static str>)>,
    /// `mfa: {within: …}` in seconds.
    pub within: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum GroupName {
    Plain(&'static str),
    Dn(Dn),
}

#[derive(Clone, Debug, Default)]
pub struct When {
    pub services: Vec<&'static str>,
    pub source: Vec<(IpAddr, u8)>,
    pub from: Option<Moment>,
    pub until: Option<Moment>,
    pub weekly: Option<Weekly>,
}

#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// A whole day, so many after 1970-01-01.
    Day(i64),
    /// Seconds since 1970.
    Instant(i64),
}

/// Times of day are minutes after midnight.
#[derive(Clone, Debug)]
pub struct Weekly {
    /// Monday is 0; empty means every day.
    pub days: Vec<usize>,
    pub from: Option<i64>,
    pub until: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum Ttl {
    Every(u64),
    /// Of these actions alone, in seconds.
    Each(Vec<(&'static str, u64)>),
}

impl Rule {
    /// What its file has to stay inside.
    pub fn within(&self, book: &Rulebook) -> Option<&'static str> {
        self.file.checked_sub(1).and_then(|index| book.others[index])
    }

    /// Every map of `to` and `except`.
    pub fn maps(&self) -> impl Iterator<Item = &Map> {
        let to = match &self.to {
            To::Anyone | To::Authenticated => &[],
            To::Any(choices) => choices.as_slice(),
        };
        to.iter().chain(&self.except).flat_map(|choice| &choice.all)
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    pub realm: &'static str,
    pub provider: &'static str,
    pub workload: bool,
    pub user: String,
    pub groups: Vec<Membership>,
    pub claims: Vec<(&'static str, Vec<&'static str>)>,
    pub factor: Factor,
}

#[derive(Clone, Debug)]
pub struct Membership {
    pub name: String,
    pub dn: HeldDn,
    pub id: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub enum HeldDn {
    None,
    /// Something that is no DN.
    Garbage,
    Of(Vec<(&'static str, String)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor {
    Unknown,
    Absent,
    Used(i64),
}

/// The rest of a request.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub service: &'static str,
    pub source: Option<IpAddr>,
    pub now: i64,
}

/// Realms of the configuration: name, whether it ignores case, its providers, and those of them for workloads.
pub const REALMS: [(&str, bool, &[&str], &[&str]); 3] =
    [("corp", true, &["staff", "sso", "ci"], &["ci"]), ("robots", false, &["robots"], &[]), ("github", false, &["github"], &["github"])];

/// Services, and whether they enforce `tags`.
pub const SERVICES: [(&str, bool); 3] = [("one", true), ("two", true), ("three", false)];
