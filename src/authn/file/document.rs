//! `users.yaml` as written, and what it means.

use std::fmt;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::reading::{Reading, hidden};
use super::user::{LiveHash, User};
use crate::authn::identity::Group;
use crate::clock::Timestamp;
use crate::source::{Diagnostics, Located};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    users: Vec<Located<WrittenUser>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser {
    name: Located<String>,
    password: Located<WrittenPassword>,
    #[serde(default)]
    groups: Vec<Located<String>>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    expires: Option<Located<String>>,
    #[serde(default)]
    source: Option<Located<Vec<Located<String>>>>,
    /// For people who read the file.
    #[serde(default, rename = "owner")]
    _owner: Option<String>,
}

/// Reads every user into `reading`.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), Diagnostics> {
    // Whatever the parser stumbled over may be a hash or a password in the wrong place.
    let unreadable = |finding| hidden(finding).hint("the line itself is not shown, because a password may stand in it");
    let document: Document = reading.file().parse().map_err(unreadable)?;
    for written in document.users {
        let place = written.value.name.place;
        if let Some(user) = user(written.value, reading) {
            reading.add(user, place);
        }
    }
    Ok(())
}

/// `None` where the findings say what is wrong.
fn user(written: WrittenUser, reading: &mut Reading<'_>) -> Option<User> {
    let name = written.name.value;
    reading.check_name(&name, written.name.place);
    let hashes = hashes(&name, written.password, reading);
    let groups = groups(written.groups, reading);
    let expires = written.expires.and_then(|text| moment(&text, reading));
    let sources = written.source.map(|sources| networks(&sources, reading));
    Some(User { hashes: hashes?.into(), name, groups, disabled: written.disabled, expires, sources })
}

fn hashes(name: &str, written: Located<WrittenPassword>, reading: &mut Reading<'_>) -> Option<Vec<LiveHash>> {
    let written = match written.value {
        WrittenPassword::One(hash) => vec![Located { value: hash, place: written.place }],
        WrittenPassword::Many(hashes) if (1..=2).contains(&hashes.len()) => hashes,
        WrittenPassword::Many(hashes) => {
            let finding = reading.file().error(written.place, format!("user `{name}` has {} password hashes", hashes.len()));
            reading.findings.push(hidden(finding.hint("write one, or two while the password is being changed")));
            return None;
        }
    };
    let mut live = Vec::new();
    for Located { value, place } in written {
        let until = value.until.and_then(|text| moment(&Located { value: text, place }, reading));
        live.push(LiveHash { hash: reading.hash(name, &value.hash, place)?, until });
    }
    Some(live)
}

fn groups(written: Vec<Located<String>>, reading: &mut Reading<'_>) -> Vec<Group> {
    let mut groups = Vec::new();
    for Located { value, place } in written {
        if value.is_empty() || value.trim() != value || value.chars().any(char::is_control) {
            reading.error(place, format!("`{}` is no group", value.escape_debug()), "write a word without spaces around it");
        }
        groups.push(Group::named(value));
    }
    groups.sort();
    groups.dedup();
    groups
}

fn networks(written: &Located<Vec<Located<String>>>, reading: &mut Reading<'_>) -> Vec<IpNet> {
    if written.value.is_empty() {
        reading.error(written.place, "an empty `source` admits nobody", "name networks, or set `disabled: true`");
    }
    let mut networks = Vec::new();
    for Located { value, place } in &written.value {
        match value.parse::<IpNet>() {
            Ok(network) if network.trunc() == network => networks.push(network),
            Ok(network) => {
                let hint = format!("the network is {}", network.trunc());
                reading.error(*place, format!("`{value}` has bits behind its prefix"), &hint);
            }
            Err(_) => reading.error(*place, format!("`{value}` is no network"), "write 10.20.0.0/16, or 10.20.0.7/32 for one address"),
        }
    }
    networks
}

/// The first moment behind `2035-01-01` (the day counts, in UTC) or `2035-01-01T08:00:00Z`.
fn moment(text: &Located<String>, reading: &mut Reading<'_>) -> Option<Timestamp> {
    let end = end_of(&text.value);
    if end.is_none() {
        let message = format!("`{}` is no date", text.value.escape_debug());
        reading.error(text.place, message, "write 2035-01-01 (that day counts, in UTC) or 2035-01-01T08:00:00Z");
    }
    end
}

fn end_of(text: &str) -> Option<Timestamp> {
    let instant = if text.len() == "2035-01-01".len() {
        let day: jiff::civil::Date = text.parse().ok()?;
        day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
    } else {
        text.parse::<jiff::Timestamp>().ok()?
    };
    Some(Timestamp(instant.as_second()))
}

/// One hash, or a list of them.
enum WrittenPassword {
    One(WrittenHash),
    Many(Vec<Located<WrittenHash>>),
}

/// A hash, or `{hash: …, until: …}`.
struct WrittenHash {
    hash: String,
    until: Option<String>,
}

// Both shapes are read by visitors, because serde's own errors quote what they found, and that may be a password.
struct HashVisitor;

const EXPECTED: &str = "expected a password hash, or {hash: …, until: …}";

impl<'de> de::Visitor<'de> for HashVisitor {
    type Value = WrittenHash;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password hash")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<WrittenHash, E> {
        Ok(WrittenHash { hash: text.to_owned(), until: None })
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<WrittenHash, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<WrittenHash, A::Error> {
        let (mut hash, mut until) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hash" => hash = Some(map.next_value::<WrittenHash>()?),
                "until" => until = Some(map.next_value::<String>()?),
                other => return Err(de::Error::unknown_field(other, &["hash", "until"])),
            }
        }
        match hash {
            Some(WrittenHash { hash, until: None }) => Ok(WrittenHash { hash, until }),
            Some(WrittenHash { until: Some(_), .. }) => Err(de::Error::custom("a hash inside of a hash")),
            None => Err(de::Error::missing_field("hash")),
        }
    }
}

impl<'de> Deserialize<'de> for WrittenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashVisitor)
    }
}

struct PasswordVisitor;

impl<'de> de::Visitor<'de> for PasswordVisitor {
    type Value = WrittenPassword;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password hash, or a list of one or two")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<WrittenPassword, E> {
        HashVisitor.visit_str(text).map(WrittenPassword::One)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<WrittenPassword, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WrittenPassword, A::Error> {
        HashVisitor.visit_map(map).map(WrittenPassword::One)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<WrittenPassword, A::Error> {
        let mut hashes = Vec::new();
        while let Some(hash) = items.next_element()? {
            hashes.push(hash);
        }
        Ok(WrittenPassword::Many(hashes))
    }
}

impl<'de> Deserialize<'de> for WrittenPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_whole_and_an_instant_ends_at_itself() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(end_of(text).map(Timestamp::rfc3339).as_deref(), expected, "{text}");
        };
        check("2034-12-31", Some("2035-01-01T00:00:00Z"));
        check("2035-01-01T08:00:00Z", Some("2035-01-01T08:00:00Z"));
        check("2035-01-01T08:00:00+02:00", Some("2035-01-01T06:00:00Z"));
        check("2035-01-01T08:00:00", None);
        check("2035-02-30", None);
        check("31.12.2034", None);
        check("soon", None);
        check("", None);
    }
}
