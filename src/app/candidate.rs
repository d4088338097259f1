//! The next generation, built beside the running one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy_tests;
pub(super) use crate::authn::authenticator::Authenticator;
use crate::authn::throttle::Throttle;
use crate::authz::Rulebook;
use crate::authz::settings::Widen;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::issue::Issuer;
use crate::source::{Diagnostics, SourceFile};
use crate::token::settings::ServiceSettings;

/// What a reload reads again. The rules are always read.
#[derive(Clone, Debug, Default)]
pub struct Reread {
    /// A configuration that takes the place of the running one (SIGHUP); everything that it names is read.
    pub configuration: Option<Config>,
    /// Users files, CA files and secrets; empties the verified cache.
    pub providers: bool,
}

/// A generation that was read and checked whole, and waits to be adopted.
#[derive(Debug)]
pub struct Candidate {
    pub(super) config: Config,
    pub(super) issuer: Issuer,
    /// The rules as the state keeps them.
    pub(super) kept: String,
    /// Whether more than rules was read.
    pub(super) anew: bool,
    /// Whether the configuration was.
    pub(super) configuration: bool,
    read: Vec<SourceFile>,
    /// Settings that were changed in the file and that only a restart brings.
    pub needs_restart: Vec<&'static str>,
    /// What was found and did not refuse the reload.
    pub warnings: Diagnostics,
}

impl Candidate {
    pub(super) fn read(reread: Reread, running: &Config, issuer: &Issuer, clock: &Clock) -> Result<Self, Diagnostics> {
        let mut warnings = Diagnostics::default();
        let configuration = reread.configuration.is_some();
        let anew = reread.providers || configuration;
        let config = reread.configuration.unwrap_or_else(|| running.clone());
        let authenticator = if anew {
            let (fresh, found) = Authenticator::build(
                &config.providers,
                &config.credentials_cache,
                &config.file,
                clock,
                (Arc::clone(issuer.authenticator.throttle()), &config.throttle),
            )?;
            warnings.0.extend(found.0);
            Arc::new(fresh.succeeding(&issuer.authenticator))
        } else {
            Arc::clone(&issuer.authenticator)
        };
        let Rules { rulebook, files: read, warnings: found } = rules(&config, clock.now())?;
        warnings.0.extend(found.0);
        let needs_restart = needs_restart(running, &config);
        let services = if needs_restart.contains(&"services") { issuer.services.clone() } else { services(&config) };
        let rulebook = rulebook.or_former(services.keys(), &issuer.rulebook);
        // Equal rules stay the same value, so that it shows that nothing came of them.
        let same = rulebook.digest() == issuer.rulebook.digest();
        let rulebook = if same { Arc::clone(&issuer.rulebook) } else { Arc::new(rulebook) };
        let issuer = Issuer { services, rulebook, ..next(issuer, &config, authenticator, clock) };
        let kept = issuer.rulebook.to_kept();
        Ok(Self { config, issuer, kept, anew, configuration, read, needs_restart, warnings })
    }

    /// What of it can run under the rules that run: users, certificates, secrets, and the configuration, unless that says
    /// something else about the realms or services that rules are read against. `None` where there is nothing else.
    pub(super) fn under_former_rules(self, running: &Config, former: &Issuer, clock: &Clock) -> Result<Option<Self>, Diagnostics> {
        if !self.anew {
            return Ok(None);
        }
        let rulebook = Arc::clone(&former.rulebook);
        let kept = rulebook.to_kept();
        if self.issuer.rulebook.environment() == rulebook.environment() {
            return Ok(Some(Self { issuer: Issuer { rulebook, ..self.issuer }, kept, ..self }));
        }
        let shield = (Arc::clone(former.authenticator.throttle()), &running.throttle);
        let (authenticator, warnings) = Authenticator::build(&running.providers, &running.credentials_cache, &running.file, clock, shield)?;
        let authenticator = Arc::new(authenticator.succeeding(&former.authenticator));
        let (config, services) = (running.clone(), former.services.clone());
        let issuer = Issuer { services, rulebook, ..next(former, &config, authenticator, clock) };
        Ok(Some(Self { config, issuer, kept, configuration: false, needs_restart: Vec::new(), warnings, ..self }))
    }

    /// The rules that it would run.
    pub fn rulebook(&self) -> &Arc<Rulebook> {
        &self.issuer.rulebook
    }

    /// The files that they and their tests were made from, as they were read.
    pub fn policy_files(&self) -> &[SourceFile] {
        &self.read
    }

