//! `login`: a sign-in with a browser anywhere, and the token that comes of it.

use std::time::Duration;

use narrows::clock::Clock;
use tokio::time::Instant;

use crate::arguments::LoginArgs;
use crate::bridge::{Bridge, Poll, Signed, Started};
use crate::browser;
use crate::environment;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::pins::{Pins, not_set_up};
use crate::protocol;
use crate::terminal::{is_watched, shown, talk};
use crate::tokens::Tokens;

/// Between polls, in seconds, whatever a server says.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=60;
/// What a server adds by `slow_down` (RFC 8628 §3.5), in seconds.
const SLOWER: u64 = 5;
/// How long a sign-in may take, in seconds, whatever a server says.
const LONGEST: u64 = 3600;
/// How long to wait for the end of a token that a new one replaces.
const FAREWELL: Duration = Duration::from_secs(5);

/// Signs somebody in.
pub(crate) fn run(wanted: &LoginArgs) -> Result<(), Failure> {
    let registry = &wanted.registry;
    let unknown = || Failure::Bad(not_set_up(registry));
    let folder = Folder::find()?.ok_or_else(unknown)?;
    let pins = Pins::load(&folder)?;
    let pin = pins.of(registry).ok_or_else(unknown)?;
    // Before somebody takes the trouble of a sign-in: is there a place for its token?
    Tokens::load(&folder)?;
    let bridge = Bridge::of(pin)?;
    let runtime = runtime()?;
    let signed = runtime.block_on(async {
        tokio::select! {
            signed = sign_in(&bridge, pin, wanted) => signed,
            _ = tokio::signal::ctrl_c() => Err(Failure::Denied("ended before anybody signed in; nothing is kept".to_owned())),
        }
    })?;
    let Signed { username, refresh_token, service, expires_in } = signed;
    if service != pin.service {
        let _ = runtime.block_on(bridge.revoke(&refresh_token, FAREWELL));
        return Err(Failure::Denied(format!(
            "narrows gave a token for `{}` instead of `{}`; nothing is kept: run `docker-credential-narrows setup` again",
            shown(&service),
            pin.service
        )));
    }
    let expires = expires_in.map(|seconds| Clock::system().now().plus(seconds));
    let name = shown(&username);
    let lock = folder.lock()?;
    let mut tokens = Tokens::load(&folder)?;
    let before = tokens.put(registry, refresh_token.clone(), Some(name.clone()), expires, &folder, &lock)?;
    drop(lock);
    let until = expires.map(|expires| format!(" until {}", expires.rfc3339())).unwrap_or_default();
    talk(&format!("Signed in to {registry} as {name}{until}. docker, podman, skopeo, buildah and nerdctl need no login of their own."));
    if let Some(before) = before.filter(|before| *before != refresh_token) {
        // Nobody has it any more; narrows forgets it by its age if it does not hear of it now.
        let _ = runtime.block_on(bridge.revoke(&before, FAREWELL));
    }
    Ok(())
}

/// A place for the one conversation of this process.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Unavailable(format!("the system does not let this program work: {error}")))
}

async fn sign_in(bridge: &Bridge, pin: &crate::pins::Pin, wanted: &LoginArgs) -> Result<Signed, Failure> {
    let started = bridge.start(pin).await?;
    let deadline = Instant::now() + Duration::from_secs(started.expires_in.min(LONGEST));
    invite(&started, wanted);
    let again = || format!("run `{}` again", protocol::login_command(&wanted.registry));
    let mut interval = started.interval.clamp(*INTERVALS.start(), *INTERVALS.end());
    let mut pause = interval;
    let mut told = false;
    loop {
        let next = Instant::now() + Duration::from_secs(pause);
        if next >= deadline {
            tokio::time::sleep_until(deadline).await;
            return Err(Failure::Denied(format!("nobody signed in in time; {}", again())));
        }
        tokio::time::sleep_until(next).await;
        let (wish, waits) = match bridge.poll(&started).await {
            Poll::Done(signed) => return Ok(*signed),
            Poll::Over(cause) => return Err(Failure::Denied(format!("{cause}; nothing is kept: {}", again()))),
            Poll::Pending(wish) => (wish.unwrap_or(interval).max(interval), None),
            Poll::TooOften(wish) => (wish.unwrap_or(0).max(interval + SLOWER), None),
            Poll::Later(when, cause) => {
                if !told {
                    talk(&format!("narrows cannot say now whether you signed in: {cause}; asking again …"));
                    told = true;
                }
                (interval, when)
            }
        };
        interval = wish.clamp(*INTERVALS.start(), *INTERVALS.end());
        pause = waits.unwrap_or(0).clamp(interval, *INTERVALS.end());
    }
}

/// Says where to sign in, and opens the page where somebody sits at a screen.
fn invite(started: &Started, wanted: &LoginArgs) {
    let (address, code) = (shown(&started.verification_uri), shown(&started.user_code));
    let registry = &wanted.registry;
    let mut text = format!("To sign in to {registry}, open\n\n    {address}\n\nand enter the code\n\n    {code}\n");
    if let Some(complete) = &started.verification_uri_complete {
        text.extend(["\nor open ", &shown(complete), "\nand see that the page shows this code.\n"]);
    }
    talk(&format!("{text}\nWaiting for the sign-in; Ctrl-C ends it."));
    let page = started.verification_uri_complete.as_ref().unwrap_or(&started.verification_uri);
    if !wanted.no_browser && is_watched() && environment::has_screen() && browser::open(page) {
        talk("Your browser opens it now.");
    }
}
