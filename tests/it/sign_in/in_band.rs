//! `docker login -u device`: where no helper can be installed, docker itself carries a device login in two commands.

use super::account::{Account, DOCKER, dockers};
use super::house::{HERE, House, NOTICED};
use crate::labs::oidc::{BOB, Issuer};
use crate::labs::process::Ran;
use crate::labs::{podman, skopeo, wait};
use crate::require;

const SECRET: &str = "correct horse battery";
const OVER: &str = "this device login is over: run docker login -u device again to begin a new one";
const OTHER_SECRET: &str = "this is not the secret that the device login began with: give the same one as in the first command";
const WITH_DOCKER: &str =
    "a device login works with docker login alone, which keeps what it gets: use docker login, or another way to log in";

/// What the first command prints.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    address: String,
    user_code: String,
    name: String,
    registry: String,
}

impl Told {
    /// Fails unless all of it is there.
    #[track_caller]
    fn of(ran: Ran) -> Self {
        let ran = ran.refused(&["unauthorized: open "]);
        let parse = || {
            let (_, rest) = ran.stdout.split_once("unauthorized: open ").or_else(|| ran.stderr.split_once("unauthorized: open "))?;
            let (address, rest) = rest.split_once(" and enter ")?;
            let (user_code, rest) = rest.split_once(", then run: docker login -u ")?;
            let (name, rest) = rest.split_once(' ')?;
            let (registry, _) = rest.split_once(" and give the same secret\n")?;
            Some(Self {
                address: address.to_owned(),
                user_code: user_code.to_owned(),
                name: name.to_owned(),
                registry: registry.to_owned(),
            })
        };
        parse().unwrap_or_else(|| panic!("the text is not whole: {}", ran.text()))
    }
}

pub async fn docker_carries_a_device_login<O: Issuer>(house: &House<O>) {
    let host = house.registry.host();
    for docker in dockers() {
        // Another secret each: a minute long the same one is the same command.
        let (account, secret) = (Account::new(house), &format!("{SECRET} {}", docker.len()));
        let first = at_prompt(&account, docker, "device", secret).await;
        assert!(!first.text().contains(secret), "{docker}: {}", first.text());
        let told = Told::of(first);
        assert_eq!(told.registry, host, "{docker}");
        // The same command again, as after a glance elsewhere, begins nothing new.
        assert_eq!(Told::of(at_prompt(&account, docker, "device", secret).await), told, "{docker}");
        let pending = format!(
            "unauthorized: not approved yet: open {} and enter {}, then run the same command again\n",
            told.address, told.user_code
        );
        at_prompt(&account, docker, &told.name, secret).await.refused(&[&pending]);
        house.op.approve_device(&BOB, &told.user_code).await;
        approved(&account, docker, &told.name, secret).await.ok().says(&["Login Succeeded"]);
        assert!(!account.lab.docker_text().contains(secret));
        let name = format!("dev/in-band:{}", dockers().iter().position(|it| *it == docker).unwrap());
        account.push(docker, &name).await.ok();
        account.push(docker, "ops/in-band:1").await.refused(&["requested access to the resource is denied"]);
        // Once only, for whoever has the secret too.
        login(&Account::new(house), docker, &told.name, secret).await.refused(&[OVER]);
    }
    let tokens = house.tokens(BOB.name).await;
    assert_eq!(tokens.iter().filter(|token| token["born"] == "in_band").count(), dockers().len(), "{tokens:?}");
}

pub async fn who_reads_the_text_gets_nothing<O: Issuer>(house: &House<O>) {
    let (account, thief) = (Account::new(house), Account::new(house));
    login(&account, DOCKER, "device", "too short").await.refused(&[
        "unauthorized: choose a secret of your own of at least 12 characters as the password, and run the same command again\n",
    ]);
    let told = Told::of(login(&account, DOCKER, "device", SECRET).await);
    house.op.approve_device(&BOB, &told.user_code).await;
    for secret in ["a thief's first guess", "a thief's second guess"] {
        login(&thief, DOCKER, &told.name, secret).await.refused(&[OTHER_SECRET]);
    }
    login(&thief, DOCKER, &told.name, "a thief's third guess").await.refused(&[OVER]);
    login(&account, DOCKER, &told.name, SECRET).await.refused(&[OVER]);
    assert!(house.tokens(BOB.name).await.is_empty());
}

pub async fn other_clients_and_places_use_up_no_device_login<O: Issuer>(house: &House<O>) {
    let (account, host) = (Account::new(house), house.registry.host());
    let told = Told::of(login(&account, DOCKER, "device", SECRET).await);
    house.op.approve_device(&BOB, &told.user_code).await;
    if require::available("podman", podman::present()) {
        // Whatever a token server says, this is all that it prints of a login.
        podman::Podman::new().login(&host, &told.name, SECRET).await.refused(&["invalid username/password"]);
    }
    if require::available("skopeo", skopeo::present()) {
        let user = format!("{}:{SECRET}", told.name);
        skopeo::inspect(&house.image("dev/other:1"), Some(&user)).await.refused(&[WITH_DOCKER]);
    }
    house.let_docker_sign_in_from("192.0.2.0/24").await;
    let page = house.bridge.url("/login");
    let wrong = format!("unauthorized: invalid username or password; where a password is not enough, open {page}\n");
    for name in ["device", &told.name] {
        login(&account, DOCKER, name, SECRET).await.refused(&[&wrong]);
    }
    house.let_docker_sign_in_from(HERE).await;
    approved(&account, DOCKER, &told.name, SECRET).await.ok().says(&["Login Succeeded"]);
}

/// `docker login` in a script.
async fn login<O: Issuer>(account: &Account<'_, O>, docker: &str, name: &str, secret: &str) -> Ran {
    let host = account.host();
    account.lab.run_other(docker, &["login", "--username", name, "--password-stdin", &host], secret.as_bytes()).await
}

/// `docker login` at a terminal, where the secret is asked for.
async fn at_prompt<O: Issuer>(account: &Account<'_, O>, docker: &str, name: &str, secret: &str) -> Ran {
    let mut terminal = account.at_terminal(&format!("{docker} login -u {name} {}", account.host()));
    terminal.shows("Password: ").await;
    terminal.types(secret).await;
    terminal.ends().await
}

/// The second command, until the issuer has told narrows of the approval.
async fn approved<O: Issuer>(account: &Account<'_, O>, docker: &str, name: &str, secret: &str) -> Ran {
    wait::until(NOTICED, async || {
        let ran = login(account, docker, name, secret).await;
        if ran.text().contains("not approved yet") { Err(ran.text()) } else { Ok(ran) }
    })
    .await
}
