//! The online check: the steps of a login, each with what came of it. Nobody's password is needed.

use ldap3::Scope;
use tokio::time::Instant;

use super::Directory;
use super::connection::{Connection, Search};
use super::endpoint::Security;
use super::groups::MEMBER_OF;
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use crate::authn::provider::ProbeStep;

impl Directory {
    /// Stops where the next step would have nothing to stand on.
    pub(super) async fn probed(&self, deadline: Instant) -> Vec<ProbeStep> {
        let mut steps = Vec::new();
        let Some(service) = self.probed_servers(&mut steps, deadline).await else { return steps };
        let user_bases: Vec<&str> = self.bases.iter().map(|(base, _)| base.as_str()).collect();
        for base in user_bases.iter().copied().chain(self.groups.bases()) {
            let search = Search { base, scope: Scope::Base, filter: &Filter::any(), attributes: &["1.1"], at_most: None };
            let outcome = match service.search(&search, deadline).await {
                Ok(found) if found.is_empty() => Err("it exists, but the service account may not see it".to_owned()),
                Ok(_) => Ok("exists".to_owned()),
                Err(trouble) => Err(trouble.to_string()),
            };
            steps.push(ProbeStep { step: format!("base {base}"), outcome });
        }
        let people = self.filter.any_name();
        steps.push(self.probed_people("users", &people, "the filter finds nobody below the bases", &service, deadline).await);
        let with_id = people.and(&Filter::equals(self.id.name(), &FilterValue::any()));
        let nobody = "nobody has this attribute, or the service account may not read it";
        steps.push(self.probed_people(&format!("id {}", self.id.name()), &with_id, nobody, &service, deadline).await);
        if self.groups.are_listed() {
            let in_groups = people.and(&Filter::equals(MEMBER_OF, &FilterValue::any()));
            let nobody = "nobody has it; is the memberOf overlay loaded? Without it use `strategy: member`";
            steps.push(self.probed_people(&format!("groups by {MEMBER_OF}"), &in_groups, nobody, &service, deadline).await);
        }
        steps
    }

    /// Each server's steps; a connection to the first that may be searched.
    async fn probed_servers(&self, steps: &mut Vec<ProbeStep>, deadline: Instant) -> Option<Connection> {
        let servers = match self.servers.all(deadline).await {
            Ok(servers) => servers,
            Err(trouble) => {
                steps.push(ProbeStep { step: "discovery".to_owned(), outcome: Err(trouble.reason) });
                return None;
            }
        };
        let mut first = None;
        for server in &servers {
            let endpoint = &server.link().endpoint;
            let named = |step: &str| if servers.len() == 1 { step.to_owned() } else { format!("{step} {endpoint}") };
            let started = Instant::now();
            let opened = Connection::open(server.link(), deadline).await;
            let protection = match endpoint.security {
                Security::Tls => "with TLS",
                Security::StartTls => "with StartTLS",
                Security::None => "WITHOUT TLS: passwords travel readable",
            };
            let took = started.elapsed().as_millis();
            let reached = opened.as_ref().map(|_| format!("{endpoint}, {protection}, {took} ms")).map_err(Trouble::to_string);
            steps.push(ProbeStep { step: named("connect"), outcome: reached });
            let Ok(mut connection) = opened else { continue };
            let started = Instant::now();
            let bound = match server.bind_service(&mut connection, deadline).await {
                Ok(()) => Ok(format!("bound, {} ms", started.elapsed().as_millis())),
                Err(trouble) => Err(trouble.reason),
            };
            let may_search = bound.is_ok();
            steps.push(ProbeStep { step: named("service account"), outcome: bound });
            if may_search && first.is_none() {
                first = Some(connection);
            }
        }
        first
    }

    async fn probed_people(&self, step: &str, filter: &Filter, nobody: &str, service: &Connection, deadline: Instant) -> ProbeStep {
        let mut outcome = Err(nobody.to_owned());
        for (base, _) in &self.bases {
            let search = Search { base, scope: self.scope, filter, attributes: &["1.1"], at_most: Some(1) };
            match service.search(&search, deadline).await {
                Ok(found) if found.is_empty() => {}
                Ok(_) => {
                    outcome = Ok("found".to_owned());
                    break;
                }
                Err(trouble) => {
                    outcome = Err(trouble.to_string());
                    break;
                }
            }
        }
        ProbeStep { step: step.to_owned(), outcome }
    }
}
