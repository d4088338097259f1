//! What is counted. Names and labels stand here alone; labels are small closed sets, never users or repositories.

mod exporter;

use std::time::Duration;

pub use exporter::{Exporter, ExporterError};

/// One answered token request: `narrows_token_requests_total{outcome}` and `narrows_token_request_seconds{outcome}`.
///
/// `outcome` is a word of the audit: granted, narrowed, empty, rejected, unavailable, throttled, invalid.
pub fn token_request(outcome: &'static str, took: Duration) {
    metrics::counter!("narrows_token_requests_total", "outcome" => outcome).increment(1);
    metrics::histogram!("narrows_token_request_seconds", "outcome" => outcome).record(took.as_secs_f64());
}

/// One operation at a provider that was really carried out (connect, bind, search, compare), not answered by a cache:
/// `narrows_directory_operations_total{provider,server,operation,outcome}` and
/// `narrows_directory_operation_seconds{provider,server,operation}`.
///
/// `outcome` is `success`, `rejected` or `unavailable`; `server` is empty for a file.
pub fn directory_operation(provider: &str, server: &str, operation: &'static str, outcome: &'static str, took: Duration) {
    let (provider, server) = (provider.to_owned(), server.to_owned());
    metrics::counter!(
        "narrows_directory_operations_total", "provider" => provider.clone(), "server" => server.clone(), "operation" => operation,
        "outcome" => outcome
    )
    .increment(1);
    metrics::histogram!("narrows_directory_operation_seconds", "provider" => provider, "server" => server, "operation" => operation)
        .record(took.as_secs_f64());
}

/// One more open connection to a server, or one less: `narrows_directory_connections{provider,server}`.
pub fn directory_connections(provider: &str, server: &str, change: f64) {
    metrics::gauge!("narrows_directory_connections", "provider" => provider.to_owned(), "server" => server.to_owned()).increment(change);
}

/// One more operation that runs at a server, or one less: `narrows_directory_in_flight{provider,server,operation}`.
pub fn directory_in_flight(provider: &str, server: &str, operation: &'static str, change: f64) {
    let (provider, server) = (provider.to_owned(), server.to_owned());
    metrics::gauge!("narrows_directory_in_flight", "provider" => provider, "server" => server, "operation" => operation).increment(change);
}

/// Whether a server is asked: `narrows_directory_server_up{provider,server}`.
pub fn directory_server_up(provider: &str, server: &str, up: bool) {
    metrics::gauge!("narrows_directory_server_up", "provider" => provider.to_owned(), "server" => server.to_owned())
        .set(f64::from(u8::from(up)));
}

/// One request that another server answers than the one that it would have been for: `narrows_directory_failovers_total{provider}`.
pub fn directory_failover(provider: &str) {
    metrics::counter!("narrows_directory_failovers_total", "provider" => provider.to_owned()).increment(1);
}

/// One look into a cache: `narrows_cache_lookups_total{cache,outcome}`; `outcome` is `hit`, `miss` or `shared`.
pub fn cache_lookup(cache: &'static str, outcome: &'static str) {
    metrics::counter!("narrows_cache_lookups_total", "cache" => cache, "outcome" => outcome).increment(1);
}

/// The running generation of configuration and rules: `narrows_generation`.
pub fn generation(number: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a generation counts reloads; 2^52 of them do not happen")]
    metrics::gauge!("narrows_generation").set(number as f64);
}

/// One attempt to reload: `narrows_reloads_total{outcome}`; `outcome` is `loaded`, `unchanged`, `held` or `refused`.
pub fn reload(outcome: &'static str) {
    metrics::counter!("narrows_reloads_total", "outcome" => outcome).increment(1);
}

/// Whether the files say something else than what runs: `narrows_reload_waits{reason}` is 1 where the last reload was
/// `refused`, and where rules are `held`.
pub fn reload_waits(refused: bool, held: bool) {
    for (reason, waits) in [("refused", refused), ("held", held)] {
        metrics::gauge!("narrows_reload_waits", "reason" => reason).set(f64::from(u8::from(waits)));
    }
}

/// One request of somebody who was served from memory while the provider could not be asked: `narrows_stale_total{provider,proof}`;
/// `proof` is `password` or `identity_token`.
pub fn stale(provider: &str, proof: &'static str) {
    metrics::counter!("narrows_stale_total", "provider" => provider.to_owned(), "proof" => proof).increment(1);
}

/// One refresh token that was given back to an issuer because no login lives by it any more:
/// `narrows_oidc_revocations_total{provider,outcome}`; `outcome` is `revoked`, `refused` or `unavailable`.
pub fn oidc_revocation(provider: &str, outcome: &'static str) {
    metrics::counter!("narrows_oidc_revocations_total", "provider" => provider.to_owned(), "outcome" => outcome).increment(1);
}

/// One request that the shield refused: `narrows_throttled_total{step}`; `step` is `comparisons`,
/// `comparisons_of_strangers` or `binds`.
pub fn throttled(step: &'static str) {
    metrics::counter!("narrows_throttled_total", "step" => step).increment(1);
}
