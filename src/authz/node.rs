//! A YAML document as a tree in which every key and value knows its place.
//!
//! Rules are read from this tree instead of through derived structs, so that one reading finds every mistake of a file and
//! not the first one alone, and points at the key itself.

mod reader;

pub(super) use reader::{Keys, NodeReader};

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::source::Located;

/// One value.
pub(super) type Node = Located<Kind>;
/// The keys and values of a mapping, in the order of the file.
pub(super) type Entries = Vec<(Located<String>, Node)>;

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text.
    Text(String),
    /// A number, as YAML understood it.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// Nothing, `~` or `null`.
    Null,
    /// `[…]`, or lines with dashes.
    List(Vec<Node>),
    /// `{…}`, or lines with keys.
    Map(Entries),
}

impl Kind {
    /// What a message calls it.
    pub(super) const fn article(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a truth value",
            Self::Null => "nothing",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number.to_string()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number.to_string()))
    }
    fn visit_i128<E>(self, number: i128) -> Result<Kind, E> {
        Ok(Kind::Number(number.to_string()))
    }
    fn visit_u128<E>(self, number: u128) -> Result<Kind, E> {
        Ok(Kind::Number(number.to_string()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(Kind::Number(number.to_string()))
    }
    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        // Most lists and mappings have one value, and a Vec that grows begins with four.
        let mut list = Vec::with_capacity(1);
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(Kind::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::with_capacity(1);
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        map.shrink_to_fit();
        Ok(Kind::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    fn shown(node: &Node) -> String {
        let inside = match &node.value {
            Kind::Text(text) => format!("'{text}'"),
            Kind::Number(number) => number.clone(),
            Kind::Bool(value) => value.to_string(),
            Kind::Null => "null".to_owned(),
            Kind::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Kind::Map(entries) => format!(
                "{{{}}}",
                entries.iter().map(|(key, value)| format!("{}@{}: {}", key.value, key.place, shown(value))).collect::<Vec<_>>().join(" ")
            ),
        };
        format!("{inside}@{}", node.place)
    }

    fn check(text: &str, expected: &str) {
        let node: Node = SourceFile::new("x.yaml", text).parse().unwrap();
        assert_eq!(shown(&node), expected);
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        check("a: b\n", "{a@1:1: 'b'@1:4}@1:1");
        check("a:\n  - b\n  - {c: 5}\n", "{a@1:1: ['b'@2:5 {c@3:6: 5@3:9}@3:5]@2:3}@1:1");
        check("a: \"5\"\nb: true\nc: ~\nd: 2035-01-01\n", "{a@1:1: '5'@1:4 b@2:1: true@2:4 c@3:1: null@3:4 d@4:1: '2035-01-01'@4:4}@1:1");
    }
}
