//! Other people's programs find the helper by its name, and show narrows what it gives them.

use std::path::Path;

use super::fake::{Fake, SERVICE, TOKEN};
use super::{NOT_FOUND, refuses, set_up, signed_in};
use crate::labs::credential_helper::Lab;
use crate::labs::dockerd::{self, Docker};
use crate::labs::{podman, skopeo};
use crate::require;

/// Debian's client, and another one where the machine has it: they print other words.
const DOCKERS: [&str; 2] = ["/usr/bin/docker", "/usr/local/bin/docker"];
const BUILDAH: &str = "/usr/bin/buildah";

/// Where no daemon answers, the client logs in by itself.
const NO_DAEMON: (&str, &str) = ("DOCKER_HOST", "unix:///nonexistent/docker.sock");

fn dockers() -> Vec<&'static str> {
    let found: Vec<&str> = DOCKERS.into_iter().filter(|docker| Path::new(docker).exists()).collect();
    require::available("the docker client", !found.is_empty());
    found
}

/// Fails unless the identity token came, in a request for this scope, and led to a token.
#[track_caller]
fn shown(fake: &Fake, client: &str, scope: Option<&str>) {
    let asked = fake.asked("POST /token");
    let form = &asked.last().unwrap_or_else(|| panic!("{client} asked for no token")).form;
    let field = |name: &str| form.get(name).map(String::as_str);
    assert_eq!(
        (field("grant_type"), field("refresh_token"), field("service")),
        (Some("refresh_token"), Some(TOKEN), Some(SERVICE)),
        "{client}"
    );
    if let Some(scope) = scope {
        assert_eq!(field("scope"), Some(scope), "{client}");
    }
    assert_eq!(fake.asked("GET /token").len(), 0, "{client} shows it by no other way");
}

#[tokio::test]
async fn docker_shows_the_token_and_logs_out_with_it() {
    if !require::available("dockerd (package docker.io, root)", dockerd::present()) {
        return;
    }
    let daemon = Docker::start().await;
    for docker in dockers() {
        let (lab, fake) = signed_in().await;
        let lab = lab.with("DOCKER_HOST", &daemon.host()).with("DOCKER_API_VERSION", "1.41");
        lab.run_other(docker, &["pull", &format!("{}/team/app:1", fake.host())], b"").await.refused(&[]);
        shown(&fake, docker, Some("repository:team/app:pull"));
        assert_eq!(fake.asked("GET /v2/team/app/manifests/1").last().unwrap().authorization.as_deref(), Some("Bearer jwt"), "{docker}");
        assert!(!lab.docker_text().contains(TOKEN), "{docker} keeps nothing itself");
        lab.run_other(docker, &["logout", &fake.host()], b"").await.ok();
        assert_eq!(fake.asked("POST /revoke").len(), 1, "{docker} tells the helper");
        refuses(&lab, "get", &fake.host(), NOT_FOUND).await;
    }
}

#[tokio::test]
async fn docker_says_why_a_password_is_not_kept() {
    for docker in dockers() {
        let (lab, fake) = set_up().await;
        let lab = lab.with(NO_DAEMON.0, NO_DAEMON.1);
        let login = ["login", "--username", "alice", "--password-stdin", &fake.host()];
        let ran = lab.run_other(docker, &login, b"swordfish").await;
        ran.refused(&["passwords are not kept", &format!("docker-credential-narrows login {}", fake.host())]);
        assert!(!lab.docker_text().contains("auth\""), "{docker} keeps nothing itself");
        assert!(!lab.tokens().exists());
    }
}

#[tokio::test]
async fn skopeo_shows_the_token() {
    if !require::available("skopeo", skopeo::present()) {
        return;
    }
    let (lab, fake) = signed_in().await;
    let image = format!("docker://{}/team/app:1", fake.host());
    lab.run_other("/usr/bin/skopeo", &["inspect", "--raw", "--tls-verify=false", &image], b"").await.refused(&[]);
    shown(&fake, "skopeo", Some("repository:team/app:pull"));
    assert_eq!(fake.asked("GET /v2/team/app/manifests/1")[0].authorization.as_deref(), Some("Bearer jwt"));
}

#[tokio::test]
async fn podman_and_buildah_show_the_token() {
    if !require::available("podman", podman::present()) {
        return;
    }
    let buildah = require::available("buildah", Path::new(BUILDAH).exists());
    for program in ["/usr/bin/podman"].into_iter().chain(buildah.then_some(BUILDAH)) {
        let (lab, fake) = signed_in().await;
        pull(&lab, &fake, program).await;
        shown(&fake, program, Some("repository:team/app:pull"));
        assert_eq!(fake.asked("GET /v2/team/app/manifests/1")[0].authorization.as_deref(), Some("Bearer jwt"), "{program}");
    }
}

async fn pull(lab: &Lab, fake: &Fake, program: &str) {
    let place = |name: &str| lab.path(name).to_str().unwrap().to_owned();
    let (root, run_root) = (place("storage"), place("storage-run"));
    let image = format!("{}/team/app:1", fake.host());
    let arguments = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs", "pull", "--tls-verify=false", &image];
    lab.run_other(program, &arguments, b"").await.refused(&[]);
}
