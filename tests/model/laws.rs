//! Laws that hold whatever the rules are, each on the product alone.

use narrows::authz::Policy;
use narrows::registry::{ActionSet, Resource, ResourceScope};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::compare::{Question, Thrown, book, thrown};
use super::dice::Dice;
use super::model::Answer;
use super::pattern::Path;
use super::rules::{Asker, Factor, HeldDn, Map, Rulebook, To, Ttl};
use super::{engine, generator};

/// Questions to one rule file, at most.
const QUESTIONS: usize = 30;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, max_shrink_time: 10_000, max_shrink_iters: u32::MAX - 1, ..ProptestConfig::with_cases(120) }
}

fn made((questions, head, rules): &Thrown) -> (Rulebook, Vec<Question>) {
    let book = book(head, rules);
    let questions = questions.iter().map(|thrown| Question::new(&mut Dice::new(thrown), &book)).collect();
    (book, questions)
}

fn compiled(book: &Rulebook) -> Policy {
    engine::compile(book).unwrap_or_else(|findings| panic!("{:?}\n{findings}", book.texts()))
}

fn answer(policy: &Policy, question: &Question) -> Answer {
    engine::answer(&engine::decide(policy, question.asker.as_ref(), &question.scopes, &question.circumstances))
}

fn granted(policy: &Policy, question: &Question) -> Vec<ActionSet> {
    answer(policy, question).got.into_iter().map(|got| got.granted).collect()
}

fn all_cover(more: &[ActionSet], less: &[ActionSet]) -> bool {
    more.len() == less.len() && more.iter().zip(less).all(|(more, less)| more.covers(*less))
}

fn with_actions(question: &Question, actions: ActionSet) -> Question {
    let scopes = question.scopes.iter().map(|scope| ResourceScope { actions: scope.actions & actions, ..scope.clone() });
    Question { scopes: scopes.collect(), ..question.clone() }
}

// === The same rules in another order ===

fn turned_map(map: &mut Map) {
    map.user.reverse();
    map.group.reverse();
    map.provider.reverse();
    map.realm.reverse();
    map.claims.reverse();
    map.claims.iter_mut().for_each(|(_, values)| values.reverse());
}

fn turned(mut book: Rulebook) -> Rulebook {
    book.rules.reverse();
    book.reserved.reverse();
    book.roles.reverse();
    book.roles.iter_mut().for_each(|(_, words)| words.reverse());
    book.aliases.reverse();
    book.aliases.iter_mut().for_each(|(_, originals)| originals.reverse());
    for rule in &mut book.rules {
        rule.words.reverse();
        rule.repository.reverse();
        rule.except.reverse();
        rule.tags.reverse();
        if let Some(Ttl::Each(some)) = &mut rule.ttl {
            some.reverse();
        }
        if let Some(when) = &mut rule.when {
            when.services.reverse();
            when.source.reverse();
            when.weekly.iter_mut().for_each(|weekly| weekly.days.reverse());
        }
        let to = match &mut rule.to {
            To::Anyone | To::Authenticated => &mut [],
            To::Any(choices) => {
                choices.reverse();
                choices.as_mut_slice()
            }
        };
        for choice in to.iter_mut().chain(&mut rule.except) {
            choice.all.reverse();
            choice.repository.reverse();
            choice.all.iter_mut().for_each(turned_map);
        }
    }
    book
}

fn turned_question(mut question: Question) -> Question {
    question.scopes.reverse();
    if let Some(asker) = &mut question.asker {
        asker.groups.reverse();
        asker.claims.iter_mut().for_each(|(_, values)| values.reverse());
    }
    question
}

// === The same rules with other names ===

/// `a` and `z` change places, in both cases, but for what stands between braces.
fn renamed(text: &str) -> String {
    let mut inside = false;
    let change = |character| {
        inside = (inside || character == '{') && character != '}';
        match character {
            other if inside => other,
            'a' => 'z',
            'z' => 'a',
            'A' => 'Z',
            'Z' => 'A',
            other => other,
        }
    };
    text.chars().map(change).collect()
}

