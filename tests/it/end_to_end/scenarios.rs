//! What people do with a registry all day, and what must not work.

use std::time::Duration;

use serde_json::{Value, json};

use super::lab::{self, ALICE, AUDITOR, BOB, CHANGER, LEAVER, Lab, MOVER, OTHER_SERVICE, REVOKED, ROBOT, SERVICE};
use crate::labs::accounts::Person;
use crate::labs::ctr::{self, Ctr};
use crate::labs::podman::{self, Podman};
use crate::labs::process::Ran;
use crate::labs::{python, skopeo, wait};
use crate::require;

/// What a change of an account may need: the file is read again, the caches end, the identity token is looked at again.
const NOTICED: Duration = Duration::from_secs(30);

/// What Debian's docker prints when the registry gives less than was asked.
const DENIED: &str = "denied: requested access to the resource is denied";

pub async fn right_password_logs_in_and_leaves_no_password_behind(lab: &Lab) {
    let (client, host) = (lab.docker.client(), lab.registry.host());
    client.login(&host, ALICE.name, ALICE.password).await.ok().says(&["Login Succeeded"]);
    let stored = client.stored(&host).expect("docker stores the login");
    let token = stored["identitytoken"].as_str().expect("docker stores an identity token");
    assert!(token.starts_with("nrw_"), "{token}");
    // `alice:` in base64: the name, and nothing where the password would stand.
    assert_eq!(stored, json!({"auth": "YWxpY2U6", "identitytoken": token}));
}

pub async fn wrong_password_and_unknown_user_read_alike(lab: &Lab) {
    let (client, host) = (lab.docker.client(), lab.registry.host());
    let wrong = client.login(&host, BOB.name, "not bob's").await.refused(&["Error response from daemon: ", "unauthorized: "]);
    let unknown = client.login(&host, "nobody-of-that-name", "not bob's").await.refused(&[]);
    assert_eq!(wrong.text(), unknown.text());
    assert_eq!(client.stored(&host), None);
}

pub async fn team_pushes_and_pulls_in_its_namespace(lab: &Lab) {
    let image = lab.published(&ALICE, "payments/api:1").await;
    let another = lab.logged_in(&ALICE).await;
    another.pull(&image).await.ok().says(&["Downloaded newer image"]);
    let stranger = lab.logged_in(&BOB).await;
    stranger.pull(&image).await.refused(&["pull access denied"]);
}

pub async fn person_pushes_and_pulls_in_the_own_namespace(lab: &Lab) {
    let image = lab.published(&BOB, "users/bob/tool:1").await;
    lab.logged_in(&BOB).await.pull(&image).await.ok().says(&["Downloaded newer image"]);
    lab.logged_in(&ALICE).await.pull(&image).await.refused(&["pull access denied"]);
}

pub async fn push_elsewhere_is_denied(lab: &Lab) {
    let (alice, bob) = (lab.logged_in(&ALICE).await, lab.logged_in(&BOB).await);
    for (client, name) in [(&bob, "payments/stolen:1"), (&alice, "users/bob/stolen:1"), (&alice, "base/stolen:1"), (&bob, "elsewhere:1")] {
        let image = lab.image(name);
        client.make(&image, name).await;
        client.push(&image).await.refused(&[DENIED]);
    }
}

pub async fn layer_of_a_readable_repository_is_mounted(lab: &Lab) {
    let source = lab.published(&ALICE, "payments/source:1").await;
    let (alice, copy) = (lab.logged_in(&ALICE).await, lab.image("users/alice/copy:1"));
    alice.tag(&source, &copy).await;
    alice.push(&copy).await.ok().says(&["Mounted from payments/source"]);
    alice.pull(&copy).await.ok();
}

pub async fn layer_of_an_unreadable_repository_is_uploaded(lab: &Lab) {
    let source = lab.published(&ALICE, "payments/hidden:1").await;
    let (bob, copy) = (lab.logged_in(&BOB).await, lab.image("users/bob/copy:1"));
    bob.tag(&source, &copy).await;
    let pushed = bob.push(&copy).await.ok().says(&["Pushed"]);
    assert!(!pushed.text().contains("Mounted"), "{}", pushed.text());
}

