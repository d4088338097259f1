//! Asks the product.

use std::sync::Arc;

use narrows::authn::identity::{Group, Identity, Kind, Method, Principal, SecondFactor};
use narrows::authz::{Context, Decision, Environment, KnownService, Policy, Realm, RuleSource};
use narrows::clock::Timestamp;
use narrows::registry::ResourceScope;
use narrows::source::{Period, SourceFile};

use super::generator::services;
use super::model::{Answer, Got};
use super::print::spelled;
use super::rules::{Asker, Circumstances, Factor, HeldDn, REALMS, Rulebook};

/// Compiles the text of some rules; every file that the generator makes is a good one.
pub fn compile(book: &Rulebook) -> Result<Policy, String> {
    let texts: Vec<_> = book.texts().into_iter().map(|(text, within)| (text, within.map(ToOwned::to_owned))).collect();
    compile_texts(&texts, book)
}

/// Compiles files, each with what it has to stay inside, under the configuration that goes with a rulebook.
pub fn compile_texts(texts: &[(String, Option<String>)], book: &Rulebook) -> Result<Policy, String> {
    let realms = REALMS.map(|(name, ignore_case, providers, workloads)| Realm {
        name: name.into(),
        ignore_case,
        providers: providers.iter().map(|name| (*name).into()).collect(),
        workloads: workloads.iter().map(|name| (*name).into()).collect(),
        ..Realm::default()
    });
    let services = services(book).into_iter().map(|(name, enforces_tags)| KnownService { name: name.into(), enforces_tags });
    let mut environment = Environment::default();
    environment.realms.0 = realms.to_vec();
    environment.services = services.collect();
    let source = |(number, (text, within)): (usize, &(String, Option<String>))| RuleSource {
        file: SourceFile::new(format!("rules-{number}.yaml"), text.as_str()),
        within: within.clone(),
    };
    let sources: Vec<RuleSource> = texts.iter().enumerate().map(source).collect();
    match Policy::compile_all(&sources, &environment) {
        Ok((policy, _)) => Ok(policy),
        Err(findings) => Err(findings.to_string()),
    }
}

/// The answer of the product, in the model's words.
pub fn answer(decision: &Decision) -> Answer {
    let got = decision.grants.iter().map(|grant| Got {
        granted: grant.granted,
        lives: grant.lives.iter().map(|(action, life)| (*action, life.longest.map(Period::as_seconds), life.service)).collect(),
        denied_tags: grant.denied_tags.clone(),
    });
    Answer { got: got.collect(), until: decision.until.map(|until| until.0) }
}

pub fn decide(policy: &Policy, asker: Option<&Asker>, scopes: &[ResourceScope], circumstances: &Circumstances) -> Decision {
    let context = Context { service: circumstances.service, now: Timestamp(circumstances.now), source: circumstances.source };
    policy.decide(&principal(asker), scopes, &context)
}

fn principal(asker: Option<&Asker>) -> Principal {
    let Some(asker) = asker else { return Principal::Anonymous };
    let groups = asker.groups.iter().enumerate().map(|(number, group)| Group {
        name: group.name.clone(),
        dn: match &group.dn {
            HeldDn::None => None,
            HeldDn::Garbage => Some("no DN".to_owned()),
            // Case is theirs: another one would be another value of a capture.
            HeldDn::Of(dn) => Some(spelled(dn, 2 * (number % 2))),
        },
        id: group.id.map(ToOwned::to_owned),
    });
    let claims = asker.claims.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()));
    Principal::Identified(Arc::new(Identity {
        realm: asker.realm.into(),
        provider: asker.provider.into(),
        id: "1".to_owned(),
        username: asker.user.clone(),
        groups: groups.collect(),
        kind: if asker.workload { Kind::Workload } else { Kind::Person },
        method: if asker.workload { Method::Workload } else { Method::Password },
        proven: Timestamp(0),
        marker: None,
        claims: claims.collect(),
        second_factor: match asker.factor {
            Factor::Unknown => SecondFactor::Unknown,
            Factor::Absent => SecondFactor::Absent,
            Factor::Used(when) => SecondFactor::Used(Timestamp(when)),
        },
    }))
}
