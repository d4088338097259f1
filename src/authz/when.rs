//! `when`: at which times, from which addresses and for which services a rule holds.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::policy::Context;
use super::truth::Truth;
use crate::clock::Timestamp;

/// Minutes of a day.
pub(super) const DAY: u16 = 24 * 60;

/// The circumstances under which a rule holds; every one that is there has to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct When {
    /// Any of these; empty where it does not matter.
    pub(super) services: Vec<Arc<str>>,
    /// Any of these; empty where it does not matter.
    pub(super) source: Vec<IpNet>,
    /// From this moment on.
    pub(super) from: Option<Timestamp>,
    /// Before this moment.
    pub(super) until: Option<Timestamp>,
    /// At these times of the week.
    pub(super) weekly: Option<Weekly>,
}

/// Hours of some days of the week, in a time zone.
#[derive(Clone, Debug)]
pub(super) struct Weekly {
    /// From Monday to Sunday.
    pub(super) days: [bool; 7],
    /// The minute of the day at which it starts.
    pub(super) from: u16,
    /// The minute at which it ends; one that is not after `from` is of the next day.
    pub(super) until: u16,
    pub(super) zone: Arc<Zone>,
}

/// The time zone of the rules.
#[derive(Debug)]
pub(super) struct Zone {
    /// As it is written.
    pub(super) name: String,
    pub(super) rules: TimeZone,
}

impl Zone {
    /// The first moment of a day; a time that a change of the clocks skips or repeats is read as RFC 5545 does.
    pub(super) fn start_of(&self, day: Date) -> Option<Timestamp> {
        self.at(day.to_datetime(jiff::civil::Time::midnight()))
    }

    fn at(&self, local: DateTime) -> Option<Timestamp> {
        let instant = self.rules.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp(instant.as_second()))
    }
}

impl When {
    /// Whether it holds as of `at`.
    pub(super) fn truth(&self, context: &Context<'_>, at: Timestamp) -> Truth {
        self.place(context).and(|| Truth::of(self.at_time(at)))
    }

    /// Whether it can hold at some time from `at` on, for a client of which nothing is known. An empty service may be any.
    pub(super) fn possible(&self, context: &Context<'_>, at: Timestamp) -> Truth {
        let depends = |depends: bool| if depends { Truth::Unknown } else { Truth::Yes };
        let over = self.until.is_some_and(|until| until <= at);
        let served = if context.service.is_empty() { depends(!self.services.is_empty()) } else { Truth::of(self.serves(context)) };
        served.and(|| Truth::of(!over)).and(|| depends(!self.source.is_empty() || self.is_timed()))
    }

    /// The next moment after `at` at which it begins or ceases to hold, where the rest of it lets it hold at all.
    pub(super) fn next_change(&self, context: &Context<'_>, at: Timestamp) -> Option<Timestamp> {
        if self.place(context) == Truth::No {
            return None;
        }
        let now = self.at_time(at);
        let mut moment = at;
        // A week has at most fourteen starts and ends, of which some are no change.
        for _ in 0..20 {
            moment = self.next_moment(moment)?;
            if self.at_time(moment) != now {
                return Some(moment);
            }
        }
        None
    }

    /// What does not change with time.
    fn place(&self, context: &Context<'_>) -> Truth {
        Truth::of(self.serves(context)).and(|| match (self.source.as_slice(), context.source) {
            ([], _) => Truth::Yes,
            (_, None) => Truth::Unknown,
            (_, Some(_)) => Truth::of(!self.is_elsewhere(context)),
        })
    }

    /// Whether it is about this service.
    pub(super) fn serves(&self, context: &Context<'_>) -> bool {
        self.services.is_empty() || self.services.iter().any(|service| **service == *context.service)
    }

    /// Whether the client is known to come from somewhere else.
    pub(super) fn is_elsewhere(&self, context: &Context<'_>) -> bool {
        !self.source.is_empty() && context.source.is_some_and(|source| !contain(&self.source, source))
    }

    /// Whether it changes with time.
    pub(super) const fn is_timed(&self) -> bool {
        self.from.is_some() || self.until.is_some() || self.weekly.is_some()
    }

    fn at_time(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && self.weekly.as_ref().is_none_or(|weekly| weekly.holds(at))
    }