/// Renames the people, groups and repositories of a rule file; its own words stay.
fn rename(value: &mut Value, named: bool) {
    match value {
        Value::String(text) if named => *text = renamed(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, named)),
        Value::Object(keys) => {
            let old = std::mem::take(keys);
            for (key, mut value) in old {
                match key.as_str() {
                    // Aliases are names themselves, and so is what they stand for.
                    "groups" => {
                        let groups = value.as_object().unwrap().clone();
                        value = groups
                            .into_iter()
                            .map(|(alias, mut originals)| {
                                rename(&mut originals, true);
                                (renamed(&alias), originals)
                            })
                            .collect();
                    }
                    "id" => {}
                    "user" | "group" | "repository" | "reserved" => rename(&mut value, true),
                    _ => rename(&mut value, false),
                }
                keys.insert(key, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn renamed_texts(book: &Rulebook) -> Vec<(String, Option<String>)> {
    let texts = book.texts().into_iter().map(|(text, within)| {
        let mut file: Value = serde_json::from_str(&text).unwrap();
        rename(&mut file, false);
        (file.to_string(), within.map(renamed))
    });
    texts.collect()
}

fn with_names(asker: &Asker, change: impl Fn(&str) -> String) -> Asker {
    let mut asker = asker.clone();
    asker.user = change(&asker.user);
    for group in &mut asker.groups {
        group.name = change(&group.name);
        if let HeldDn::Of(dn) = &mut group.dn {
            for (_, value) in dn {
                *value = change(value);
            }
        }
    }
    asker
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_allow_more_never_takes_and_one_deny_more_never_gives(thrown in thrown(QUESTIONS), more in vec(any::<u32>(), 90)) {
        let (book, questions) = made(&thrown);
        let mut longer = book.clone();
        longer.rules.push(generator::rule(&mut Dice::new(&more), &book));
        let allow = longer.rules.last().unwrap().allow;
        let (before, after) = (compiled(&book), compiled(&longer));
        for question in &questions {
            let (before, after) = (granted(&before, question), granted(&after, question));
            let (more, less) = if allow { (after, before) } else { (before, after) };
            prop_assert!(all_cover(&more, &less), "{more:?} {less:?}\n{:?}\n{question:?}", longer.texts());
        }
    }

    #[test]
    fn no_order_means_anything(thrown in thrown(QUESTIONS)) {
        let (book, questions) = made(&thrown);
        let (here, there) = (compiled(&book), compiled(&turned(book.clone())));
        for question in &questions {
            let (here, mut there) = (answer(&here, question), answer(&there, &turned_question(question.clone())));
            there.got.reverse();
            prop_assert_eq!(here, there, "{:?}\n{:?}", book.texts(), question);
        }
    }

    #[test]
    fn asking_for_two_things_at_once_gives_what_asking_twice_gives(thrown in thrown(QUESTIONS), some in 0_u8..16) {
        let (book, questions) = made(&thrown);
        let policy = compiled(&book);
        let one: ActionSet = narrows::registry::Action::ALL.into_iter().enumerate().filter(|(bit, _)| some >> bit & 1 == 1).map(|(_, action)| action).collect();
        let every = ActionSet::REPOSITORY | ActionSet::CATALOG;
        for question in &questions {
            let whole = answer(&policy, question);
            let parts = granted(&policy, &with_actions(question, one)).into_iter().zip(granted(&policy, &with_actions(question, every - one)));
            let joined: Vec<ActionSet> = parts.map(|(one, other)| one | other).collect();
            prop_assert_eq!(whole.got.iter().map(|got| got.granted).collect::<Vec<_>>(), joined, "{:?}\n{:?}", book.texts(), question);
            // And a scope gets alone what it gets among others.
            for (scope, got) in question.scopes.iter().zip(&whole.got) {
                let alone = answer(&policy, &Question { scopes: vec![scope.clone()], ..question.clone() });
                prop_assert_eq!(alone.got.as_slice(), std::slice::from_ref(got), "{:?}\n{:?}", book.texts(), question);
            }
        }
    }

    #[test]
    fn other_names_everywhere_change_no_answer(thrown in thrown(QUESTIONS)) {
        let (book, questions) = made(&thrown);
        let here = compiled(&book);
        let there = engine::compile_texts(&renamed_texts(&book), &book).unwrap();
        for question in &questions {
            let mut other = question.clone();
            other.asker = question.asker.as_ref().map(|asker| with_names(asker, renamed));
            for scope in &mut other.scopes {
                if let Resource::Repository(name) = &scope.resource {
                    scope.resource = Resource::Repository(renamed(name.as_str()).parse().unwrap());
                }
            }
            prop_assert_eq!(answer(&here, question), answer(&there, &other), "{:?}\n{:?}", book.texts(), question);
        }
    }

    #[test]
    fn no_name_of_a_user_or_group_is_a_pattern(thrown in thrown(QUESTIONS)) {
        let (book, questions) = made(&thrown);
        let policy = compiled(&book);
        let harmless = |text: &str| text.replace('*', "~").replace('{', "(").replace('}', ")");
        for question in &questions {
            let other = Question { asker: question.asker.as_ref().map(|asker| with_names(asker, harmless)), ..question.clone() };
            prop_assert_eq!(answer(&policy, question), answer(&policy, &other), "{:?}\n{:?}", book.texts(), question);
        }
    }

    /// An allow asks that something is known to hold, a deny that it is not known not to, and no condition is turned round
    /// but by `except`, whose unknown counts as not excepted from a deny and as excepted from an allow. So whatever is
    /// forgotten moves an allow away from applying and a deny towards it.
    #[test]
    fn forgetting_a_fact_never_gives(thrown in thrown(QUESTIONS), fact in 0_usize..5) {
        let (book, questions) = made(&thrown);
        let policy = compiled(&book);
        for question in &questions {
            let mut other = question.clone();
            match (fact, &mut other.asker) {
                (0, _) => other.circumstances.source = None,
                (1, Some(asker)) => asker.factor = Factor::Unknown,
                (2, Some(asker)) => drop(asker.claims.pop()),
                (3, Some(asker)) => asker.claims.clear(),
                // By its DN, a group may also lose the alias that stands for it.
                (4, Some(asker)) if book.aliases.is_empty() => {
                    for group in asker.groups.iter_mut().filter(|group| !matches!(group.dn, HeldDn::None)) {
                        group.dn = HeldDn::Garbage;
                    }
                }
                (_, _) => {}
            }
            let (before, after) = (granted(&policy, question), granted(&policy, &other));
            prop_assert!(all_cover(&before, &after), "{before:?} {after:?}\n{:?}\n{question:?}", book.texts());
        }
    }

    #[test]
    fn a_file_with_within_says_nothing_of_what_is_outside(thrown in thrown(QUESTIONS)) {
        let (book, questions) = made(&thrown);
        let mut without = book.clone();
        without.rules.retain(|rule| rule.within(&book).is_none());
        let (here, there) = (compiled(&book), compiled(&without));
        for question in &questions {
            let (with, without) = (granted(&here, question), granted(&there, question));
            for (scope, (with, without)) in question.scopes.iter().zip(with.into_iter().zip(without)) {
                let inside = match &scope.resource {
                    Resource::Repository(name) => book.others.iter().flatten().any(|within| Path::read(within).loosened().covers(name.as_str())),
                    Resource::Catalog => false,
                };
                prop_assert!(inside || with == without, "{scope}\n{:?}\n{question:?}", book.texts());
            }
        }
    }

    #[test]
    fn a_rule_that_reaches_outside_its_file_is_refused(thrown in thrown(1), index in any::<prop::sample::Index>()) {
        let (mut book, _) = made(&thrown);
        let Some(number) = book.others.iter().position(Option::is_some) else { return Ok(()) };
        book.rules.retain(|rule| rule.file != number + 1);
        let Some(mut rule) = (!book.rules.is_empty()).then(|| index.get(&book.rules).clone()) else { return Ok(()) };
        (rule.file, rule.name) = (number + 1, "moved".to_owned());
        let within = Path::read(book.others[number].unwrap()).loosened();
        let reaches = |pattern: &String| generator::NAMES.into_iter().any(|name| Path::read(pattern).loosened().covers(name) && !within.covers(name));
        let outside = rule.repository.is_empty() || rule.repository.iter().any(reaches);
        book.rules.push(rule);
        prop_assert!(!outside || engine::compile(&book).is_err(), "{:?}", book.texts());
    }
}
