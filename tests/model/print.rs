//! The text of rule files.

use serde_json::{Map as Object, Value, json};

use super::rules::{Choice, GroupName, Map, Moment, Original, Rule, Rulebook, To, Ttl, Weekly, When};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Rulebook {
    /// The text of every file, each with what it has to stay inside.
    pub fn texts(&self) -> Vec<(String, Option<&'static str>)> {
        let withins = [None].into_iter().chain(self.others.iter().copied());
        withins.enumerate().map(|(file, within)| (self.text(file), within)).collect()
    }

    fn text(&self, file: usize) -> String {
        let rules: Vec<Value> = self.rules.iter().filter(|rule| rule.file == file).map(|rule| self.rule(rule)).collect();
        let mut top = Object::new();
        top.insert("version".to_owned(), json!(1));
        top.insert("rules".to_owned(), json!(rules));
        // What every file may say is divided over those that say it for all.
        let open = (1..=self.others.len()).find(|file| self.others[file - 1].is_none());
        let halves = (self.reserved.len() / 2, self.aliases.len() / 2, self.roles.len() / 2);
        let (reserved, aliases, named) = match (file, open) {
            (0, None) => (&self.reserved[..], &self.aliases[..], &self.roles[..]),
            (0, Some(_)) => (&self.reserved[halves.0..], &self.aliases[halves.1..], &self.roles[halves.2..]),
            (file, Some(open)) if file == open => (&self.reserved[..halves.0], &self.aliases[..halves.1], &self.roles[..halves.2]),
            _ => (&[][..], &[][..], &[][..]),
        };
        if file == 0 {
            top.insert("realm".to_owned(), json!(self.realm));
            top.insert("reserved".to_owned(), json!(reserved));
            if self.is_timed() {
                top.insert("timezone".to_owned(), json!(self.zone));
            }
        } else if !reserved.is_empty() {
            top.insert("reserved".to_owned(), json!(reserved));
        }
        if !named.is_empty() {
            top.insert("roles".to_owned(), named.iter().map(|(name, words)| ((*name).to_owned(), json!(words))).collect());
        }
        if !aliases.is_empty() {
            let originals = |some: &Vec<Original>| some.iter().map(|original| self.original(original)).collect::<Value>();
            top.insert("groups".to_owned(), aliases.iter().map(|(name, some)| ((*name).to_owned(), originals(some))).collect());
        }
        if self.spelling.is_multiple_of(2) { Value::Object(top).to_string() } else { serde_json::to_string_pretty(&top).unwrap() }
    }

    fn is_timed(&self) -> bool {
        self.rules.iter().any(|rule| rule.when.is_some())
    }

    fn original(&self, original: &Original) -> Value {
        match original {
            Original::Name(name) => json!(name),
            Original::Id(id) => json!({"id": id}),
            Original::Dn(dn) => json!(spelled(dn, self.spelling)),
        }
    }

    fn rule(&self, rule: &Rule) -> Value {
        let mut lines = Object::new();
        let mut line = |key: &str, value: Value| drop(lines.insert(key.to_owned(), value));
        line("name", json!(rule.name));
        line(
            "to",
            match &rule.to {
                To::Anyone => json!("anyone"),
                To::Authenticated => json!("authenticated"),
                To::Any(choices) => self.choices(choices),
            },
        );
        line(if rule.allow { "allow" } else { "deny" }, self.list(&rule.words));
        if !rule.repository.is_empty() {
            line("repository", self.list(&rule.repository));
        }
        if !rule.except.is_empty() {
            line("except", self.choices(&rule.except));
        }
        if let Some(when) = &rule.when {
            line("when", self.when(when));
        }
        match &rule.ttl {
            Some(Ttl::Every(seconds)) => line("ttl", json!(period(*seconds))),
            Some(Ttl::Each(some)) => {
                line("ttl", some.iter().map(|(word, seconds)| ((*word).to_owned(), json!(period(*seconds)))).collect());
            }
            None => {}
        }
        if !rule.tags.is_empty() {
            line("tags", self.list(&rule.tags));
        }
        Value::Object(lines)
    }

    /// One text may stand without its list.
    fn list<T: AsRef<str>>(&self, items: &[T]) -> Value {
        match items {
            [one] if !self.spelling.is_multiple_of(3) => json!(one.as_ref()),
            _ => items.iter().map(AsRef::as_ref).collect(),
        }
    }

    fn choices(&self, choices: &[Choice]) -> Value {
        match choices {
            [one] if self.spelling % 3 != 1 => self.choice(one),
            _ => choices.iter().map(|choice| self.choice(choice)).collect(),
        }
    }

    fn choice(&self, choice: &Choice) -> Value {
        let mut keys = match choice.all.as_slice() {
            [] => Object::new(),
            [map] => self.map(map),
            all => Object::from_iter([("all".to_owned(), all.iter().map(|map| Value::Object(self.map(map))).collect())]),
        };
        if !choice.repository.is_empty() {
            keys.insert("repository".to_owned(), self.list(&choice.repository));
        }
        Value::Object(keys)
    }

    fn map(&self, map: &Map) -> Object<String, Value> {
        let mut keys = Object::new();
        let group = |group: &GroupName| match group {
            GroupName::Plain(name) => (*name).to_owned(),
            GroupName::Dn(dn) => spelled(dn, self.spelling),
        };
        let groups: Vec<String> = map.group.iter().map(group).collect();
        let mut list = |key: &str, items: Value| {
            if items != json!([]) {
                keys.insert(key.to_owned(), items);
            }
        };
        list("user", self.list(&map.user));
        list("group", self.list(&groups));
        list("provider", self.list(&map.provider));
        list("realm", self.list(&map.realm));
        if !map.claims.is_empty() {
            let claims = map.claims.iter().map(|(name, values)| ((*name).to_owned(), self.list(values)));
            keys.insert("claims".to_owned(), claims.collect());
        }
        if let Some(within) = map.within {
            keys.insert("mfa".to_owned(), json!({"within": period(within.unsigned_abs())}));
        }
        keys
    }

    fn when(&self, when: &When) -> Value {
        let mut keys = Object::new();
        let mut key = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
        if !when.services.is_empty() {
            key("services", self.list(&when.services));
        }
        if !when.source.is_empty() {
            let networks: Vec<String> = when.source.iter().map(|(network, length)| format!("{network}/{length}")).collect();
            key("source", self.list(&networks));
        }
        if let Some(from) = when.from {
            key("from", json!(moment(from)));
        }
        if let Some(until) = when.until {
            key("until", json!(moment(until)));
        }
        if let Some(weekly) = &when.weekly {
            key("weekly", self.weekly(weekly));
        }
        Value::Object(keys)
    }

    fn weekly(&self, weekly: &Weekly) -> Value {
        let time = |minutes: i64| json!(format!("{:02}:{:02}", minutes / 60, minutes % 60));
        let mut keys = Object::new();
        if !weekly.days.is_empty() {
            let days: Vec<&str> = weekly.days.iter().map(|day| DAYS[*day]).collect();
            keys.insert("days".to_owned(), self.list(&days));
        }
        keys.extend(weekly.from.map(|from| ("from".to_owned(), time(from))));
        keys.extend(weekly.until.map(|until| ("until".to_owned(), time(until))));
        Value::Object(keys)
    }
}

