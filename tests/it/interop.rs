//! Clients that Debian does not have; `make interop` fetches them and names them in the environment.

use std::env;

use tempfile::TempDir;

use crate::end_to_end::lab::{self, ALICE, AUDITOR, BOB, Lab};
use crate::labs::accounts::Person;
use crate::labs::image;
use crate::labs::process::{self, Ran};
use crate::require;

#[tokio::test]
async fn crane_pushes_mounts_lists_and_deletes() {
    let Some(program) = env::var_os("NARROWS_CRANE") else {
        require::skip("crane (`make interop` fetches it where Go is)");
        return;
    };
    let program = program.into_string().expect("NARROWS_CRANE is a path of UTF-8");
    let Some(lab) = lab::users_file().await else { return };
    let (alice, bob, auditor) =
        (Crane::of(&program, lab, &ALICE).await, Crane::of(&program, lab, &BOB).await, Crane::of(&program, lab, &AUDITOR).await);
    let layer = alice.file("layer.tar", &image::archive("made for crane"));
    let (app, copy) = (lab.image("payments/by-crane:1"), lab.image("users/alice/by-crane:1"));

    alice.run(&["append", "--new_layer", &layer, "--new_tag", &app]).await.ok();
    alice.run(&["copy", &app, &copy]).await.ok().says(&["mounted blob"]);
    alice.run(&["manifest", &copy]).await.ok().says(&["schemaVersion"]);
    bob.run(&["manifest", &app]).await.refused(&["UNAUTHORIZED"]);
    bob.run(&["append", "--new_layer", &layer, "--new_tag", &lab.image("payments/stolen-by-crane:1")]).await.refused(&["401 Unauthorized"]);

    let host = lab.registry.host();
    auditor.run(&["catalog", &host]).await.ok().says(&["payments/by-crane", "users/alice/by-crane"]);
    bob.run(&["catalog", &host]).await.refused(&["UNAUTHORIZED"]);

    let digest = alice.run(&["digest", "--full-ref", &copy]).await.ok();
    bob.run(&["delete", digest.stdout.trim()]).await.refused(&["UNAUTHORIZED"]);
    alice.run(&["delete", digest.stdout.trim()]).await.ok();
    alice.run(&["manifest", &copy]).await.refused(&["MANIFEST_UNKNOWN"]);
}

/// Somebody who types crane commands, logged in.
struct Crane {
    program: String,
    configuration: TempDir,
}

impl Crane {
    async fn of(program: &str, lab: &Lab, person: &Person) -> Self {
        let crane = Self { program: program.to_owned(), configuration: tempfile::tempdir().expect("a temporary folder") };
        let login = ["auth", "login", &lab.registry.host(), "--username", person.name, "--password", person.password];
        crane.run(&login).await.ok();
        crane
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let configuration = self.configuration.path().to_str().unwrap();
        process::run(&self.program, arguments, &[("DOCKER_CONFIG", configuration)], b"").await
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.configuration.path().join(name);
        std::fs::write(&path, bytes).expect("the file is written");
        path.to_str().unwrap().to_owned()
    }
}
