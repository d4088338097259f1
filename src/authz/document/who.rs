//! The maps of `to` and `except`.

use super::{Choice, Text, WhoText};
use crate::authz::node::{Keys, Kind, Node, NodeReader};
use crate::source::Located;

/// Keys of a map inside `all`, of one of `to`, and of one of `except`.
const MAP_KEYS: [&str; 6] = ["user", "group", "provider", "realm", "claims", "mfa"];
const TO_KEYS: [&str; 7] = ["user", "group", "provider", "realm", "claims", "mfa", "all"];
const EXCEPT_KEYS: [&str; 8] = ["user", "group", "provider", "realm", "claims", "mfa", "all", "repository"];

impl NodeReader<'_> {
    /// One map of `to` or `except`; only the latter knows `repository`. `None` where it cannot be used.
    pub(super) fn choice(&mut self, node: Node, in_except: bool) -> Option<Choice> {
        let place = node.place;
        if let Kind::Text(word) = &node.value {
            let hint = "`anyone` and `authenticated` stand alone behind `to`; here, write maps as in `{group: developers}`";
            self.error(place, format!("`{word}` stands where a map belongs"), hint);
            return None;
        }
        let before = self.findings.0.len();
        let mut choice = Choice { place, ..Choice::default() };
        let mut own = WhoText { place, ..WhoText::default() };
        let mut all: Option<Located<Vec<WhoText>>> = None;
        let mut keys = Keys::new(if in_except { &EXCEPT_KEYS } else { &TO_KEYS });
        for (key, value) in self.map(node, "whom a rule is for")? {
            match key.value.as_str() {
                "all" => all = Some(Located { place: key.place, value: self.all(value) }),
                "repository" if in_except => choice.repository = self.some(value, "`repository`"),
                _ => self.condition(&mut own, &key, value, &mut keys),
            }
        }
        match all {
            Some(all) if own.is_empty() => choice.all = all.value,
            Some(all) => self.error(all.place, "`all` stands beside other conditions", "put them into a map of its list"),
            None if !own.is_empty() => choice.all.push(own),
            None if choice.repository.is_empty() && self.findings.0.len() == before => {
                self.error(place, "an empty map would hold for everybody", "write a condition, as in `{group: developers}`");
            }
            None => {}
        }
        // A map of which one condition could not be read would hold for more people than it says.
        (self.findings.0.len() == before).then_some(choice)
    }

    fn all(&mut self, node: Node) -> Vec<WhoText> {
        let place = node.place;
        let Kind::List(items) = node.value else {
            self.error(place, format!("`all` is a list of maps, not {}", node.value.article()), "write `all: [{group: a}, {group: b}]`");
            return Vec::new();
        };
        if items.is_empty() {
            self.error(place, "`all` is an empty list", "write at least two maps");
        }
        let mut maps = Vec::new();
        for item in items {
            let mut who = WhoText { place: item.place, ..WhoText::default() };
            let before = self.findings.0.len();
            let mut keys = Keys::new(&MAP_KEYS);
            for (key, value) in self.map(item, "an item of `all`").unwrap_or_default() {
                self.condition(&mut who, &key, value, &mut keys);
            }
            if who.is_empty() && self.findings.0.len() == before {
                self.error(who.place, "an empty map would hold for everybody", "write a condition, as in `{group: developers}`");
            }
            maps.push(who);
        }
        maps
    }

    fn condition(&mut self, who: &mut WhoText, key: &Text, value: Node, keys: &mut Keys) {
        let what = format!("`{}`", key.value);
        match key.value.as_str() {
            "user" => who.user = self.some(value, &what),
            "group" => who.group = self.some(value, &what),
            "provider" => who.provider = self.some(value, &what),
            "realm" => who.realm = self.some(value, &what),
            "claims" => who.claims = self.claims(value),
            "mfa" => who.mfa = self.mfa(value),
            _ => self.unknown(key, keys),
        }
    }

    fn claims(&mut self, node: Node) -> Vec<(Text, Vec<Text>)> {
        let place = node.place;
        let entries = self.map(node, "`claims`").unwrap_or_default();
        if entries.is_empty() {
            self.error(place, "`claims` names no claim", "write claims with their values, as in {repository_id: \"991\"}");
        }
        entries.into_iter().map(|(claim, value)| (claim, self.some(value, "a claim's value"))).collect()
    }

    fn mfa(&mut self, node: Node) -> Option<Text> {
        let place = node.place;
        let mut within = None;
        let mut keys = Keys::new(&["within"]);
        for (key, value) in self.map(node, "`mfa`")? {
            match key.value.as_str() {
                "within" => within = self.text(value, "`within`"),
                _ => self.unknown(&key, &mut keys),
            }
        }
        if within.is_none() && !keys.meant("within") {
            self.error(place, "`mfa` without `within`", "say how long ago the second factor may be, as in {within: 12h}");
        }
        within
    }
}
