//! What rules say of one identity, whatever it asks for: the part of a decision that is kept and used again.

use super::binding::{Bindings, Splits};
use super::index::{People, Places};
use super::pattern::{Pattern, Reserved, Values};
use super::rule::{Match, Roles, Rule, Target, Who, names_somebody_elses, together};
use super::seen::Seen;
use crate::authn::identity::Kind;
use crate::registry::{ActionSet, PathComponent};

/// One rule at one place, with everything filled in that depends on who asks.
#[derive(Debug)]
pub(super) struct Line {
    /// The rule.
    pub(super) rule: u32,
    /// Where; without captures. `None` is the catalogue.
    pub(super) pattern: Option<Pattern>,
    /// What the rule allows or denies there.
    pub(super) actions: ActionSet,
    /// What its captures stand for.
    pub(super) captures: Bindings,
    /// How the rule means who asks: a position in [`Standing::ways`]; `None` where it means everybody.
    pub(super) way: Option<u32>,
    pub(super) doubt: Doubt,
}

/// Why it is not known whether a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is known.
    None,
    /// A name can be split over its captures in several ways.
    Ambiguous,
    /// Whether it means who asks cannot be told.
    Unreadable,
}

/// One way in which a rule means who asks.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) found: Match,
    /// Whether a realm or provider is named, so that `{user}` means its users.
    pub(super) named: bool,
}

/// Somebody, and the lines that are theirs alone.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) seen: Seen,
    pub(super) ways: Vec<Way>,
    pub(super) lines: Lines,
}

/// Lines and where they are.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) all: Vec<Line>,
    pub(super) places: Places,
}

impl Lines {
    fn add(&mut self, line: Line) {
        self.places.add(line.pattern.as_ref(), number(self.all.len()));
        self.all.push(line);
    }
}

/// Rules sorted by whom they mean, once for all.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Lines for anyone that hold no captures.
    pub(super) anyone: Lines,
    /// The same for everybody who is logged in.
    pub(super) authenticated: Lines,
    /// Rules for anyone or everybody who is logged in of which a pattern holds `{user}`.
    personal: Vec<u32>,
    /// Rules for some.
    people: People,
}

impl Sorted {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut sorted = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            let number = number(index);
            let lines = match &rule.to {
                Who::Anyone => &mut sorted.anyone,
                Who::Authenticated => &mut sorted.authenticated,
                Who::Any(_) => {
                    sorted.people.add(rule, number);
                    continue;
                }
            };
            let everybody = |pattern: Option<Pattern>| Line {
                rule: number,
                pattern,
                actions: rule.effect.actions,
                captures: Bindings::new(),
                way: None,
                doubt: Doubt::None,
            };
            if rule.target == Target::Catalog {
                lines.add(everybody(None));
            }
            let mut personal = false;
            for pattern in rule.patterns() {
                if pattern.captures().next().is_some() {
                    personal = true;
                } else {
                    lines.add(everybody(Some(pattern.clone())));
                }
            }
            if personal {
                sorted.personal.push(number);
            }
        }
        sorted
    }
}

/// Words that captures stand for, in all rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meanings<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) roles: &'a Roles,
    pub(super) reserved: &'a Reserved,
}

impl Standing {
    pub(super) fn new(seen: Seen, sorted: &Sorted, meanings: Meanings<'_>) -> Self {
        let mut standing = Self { seen, ways: Vec::new(), lines: Lines::default() };
        let rule = |number: u32| Some((number, meanings.rules.get(number as usize)?));
        for (number, rule) in sorted.personal.iter().filter_map(|number| rule(*number)) {
            if rule.to == Who::Anyone || standing.seen.kind == Kind::Person {
                standing.add_personal(number, rule, meanings.reserved);
            }
        }
        for (number, rule) in sorted.people.find(&standing.seen).into_iter().filter_map(rule) {
            let Who::Any(choices) = &rule.to else { continue };
            for choice in choices {
                let named = names_somebody_elses(choice);
                for found in together(choice, &standing.seen, &Bindings::new()) {
                    standing.add_way(number, rule, Way { found, named }, meanings);
                }
            }
        }
        standing
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.seen.size() + 400 * self.lines.all.len() + 200 * self.ways.len()
    }

    /// What `{user}` stands for: nobody of another realm, unless that is named.
    pub(super) fn user(&self, named: bool) -> Option<&PathComponent> {
        self.seen.user.as_ref().filter(|_| named || self.seen.at_home)
    }

    fn add_personal(&mut self, number: u32, rule: &Rule, reserved: &Reserved) {
        let captures = Bindings::new();
        let patterns = rule.patterns().iter().filter(|pattern| pattern.captures().next().is_some());
        let filled = patterns.filter_map(|pattern| pattern.filled(&Values { user: self.user(false), captures: &captures, reserved }));
        for pattern in filled.collect::<Vec<_>>() {
            let actions = rule.effect.actions;
            self.lines.add(Line {
                rule: number,
                pattern: Some(pattern),
                actions,
                captures: Bindings::new(),
                way: None,
                doubt: Doubt::None,
            });
        }
    }

    fn add_way(&mut self, number: u32, rule: &Rule, way: Way, meanings: Meanings<'_>) {
        let position = self::number(self.ways.len());
        let patterns: Vec<Option<&Pattern>> = match &rule.target {
            Target::Catalog => vec![None],
            Target::Repositories(patterns) => patterns.iter().map(Some).collect(),
        };
        for pattern in patterns {
            let line = |pattern: Option<Pattern>, actions, captures: Bindings, doubt| Line {
                rule: number,
                pattern,
                actions,
                captures,
                way: Some(position),
                doubt,
            };
            match &way.found.splits {
                Splits::Unknown => {
                    self.lines.add(line(pattern.map(Pattern::loosened), rule.effect.most(), Bindings::new(), Doubt::Unreadable));
                }
                Splits::All(splits) => {
                    let user = self.user(way.named).cloned();
                    let valid: Vec<(Option<Pattern>, ActionSet, &Bindings)> = splits
                        .iter()
                        .filter_map(|captures| {
                            let values = Values { user: user.as_ref(), captures, reserved: meanings.reserved };
                            let filled = match pattern {
                                Some(pattern) => Some(pattern.filled(&values)?),
                                None => None,
                            };
                            Some((filled, rule.effect.under(captures, meanings.roles)?, captures))
                        })
                        .collect();
                    let doubt = if valid.len() > 1 { Doubt::Ambiguous } else { Doubt::None };
                    for (pattern, actions, captures) in valid {
                        self.lines.add(line(pattern, actions, captures.clone(), doubt));
                    }
                }
            }
        }
        self.ways.push(way);
    }
}

/// Four billion rules are more than a file of 16 MiB can hold.
fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
