//! Lengths of time as people write them: `400ms`, `10s`, `5m`, `1h`, `30d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// A length of time from a configuration or rule file. At most ten years, so that arithmetic on it cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

const TEN_YEARS: u64 = 10 * 366 * 24 * 3600;

impl Period {
    /// What every period looks like, for schemas.
    pub const PATTERN: &'static str = "^[0-9]+(ms|s|m|h|d)$";

    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
    /// So many milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }
    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self::seconds(hours * 3600)
    }
    /// So many days of 24 hours.
    pub const fn days(days: u64) -> Self {
        Self::seconds(days * 24 * 3600)
    }
    /// The same as the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }
    /// Whole seconds, rounded down.
    pub const fn as_seconds(self) -> u64 {
        self.0.as_secs()
    }
    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// Why a text is no period.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a length of time; write a whole number and a unit, as in 400ms, 10s, 5m, 1h or 30d")]
pub struct PeriodError(String);

impl FromStr for Period {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            "d" => number.checked_mul(86_400_000),
            _ => None,
        };
        match milliseconds {
            Some(milliseconds) if milliseconds <= TEN_YEARS * 1000 => Ok(Self::milliseconds(milliseconds)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
            if ms >= size && ms.is_multiple_of(size) {
                return write!(f, "{}{unit}", ms / size);
            }
        }
        if ms == 0 { f.write_str("0s") } else { write!(f, "{ms}ms") }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: a whole number and ms, s, m, h or d.",
            "type": "string",
            "pattern": Self::PATTERN,
            "examples": ["400ms", "10s", "5m", "1h", "30d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = text.parse::<Period>().map_or_else(|_| "refused".to_owned(), |period| period.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn periods_are_read_and_shown_in_their_largest_whole_unit() {
        check("400ms", "400ms");
        check("60s", "1m");
        check("90s", "90s");
        check("24h", "1d");
        check("0s", "0s");
        check("30d", "30d");
        check("5", "refused");
        check("-5s", "refused");
        check("5 s", "refused");
        check("s", "refused");
        check("1.5h", "refused");
        check("99999999999999999999d", "refused");
        check("4000d", "refused");
    }
}
