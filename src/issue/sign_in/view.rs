//! What somebody who signed in is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::Instant;

use super::kept::KeptSignIn;
use super::{Issuer, SignInRefusal};
use crate::authn::identity::Principal;
use crate::authz::Reach;
use crate::clock::Timestamp;
use crate::registry::ActionSet;
use crate::token::identity_token::Born;

/// So many lines of what somebody may do are shown for a service.
const MOST_LINES: usize = 50;
/// So many groups are shown.
const MOST_GROUPS: usize = 50;
/// So many saved logins are shown.
const MOST_LOGINS: usize = 100;
/// Whose turn it is to work out what somebody may do: one at a time, so that no number of open pages takes more than a core.
const TURN: &str = "what somebody may do";

/// Somebody who signed in.
#[derive(Clone, Debug)]
pub struct SignInView {
    /// The canonical name.
    pub username: String,
    /// The realm that vouches.
    pub realm: String,
    /// The issuer.
    pub provider: String,
    /// When the sign-in is over, in seconds from now.
    pub seconds_left: i64,
    /// What its orders have to bring along.
    pub csrf: SecretString,
    /// Whether the one login code was given.
    pub code_given: bool,
    /// The groups that the issuer told, as rules call them.
    pub groups: Vec<String>,
    /// How many more there are.
    pub more_groups: usize,
    /// The service that the person came for.
    pub service: Option<String>,
    /// Every service.
    pub services: Vec<ServiceView>,
    /// The person's saved logins that are alive, the youngest first.
    pub logins: Vec<LoginView>,
    /// How many more there are.
    pub more_logins: usize,
}

/// A service, and what the person may do there.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// What people type behind `docker login`.
    pub address: String,
    /// What the rules allow; none where it could not be worked out now.
    pub reach: Option<Vec<ReachView>>,
    /// How many more lines there are.
    pub more: usize,
}

/// One line of what somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachView {
    /// The repositories, as a pattern.
    pub repository: String,
    /// The actions.
    pub actions: String,
    /// What else has to hold.
    pub conditions: Vec<String>,
    /// What is denied on a part of it.
    pub less: Vec<String>,
}

/// One saved login: an identity token that some client keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginView {
    /// What operators call it.
    pub id: String,
    /// The service that it is for.
    pub service: String,
    /// By which kind of login it was made, where that is known.
    pub how: Option<Born>,
    /// Where the login was made, where that is known.
    pub from: Option<String>,
    /// When it was made.
    pub made: Timestamp,
    /// When it was used last.
    pub used: Timestamp,
    /// When it ends whatever happens.
    pub ends: Option<Timestamp>,
}

impl Issuer {
    pub(super) async fn view(&self, expires: Timestamp, kept: KeptSignIn, deadline: Instant) -> Result<SignInView, SignInRefusal> {
        let KeptSignIn { identity, fingerprint, csrf, code_given, service, .. } = kept;
        let mut live = self.identity_tokens.of(&identity.provider, &fingerprint, &identity.id).await?;
        live.reverse();
        let rows = live.into_iter().filter_map(|listed| Some((listed.row?, listed.ends, listed.birth)));
        let mut logins: Vec<LoginView> = rows
            .map(|(row, ends, birth)| LoginView {
                id: row.id,
                service: row.service,
                how: birth.map(|birth| birth.how),
                from: birth.and_then(|birth| birth.source).map(|address| address.to_string()),
                made: Timestamp(row.created),
                used: Timestamp(row.used),
                ends,
            })
            .collect();
        let more_logins = logins.len().saturating_sub(MOST_LOGINS);
        logins.truncate(MOST_LOGINS);
        let (username, realm, provider) = (identity.username.clone(), identity.realm.to_string(), identity.provider.to_string());
        let named = self.rulebook.policies().flat_map(|(_, _, policy)| policy.groups_of(&identity));
        let mut groups: Vec<String> = named.collect::<BTreeSet<_>>().into_iter().collect();
        let more_groups = groups.len().saturating_sub(MOST_GROUPS);
        groups.truncate(MOST_GROUPS);
        let services = self.reaches(Principal::Identified(Arc::new(identity)), deadline).await;
        let seconds_left = expires.since(self.clock.now());
        let service = service.filter(|service| self.services.contains_key(service));
        let csrf = SecretString::from(csrf);
        Ok(SignInView {
            username,
            realm,
            provider,
            seconds_left,
            csrf,
            code_given,
            groups,
            more_groups,
            service,
            services,
            logins,
            more_logins,
        })
    }

    /// What somebody may do at each service. It is work for a processor, and never holds up what tokens are issued by.
    async fn reaches(&self, principal: Principal, deadline: Instant) -> Vec<ServiceView> {
        let names: Vec<(String, String)> =
            self.services.values().map(|service| (service.name.value.clone(), service.address().to_owned())).collect();
        let blank = |(name, address): (String, String)| ServiceView { name, address, reach: None, more: 0 };
        let Some(turn) = self.rechecks.take(TURN, deadline).await else { return names.into_iter().map(blank).collect() };
        let (rulebook, now, asked) = (Arc::clone(&self.rulebook), self.clock.now(), names.clone());
        let work = tokio::task::spawn_blocking(move || {
            let views = asked.into_iter().map(|(name, address)| {
                let reaches = rulebook.policy(&name).map(|policy| policy.what_can(&principal, &name, now));
                let more = reaches.as_ref().map_or(0, |all| all.len().saturating_sub(MOST_LINES));
                let reach = reaches.map(|all| all.iter().take(MOST_LINES).map(ReachView::of).collect());
                ServiceView { name, address, reach, more }
            });
            let views = views.collect();
            drop(turn);
            views
        });
        match tokio::time::timeout_at(deadline, work).await {
            Ok(Ok(views)) => views,
            Ok(Err(_)) | Err(_) => names.into_iter().map(blank).collect(),
        }
    }
}

impl ReachView {
    fn of(reach: &Reach) -> Self {
        let Reach { repository, actions, conditions, rule: _, less } = reach;
        Self {
            repository: repository.clone(),
            // The one action on the catalogue is said by its name.
            actions: if *actions == ActionSet::CATALOG { "list".to_owned() } else { actions.to_string().replace(',', ", ") },
            conditions: conditions.clone(),
            less: less.iter().map(|(place, actions, _)| format!("{actions} in {place}")).collect(),
        }
    }
}
