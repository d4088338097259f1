//! `log` of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the service logs. Logs go to standard error.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What a log line looks like. Default `json`.
    pub format: LogFormat,
    /// The least important lines that are written. Default `info`.
    pub level: LogLevel,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

/// The least important lines that are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Somebody must act.
    Error,
    /// Something is degraded.
    Warn,
    /// One line a request, and the service's own events.
    #[default]
    Info,
    /// Diagnosis.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