pub async fn nobody_pulls_public_images_and_nothing_else(lab: &Lab) {
    let public = lab.published(&ROBOT, "base/alpine:1").await;
    let private = lab.published(&ALICE, "payments/private:1").await;
    let anonymous = lab.docker.client();
    anonymous.pull(&public).await.ok().says(&["Downloaded newer image"]);
    anonymous.pull(&private).await.refused(&["unauthorized: "]);
    anonymous.tag(&public, &lab.image("base/more:1")).await;
    anonymous.push(&lab.image("base/more:1")).await.refused(&["denied"]);
}

pub async fn owner_deletes_in_the_own_namespace_alone(lab: &Lab) {
    if !require::available("skopeo", skopeo::present()) {
        return;
    }
    let own = lab.published(&ALICE, "users/alice/old:1").await;
    let of_the_team = lab.published(&ALICE, "payments/old:1").await;
    let (alice, bob) = (with_password(&ALICE), with_password(&BOB));

    skopeo::delete(&own, Some(&bob)).await.refused(&["401 Unauthorized"]);
    skopeo::delete(&of_the_team, Some(&alice)).await.refused(&["401 Unauthorized"]);
    skopeo::inspect(&own, Some(&alice)).await.ok().says(&["schemaVersion"]);
    skopeo::inspect(&of_the_team, Some(&alice)).await.ok().says(&["schemaVersion"]);

    skopeo::delete(&own, Some(&alice)).await.ok();
    skopeo::inspect(&own, Some(&alice)).await.refused(&["manifest unknown"]);
}

pub async fn catalogue_is_for_auditors(lab: &Lab) {
    const CATALOGUE: &str = "registry:catalog:*";
    lab.published(&ROBOT, "base/catalogued:1").await;

    let token = lab.token(SERVICE, CATALOGUE, &AUDITOR).await;
    let answer = lab::get(lab.registry.url("/v2/_catalog?n=1000"), &token).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let repositories = answer["repositories"].as_array().unwrap();
    assert!(repositories.contains(&json!("base/catalogued")), "{repositories:?}");

    let token = lab.token(SERVICE, CATALOGUE, &BOB).await;
    assert_eq!(lab::get(lab.registry.url("/v2/_catalog"), &token).await.status(), 401);
    assert_eq!(lab.ask(SERVICE, CATALOGUE, None).await.status(), 401);
}

pub async fn token_of_one_registry_is_refused_by_the_other(lab: &Lab) {
    const SCOPE: &str = "repository:users/bob/shared-name:pull,push";
    let path = "/v2/users/bob/shared-name/tags/list";
    for (service, own, foreign) in [(SERVICE, &lab.registry, &lab.other), (OTHER_SERVICE, &lab.other, &lab.registry)] {
        let token = lab.token(service, SCOPE, &BOB).await;
        // 404: the registry let it in, and has no such repository.
        assert_eq!(lab::get(own.url(path), &token).await.status(), 404, "{service} at home; {}", own.log());
        assert_eq!(lab::get(foreign.url(path), &token).await.status(), 401, "{service} abroad");
    }
}

pub async fn revoked_identity_token_asks_to_log_in(lab: &Lab) {
    let image = lab.published(&REVOKED, "search/index:1").await;
    let client = lab.logged_in(&REVOKED).await;
    client.pull(&image).await.ok();

    lab.bridge.site().command(&["tokens", "revoke", "--user", REVOKED.name]).await.ok();

    let refused = refused_soon(|| client.pull(&image)).await.refused(&["unauthorized: "]);
    let text = refused.text().to_lowercase();
    assert!(text.contains("log in") || text.contains("docker login"), "should say what to do: {text}");
    // The account itself is well.
    client.login(&lab.registry.host(), REVOKED.name, REVOKED.password).await.ok();
    client.pull(&image).await.ok();
}

pub async fn podman_logs_in_and_pushes(lab: &Lab) {
    if !require::available("podman (as root)", podman::present()) {
        return;
    }
    let (podman, host) = (Podman::new(), lab.registry.host());
    podman.login(&host, ALICE.name, "not alice's").await.refused(&["invalid username/password"]);
    podman.login(&host, ALICE.name, ALICE.password).await.ok().says(&["Login Succeeded!"]);
    let image = lab.image("payments/from-podman:1");
    podman.make(&image, "made by podman").await;
    podman.push(&image).await.ok();
    lab.logged_in(&ALICE).await.pull(&image).await.ok();

    let elsewhere = lab.image("users/bob/from-podman:1");
    podman.make(&elsewhere, "made by podman").await;
    podman.push(&elsewhere).await.refused(&["denied"]);
}

