//! The journeys at Keycloak and Dex, which only `make interop` brings. Both take their time to start, so one house serves all journeys, one
//! after the other.

use super::house::{Beside, House, OpenidProvider, PASSWORDS, SERVICE};
use super::page::SignInPage;
use super::{credential_helper, in_band, journeys};
use crate::dex::Dex;
use crate::keycloak::Keycloak;
use crate::labs::accounts::Person;
use crate::labs::bridge::Site;
use crate::labs::oidc::{BOB, MFA};
use crate::slapd::{Options, Slapd};

impl OpenidProvider for Keycloak {
    /// It says of both that the credentials are invalid.
    const TELLS_SECOND_FACTOR: bool = false;
    const TELLS_END: bool = true;
    fn issuer(&self) -> String {
        self.issuer()
    }
    fn settings(&self) -> &'static str {
        "      preset: keycloak\n"
    }
    async fn redirect_to(&self, uri: &str) {
        self.redirect_to(uri).await;
    }
    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        self.sign_in(person, authorization_url).await
    }
    async fn approve_device(&self, person: &Person, user_code: &str) {
        self.approve_device(person, user_code).await;
    }
    /// The realm wants one of Mfa from its start.
    async fn require_second_factor(&self, person: &Person) {
        assert_eq!(person.name, MFA.name);
    }
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        let paths: Vec<String> = groups.iter().map(|group| format!("/{group}")).collect();
        self.set_groups(person, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    async fn end_sessions(&self, person: &Person) {
        self.end_sessions(person).await;
    }
    async fn remove(&self, person: &Person) {
        self.disable(person).await;
    }
}

#[tokio::test]
async fn keycloak() {
    let Some(house) = House::open(Keycloak::start().await).await else { return };
    every_login(&house).await;
    // By the page alone: a code of an authenticator is good once, and the next one takes half a minute.
    let (client, host) = (house.docker.client(), house.registry.host());
    client.login(&host, MFA.name, MFA.password).await.refused(&["unauthorized: invalid username or password"]);
    let page = SignInPage::signed_in(&house.bridge, &house.op, &MFA).await;
    client.login(&host, MFA.name, &page.code(SERVICE).await).await.ok().says(&["Login Succeeded"]);
    house.push(&client, "dev/second-factor:1").await.ok();
    journeys::member_who_left_the_group_pushes_no_more(&house).await;
    OpenidProvider::set_groups(&house.op, &BOB, &["dev"]).await;
    journeys::ended_session_ends_the_login(&house).await;
    journeys::removed_person_gets_nothing_more(&house).await;
}

/// Dex with the people of a directory. It has neither second factors nor sessions that could be ended.
struct DexOverSlapd {
    dex: Dex,
    slapd: Slapd,
}

fn entry(person: &Person) -> String {
    format!("uid={},ou=people,dc=example,dc=org", person.name)
}

impl DexOverSlapd {
    async fn start(redirect_uri: &str) -> Option<Self> {
        let slapd = Slapd::start(Options::default()).await?;
        let dex = Dex::over_slapd(&slapd, redirect_uri).await?;
        let nobody = "cn=nobody,dc=example,dc=org";
        for group in ["dev", "ops"] {
            slapd.modify(&format!(
                "dn: cn={group},ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: {group}\nmember: {nobody}\n"
            ));
        }
        let lab = Self { dex, slapd };
        lab.slapd.modify(&format!(
            "dn: {}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nuserPassword: {}\n",
            entry(&BOB),
            BOB.password,
            name = BOB.name,
        ));
        lab.set_groups(&BOB, &["dev"]).await;
        Some(lab)
    }
}

impl OpenidProvider for DexOverSlapd {
    const TELLS_SECOND_FACTOR: bool = false;
    /// A refresh for somebody who is gone is an error of its own: nothing is given, and the login waits.
    const TELLS_END: bool = false;
    fn issuer(&self) -> String {
        self.dex.issuer()
    }
    /// It begins device logins for a secret in the form alone.
    fn client(&self) -> &'static str {
        ", auth: post"
    }
    fn settings(&self) -> &'static str {
        "      preset: dex\n"
    }
    /// It was told at its start.
    async fn redirect_to(&self, _uri: &str) {}
    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        self.dex.sign_in(person, authorization_url).await
    }
    async fn approve_device(&self, person: &Person, user_code: &str) {
        self.dex.approve_device(person, user_code).await;
    }
    async fn require_second_factor(&self, person: &Person) {
        panic!("{} gets no second factor here", person.name);
    }
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        for group in ["dev", "ops"] {
            let members = if groups.contains(&group) { entry(person) } else { "cn=nobody,dc=example,dc=org".to_owned() };
            let dn = format!("cn={group},ou=groups,dc=example,dc=org");
            self.slapd.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: member\nmember: {members}\n"));
        }
    }
    async fn end_sessions(&self, person: &Person) {
        panic!("{} has no session here", person.name);
    }
    async fn remove(&self, person: &Person) {
        self.slapd.modify(&format!("dn: {}\nchangetype: delete\n", entry(person)));
    }
}

#[tokio::test]
async fn dex() {
    let site = Site::new();
    let op = DexOverSlapd::start(&site.url("/oidc/corp/callback")).await;
    let Some(house) = House::open_beside(op, site, Beside { settings: PASSWORDS, ..Beside::default() }).await else { return };
    every_login(&house).await;
    journeys::member_who_left_the_group_pushes_no_more(&house).await;
    house.op.set_groups(&BOB, &["dev"]).await;
    journeys::removed_person_gets_nothing_more(&house).await;
}

/// By password, page and code, helper, and through docker itself.
async fn every_login<O: OpenidProvider>(house: &House<O>) {
    journeys::password_pushes_where_a_group_allows_it(house).await;
    journeys::page_and_code_end_in_a_push(house).await;
    journeys::code_is_good_for_one_login_of_its_owner_with_docker(house).await;
    house.bridge.site().command(&["tokens", "revoke", "--user", BOB.name]).await.ok();
    credential_helper::one_sign_in_serves_every_client(house).await;
    in_band::docker_carries_a_device_login(house).await;
}
