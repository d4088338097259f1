//! Logins that are over are ended at their issuers too: soon after they ended here, and now and then in any case, as another process
//! may have ended them.

use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::App;
use crate::issue::Pauses;

/// How often it is looked what is over.
const EVERY: Duration = Duration::from_secs(30);
/// Of several that end within so long each does not cause a look of its own.
const SOON: Duration = Duration::from_millis(500);

/// Until `ending` turns true. What is not done by then is done after the next start.
pub(super) async fn giving_back(app: &App, mut ending: channel::Receiver<bool>) {
    let mut pauses = Pauses::default();
    let rounds = async {
        loop {
            let regular = Instant::now() + EVERY;
            tokio::select! {
                () = sleep_until(pauses.next().map_or(regular, |next| next.min(regular))) => {}
                () = app.login_ended() => sleep(SOON).await,
            }
            app.give_back(&mut pauses).await;
        }
    };
    tokio::select! {
        // The sender goes away only with the service itself.
        _ = ending.wait_for(|ending| *ending) => {}
        () = rounds => {}
    }
}