    /// The next moment at which something of it may change.
    fn next_moment(&self, after: Timestamp) -> Option<Timestamp> {
        match (self.from, self.until) {
            // Before and after that nothing holds, whatever the day.
            (Some(from), _) if from > after => return Some(from),
            (_, Some(until)) if until <= after => return None,
            (_, _) => {}
        }
        let week = self.weekly.as_ref().and_then(|weekly| weekly.next_boundary(after));
        let end = self.until.filter(|until| *until > after);
        week.into_iter().chain(end).min()
    }
}

impl Weekly {
    fn holds(&self, at: Timestamp) -> bool {
        self.windows(at, -1..=0).any(|(start, end)| start <= at && at < end)
    }

    fn next_boundary(&self, after: Timestamp) -> Option<Timestamp> {
        self.windows(after, -1..=8).flat_map(|(start, end)| [start, end]).filter(|moment| *moment > after).min()
    }

    /// The windows that start so many days around the day of `at`.
    fn windows(&self, at: Timestamp, days: std::ops::RangeInclusive<i64>) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = jiff::Timestamp::from_second(at.0).ok().map(|instant| self.zone.rules.to_datetime(instant).date());
        today.into_iter().flat_map(move |today| {
            days.clone().filter_map(move |offset| {
                let day = today.checked_add(jiff::Span::new().days(offset)).ok()?;
                self.window(day)
            })
        })
    }

    fn window(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let number = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if !self.days.get(number).copied().unwrap_or(false) {
            return None;
        }
        let end = if self.until > self.from { self.until } else { self.until + DAY };
        Some((self.minute(day, self.from)?, self.minute(day, end)?))
    }

    /// A minute of a day; those past its end are of the next.
    fn minute(&self, day: Date, minute: u16) -> Option<Timestamp> {
        let day = if minute < DAY { day } else { day.tomorrow().ok()? };
        let minute = minute % DAY;
        let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
        self.zone.at(day.at(hour, minute, 0, 0))
    }
}

/// In words: `from 10.20.0.0/16, until 2035-01-02T00:00:00Z`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.services.is_empty() {
            parts.push(format!("at {}", self.services.join(" or ")));
        }
        if !self.source.is_empty() {
            parts.push(format!("coming from {}", self.source.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")));
        }
        if let Some(from) = self.from {
            parts.push(format!("from {} on", from.rfc3339()));
        }
        if let Some(until) = self.until {
            parts.push(format!("until {}", until.rfc3339()));
        }
        parts.extend(self.weekly.as_ref().map(ToString::to_string));
        f.write_str(&parts.join(", "))
    }
}

/// `on mon, fri 08:00-18:00 Europe/Berlin`.
impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.days.iter().zip(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
        let days: Vec<&str> = named.filter(|(holds, _)| **holds).map(|(_, name)| name).collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "on {} {}-{} {}", days.join(", "), clock(self.from), clock(self.until), self.zone.name)
    }
}

/// Two are the same where they are written the same.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl PartialEq for Weekly {
    fn eq(&self, other: &Self) -> bool {
        (self.days, self.from, self.until) == (other.days, other.from, other.until) && self.zone == other.zone
    }
}
impl Eq for Weekly {}
impl std::hash::Hash for Weekly {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.days, self.from, self.until, &self.zone.name).hash(state);
    }
}

