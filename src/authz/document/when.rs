//! `when` and `ttl`: at what times and from where a rule holds, and how long what it allows may live.

use super::{Text, WeeklyText, WhenText};
use crate::authz::node::{Keys, Kind, Node, NodeReader};

/// Keys of `when`, of `weekly`, and of `ttl`.
const WHEN_KEYS: [&str; 5] = ["services", "source", "from", "until", "weekly"];
const WEEKLY_KEYS: [&str; 3] = ["days", "from", "until"];
const TTL_KEYS: [&str; 4] = ["pull", "push", "delete", "catalog"];

impl NodeReader<'_> {
    /// `when`; `None` where it could not be read, which has been said.
    pub(super) fn when(&mut self, node: Node) -> Option<WhenText> {
        let place = node.place;
        let mut when = WhenText::default();
        let mut keys = Keys::new(&WHEN_KEYS);
        let entries = self.map(node, "`when`")?;
        if entries.is_empty() {
            self.error(place, "`when` is empty", "write a condition, as in {source: [10.20.0.0/16]}, or remove the key");
        }
        for (key, value) in entries {
            match key.value.as_str() {
                "services" => when.services = self.some(value, "`services`"),
                "source" => when.source = self.some(value, "`source`"),
                "from" => when.from = self.text(value, "`from`"),
                "until" => when.until = self.text(value, "`until`"),
                "weekly" => when.weekly = self.weekly(value),
                _ => self.unknown(&key, &mut keys),
            }
        }
        Some(when)
    }

    fn weekly(&mut self, node: Node) -> Option<WeeklyText> {
        let place = node.place;
        let mut weekly = WeeklyText { place, ..WeeklyText::default() };
        let mut keys = Keys::new(&WEEKLY_KEYS);
        let entries = self.map(node, "`weekly`")?;
        if entries.is_empty() {
            self.error(
                place,
                "`weekly` is empty",
                "write days, times or both, as in {days: [mon, fri], from: \"08:00\", until: \"18:00\"}",
            );
        }
        for (key, value) in entries {
            match key.value.as_str() {
                "days" => weekly.days = self.some(value, "`days`"),
                "from" => weekly.from = self.text(value, "`from`"),
                "until" => weekly.until = self.text(value, "`until`"),
                _ => self.unknown(&key, &mut keys),
            }
        }
        Some(weekly)
    }

    /// `ttl`: one life, or one an action.
    pub(super) fn ttl(&mut self, node: Node) -> Vec<(Option<Text>, Text)> {
        if !matches!(node.value, Kind::Map(_)) {
            return self.text(node, "`ttl`").map(|life| (None, life)).into_iter().collect();
        }
        let place = node.place;
        let mut lives = Vec::new();
        let mut keys = Keys::new(&TTL_KEYS);
        let entries = self.map(node, "`ttl`").unwrap_or_default();
        if entries.is_empty() {
            self.error(place, "`ttl` is empty", "write a life, as in 10m, or one for an action, as in {push: 1h}");
        }
        for (key, value) in entries {
            if TTL_KEYS.contains(&key.value.as_str()) {
                lives.extend(self.text(value, "a life").map(|life| (Some(key), life)));
            } else {
                self.unknown(&key, &mut keys);
            }
        }
        lives
    }
}
