//! From checked settings to a directory: reads the CA file and the service account's password.

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;

use super::connection::{Limits, Link};
use super::dn::Dn;
use super::dn_template::DnTemplate;
use super::endpoint::{Endpoint, Security};
use super::groups::Groups;
use super::person::IdAttribute;
use super::service::ServiceLogin;
use super::settings::{BindMode, LdapSettings, SearchScope, ServiceAccount};
use super::state::AccountRules;
use super::template::FilterTemplate;
use super::tls::TlsClient;
use super::typed::Strip;
use super::{Bind, Directory};
use crate::authn::provider::{Health, Names};
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
    let folder = file.folder();

    let server = settings.servers.first().ok_or_else(|| wrong(settings.service_account.place, "`servers` names no server".to_owned()))?;
    let endpoint =
        Endpoint::parse(&server.value.url, settings.allow_plaintext.value).map_err(|error| wrong(server.place, error.to_string()))?;
    let tls = match endpoint.security {
        Security::None => None,
        Security::Tls | Security::StartTls => {
            let place = settings.tls.ca.as_ref().map_or(server.place, |ca| ca.file.place);
            Some(TlsClient::build(&settings.tls, &endpoint.host, folder).map_err(|error| wrong(place, error.to_string()))?)
        }
    };
    let service = service_login(settings, file)?;
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
    let limits = Limits {
        connect: settings.timeouts.connect.value.duration(),
        tls: settings.timeouts.tls.value.duration(),
        bind: settings.timeouts.bind.value.duration(),
        search: settings.timeouts.search.value.duration(),
    };
    Ok(Directory {
        link: Link { provider: names.provider.clone(), endpoint, tls, limits },
        names,
        service,
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
        health: ArcSwap::from_pointee(Health::Unknown),
    })
}

fn service_login(settings: &LdapSettings, file: &SourceFile) -> Result<ServiceLogin, Diagnostic> {
    let ServiceAccount::Simple { dn, password } = &settings.service_account.value else {
        return Err(file.error(settings.service_account.place, "only a service account with a DN and a password is available yet"));
    };
    let secret = password.value.load(file.folder()).map_err(|error| file.error(password.place, error.to_string()))?;
    if secret.expose_secret().contains('\0') {
        return Err(file.error(password.place, "the service account's password holds a NUL"));
    }
    Ok(ServiceLogin::new(dn.value.clone(), secret))
}