    /// What its configuration wants to become of rules that widen.
    pub fn widen(&self) -> Widen {
        self.config.reload.widen.value
    }

    /// Whether it brings another configuration.
    pub fn has_configuration(&self) -> bool {
        self.configuration
    }
}

/// The next generation, of another configuration and other providers.
fn next(former: &Issuer, config: &Config, authenticator: Arc<Authenticator>, clock: &Clock) -> Issuer {
    Issuer {
        generation: former.generation.saturating_add(1),
        services: former.services.clone(),
        rulebook: Arc::clone(&former.rulebook),
        authenticator,
        identity_tokens: Arc::clone(&former.identity_tokens),
        rechecks: Arc::clone(&former.rechecks),
        keys: Arc::clone(&former.keys),
        audit: Arc::clone(&former.audit),
        store: former.store.clone(),
        login_codes: Arc::clone(&former.login_codes),
        public_url: config.public_url.as_ref().map(|url| Arc::new(url.value.clone())),
        clock: clock.clone(),
        request_deadline: config.request_deadline.duration(),
        rejection_floor: config.throttle.rejection_floor.value.duration(),
    }
}

/// Rules that were read, and passed their tests.
pub(super) struct Rules {
    pub(super) rulebook: Rulebook,
    /// The files of rules and tests, as they were read.
    pub(super) files: Vec<SourceFile>,
    pub(super) warnings: Diagnostics,
}

/// Reads and compiles the rules of every service, and runs their tests.
pub(super) fn rules(config: &Config, now: Timestamp) -> Result<Rules, Diagnostics> {
    let tests = policy_tests::read(config);
    let loaded = Rulebook::load(&config.rule_sets(), &config.environment(now));
    let (tests, rulebook, mut warnings) = match (tests, loaded) {
        (Ok(tests), Ok((rulebook, warnings))) => (tests, rulebook, warnings),
        (Err(mut findings), loaded) => {
            findings.0.extend(loaded.map_or_else(|errors| errors, |(_, warnings)| warnings).0);
            return Err(findings);
        }
        (Ok(_), Err(errors)) => return Err(errors),
    };
    warnings.0.extend(policy_tests::run(&tests, config, &rulebook, now).0);
    if warnings.has_errors() {
        return Err(warnings);
    }
    let files = rulebook.files().cloned().chain(tests).collect();
    Ok(Rules { rulebook, files, warnings })
}

/// Compiles the rules that the state kept; `None` where they no longer fit the configuration.
pub(super) fn compile_kept(kept: String, config: &Config, now: Timestamp) -> Option<Rulebook> {
    match Rulebook::of_kept(kept, config.services_without_rules(), &config.environment(now)) {
        Ok(rulebook) => Some(rulebook),
        Err(findings) => {
            tracing::error!(findings = %findings, "the last good rules do not fit the configuration");
            None
        }
    }
}

pub(super) fn authenticator(config: &Config, throttle: Arc<Throttle>, clock: &Clock) -> Result<Authenticator, Diagnostics> {
    let shield = (throttle, &config.throttle);
    let (authenticator, warnings) = Authenticator::build(&config.providers, &config.credentials_cache, &config.file, clock, shield)?;
    for warning in warnings.summaries() {
        tracing::warn!("{warning}");
    }
    Ok(authenticator)
}

pub(super) fn services(config: &Config) -> BTreeMap<String, ServiceSettings> {
    config.services.iter().map(|service| (service.name.value.clone(), service.clone())).collect()
}

/// Names what a reload cannot bring, as `listen` or a new service.
fn needs_restart(running: &Config, next: &Config) -> Vec<&'static str> {
    let shape = |config: &Config| -> Vec<_> {
        config
            .services
            .iter()
            .map(|service| {
                let brought = service.signing.as_ref().map(|signing| (signing.certificate.value.clone(), signing.key.value.clone()));
                (service.name.value.clone(), service.registry.value, service.algorithm.value, brought)
            })
            .collect()
    };
    let same = [
        ("listen", running.listen == next.listen),
        ("admin_listen", running.admin_listen == next.admin_listen),
        ("tls", running.tls.is_some() == next.tls.is_some()),
        ("services", shape(running) == shape(next)),
        ("signing", running.signing.directory == next.signing.directory),
        ("state", running.state.path == next.state.path && running.state.key == next.state.key),
        ("identity_tokens", running.identity_tokens == next.identity_tokens),
        ("audit", running.audit == next.audit),
        ("log", running.log == next.log),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
