//! The same person by two doors, a directory and an issuer over it: one name, the same rights.

use serde_json::{Value, json};

use super::account::{Account, DOCKER};
use super::house::{Beside, House, NOTICED, SERVICE};
use super::journeys::username;
use super::page::SignInPage;
use crate::glewlwyd::Glewlwyd;
use crate::labs::accounts::{Accounts, Person};
use crate::labs::bridge::Site;
use crate::labs::oidc::{self, Issuer, claims};
use crate::labs::wait;

const CAROL: Person = Person { name: "carol", password: "carol-password", groups: &["dev", "ops"] };
const SCOPES: [&str; 3] = ["repository:dev/app:pull,push", "repository:ops/app:pull,push", "repository:prod/app:pull,push"];

#[tokio::test]
async fn directory_and_issuer_vouch_for_one_person() {
    let site = Site::new();
    let Some(accounts) = Accounts::slapd(&site, std::slice::from_ref(&CAROL)).await else { return };
    let Accounts::Slapd(slapd) = &accounts else { panic!("they are in a directory") };
    let op = Glewlwyd::over_slapd(slapd, std::slice::from_ref(&CAROL)).await;
    let directory = accounts.providers();
    let beside = Beside {
        providers: directory.strip_prefix("providers:\n").unwrap(),
        provider: "    ignore_case: true\n",
        // Its groups are the directory's, by their whole names.
        settings: "      groups: {transform: [{dn_to_cn: true}]}\n",
    };
    let Some(house) = House::open_beside(op, site, beside).await else { return };
    let (host, client) = (house.registry.host(), house.docker.client());
    client.login(&host, CAROL.name, CAROL.password).await.ok();
    let by_directory = client.stored(&host).unwrap()["identitytoken"].as_str().unwrap().to_owned();
    house.push(&client, "dev/by-directory:1").await.ok();

    let page = SignInPage::signed_in(&house.bridge, &house.op, &CAROL).await;
    let (name, code, client) = (username(&page.open().await), page.code(SERVICE).await, house.docker.client());
    assert_eq!(name, CAROL.name);
    client.login(&host, &name, &code).await.ok();
    let by_page = client.stored(&host).unwrap()["identitytoken"].as_str().unwrap().to_owned();
    let account = Account::signed_in(&house, &CAROL).await;
    account.push(DOCKER, "dev/by-helper:1").await.ok();
    account.pull(DOCKER, "dev/by-directory:1").await.ok();

    let expected = access_of(&house, &by_directory).await;
    assert_eq!(expected["sub"], CAROL.name);
    let of = |name: &str| json!({"type": "repository", "name": name, "actions": ["pull", "push"]});
    assert_eq!(expected["access"], json!([of("dev/app"), of("ops/app")]));
    let tokens = [by_directory, by_page, account.identity_token().await];
    for token in &tokens {
        assert_eq!(access_of(&house, token).await, expected);
    }
    let providers: Vec<String> =
        house.tokens(CAROL.name).await.iter().map(|token| token["provider"].as_str().unwrap().to_owned()).collect();
    assert_eq!(providers.iter().filter(|provider| *provider == "staff").count(), 1, "{providers:?}");
    assert_eq!(providers.iter().filter(|provider| *provider == "corp").count(), 2, "{providers:?}");

    // Whoever leaves the group leaves it by both doors.
    accounts.remove_from_group(house.bridge.site(), CAROL.name, "dev").await;
    for token in &tokens {
        wait::until(NOTICED, async || {
            let access = access_of(&house, token).await;
            if access["access"] == json!([of("ops/app")]) { Ok(()) } else { Err(access.to_string()) }
        })
        .await;
    }
}

/// Who a registry token made with this identity token is for, and what it opens.
async fn access_of<O: Issuer>(house: &House<O>, identity_token: &str) -> Value {
    let mut form = vec![("grant_type", "refresh_token"), ("service", SERVICE), ("refresh_token", identity_token)];
    let scope = SCOPES.join(" ");
    form.push(("scope", &scope));
    let answer = reqwest::Client::new().post(house.bridge.url("/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", house.bridge.log());
    let claims = claims(&oidc::json(answer).await["access_token"]);
    json!({"sub": claims["sub"], "access": claims["access"]})
}
