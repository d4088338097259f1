//! `when`, `ttl` and `tags` of a rule.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};

use super::Compiler;
use super::words::{self, CATALOG};
use crate::authz::document::{EffectKind, RuleText, Text, WeeklyText, WhenText};
use crate::authz::rule::{Effect, Ttl};
use crate::authz::when::{DAY, Weekly, When, Zone};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet};
use crate::source::{Period, parse_network};

/// Clients treat what lives shorter as expired.
const SHORTEST_LIFE: Period = Period::seconds(60);
/// A token cannot be called back.
const LONGEST_LIFE: Period = Period::hours(24);
/// The days of a week as they are written.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// A registry's tags have at most 128 characters.
const LONGEST_TAG: usize = 128;

/// Which end of a day a bare date stands for.
#[derive(Clone, Copy)]
enum End {
    Start,
    Finish,
}

impl Compiler<'_> {
    /// `when`; `None` where it cannot be used, which has been said.
    pub(super) fn when(&mut self, written: &WhenText) -> Option<When> {
        let before = self.count();
        let services = written.services.iter().filter_map(|service| self.known_service(service)).collect();
        let mut source = Vec::new();
        for network in &written.source {
            match parse_network(&network.value) {
                Ok(network) => source.push(network),
                Err(wrong) => self.error(network.place, wrong.message, &wrong.hint),
            }
        }
        let from = written.from.as_ref().and_then(|from| self.moment(from, End::Start));
        let until = written.until.as_ref().and_then(|until| self.moment(until, End::Finish));
        let weekly = written.weekly.as_ref().and_then(|weekly| self.weekly(weekly));
        self.check_order(written, from, until);
        (self.count() == before).then_some(When { services, source, from, until, weekly })
    }

    fn check_order(&mut self, written: &WhenText, from: Option<Timestamp>, until: Option<Timestamp>) {
        let Some(place) = written.until.as_ref().map(|until| until.place) else { return };
        let (Some(until), now) = (until, self.environment.now) else { return };
        if from.is_some_and(|from| from >= until) {
            self.error(place, "`until` is not after `from`, so the rule never holds", "exchange them, or remove one of them");
        } else if now.is_some_and(|now| until <= now) {
            self.warning(place, "the rule's time is over", "remove the rule, or give it a later `until`");
        }
    }

    /// An instant, or the start or end of a whole day.
    fn moment(&mut self, text: &Text, end: End) -> Option<Timestamp> {
        if let Ok(instant) = text.value.parse::<jiff::Timestamp>() {
            return Some(Timestamp(instant.as_second()));
        }
        let Ok(day) = text.value.parse::<Date>() else {
            self.error(
                text.place,
                format!("`{}` is neither a day nor an instant", text.value),
                "write 2035-01-01, or 2035-01-01T18:00:00Z",
            );
            return None;
        };
        // A date is also read out of a date with a time.
        if text.value.parse::<DateTime>().is_ok() && text.value.contains(['T', 't', ' ']) {
            let hint = "say which time that is, as in 2035-01-01T18:00:00+01:00 or 2035-01-01T18:00:00Z";
            self.error(text.place, format!("`{}` has no offset", text.value), hint);
            return None;
        }
        let zone = self.zone(text)?;
        let day = match end {
            End::Start => Some(day),
            End::Finish => day.tomorrow().ok(),
        };
        let found = day.and_then(|day| zone.start_of(day));
        if found.is_none() {
            self.error(text.place, format!("`{}` is too far away", text.value), "write a year before 9999");
        }
        found
    }

    /// The time zone, which has to be there for this text to mean something.
    fn zone(&mut self, text: &Text) -> Option<Arc<Zone>> {
        if self.zone.is_none() {
            let hint = "write `timezone: Europe/Berlin`, or another one, at the top of the first file";
            self.error(text.place, format!("`{}` means nothing without a time zone", text.value), hint);
        }
        self.zone.clone()
    }

    fn weekly(&mut self, written: &WeeklyText) -> Option<Weekly> {
        let mut days = [written.days.is_empty(); 7];
        for day in &written.days {
            match days.iter_mut().zip(DAYS).find(|(_, name)| **name == *day.value) {
                Some((flag, _)) => *flag = true,
                None => self.error(day.place, format!("`{}` is no day", day.value), "write mon, tue, wed, thu, fri, sat or sun"),
            }
        }
        let from = written.from.as_ref().map_or(Some(0), |from| self.minute(from));
        let until = written.until.as_ref().map_or(Some(DAY), |until| self.minute(until));
        if from == Some(DAY) {
            let place = written.from.as_ref().map_or(written.place, |from| from.place);
            self.error(place, "nothing starts at 24:00", "write 00:00 and the next day");
        }
        let anchor = written.from.as_ref().or(written.until.as_ref()).or(written.days.first())?;
        Some(Weekly { days, from: from?, until: until?, zone: self.zone(anchor)? })
    }

    /// A minute of the day; `24:00` is its end.
    fn minute(&mut self, text: &Text) -> Option<u16> {
        if text.value == "24:00" {
            return Some(DAY);
        }
        let time = if text.value.len() == 5 { Time::strptime("%H:%M", &text.value).ok() } else { None };
        let minute = time.and_then(|time| u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok());
        if minute.is_none() {
            self.error(text.place, format!("`{}` is no time of day", text.value), "write \"08:00\" or \"24:00\", in quotes");
        }
        minute
    }

    /// A length of time.
    pub(super) fn period(&mut self, text: &Text) -> Option<Period> {
        match text.value.parse::<Period>() {
            Ok(period) if !period.is_zero() => Some(period),
            Ok(_) => {
                self.error(text.place, "no time at all", "write 10m, 12h or 30d");
                None
            }
            Err(error) => {
                self.error(text.place, error.to_string(), "lengths of time are 30s, 10m, 12h and 30d");
                None
            }
        }
    }

    /// `ttl`
    pub(super) fn ttl(&mut self, text: &RuleText, effect: &Effect) -> Ttl {
        let mut ttl = Ttl::default();
        if let (EffectKind::Deny, Some((key, life))) = (text.effect, text.ttl.first()) {
            let place = key.as_ref().unwrap_or(life).place;
            self.error(place, "a deny gives nothing that could live", "remove `ttl`, or write it on the rules that allow");
            return ttl;
        }
        for (key, written) in &text.ttl {
            let Some(life) = self.period(written) else { continue };
            if life < SHORTEST_LIFE || life > LONGEST_LIFE {
                let hint = "clients treat shorter tokens as expired, and no token can be called back";
                self.error(written.place, format!("`{life}` is not between 60s and 24h"), hint);
            }
            match key {
                None => effect.most().iter().for_each(|action| ttl.set(action, life)),
                Some(key) => {
                    let action = if key.value == CATALOG { Some(Action::All) } else { words::action(&key.value) };
                    match action.filter(|action| effect.most().contains(*action)) {
                        Some(action) => ttl.set(action, life),
                        None => self.error(key.place, format!("the rule does not allow `{}`", key.value), "remove it here, or allow it"),
                    }
                }
            }
        }
        ttl
    }

    /// `tags`
    pub(super) fn tags(&mut self, text: &RuleText, effect: &Effect) -> Vec<String> {
        let Some(first) = text.tags.first() else { return Vec::new() };
        let closed: ActionSet = [Action::Push, Action::Delete].into_iter().collect();
        if text.effect == EffectKind::Allow || !closed.covers(effect.most()) {
            let hint = "write `deny: [push, delete]` beside it: registries close tags to these two alone";
            self.error(first.place, "`tags` stands on a rule that denies push, delete or both", hint);
        }
        for tag in &text.tags {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'*');
            if !tag.value.bytes().all(good)
                || tag.value.starts_with(['.', '-'])
                || tag.value.len() > LONGEST_TAG
                || tag.value.contains("**")
            {
                let hint = "tags have letters, digits, `_`, `.` and dashes, and do not start with the last two; `*` is one or more of them";
                self.error(tag.place, format!("`{}` can be no tag", tag.value), hint);
            }
        }
        self.check_enforced(text, first);
        text.tags.iter().map(|tag| tag.value.clone()).collect()
    }

    /// A service that cannot enforce tags would let through what the rule closes.
    fn check_enforced(&mut self, text: &RuleText, first: &Text) {
        let wanted: Vec<&str> = text.when.iter().flat_map(|when| &when.services).map(|service| service.value.as_str()).collect();
        let reached = self.environment.services.iter().filter(|service| wanted.is_empty() || wanted.contains(&&*service.name));
        let powerless: Vec<String> =
            reached.filter(|service| !service.enforces_tags).map(|service| format!("`{}`", service.name)).collect();
        if !powerless.is_empty() {
            let hint = "only `registry: gitlab` can; limit the rule by `when: {services: […]}` to such services";
            self.error(first.place, format!("{} could not enforce `tags`", powerless.join(", ")), hint);
        }
    }
}
