//! `skopeo`, which asks for `*` where it deletes.

use std::path::Path;

use super::process::{self, Ran};

const PROGRAM: &str = "/usr/bin/skopeo";

/// Whether this machine has it.
pub fn present() -> bool {
    Path::new(PROGRAM).exists()
}

/// `skopeo inspect` of an image's manifest, as `user:password` or as nobody.
pub async fn inspect(image: &str, user: Option<&str>) -> Ran {
    on(&["inspect", "--raw"], image, user).await
}

/// `skopeo delete`.
pub async fn delete(image: &str, user: Option<&str>) -> Ran {
    on(&["delete"], image, user).await
}

async fn on(command: &[&str], image: &str, user: Option<&str>) -> Ran {
    let credentials: Vec<&str> = user.map_or(vec!["--no-creds"], |user| vec!["--creds", user]);
    let reference = format!("docker://{image}");
    let rest = ["--tls-verify=false", &reference];
    let arguments: Vec<&str> = command.iter().chain(&credentials).chain(&rest).copied().collect();
    process::run(PROGRAM, &arguments, &[], b"").await
}
