//! From a sign-in to a push, and to its end.

use super::house::{ENDED, House, NOTICED, SERVICE};
use super::page::SignInPage;
use crate::labs::oidc::{ALICE, BOB, Issuer};
use crate::labs::process::Ran;
use crate::labs::{dockerd, podman, skopeo, wait};
use crate::require;

/// What Debian's docker prints when the registry gives less than was asked.
const DENIED: &str = "denied: requested access to the resource is denied";

pub async fn password_pushes_where_a_group_allows_it<O: Issuer>(house: &House<O>) {
    let (client, host) = (house.docker.client(), house.registry.host());
    client.login(&host, ALICE.name, "not alice's").await.refused(&["unauthorized: "]);
    client.login(&host, BOB.name, BOB.password).await.ok().says(&["Login Succeeded"]);
    assert!(client.stored(&host).unwrap()["identitytoken"].as_str().unwrap().starts_with("nrw_"));
    house.push(&client, "dev/api:1").await.ok();
    house.push(&client, "ops/api:1").await.refused(&[DENIED]);
}

pub async fn page_and_code_end_in_a_push<O: Issuer>(house: &House<O>) {
    let page = SignInPage::signed_in(&house.bridge, &house.op, &BOB).await;
    let shown = page.open().await;
    for words in [BOB.name, SERVICE, "dev/**"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("ops/**"), "{shown}");
    let (client, host) = (house.docker.client(), house.registry.host());
    let name = username(&shown);
    client.login(&host, &name, &page.code(SERVICE).await).await.ok().says(&["Login Succeeded"]);
    house.push(&client, "dev/page:1").await.ok();
    house.push(&client, "ops/page:1").await.refused(&[DENIED]);
}

pub async fn code_is_good_for_one_login_of_its_owner_with_docker<O: Issuer>(house: &House<O>) {
    let page = SignInPage::signed_in(&house.bridge, &house.op, &BOB).await;
    let (name, code) = (username(&page.open().await), page.code(SERVICE).await);
    let (client, host) = (house.docker.client(), house.registry.host());
    client.login(&host, ALICE.name, &code).await.refused(&["unauthorized: "]);
    if require::available("podman", podman::present()) {
        // Whatever a token server says, this is all that it prints of a login.
        podman::Podman::new().login(&host, &name, &code).await.refused(&["invalid username/password"]);
    }
    if require::available("skopeo", skopeo::present()) {
        let user = format!("{name}:{code}");
        skopeo::inspect(&house.image("dev/code:1"), Some(&user)).await.refused(&["docker-credential-narrows"]);
    }
    client.login(&host, &name, &code).await.ok().says(&["Login Succeeded"]);
    house.docker.client().login(&host, &name, &code).await.refused(&["unauthorized: "]);
}

pub async fn member_who_left_the_group_pushes_no_more<O: Issuer>(house: &House<O>) {
    let client = logged_in(house).await;
    house.push(&client, "dev/left:1").await.ok();
    house.op.set_groups(&BOB, &["ops"]).await;
    until(house, &client, "dev/left:2", DENIED).await;
    house.push(&client, "ops/left:1").await.ok();
}

pub async fn ended_session_ends_the_login<O: Issuer>(house: &House<O>) {
    let client = logged_in(house).await;
    house.push(&client, "dev/ended:1").await.ok();
    house.op.end_sessions(&BOB).await;
    gets_nothing_more(house, &client).await;
}

pub async fn removed_person_gets_nothing_more<O: Issuer>(house: &House<O>) {
    let client = logged_in(house).await;
    house.push(&client, "dev/removed:1").await.ok();
    house.op.remove(&BOB).await;
    gets_nothing_more(house, &client).await;
}

async fn gets_nothing_more<O: Issuer>(house: &House<O>, client: &dockerd::Client) {
    let token = client.stored(&house.registry.host()).unwrap()["identitytoken"].as_str().unwrap().to_owned();
    house.until_ended(&token).await;
    if O::TELLS_END {
        house.push(client, "dev/ended:2").await.refused(&[&format!("unauthorized: {ENDED}")]);
    }
}

pub async fn logged_in<O: Issuer>(house: &House<O>) -> dockerd::Client {
    let page = SignInPage::signed_in(&house.bridge, &house.op, &BOB).await;
    let (name, client) = (username(&page.open().await), house.docker.client());
    client.login(&house.registry.host(), &name, &page.code(SERVICE).await).await.ok();
    client
}

/// Pushes until the registry gives less.
async fn until<O: Issuer>(house: &House<O>, client: &dockerd::Client, name: &str, says: &str) {
    let image = house.image(name);
    client.make(&image, name).await;
    wait::until(NOTICED, || async {
        let Ran { success, .. } = &client.push(&image).await;
        if *success { Err("the push succeeds".to_owned()) } else { Ok(()) }
    })
    .await;
    let said = client.push(&image).await.refused(&[]);
    assert!(said.text().contains(says), "{}\n{}", said.text(), house.bridge.log());
}

/// The name that the page shows for `docker login`.
pub fn username(page: &str) -> String {
    let (_, rest) = page.split_once("Signed in as ").unwrap_or_else(|| panic!("no name in {page}"));
    rest.split_once('<').unwrap().0.to_owned()
}
