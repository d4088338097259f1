//! What the credential helper is for: one sign-in at the issuer, and every client pushes.

use super::account::{self, Account, DOCKER, clients};
use super::house::{ENDED, House, NOTICED, SERVICE};
use crate::end_to_end::lab::export;
use crate::labs::credential_helper::NAME;
use crate::labs::kept;
use crate::labs::oidc::{BOB, Issuer};
use crate::labs::process::{self, Ran};
use crate::labs::registry::Registry;
use crate::labs::terminal::Terminal;
use crate::labs::wait;

const WEEK: i64 = 7 * 24 * 60 * 60;

pub async fn one_sign_in_serves_every_client<O: Issuer>(house: &House<O>) {
    let (account, host) = (Account::new(house), house.registry.host());
    account.set_up().await.ok().says(&[&host, SERVICE, "docker-credential-narrows login"]);
    let said = account.signs_in(&BOB).await.ok().says(&["Signed in to", "as bob until 20"]);
    assert!(!said.text().contains("browser opens"), "{}", said.text());
    let tokens = house.tokens(BOB.name).await;
    assert_eq!((tokens.len(), &tokens[0]["born"]), (1, &"device".into()), "{tokens:?}");
    let time = |name: &str| tokens[0][name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert!((1..=WEEK).contains(&(time("ends") - time("created"))), "{tokens:?}");
    account.push(DOCKER, "dev/pulled:1").await.ok();
    for client in clients() {
        account.pull(client, "dev/pulled:1").await.ok();
        account.push(client, "dev/pushed:1").await.ok();
        account.push(client, "ops/pushed:1").await.refused(&[account::denied(client)]);
        account.pull(client, "ops/pushed:1").await.refused(&[]);
    }
    assert_eq!(house.tokens(BOB.name).await.len(), 1, "every client shows the same one");
    // Those of earlier logins have gone back.
    kept::come_to(&house.bridge, 1).await;
    let (token, before) = (account.identity_token().await, kept::given_back(&house.bridge).await);
    account.lab.run_other(DOCKER, &["logout", &host], b"").await.ok().says(&["Removing login credentials"]);
    assert_eq!(house.refusal(&token).await, Some((401, ENDED.to_owned())));
    kept::come_to(&house.bridge, 0).await;
    assert_eq!(kept::given_back(&house.bridge).await - before, u64::from(O::TAKES_BACK), "{}", house.bridge.log());
    account.push(DOCKER, "dev/pushed:2").await.refused(&["authentication required"]);
}

pub async fn revoked_login_says_so_and_a_new_one_works<O: Issuer>(house: &House<O>) {
    let account = Account::signed_in(house, &BOB).await;
    account.push(DOCKER, "dev/revoked:1").await.ok();
    for client in clients() {
        account.pull(client, "dev/revoked:1").await.ok();
    }
    let token = account.identity_token().await;
    house.bridge.site().command(&["tokens", "revoke", "--user", BOB.name]).await.ok().says(&["revoked 1 identity token"]);
    house.until_refused(&token).await;
    for client in clients() {
        account.push(client, "dev/revoked:2").await.refused(&[account::ended(client)]);
    }
    account.pull(DOCKER, "dev/revoked:1").await.refused(&[ENDED]);
    account.signs_in(&BOB).await.ok();
    for client in clients() {
        account.pull(client, "dev/revoked:1").await.ok();
    }
    account.push(DOCKER, "dev/revoked:2").await.ok();
}

pub async fn helpers_login_follows_group_and_session<O: Issuer>(house: &House<O>) {
    let account = Account::signed_in(house, &BOB).await;
    account.push(DOCKER, "dev/left:1").await.ok();
    house.op.set_groups(&BOB, &["ops"]).await;
    until_refused(&account, "dev/left:1", account::denied(DOCKER)).await;
    account.push(DOCKER, "ops/left:1").await.ok();
    house.op.end_sessions(&BOB).await;
    let token = account.identity_token().await;
    house.until_ended(&token).await;
    if O::TELLS_END {
        account.push(DOCKER, "ops/left:2").await.refused(&[ENDED]);
    }
}

pub async fn helper_needs_no_terminal_and_trusts_no_other_host<O: Issuer>(house: &House<O>) {
    let (account, host, narrows) = (Account::new(house), house.registry.host(), house.bridge.url(""));
    let bundle = export(house.bridge.site(), SERVICE).await;
    let hostile = Registry::start("http://127.0.0.1:1/token", SERVICE, "narrows", &bundle).await;
    let setup = account.lab.run(&["setup", &hostile.host(), "--narrows", &narrows], "").await;
    setup.refused(&["sends its clients to `http://127.0.0.1:1/token`", "nothing is written"]);
    assert!(!account.lab.pins().exists() && !account.lab.docker_config().exists());

    let broken = "{\"auths\": {},\n \"credHelpers\": {\"ecr.test\": \"ecr-login\",}}\n";
    account.lab.write_docker(broken);
    account.set_up().await.refused(&["config.json", "line 2", "nothing is changed"]);
    assert_eq!(account.lab.docker_text(), broken);
    account.lab.write_docker(&broken.replace("\",}", "\"}"));
    account.set_up().await.ok();
    assert_eq!(account.lab.docker_text(), broken.replace("\",}", &format!("\",\"{host}\": \"narrows\"}}")));

    let login = Terminal::missing(&account.lab.environment(), &format!("{NAME} login {host}"));
    let shown = login.shows("Waiting for the sign-in").await;
    house.op.approve_device(&BOB, account::code(&shown)).await;
    login.ends().await.ok().says(&["as bob until 20"]);
    account.push(DOCKER, "dev/piped:1").await.ok();

    // A home that depends on where somebody stands is none: a folder that somebody else made could hold another registry's pin.
    let folder = account.lab.path("").display().to_string();
    let path = format!("PATH={}", account.lab.path("bin").display());
    for verb in ["get", "erase", "list"] {
        let words = ["-i", "-C", &folder, "HOME=.", &path, NAME, verb];
        process::run("/usr/bin/env", &words, &[], host.as_bytes()).await.refused(&["there is no home folder: set HOME"]);
    }
}

/// Pushes until docker is refused with these words.
async fn until_refused<O: Issuer>(account: &Account<'_, O>, name: &str, says: &str) {
    let said: Ran = wait::until(NOTICED, async || {
        let ran = account.push(DOCKER, name).await;
        if ran.success { Err("the push succeeds".to_owned()) } else { Ok(ran) }
    })
    .await;
    said.refused(&[says]);
}
