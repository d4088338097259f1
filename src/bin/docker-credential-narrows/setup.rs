//! `setup`: pins a registry to its narrows, and lets docker ask this program for it.

use crate::address::Registry;
use crate::arguments::SetupArgs;
use crate::challenge::{self, Challenge};
use crate::client::{self, Client};
use crate::docker_config::{DockerConfig, HELPER, holds_credentials};
use crate::environment;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::login;
use crate::pins::{Pin, Pins};
use crate::protocol;
use crate::terminal::{shown, talk};
use crate::tokens::Tokens;

const PROGRAM: &str = "docker-credential-narrows";

/// What a look at a registry found.
enum Seen {
    /// The token it wants.
    Challenges(Vec<Challenge>),
    /// It wants none of a token server.
    NoChallenge(u16),
    /// Nothing, and why.
    Nothing(String),
}

/// Sets a registry up. Nothing is written before everything is known to be right.
pub(crate) fn run(wanted: &SetupArgs) -> Result<(), Failure> {
    let registry = &wanted.registry;
    let docker = DockerConfig::read(environment::docker_configuration()?)?;
    let change = docker.with_helper(registry.key(), wanted.replace)?;
    let ca = wanted.ca.as_deref().map(client::place).transpose()?;
    let seen = login::runtime()?.block_on(look(wanted))?;
    let service = service(wanted, seen)?;
    let pin = Pin { narrows: wanted.narrows.clone(), service, provider: wanted.provider.clone(), ca };
    let folder = Folder::find_or_make()?;
    let before = put(wanted, &pin, &folder)?;
    if let Some(text) = change {
        docker.write(&text)?;
    }
    talk(&format!("People of {registry} sign in at {} (service `{}`).", pin.narrows, pin.service));
    talk(&format!("`{}` lets docker ask docker-credential-{HELPER} for it.", docker.path().display()));
    advise(registry, &docker);
    if before {
        talk(&format!("What was kept of the sign-in before is gone. Now run `{}`", protocol::login_command(registry)));
    } else {
        talk(&format!("Now run `{}`", protocol::login_command(registry)));
    }
    Ok(())
}

/// Writes the pin. A token of another narrows or service goes with its pin; says whether there was one.
fn put(wanted: &SetupArgs, pin: &Pin, folder: &Folder) -> Result<bool, Failure> {
    let registry = &wanted.registry;
    let lock = folder.lock()?;
    let mut pins = Pins::load(folder)?;
    let before = pins.of(registry).cloned();
    let moved = before.as_ref().is_some_and(|before| before.narrows != pin.narrows || before.service != pin.service);
    if let Some(before) = before.as_ref().filter(|_| moved && !wanted.replace) {
        let (narrows, service) = (&before.narrows, &before.service);
        let told = format!("`{registry}` is set up for {narrows} (service `{service}`); nothing is changed: `--replace` takes its place");
        return Err(Failure::Bad(told));
    }
    let taken = if moved { Tokens::load(folder)?.take(registry, folder, &lock)? } else { None };
    pins.put(registry, pin.clone(), folder, &lock)?;
    drop(lock);
    if let Some((token, _)) = &taken {
        protocol::revoke(before.as_ref(), registry, token);
    }
    Ok(taken.is_some())
}

/// Asks the registry, as nobody, what it wants.
async fn look(wanted: &SetupArgs) -> Result<Seen, Failure> {
    let mut causes = Vec::new();
    for root in wanted.registry.roots() {
        match Client::new(&root, wanted.ca.as_deref())?.get(root).await {
            Ok(answer) => {
                let challenges = challenge::bearer(&answer.challenges);
                return Ok(if challenges.is_empty() { Seen::NoChallenge(answer.status) } else { Seen::Challenges(challenges) });
            }
            Err(error) => causes.push(error.to_string()),
        }
    }
    Ok(Seen::Nothing(causes.join("; ")))
}

/// What narrows calls the registry: as the registry says it, or as somebody says it where it cannot be asked.
fn service(wanted: &SetupArgs, seen: Seen) -> Result<String, Failure> {
    let (registry, narrows) = (&wanted.registry, &wanted.narrows);
    let challenges = match seen {
        Seen::Challenges(challenges) => challenges,
        Seen::NoChallenge(status) => {
            let found = format!("`{registry}` does not send its clients to narrows (status {status})");
            let remedy = "configure it first (docs/registries.md), or name the service with --service";
            let given = wanted.service.clone().ok_or_else(|| Failure::Bad(format!("{found}: {remedy}; nothing is written")))?;
            talk(&format!("note: {found} yet"));
            return Ok(given);
        }
        Seen::Nothing(cause) => {
            let found = format!("`{registry}` cannot be asked: {cause}");
            let told = || Failure::Unavailable(format!("{found}; nothing is written: name the service with --service"));
            let given = wanted.service.clone().ok_or_else(told)?;
            talk(&format!("note: {found}; that it belongs to {narrows} is your word alone"));
            return Ok(given);
        }
    };
    // A registry decides where its clients send passwords, but not where these people sign in.
    for challenge in &challenges {
        if !challenge.realm().is_some_and(|realm| narrows.has_origin_of(&realm)) {
            let realm = shown(challenge.realm.as_deref().unwrap_or_default());
            return Err(Failure::Denied(format!(
                "`{registry}` sends its clients to `{realm}`, which is not at {narrows}; nothing is written: ask who runs the registry"
            )));
        }
    }
    let said = challenges.into_iter().find_map(|challenge| challenge.service).filter(|service| !service.is_empty());
    match (said, wanted.service.clone()) {
        (Some(said), None) => Ok(shown(&said)),
        (None, Some(given)) => Ok(given),
        (Some(said), Some(given)) if said == given => Ok(given),
        (Some(said), Some(given)) => Err(Failure::Bad(format!(
            "`{registry}` calls itself `{}`, not `{given}`; nothing is written: leave --service out, or repair the registry's `service`",
            shown(&said)
        ))),
        (None, None) => Err(Failure::Bad(format!("`{registry}` names no service; nothing is written: name it with --service"))),
    }
}

/// What else may stand between docker, or podman, and this program.
fn advise(registry: &Registry, docker: &DockerConfig) {
    if !environment::finds(PROGRAM) {
        talk(&format!("note: docker finds {PROGRAM} only in a folder of PATH, where it is not yet"));
    }
    for path in environment::containers_files() {
        if path != docker.path() && holds_credentials(&path, registry.key()) {
            let path = path.display();
            talk(&format!(
                "note: `{path}` holds a login for {registry}, which podman, skopeo and buildah take first: run `podman logout {registry}`"
            ));
        }
    }
    if holds_credentials(docker.path(), registry.key()) {
        let path = docker.path().display();
        talk(&format!("note: `{path}` still holds an older login for {registry}, which nobody uses now; take it out of `auths`"));
    }
}
