//! What a bridge keeps in its state of the issuers' refresh tokens.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::bridge::{Bridge, Site};
use super::wait;

/// Longer than the service waits between two looks of its own accord.
const PATIENCE: Duration = Duration::from_secs(45);

/// How many logins, over or not, still hold one.
pub async fn renewals(site: &Site) -> i64 {
    let options = SqliteConnectOptions::new().filename(site.folder().join("state.db")).read_only(true);
    let mut database = options.connect().await.unwrap();
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM identity_tokens WHERE renewal IS NOT NULL");
    let count = count.fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    count
}

/// Waits until so many are left.
pub async fn come_to(bridge: &Bridge, count: i64) {
    wait::until(PATIENCE, async || {
        let found = renewals(bridge.site()).await;
        if found == count { Ok(()) } else { Err(format!("{found} refresh tokens are kept\n{}", bridge.log())) }
    })
    .await;
}

/// How many the issuer took back.
pub async fn given_back(bridge: &Bridge) -> u64 {
    let page = reqwest::get(bridge.site().admin_url("/metrics")).await.unwrap().text().await.unwrap();
    let lines = page.lines().filter(|line| line.starts_with("narrows_oidc_revocations_total") && line.contains("outcome=\"revoked\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// What `docker logout` of the helper sends.
pub async fn log_out(bridge: &Bridge, identity_token: &str) {
    let answer = reqwest::Client::new().post(bridge.url("/revoke")).form(&[("token", identity_token)]).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", bridge.log());
}
