//! The online check: the steps of a login, each with what came of it. Nobody's password is needed.

use ldap3::Scope;
use tokio::time::Instant;

use super::Directory;
use super::answer::Proof;
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
        let opened = Connection::open(&self.link, deadline).await;
        let protection = match self.link.endpoint.security {
            Security::Tls => "with TLS",
            Security::StartTls => "with StartTLS",
            Security::None => "WITHOUT TLS: passwords travel readable",
        };
        let reached = opened.as_ref().map(|_| format!("{}, {protection}", self.link.endpoint)).map_err(Trouble::to_string);
        steps.push(ProbeStep { step: "connect".to_owned(), outcome: reached });
        let Ok(mut service) = opened else { return steps };

        let bound = match service.bind(&self.service.dn, &self.service.password, deadline).await {
            Ok(Proof::Proven) => Ok("bound".to_owned()),
            Ok(Proof::Refused { rejection, detail, .. }) => Err(format!("the directory refuses it: {}, {detail}", rejection.as_str())),
            Err(trouble) => Err(trouble.to_string()),
        };
        let may_search = bound.is_ok();
        steps.push(ProbeStep { step: "service account".to_owned(), outcome: bound });
        if !may_search {
            return steps;
        }
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
