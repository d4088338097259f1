//! Names and patterns that belong together: each shape binds the same captures everywhere.

use crate::rules::{GroupName, HeldDn};

/// A group of a rule: a name or a DN.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    Name(&'static str),
    Dn(&'static [(&'static str, &'static str)]),
}
use Group::{Dn, Name};

impl From<Group> for GroupName {
    fn from(group: Group) -> Self {
        match group {
            Name(name) => Self::Plain(name),
            Dn(dn) => Self::Dn(dn.to_vec()),
        }
    }
}

pub struct Shape {
    /// How many captures it binds.
    pub captures: usize,
    pub users: &'static [&'static str],
    pub groups: &'static [Group],
    pub words: &'static [&'static str],
    /// With some inside of `a/**` and of `b/**`.
    pub patterns: &'static [&'static str],
}

pub const SHAPES: [Shape; 5] = [
    Shape {
        captures: 0,
        users: &["a", "B", "*", "a*", "svc-*", "a/b", "ä", "a,b", "b"],
        groups: &[
            Name("a"),
            Name("G-a"),
            Name("g-*"),
            Name("*"),
            Name("b"),
            Name("ops"),
            Name("gg-ops"),
            Name("a-b"),
            Dn(&[("CN", "web"), ("OU", "T"), ("DC", "c")]),
            Dn(&[("CN", "web"), ("DC", "c")]),
            Dn(&[("CN", "web,OU=T"), ("DC", "c")]),
            Dn(&ALIAS_DN),
        ],
        words: &["pull", "push", "delete", "viewer", "owner", "contributor", "remover"],
        patterns: &[
            "**",
            "a",
            "a/**",
            "*/b",
            "**/b",
            "a/*/**",
            "ab/**",
            "a*/**",
            "{user}/**",
            "a/{user}",
            "a{user}/**",
            "b/a",
            "b/*",
            "**/a/**",
            "users/{user}/**",
            "*b",
        ],
    },
    Shape {
        captures: 1,
        users: &["{x}", "{x}b", "svc-{x}"],
        groups: &[
            Name("g-{x}"),
            Name("{x}"),
            Name("*-{x}"),
            Name("{x}-*"),
            Dn(&[("CN", "g-{x}"), ("OU", "T"), ("DC", "c")]),
            Dn(&[("CN", "{x}"), ("OU", "{x}"), ("DC", "c")]),
        ],
        words: &["pull", "push", "delete", "contributor"],
        patterns: &[
            "{x}",
            "{x}/**",
            "a/{x}",
            "**/{x}",
            "a{x}/**",
            "{x}*/**",
            "*/**",
            "b/{user}",
            "a/**",
            "b/{x}/**",
            "*{x}*",
            "{user}/{x}/**",
        ],
    },
    Shape {
        captures: 2,
        users: &[],
        groups: &[
            Name("{x}-{y}"),
            Name("g-{x}-{y}"),
            Dn(&[("CN", "{x}-{y}"), ("DC", "c")]),
            Dn(&[("CN", "{x}"), ("OU", "{y}"), ("DC", "c")]),
        ],
        words: &["pull", "push", "owner"],
        patterns: &["{x}/{y}", "{y}/**", "{x}/**", "b/{y}", "a/{x}/{y}", "a/{y}/**", "**"],
    },
    Shape { captures: 1, users: &[], groups: &[Name("R_{x}_{role}")], words: &["{role}"], patterns: &["{x}/**", "a/{x}", "{x}", "b/**"] },
    Shape {
        captures: 1,
        users: &["a{x}"],
        groups: &[Name("{x}-b"), Name("a-{x}"), Name("{x}{x}")],
        words: &["pull", "push"],
        patterns: &["{x}/{x}", "{x}/**", "a/{x}/{x}", "b/*{x}"],
    },
];

/// What an alias stands for.
pub const ALIAS_DN: [(&str, &str); 2] = [("CN", "a b"), ("DC", "c")];

/// DNs that groups have.
pub const DNS: [&[(&str, &str)]; 14] = [
    &[("CN", "web"), ("OU", "T"), ("DC", "c")],
    &[("CN", "web"), ("DC", "c")],
    &[("CN", "web,OU=T"), ("DC", "c")],
    &ALIAS_DN,
    &[("CN", "g-a"), ("OU", "T"), ("DC", "c")],
    &[("CN", "g-b"), ("OU", "T"), ("DC", "c")],
    &[("CN", "g-ab"), ("OU", "T"), ("DC", "c")],
    &[("CN", "b"), ("OU", "b"), ("DC", "c")],
    &[("CN", "b"), ("OU", "B"), ("DC", "c")],
    &[("CN", "a"), ("OU", "b"), ("DC", "c")],
    &[("CN", "a-b"), ("DC", "c")],
    &[("CN", "a-b-a"), ("DC", "c")],
    &[("CN", "g-*"), ("OU", "T"), ("DC", "c")],
    &[("CN", "g-{x}"), ("OU", "T"), ("DC", "c")],
];

/// A DN that a group has.
pub fn held(dn: &[(&'static str, &str)]) -> HeldDn {
    HeldDn::Of(dn.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect())
}

pub const CLAIMS: [(&str, &[&str]); 3] = [("ref", &["main", "dev", "*"]), ("id", &["1", "2"]), ("amr", &["otp"])];

pub const USERS: [&str; 22] = [
    "a",
    "b",
    "B",
    "ab",
    "*",
    "**",
    "..",
    "x",
    "a/b",
    "{user}",
    "",
    "A,b=c",
    "ä",
    "users",
    "svc-a",
    "svc-AB",
    "a-b",
    "a,b",
    "CN=a,DC=c",
    "aa",
    "{x}",
    "svc-*",
];

pub const GROUPS: [&str; 36] = [
    "a",
    "A",
    "b",
    "ab",
    "g-a",
    "G-a",
    "G-B",
    "g-ab",
    "g-a-b",
    "g-b-a-b",
    "g-*",
    "**",
    "g-**",
    "g-..",
    "g-a/b",
    "g-",
    "{x}",
    "g-{x}",
    "a-b",
    "a-b-a",
    "b-a",
    "R_a_owner",
    "r_b_viewer",
    "R_a_owner_owner",
    "R_ab_king",
    "R_b_remover",
    "R_b_pusher",
    "ä-b",
    "CN=web,DC=c",
    "gg-ops",
    "GG-ops",
    "ops",
    "OPS",
    "g-b",
    "aa",
    "b-b",
];

pub const NAMES: [&str; 24] = [
    "a",
    "b",
    "ab",
    "a/b",
    "b/a",
    "a/a",
    "b/b",
    "ab/a",
    "a/ab",
    "a/b/a",
    "b/b/b",
    "ab/a/b",
    "a-b/a",
    "users/a",
    "users/b/a",
    "aa",
    "abb/a",
    "b/a-b",
    "a/a-b",
    "users",
    "aab/b",
    "svc-a/b",
    "b/ab/a",
    "a/b/b",
];
