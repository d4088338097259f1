//! The maps of `to` and `except`.

use super::read::Reader;
use super::{Choice, Text, WhoText};
use crate::authz::node::{Kind, Node};
use crate::source::Located;

/// Conditions that are part of the language and not built yet.
const LATER_KEYS: [&str; 2] = ["claims", "mfa"];

impl Reader<'_> {
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
        for (key, value) in self.map(node, "whom a rule is for")? {
            match key.value.as_str() {
                "all" => all = Some(Located { place: key.place, value: self.all(value) }),
                "repository" if in_except => choice.repository = self.some(value, "`repository`"),
                _ => self.condition(&mut own, &key, value, in_except),
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
            for (key, value) in self.map(item, "an item of `all`").unwrap_or_default() {
                self.condition(&mut who, &key, value, false);
            }
            if who.is_empty() && self.findings.0.len() == before {
                self.error(who.place, "an empty map would hold for everybody", "write a condition, as in `{group: developers}`");
            }
            maps.push(who);
        }
        maps
    }

    fn condition(&mut self, who: &mut WhoText, key: &Text, value: Node, in_except: bool) {
        let what = format!("`{}`", key.value);
        match key.value.as_str() {
            "user" => who.user = self.some(value, &what),
            "group" => who.group = self.some(value, &what),
            "provider" => who.provider = self.some(value, &what),
            "realm" => who.realm = self.some(value, &what),
            later if LATER_KEYS.contains(&later) => self.later(key),
            _ if in_except => self.unknown(key, "user, group, provider, realm, repository and all"),
            _ => self.unknown(key, "user, group, provider, realm and all"),
        }
    }
}
