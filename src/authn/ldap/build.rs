//! From checked settings to a directory: reads the CA file and the service account's password.

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;

use super::connection::Limits;
use super::dn::Dn;
use super::dn_template::DnTemplate;
use super::endpoint::{Endpoint, Security};
use super::groups::Groups;
use super::person::IdAttribute;
use super::server::PoolLimits;
use super::servers::{Common, Discovery, Servers};
use super::service::{Account, ServiceLogin};
use super::settings::{BindMode, LdapSettings, SearchScope, ServiceAccount};
use super::state::AccountRules;
use super::template::FilterTemplate;
use super::tls::Trust;
use super::typed::Strip;
use super::{Bind, Directory};
use crate::authn::provider::Names;
use crate::clock::Clock;
use crate::source::{Diagnostic, Diagnostics, Place, SourceFile};

/// Checks the settings once more, so that no caller can forget it.
pub(super) fn directory(names: Names, settings: &LdapSettings, file: &SourceFile, clock: &Clock) -> Result<Directory, Diagnostics> {
    let mut findings = Diagnostics::default();
    settings.check(file, &mut findings);
    if findings.has_errors() {
        return Err(findings);
    }
    let wrong = |place: Place, message: String| Diagnostics::from(file.error(place, message));

    let servers = servers(names.provider.clone(), settings, file)?;
    let user = settings.user_keys();
    let bases = user.bases.0.iter().map(|base| match base.value.parse::<Dn>() {
        Ok(dn) => Ok((base.value.clone(), dn)),
        Err(error) => Err(wrong(base.place, format!("`{}` is not a DN: {error}", base.value))),
    });
    let filter = FilterTemplate::parse(&user.filter.value).map_err(|error| wrong(user.filter.place, error.to_string()))?;
    let id = IdAttribute::new(&user.id.value);
    let bind = match (user.bind.value, &user.template, &user.upn_suffix) {
        (BindMode::Search, ..) => Bind::Search,
        (BindMode::Template, Some(template), _) => {
            Bind::Template(DnTemplate::parse(&template.value).map_err(|error| wrong(template.place, error.to_string()))?)
        }
        (BindMode::Upn, _, Some(suffix)) => Bind::Upn(suffix.value.clone()),
        (BindMode::Template | BindMode::Upn, ..) => return Err(wrong(user.bind.place, "`bind` lacks its key".to_owned())),
    };
    Ok(Directory {
        names,
        servers,
        bases: bases.collect::<Result<_, _>>()?,
        scope: match user.scope.value {
            SearchScope::Sub => ldap3::Scope::Subtree,
            SearchScope::One => ldap3::Scope::OneLevel,
        },
        bind,
        strip: Strip::new(user.strip.into_iter().map(|cut| cut.value)),
        filter,
        accounts: AccountRules::new(&settings.accounts, settings.kind()),
        username: user.username.value,
        groups: Groups::new(settings.group_keys(), &id, settings.kind().dn_attribute()),
        id,
        clock: clock.clone(),
    })
}

fn servers(provider: Arc<str>, settings: &LdapSettings, file: &SourceFile) -> Result<Arc<Servers>, Diagnostics> {
    let wrong = |place: Place, message: String| Diagnostics::from(file.error(place, message));
    let plaintext = settings.allow_plaintext.value;
    let mut endpoints = Vec::new();
    for server in &settings.servers {
        let endpoint = Endpoint::parse(&server.value.url, plaintext).map_err(|error| wrong(server.place, error.to_string()))?;
        endpoints.push((endpoint, server.value.priority));
    }
    let place = settings.discovery.as_ref().map(|discovery| discovery.value.domain.place);
    let place = place.or_else(|| settings.servers.first().map(|server| server.place)).unwrap_or(settings.service_account.place);
    let tls_place = settings.tls.ca.as_ref().map_or(place, |ca| ca.file.place);
    // Discovered servers may listen for TLS at once, whatever `allow_plaintext` says of the others.
    let speaks_tls = settings.discovery.is_some() || endpoints.iter().any(|(endpoint, _)| endpoint.security != Security::None);
    let trust = speaks_tls.then(|| Trust::build(&settings.tls, file.folder())).transpose();
    let (timeouts, pool) = (&settings.timeouts, &settings.pool);
    let common = Common {
        provider,
        trust: trust.map_err(|error| wrong(tls_place, error.to_string()))?,
        limits: Limits {
            connect: timeouts.connect.value.duration(),
            tls: timeouts.tls.value.duration(),
            bind: timeouts.bind.value.duration(),
            search: timeouts.search.value.duration(),
        },
        pool: PoolLimits {
            search: usize::try_from(pool.search.value).unwrap_or(usize::MAX),
            in_flight: usize::try_from(pool.in_flight.value).unwrap_or(usize::MAX),
            bind: usize::try_from(pool.bind.value).unwrap_or(usize::MAX),
            max_age: pool.max_age.value.duration(),
            max_operations: pool.max_operations.value,
        },
        service: Arc::new(service_login(settings, file)?),
    };
    match &settings.discovery {
        Some(discovery) => {
            let anywhere = settings.tls.server_name.is_some();
            Ok(Servers::discovered(common, Discovery::new(&discovery.value.domain.value, plaintext, anywhere)))
        }
        None => Servers::listed(common, endpoints).map_err(|error| wrong(tls_place, error.to_string())),
    }
}

fn service_login(settings: &LdapSettings, file: &SourceFile) -> Result<ServiceLogin, Diagnostic> {
    let account = match &settings.service_account.value {
        ServiceAccount::External => Account::External,
        ServiceAccount::Anonymous => Account::Anonymous,
        ServiceAccount::Simple { dn, password } => {
            let secret = password.value.load(file.folder()).map_err(|error| file.error(password.place, error.to_string()))?;
            if secret.expose_secret().contains('\0') {
                return Err(file.error(password.place, "the service account's password holds a NUL"));
            }
            Account::Simple {
                dn: dn.value.clone(),
                password: ArcSwap::from_pointee(secret),
                source: password.value.clone(),
                folder: file.folder().to_owned(),
            }
        }
    };
    Ok(ServiceLogin::new(account))
}
