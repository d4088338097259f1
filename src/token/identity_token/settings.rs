//! `identity_tokens` of the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::source::{Diagnostics, Located, Period, SourceFile};

/// The shortest life that makes sense: docker presents an identity token for every pull.
const SHORTEST_LIFE: Period = Period::minutes(1);
/// A right that was taken away must not live on for longer than a working day.
const LONGEST_RECHECK: Period = Period::hours(12);

/// When the tokens end that docker keeps instead of a password.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityTokenSettings {
    /// A token that is not presented for so long ends. Default 30d.
    pub idle: Located<Period>,
    /// A token ends so long after its login, used or not. Default 90d; at most 7d where the directory shows no password
    /// marker, 12h where nobody can be asked again, 1h for workloads.
    pub absolute: Located<Period>,
    /// How old the last look at the person and the groups may be. Default 5m; 0s looks at every use.
    pub recheck: Located<Period>,
}

impl Default for IdentityTokenSettings {
    fn default() -> Self {
        Self {
            idle: Located::nowhere(Period::days(30)),
            absolute: Located::nowhere(Period::days(90)),
            recheck: Located::nowhere(Period::minutes(5)),
        }
    }
}

impl IdentityTokenSettings {
    /// Finds what cannot work.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        for (name, life) in [("idle", &self.idle), ("absolute", &self.absolute)] {
            if life.value < SHORTEST_LIFE {
                findings.push(
                    file.error(life.place, format!("`identity_tokens.{name}` is shorter than {SHORTEST_LIFE}"))
                        .hint("docker presents the token at every pull; give it days"),
                );
            }
        }
        if self.recheck.value > LONGEST_RECHECK {
            findings.push(
                file.error(self.recheck.place, format!("`identity_tokens.recheck` is longer than {LONGEST_RECHECK}"))
                    .hint("people who left keep their rights for this long; the default is 5m"),
            );
        }
        if self.idle.value > self.absolute.value {
            let place = if self.idle.place.line > 0 { self.idle.place } else { self.absolute.place };
            findings.push(
                file.warning(place, "`identity_tokens.idle` is longer than `absolute` and never counts")
                    .hint("make `idle` the shorter one"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("narrows.yaml", text);
        let mut findings = Diagnostics::default();
        match file.parse::<IdentityTokenSettings>() {
            Ok(settings) => settings.check(&file, &mut findings),
            Err(finding) => findings.push(finding),
        }
        let shown = findings.first().map_or_else(|| "good".to_owned(), |finding| finding.message.clone());
        assert!(shown.contains(expected), "{text}: {shown}");
    }

    #[test]
    fn lives_are_long_and_looks_are_short() {
        check("{}", "good");
        check("{idle: 30d, absolute: 90d, recheck: 5m}", "good");
        check("{idle: 7d, absolute: 30d, recheck: 0s}", "good");
        check("{idle: 0s}", "`identity_tokens.idle` is shorter than 1m");
        check("{absolute: 59s, idle: 1m}", "`identity_tokens.absolute` is shorter than 1m");
        check("{recheck: 13h}", "`identity_tokens.recheck` is longer than 12h");
        check("{absolute: 7d}", "never counts");
        check("{idel: 7d}", "idel");
    }
}
