//! What the configuration says to those who read rules: its realms and its registries.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Config;
use crate::authn::ldap::GroupStrategy;
use crate::authn::settings::{ProviderKind, ProviderSettings};
use crate::authz::{Environment, GroupNames, KnownService, Realm, Realms};
use crate::clock::Timestamp;
use crate::token::settings::RegistryKind;

impl Config {
    /// The realms in the order of their names and the services in that of the file; `now` is for warnings about what is past.
    pub fn environment(&self, now: Timestamp) -> Environment {
        let services = self.services.iter().map(|service| KnownService {
            name: service.name.value.as_str().into(),
            enforces_tags: service.registry.value == RegistryKind::Gitlab,
        });
        Environment { realms: realms(&self.providers), services: services.collect(), now: Some(now) }
    }
}

/// Every realm with its providers in the order of the file.
fn realms(providers: &[ProviderSettings]) -> Realms {
    let mut realms: BTreeMap<Arc<str>, Realm> = BTreeMap::new();
    for provider in providers {
        let names = provider.names();
        let fresh =
            || Realm { name: Arc::clone(&names.realm), ignore_case: names.ignore_case, groups: GroupNames::None, ..Realm::default() };
        let realm = realms.entry(Arc::clone(&names.realm)).or_insert_with(fresh);
        for kind in provider.kinds() {
            realm.groups = realm.groups.max(group_names(kind));
            if matches!(kind, ProviderKind::Workload(_)) {
                realm.workloads.push(Arc::clone(&names.provider));
            }
        }
        realm.providers.push(names.provider);
    }
    Realms(realms.into_values().collect())
}

/// Under which names a provider can know groups.
fn group_names(kind: ProviderKind<'_>) -> GroupNames {
    match kind {
        ProviderKind::Ldap(ldap) if ldap.value.group_keys().strategy.value == GroupStrategy::None => GroupNames::None,
        ProviderKind::Ldap(_) => GroupNames::Distinguished,
        ProviderKind::File(file) if file.value.htpasswd.is_some() => GroupNames::None,
        ProviderKind::File(_) | ProviderKind::Oidc(_) => GroupNames::Plain,
        ProviderKind::Workload(_) => GroupNames::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::source::SourceFile;

    #[test]
    fn providers_of_one_realm_stand_together_and_know_groups_by_the_best_of_them() {
        let text = "services: [{name: a}, {name: b, registry: gitlab}]\nrules: r.yaml\nproviders:\n\
                    - {name: old, realm: corp, names: [\"x-*\"], ignore_case: true, file: {htpasswd: h}}\n\
                    - {name: staff, realm: corp, ldap: {servers: [\"ldaps://l.example\"], service_account: {dn: \"cn=a\", password: {file: p}}, user: {bases: [\"dc=x\"]}}}\n\
                    - {name: robots, names: [\"r-*\"], file: {path: u.yaml}}\n";
        let (config, _) = parse(SourceFile::new("narrows.yaml", text)).unwrap_or_else(|findings| panic!("{findings}"));
        let found = config.environment(Timestamp(7));
        let realms: Vec<String> = found
            .realms
            .0
            .iter()
            .map(|realm| format!("{} {} {:?} {:?}", realm.name, realm.ignore_case, realm.providers, realm.groups))
            .collect();
        assert_eq!(realms, ["corp true [\"old\", \"staff\"] Distinguished", "robots false [\"robots\"] Plain"]);
        let services: Vec<(&str, bool)> = found.services.iter().map(|service| (&*service.name, service.enforces_tags)).collect();
        assert_eq!((services, found.now), (vec![("a", false), ("b", true)], Some(Timestamp(7))));
    }
}
