//! `docker-credential-narrows`: set up, signed in, and asked by the programs that it is for.

mod clients;
mod fake;
mod files;
mod login;
mod protocol;
mod setup;
mod transport;

use fake::Fake;

use crate::labs::credential_helper::Lab;

/// An account that is set up for a registry and a narrows that a test scripts.
async fn set_up() -> (Lab, Fake) {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.ok();
    (lab, fake)
}

/// The same, and somebody signed in.
async fn signed_in() -> (Lab, Fake) {
    let (lab, fake) = set_up().await;
    lab.run(&["login", &fake.host()], "").await.ok().says(&["Signed in"]);
    (lab, fake)
}

/// A command of docker's protocol that has to fail with exactly this answer.
#[track_caller]
fn refuses<'lab>(lab: &'lab Lab, verb: &'lab str, input: &'lab str, answer: &'lab str) -> impl Future<Output = ()> + 'lab {
    let caller = std::panic::Location::caller();
    async move {
        let ran = lab.run(&[verb], input).await;
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(1), format!("{answer}\n").as_str()),
            "{caller}: {verb} of {input}: {}",
            ran.stderr
        );
    }
}

const NOT_FOUND: &str = "credentials not found in native keychain";