/// Whether one of the networks holds the address. An IPv4 address that came in IPv6's clothes is one.
fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_second())
    }

    fn zone(name: &str) -> Arc<Zone> {
        Arc::new(Zone { name: name.to_owned(), rules: TimeZone::get(name).unwrap() })
    }

    fn weekly(days: &str, from: u16, until: u16, name: &str) -> When {
        let mut flags = [false; 7];
        for (flag, day) in flags.iter_mut().zip(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]) {
            *flag = days.contains(day);
        }
        When {
            services: Vec::new(),
            source: Vec::new(),
            from: None,
            until: None,
            weekly: Some(Weekly { days: flags, from, until, zone: zone(name) }),
        }
    }

    const HERE: Context<'static> = Context { service: "reg", now: Timestamp(0), source: None };

    #[track_caller]
    fn check(when: &When, at: &str, holds: bool, next: &str) {
        let at = instant(at);
        assert_eq!(when.truth(&HERE, at), Truth::of(holds), "{at:?}");
        let found = when.next_change(&HERE, at).map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
        assert_eq!(found, next, "{at:?}");
    }

    #[test]
    fn a_week_has_its_hours() {
        let office = weekly("mon fri", 8 * 60, 18 * 60, "UTC");
        // 2026-11-23 is a Monday.
        check(&office, "2026-11-23T07:59:59Z", false, "2026-11-23T08:00:00Z");
        check(&office, "2026-11-23T08:00:00Z", true, "2026-11-23T18:00:00Z");
        check(&office, "2026-11-23T18:00:00Z", false, "2026-11-27T08:00:00Z");
        check(&office, "2026-11-27T19:00:00Z", false, "2026-11-30T08:00:00Z");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_starts() {
        let night = weekly("fri", 22 * 60, 6 * 60, "UTC");
        check(&night, "2026-11-27T05:00:00Z", false, "2026-11-27T22:00:00Z");
        check(&night, "2026-11-27T23:00:00Z", true, "2026-11-28T06:00:00Z");
        check(&night, "2026-11-28T05:59:59Z", true, "2026-11-28T06:00:00Z");
        check(&night, "2026-11-28T23:00:00Z", false, "2026-12-04T22:00:00Z");
    }

    #[test]
    fn a_week_is_told_with_its_days_hours_and_zone() {
        assert_eq!(weekly("mon fri", 8 * 60, 18 * 60 + 30, "Europe/Berlin").to_string(), "on mon, fri 08:00-18:30 Europe/Berlin");
        assert_eq!(weekly("sat", 0, DAY, "UTC").to_string(), "on sat 00:00-24:00 UTC");
    }

    #[test]
    fn days_that_touch_are_one_time_and_all_days_are_always() {
        let weekend = weekly("sat sun", 0, DAY, "UTC");
        check(&weekend, "2026-11-28T12:00:00Z", true, "2026-11-30T00:00:00Z");
        let always = weekly("mon tue wed thu fri sat sun", 0, DAY, "UTC");
        check(&always, "2026-11-28T12:00:00Z", true, "never");
        let from_noon = weekly("mon tue wed thu fri sat sun", 12 * 60, 12 * 60, "UTC");
        check(&from_noon, "2026-11-28T11:00:00Z", true, "never");
    }

    #[test]
    fn hours_follow_the_clocks_of_the_zone() {
        let office = weekly("mon tue wed thu fri sat sun", 8 * 60, 18 * 60, "Europe/Berlin");
        check(&office, "2026-10-24T06:00:00Z", true, "2026-10-24T16:00:00Z");
        // The clocks go back on the 25th.
        check(&office, "2026-10-25T06:30:00Z", false, "2026-10-25T07:00:00Z");
        // On 2026-03-29 there is no 02:30; it is read as 03:30.
        let gap = weekly("sun", 2 * 60 + 30, 4 * 60, "Europe/Berlin");
        check(&gap, "2026-03-29T01:29:59Z", false, "2026-03-29T01:30:00Z");
        check(&gap, "2026-03-29T01:30:00Z", true, "2026-03-29T02:00:00Z");
    }

    #[test]
    fn outside_from_and_until_no_week_counts() {
        let mut when = weekly("mon tue wed thu fri", 8 * 60, 18 * 60, "UTC");
        (when.from, when.until) = (Some(instant("2027-01-04T10:00:00Z")), Some(instant("2027-01-05T09:00:00Z")));
        check(&when, "2026-11-23T08:00:00Z", false, "2027-01-04T10:00:00Z");
        check(&when, "2027-01-04T10:00:00Z", true, "2027-01-04T18:00:00Z");
        check(&when, "2027-01-04T18:00:00Z", false, "2027-01-05T08:00:00Z");
        check(&when, "2027-01-05T08:00:00Z", true, "2027-01-05T09:00:00Z");
        check(&when, "2027-01-05T09:00:00Z", false, "never");
    }

    #[test]
    fn an_address_is_known_to_be_inside_known_to_be_outside_or_not_known() {
        let when =
            When { services: vec!["reg".into()], source: vec!["10.20.0.0/16".parse().unwrap()], from: None, until: None, weekly: None };
        let at = |service, source: Option<&str>| {
            when.truth(&Context { service, now: Timestamp(0), source: source.map(|text| text.parse().unwrap()) }, Timestamp(0))
        };
        assert_eq!(at("reg", Some("10.20.1.1")), Truth::Yes);
        assert_eq!(at("reg", Some("::ffff:10.20.1.1")), Truth::Yes);
        assert_eq!(at("reg", Some("10.21.1.1")), Truth::No);
        assert_eq!(at("reg", None), Truth::Unknown);
        assert_eq!(at("other", None), Truth::No);
    }
}
