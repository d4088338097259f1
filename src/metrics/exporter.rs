//! What was counted, as Prometheus reads it.

use std::fmt;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper bounds in seconds: a signature takes a fraction of a millisecond, a slow directory several seconds.
const SECONDS: [f64; 15] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 8.0];

/// Why nothing can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExporterError {
    /// The process counts elsewhere already.
    #[error("the metrics of this process are taken already")]
    Taken,
    /// The bounds of the histograms are refused.
    #[error("the bounds of the histograms are not usable")]
    Bounds,
}

/// Keeps the counters of this process and shows them.
#[derive(Clone)]
pub struct Exporter(PrometheusHandle);

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// Starts to count. Once a process.
    pub fn install() -> Result<Self, ExporterError> {
        let recorder = recorder()?;
        let exporter = Self(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|_| ExporterError::Taken)?;
        describe();
        Ok(exporter)
    }

    /// One that counts nothing: a process can install one alone, and tests share theirs.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self(recorder().unwrap().handle())
    }

    /// Everything counted so far, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Drains samples into the histograms. To be called every few seconds, or memory grows between two scrapes.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn recorder() -> Result<PrometheusRecorder, ExporterError> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    Ok(builder.map_err(|_| ExporterError::Bounds)?.build_recorder())
}

/// The help lines; and the outcomes that alarms wait for stand at zero from the start.
fn describe() {
    for outcome in ["loaded", "unchanged", "held", "refused"] {
        metrics::counter!("narrows_reloads_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["granted", "narrowed", "empty", "rejected", "unavailable", "throttled", "invalid"] {
        metrics::counter!("narrows_token_requests_total", "outcome" => outcome).increment(0);
    }
    metrics::describe_counter!("narrows_token_requests_total", "Answered token requests by outcome.");
    metrics::describe_histogram!("narrows_token_request_seconds", "How long token requests took, by outcome.");
    metrics::describe_counter!("narrows_directory_operations_total", "Operations that a provider really carried out.");
    metrics::describe_histogram!("narrows_directory_operation_seconds", "How long a provider took for them.");
    metrics::describe_gauge!("narrows_directory_server_up", "Whether a server of a directory is asked.");
    metrics::describe_gauge!("narrows_directory_connections", "Open connections to a server.");
    metrics::describe_gauge!("narrows_directory_in_flight", "Operations that run at a server now.");
    metrics::describe_counter!("narrows_directory_failovers_total", "Requests that went to another server than the one they were for.");
    metrics::describe_counter!("narrows_oidc_revocations_total", "Refresh tokens that were given back to an issuer by outcome.");
    metrics::describe_counter!("narrows_cache_lookups_total", "Looks into a cache by outcome.");
    metrics::describe_gauge!("narrows_generation", "The running generation of configuration and rules.");
    metrics::describe_counter!("narrows_throttled_total", "Requests that the shield refused by step.");
    metrics::describe_counter!("narrows_reloads_total", "Attempts to reload by outcome.");
    metrics::describe_gauge!("narrows_reload_waits", "Whether the files say something else than what runs, by reason.");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counters_and_histograms_are_rendered_for_prometheus() {
        let recorder = recorder().unwrap();
        let exporter = Exporter(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            describe();
            crate::metrics::token_request("granted", Duration::from_millis(3));
            crate::metrics::directory_operation("staff", "ldaps://a:636", "bind", "success", Duration::from_secs(20));
            crate::metrics::directory_connections("staff", "ldaps://a:636", 1.0);
            crate::metrics::directory_connections("staff", "ldaps://a:636", 1.0);
            crate::metrics::directory_connections("staff", "ldaps://a:636", -1.0);
            crate::metrics::directory_in_flight("staff", "ldaps://a:636", "search", 1.0);
            crate::metrics::directory_server_up("staff", "ldaps://a:636", false);
            crate::metrics::directory_failover("staff");
            crate::metrics::generation(7);
            crate::metrics::reload_waits(false, true);
        });
        exporter.upkeep();
        let text = exporter.render();
        for line in [
            "# HELP narrows_token_requests_total Answered token requests by outcome.",
            "# TYPE narrows_token_request_seconds histogram",
            "narrows_token_requests_total{outcome=\"granted\"} 1",
            "narrows_token_request_seconds_bucket{outcome=\"granted\",le=\"0.0025\"} 0",
            "narrows_token_request_seconds_bucket{outcome=\"granted\",le=\"0.005\"} 1",
            "narrows_directory_operation_seconds_bucket{provider=\"staff\",server=\"ldaps://a:636\",operation=\"bind\",le=\"8\"} 0",
            "narrows_directory_operation_seconds_bucket{provider=\"staff\",server=\"ldaps://a:636\",operation=\"bind\",le=\"+Inf\"} 1",
            "narrows_directory_connections{provider=\"staff\",server=\"ldaps://a:636\"} 1",
            "narrows_directory_in_flight{provider=\"staff\",server=\"ldaps://a:636\",operation=\"search\"} 1",
            "narrows_directory_server_up{provider=\"staff\",server=\"ldaps://a:636\"} 0",
            "narrows_directory_failovers_total{provider=\"staff\"} 1",
            "narrows_generation 7",
            "narrows_reload_waits{reason=\"refused\"} 0",
            "narrows_reload_waits{reason=\"held\"} 1",
            "narrows_reloads_total{outcome=\"held\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