fn moment(moment: Moment) -> String {
    match moment {
        Moment::Day(day) => jiff::Timestamp::from_second(day * 86_400).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date().to_string(),
        Moment::Instant(instant) => jiff::Timestamp::from_second(instant).unwrap().to_string(),
    }
}

fn period(seconds: u64) -> String {
    if seconds.is_multiple_of(3600) { format!("{}h", seconds / 3600) } else { format!("{}m", seconds / 60) }
}

/// A DN in one of the ways in which it may be written (RFC 4514).
pub fn spelled<T: AsRef<str>>(dn: &[(&str, T)], way: usize) -> String {
    let parts = dn.iter().map(|(kind, value)| (kind, value.as_ref())).map(|(kind, value)| match way % 3 {
        0 => format!("{kind}={}", escaped(value, |character| format!("\\{character}"))),
        1 => format!("{}={}", kind.to_lowercase(), escaped(&louder(value), |character| format!("\\{:02x}", u32::from(character)))),
        _ => format!("{kind}= {} ", escaped(&value.replace(' ', "  "), |character| format!("\\{character}"))),
    });
    parts.collect::<Vec<_>>().join(if way.is_multiple_of(2) { "," } else { ", " })
}

/// In capitals, but for captures.
fn louder(value: &str) -> String {
    let mut inside = false;
    let mut change = |character: char| {
        inside = (inside || character == '{') && character != '}';
        if inside { character } else { character.to_ascii_uppercase() }
    };
    value.chars().map(&mut change).collect()
}

fn escaped(value: &str, escape: impl Fn(char) -> String) -> String {
    value.chars().map(|character| if ",=+\"\\<>;".contains(character) { escape(character) } else { character.to_string() }).collect()
}
