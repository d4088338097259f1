//! From the tree to the document: the file's and a rule's own keys.

use super::{Choice, Document, EffectKind, Original, RuleText, Text, To};
use crate::authz::node::{Keys, Kind, Node, NodeReader};
use crate::source::Located;

/// Keys of a rule.
const RULE_KEYS: [&str; 9] = ["name", "to", "allow", "deny", "repository", "except", "when", "ttl", "tags"];
/// Keys of a file.
const FILE_KEYS: [&str; 7] = ["version", "realm", "timezone", "reserved", "roles", "groups", "rules"];

impl NodeReader<'_> {
    /// The whole file.
    pub(super) fn document(&mut self, node: Node) -> Document {
        let place = node.place;
        let mut document = Document::default();
        let Some(entries) = self.map(node, "a rule file") else { return document };
        let (mut version, mut rules) = (false, false);
        let mut seen = Keys::new(&FILE_KEYS);
        for (key, value) in entries {
            if !matches!(key.value.as_str(), "version" | "rules") {
                document.general.push(key.clone());
            }
            match key.value.as_str() {
                "version" => {
                    version = true;
                    if value.value != Kind::Number("1".to_owned()) {
                        self.error(value.place, "the version of a rule file is 1", "write `version: 1`");
                    }
                }
                "realm" => document.realm = self.text(value, "`realm`"),
                "reserved" => document.reserved = Some(self.texts(value, "`reserved`")),
                "roles" => document.roles = self.roles(value),
                "groups" => document.groups = self.groups(value),
                "rules" => {
                    rules = true;
                    document.rules = self.rules(value);
                }
                "timezone" => document.timezone = self.text(value, "`timezone`"),
                _ => self.unknown(&key, &mut seen),
            }
        }
        if !version && !seen.meant("version") {
            self.error(place, "`version` is missing", "write `version: 1` on the first line");
        }
        if !rules && !seen.meant("rules") {
            self.error(place, "`rules` is missing", "write `rules: []` if nobody may do anything");
        }
        document
    }

    fn roles(&mut self, node: Node) -> Vec<(Text, Vec<Text>)> {
        let entries = self.map(node, "`roles`").unwrap_or_default();
        entries.into_iter().map(|(key, value)| (key, self.some(value, "a role"))).collect()
    }

    fn groups(&mut self, node: Node) -> Vec<(Text, Vec<Original>)> {
        let entries = self.map(node, "`groups`").unwrap_or_default();
        entries
            .into_iter()
            .map(|(alias, value)| {
                let place = value.place;
                let items = match value.value {
                    Kind::List(items) => items,
                    one @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_)) => {
                        vec![Located { value: one, place }]
                    }
                };
                if items.is_empty() {
                    self.error(place, "an alias needs at least one group", "list names, DNs or {id: …}, or remove the alias");
                }
                let originals = items.into_iter().filter_map(|item| self.original(item)).collect();
                (alias, originals)
            })
            .collect()
    }

    fn original(&mut self, node: Node) -> Option<Original> {
        let place = node.place;
        if !matches!(node.value, Kind::Map(_)) {
            return self.text(node, "a group").map(Original::Name);
        }
        let mut id = None;
        let mut seen = Keys::new(&["id"]);
        for (key, value) in self.map(node, "a group")? {
            match key.value.as_str() {
                "id" => id = self.text(value, "`id`"),
                _ => self.unknown(&key, &mut seen),
            }
        }
        if id.is_none() && !seen.meant("id") {
            self.error(place, "a group without `id`", "write a name, a DN, or {id: …}");
        }
        id.map(Original::Id)
    }

    fn rules(&mut self, node: Node) -> Vec<RuleText> {
        match node.value {
            Kind::List(items) => items.into_iter().filter_map(|item| self.rule(item)).collect(),
            other @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_)) => {
                let hint = "start each rule with a dash; write `rules: []` if nobody may do anything";
                self.error(node.place, format!("`rules` is a list, not {}", other.article()), hint);
                Vec::new()
            }
        }
    }

    fn rule(&mut self, node: Node) -> Option<RuleText> {
        let place = node.place;
        let (mut name, mut to, mut repository, mut except) = (None, None, Vec::new(), Vec::new());
        let (mut when, mut ttl, mut tags) = (None, Vec::new(), Vec::new());
        let mut seen = Keys::new(&RULE_KEYS);
        let mut effects: Vec<(EffectKind, Text, Vec<Text>)> = Vec::new();
        for (key, value) in self.map(node, "a rule")? {
            match key.value.as_str() {
                "name" => name = self.text(value, "`name`"),
                "to" => to = Some(Located { place: value.place, value: self.to(value) }),
                "allow" => effects.push((EffectKind::Allow, key, self.some(value, "`allow`"))),
                "deny" => effects.push((EffectKind::Deny, key, self.some(value, "`deny`"))),
                "repository" => repository = self.some(value, "`repository`"),
                "except" => except = self.except(value),
                "when" => when = self.when(value),
                "ttl" => ttl = self.ttl(value),
                "tags" => tags = self.some(value, "`tags`"),
                _ => self.unknown(&key, &mut seen),
            }
        }
        if to.is_none() && !seen.meant("to") {
            self.error(place, "a rule without `to`", "write whom it is for, as in `to: {group: developers}`");
        }
        let mut effects = effects.into_iter();
        let effect = effects.next();
        if effect.is_none() && !seen.meant("allow") && !seen.meant("deny") {
            self.error(place, "a rule without `allow` or `deny`", "write what it allows, as in `allow: viewer`");
        }
        if let Some((_, key, _)) = effects.next() {
            self.error(key.place, "a rule with both `allow` and `deny`", "write two rules");
        }
        let (effect, _, words) = effect?;
        let misspelt = seen.meant("repository");
        Some(RuleText { place, name, to: to?, effect, words, repository, misspelt, except, when, ttl, tags })
    }

    fn to(&mut self, node: Node) -> Option<To> {
        let hint = "write `anyone`, `authenticated`, a map as in `{group: developers}`, or a list of maps";
        match node.value {
            Kind::Text(word) => match word.as_str() {
                "anyone" => Some(To::Anyone),
                "authenticated" => Some(To::Authenticated),
                _ => {
                    self.error(node.place, format!("`{word}` is nobody"), hint);
                    None
                }
            },
            Kind::List(items) if !items.is_empty() => {
                let count = items.len();
                let choices: Vec<Choice> = items.into_iter().filter_map(|item| self.choice(item, false)).collect();
                (choices.len() == count).then_some(To::Any(choices))
            }
            Kind::Map(_) => self.choice(node, false).map(|choice| To::Any(vec![choice])),
            other @ (Kind::List(_) | Kind::Null | Kind::Number(_) | Kind::Bool(_)) => {
                let what = if other == Kind::Null { "nothing" } else { "an empty list" };
                let what = if matches!(other, Kind::Number(_) | Kind::Bool(_)) { other.article() } else { what };
                self.error(node.place, format!("`to` is {what}"), hint);
                None
            }
        }
    }

    fn except(&mut self, node: Node) -> Vec<Choice> {
        match node.value {
            Kind::List(items) if !items.is_empty() => items.into_iter().filter_map(|item| self.choice(item, true)).collect(),
            Kind::Map(_) => self.choice(node, true).into_iter().collect(),
            other @ (Kind::List(_) | Kind::Null | Kind::Number(_) | Kind::Bool(_) | Kind::Text(_)) => {
                let hint = "write a map as in `{group: releasers}`, or a list of maps";
                self.error(node.place, format!("`except` is a map or a list of maps, not {}", described(&other)), hint);
                Vec::new()
            }
        }
    }

    /// One text or a list of texts, which must not be empty.
    pub(super) fn some(&mut self, node: Node, what: &str) -> Vec<Text> {
        if node.value == Kind::List(Vec::new()) {
            self.error(node.place, format!("{what} is an empty list"), "list at least one item, or remove the key");
        }
        self.texts(node, what)
    }
}

fn described(kind: &Kind) -> String {
    match kind {
        Kind::Text(text) => format!("`{text}`"),
        Kind::List(items) if items.is_empty() => "an empty list".to_owned(),
        Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::List(_) | Kind::Map(_) => kind.article().to_owned(),
    }
}
