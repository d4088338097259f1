//! Settings become providers: reads users files, certificates and secrets, and says everything that is wrong at once.

use std::sync::Arc;

use super::outage::Outage;
use super::{Asked, Authenticator};
use crate::authn::cache::{CredentialCache, Memory};
use crate::authn::file::{HashPool, Users};
use crate::authn::ldap::Directory;
use crate::authn::oidc::RelyingParty;
use crate::authn::provider::Provider;
use crate::authn::settings::{CacheSettings, ProviderKind, ProviderSettings, ThrottleSettings, check_providers};
use crate::authn::throttle::{Limits, Throttle};
use crate::clock::Clock;
use crate::source::{Diagnostics, Place, SourceFile};

/// What one provider needs of its surroundings.
struct Surroundings<'a> {
    file: &'a SourceFile,
    pool: Arc<HashPool>,
    clock: &'a Clock,
}

impl Authenticator {
    /// Builds every provider; asks none. With the warnings, or with everything that is wrong.
    pub fn build(
        providers: &[ProviderSettings],
        cache: &CacheSettings,
        file: &SourceFile,
        clock: &Clock,
        (throttle, limits): (Arc<Throttle>, &ThrottleSettings),
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut findings = Diagnostics::default();
        check_providers(providers, file, &mut findings);
        cache.check(file, &mut findings);
        if findings.has_errors() {
            return Err(findings);
        }
        // Whoever configured two files still has one machine.
        let surroundings = Surroundings { file, pool: Arc::new(HashPool::new()), clock };
        let mut asked = Vec::new();
        for settings in providers {
            match open(settings, &surroundings) {
                Ok((provider, warnings)) => {
                    findings.0.extend(warnings.0);
                    let outage = Outage::new(settings.stale(), clock);
                    asked.push(Arc::new(Asked { provider, names: settings.names(), patterns: settings.patterns(), outage }));
                }
                Err(wrong) => findings.0.extend(wrong.0),
            }
        }
        if findings.has_errors() {
            return Err(findings);
        }
        // Robots and break-glass accounts never wait for a directory that is down.
        asked.sort_by_key(|asked| match asked.provider {
            Provider::File(_) => 0,
            Provider::Ldap(_) | Provider::Oidc(_) => 1,
        });
        let no_randomness = |_| file.error(Place::default(), "the operating system gives no random numbers");
        let memory = Arc::new(Memory::new(cache.max_verified.value, clock));
        let limits = Limits::of(limits, cache);
        let cache = Arc::new(CredentialCache::new(cache).map_err(no_randomness)?);
        Ok((Self { asked, cache, memory, throttle, limits }, findings))
    }
}

#[cfg(test)]
impl Authenticator {
    /// One issuer alone, asked for every name.
    pub(in crate::authn) fn of_issuer(party: RelyingParty, stale: std::time::Duration, clock: &Clock) -> Self {
        let (names, cache, limits) = (party.names().clone(), CacheSettings::default(), ThrottleSettings::default());
        let patterns = crate::authn::route::NamePatterns::new(["*"], true);
        let asked = Asked { provider: Provider::Oidc(Box::new(party)), names, patterns, outage: Outage::new(stale, clock) };
        Self {
            asked: vec![Arc::new(asked)],
            memory: Arc::new(Memory::new(cache.max_verified.value, clock)),
            throttle: Arc::new(Throttle::forgetting(clock.clone())),
            limits: Limits::of(&limits, &cache),
            cache: Arc::new(CredentialCache::new(&cache).unwrap()),
        }
    }
}

type Opened = (Provider, Diagnostics);

fn open(settings: &ProviderSettings, around: &Surroundings<'_>) -> Result<Opened, Diagnostics> {
    let kind = settings.kinds().into_iter().next();
    match kind {
        Some(ProviderKind::File(written)) => {
            let Some(path) = written.value.users_path(around.file.folder()) else { return Err(not_checked(settings, around)) };
            let (users, warnings) = Users::load(settings.names(), &settings.patterns(), &path, Arc::clone(&around.pool), around.clock)?;
            Ok((Provider::File(users), warnings))
        }
        Some(ProviderKind::Ldap(written)) => {
            let directory = Directory::build(settings.names(), &written.value, around.file, around.clock)?;
            Ok((Provider::Ldap(Box::new(directory)), Diagnostics::default()))
        }
        Some(ProviderKind::Oidc(written)) => {
            let party = RelyingParty::build(settings.names(), &written.value, around.file, around.clock)?;
            Ok((Provider::Oidc(Box::new(party)), Diagnostics::default()))
        }
        Some(ProviderKind::Workload(_)) | None => Err(not_checked(settings, around)),
    }
}

/// What `check_providers` refuses never comes here; if it does, it is refused again.
fn not_checked(settings: &ProviderSettings, around: &Surroundings<'_>) -> Diagnostics {
    around.file.error(settings.name.place, format!("provider `{}` cannot be used", settings.name.value)).into()
}
