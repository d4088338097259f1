//! The program's own files: what is not the user's alone is not used.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::signed_in;
use crate::labs::credential_helper::Lab;

#[tokio::test]
async fn a_token_file_that_others_may_read_is_refused() {
    let (lab, fake) = signed_in().await;
    fs::set_permissions(lab.tokens(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = lab.run(&["get"], &fake.host()).await;
    assert_eq!(ran.code, Some(1));
    ran.refused(&["open to others (mode 0644)", "chmod 600", lab.tokens().to_str().unwrap()]);
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(2));
    ran.refused(&["chmod 600"]);
    assert_eq!(fake.asked("POST /device/start").len(), 1, "nobody signs in for nothing");
    fs::set_permissions(lab.tokens(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(lab.tokens().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    lab.run(&["get"], &fake.host()).await.refused(&["chmod 700"]);
}

#[tokio::test]
async fn what_is_no_file_of_the_user_is_refused() {
    let (lab, fake) = signed_in().await;
    let kept = fs::read(lab.tokens()).unwrap();
    fs::rename(lab.tokens(), lab.path("elsewhere")).unwrap();
    symlink(lab.path("elsewhere"), lab.tokens()).unwrap();
    lab.run(&["get"], &fake.host()).await.refused(&["is a link"]);
    lab.run(&["erase"], &fake.host()).await.refused(&["is a link"]);
    assert_eq!(fs::read(lab.path("elsewhere")).unwrap(), kept);
    fs::remove_file(lab.tokens()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg("-m600").arg(lab.tokens()).status().unwrap().success());
    lab.run(&["get"], &fake.host()).await.refused(&["not a regular file"]);
    fs::remove_file(lab.tokens()).unwrap();
    fs::write(lab.tokens(), "{\"tokens\": {\"x\": \"nrw_secret\"}}").unwrap();
    fs::set_permissions(lab.tokens(), fs::Permissions::from_mode(0o600)).unwrap();
    let ran = lab.run(&["get"], &fake.host()).await.refused(&["cannot be understood at line 1"]);
    assert!(!ran.text().contains("nrw_secret"));
    // Only the superuser can give files away.
    if chown(lab.tokens(), Some(65534), None).is_ok() {
        lab.run(&["get"], &fake.host()).await.refused(&["belongs to user number 65534"]);
    }
}

#[tokio::test]
async fn an_account_without_a_home_is_told_so() {
    let lab = Lab::new().with("HOME", "nowhere").with("XDG_CONFIG_HOME", "").with("DOCKER_CONFIG", "");
    let ran = lab.run(&["setup", "127.0.0.1:1", "--narrows", "https://auth.test", "--service", "s"], "").await;
    assert_eq!(ran.code, Some(2));
    ran.refused(&["HOME", "DOCKER_CONFIG"]);
    let ran = lab.run(&["get"], "reg.test").await;
    assert_eq!(ran.code, Some(1));
    ran.refused(&["HOME", "NARROWS_HELPER_CONFIG"]);
    let folder = lab.path("own");
    let lab = lab.with("NARROWS_HELPER_CONFIG", folder.to_str().unwrap());
    super::refuses(&lab, "get", "reg.test", super::NOT_FOUND).await;
}