pub async fn containerd_pulls_with_a_password(lab: &Lab) {
    if !require::available("ctr", ctr::present()) {
        return;
    }
    let image = lab.published(&ALICE, "payments/for-containerd:1").await;
    let ctr = Ctr::new(lab.docker.containerd());
    ctr.pull(&image, Some(&with_password(&BOB))).await.refused(&[&image]);
    ctr.pull(&image, None).await.refused(&["401"]);
    ctr.pull(&image, Some(&format!("{}:not alice's", ALICE.name))).await.refused(&["401"]);
    ctr.pull(&image, Some(&with_password(&ALICE))).await.ok().says(&["done"]);
}

pub async fn another_library_verifies_the_token(lab: &Lab) {
    let python = python::find();
    if !require::available("PyJWT and cryptography for Python", python.is_some()) {
        return;
    }
    let python = python.unwrap();
    // Asked for more than she may have: what is missing is missing from the signed token as well.
    let token = lab.token(SERVICE, "repository:users/alice/app:pull,push repository:base/app:pull,push", &ALICE).await;
    let bundle = lab::export(lab.bridge.site(), SERVICE).await;
    let verified = python::verify(python, &token, &bundle, SERVICE, "narrows").await.ok();
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    let claims = &verified["claims"];
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["aud"], SERVICE);
    let access = claims["access"].as_array().unwrap();
    let mut access: Vec<(&str, Vec<&str>)> = access
        .iter()
        .map(|entry| {
            assert_eq!(entry["type"], "repository");
            let mut actions: Vec<&str> = entry["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect();
            actions.sort_unstable();
            (entry["name"].as_str().unwrap(), actions)
        })
        .collect();
    access.sort_unstable();
    assert_eq!(access, [("base/app", vec!["pull"]), ("users/alice/app", vec!["pull", "push"])]);

    let other = lab::export(lab.bridge.site(), OTHER_SERVICE).await;
    python::verify(python, &token, &other, SERVICE, "narrows").await.refused(&["the leaf names another issuer"]);
}

pub async fn disabled_account_gets_nothing_more(lab: &Lab) {
    let image = lab.published(&LEAVER, "billing/app:1").await;
    let client = lab.logged_in(&LEAVER).await;
    client.pull(&image).await.ok();

    lab.accounts.disable(lab.bridge.site(), LEAVER.name).await;

    refused_soon(|| client.pull(&image)).await.refused(&["unauthorized: "]);
    client.login(&lab.registry.host(), LEAVER.name, LEAVER.password).await.refused(&["unauthorized: "]);
}

pub async fn member_who_left_the_group_pushes_no_more(lab: &Lab) {
    let image = lab.published(&MOVER, "mail/app:1").await;
    let client = lab.logged_in(&MOVER).await;
    client.push(&image).await.ok();

    lab.accounts.remove_from_group(lab.bridge.site(), MOVER.name, "registry-mail").await;

    refused_soon(|| client.push(&image)).await.refused(&[DENIED]);
    // The login itself lives on: it still opens what never came from the group.
    let own = lab.image("users/mallory/app:1");
    client.tag(&image, &own).await;
    client.push(&own).await.ok();
}

pub async fn changed_password_ends_the_old_login(lab: &Lab) {
    const NEW: &str = "carol's new password";
    let image = lab.published(&CHANGER, "maps/app:1").await;
    let (client, host) = (lab.logged_in(&CHANGER).await, lab.registry.host());
    client.pull(&image).await.ok();

    lab.accounts.change_password(lab.bridge.site(), CHANGER.name, NEW).await;

    refused_soon(|| client.pull(&image)).await.refused(&["unauthorized: "]);
    client.login(&host, CHANGER.name, CHANGER.password).await.refused(&["unauthorized: "]);
    client.login(&host, CHANGER.name, NEW).await.ok();
    client.pull(&image).await.ok();
}

fn with_password(person: &Person) -> String {
    format!("{}:{}", person.name, person.password)
}

/// Repeats what still works until it is refused.
async fn refused_soon<F: Future<Output = Ran>>(mut attempt: impl FnMut() -> F) -> Ran {
    wait::until(NOTICED, || {
        let attempt = attempt();
        async {
            let ran = attempt.await;
            if ran.success { Err(format!("still works: {}", ran.text())) } else { Ok(ran) }
        }
    })
    .await
}
