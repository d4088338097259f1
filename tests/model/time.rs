//! `when`, at one instant.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::model::{Model, Truth};
use super::part::Part;
use super::rules::{Circumstances, Moment, Weekly, When};

const DAY: i64 = 24 * 60;

/// The instant at which a local clock shows so many minutes after the midnight with which a day starts.
fn instant(zone: &TimeZone, day: i64, minutes: i64) -> i64 {
    let epoch: Date = "1970-01-01".parse().unwrap();
    let days = day + minutes.div_euclid(DAY);
    let date = epoch.checked_add(jiff::Span::new().days(days)).unwrap();
    let minute = minutes.rem_euclid(DAY);
    let local = date.at(i8::try_from(minute / 60).unwrap(), i8::try_from(minute % 60).unwrap(), 0, 0);
    zone.to_ambiguous_timestamp(local).compatible().unwrap().as_second()
}

/// The day that a local clock shows, and its day of the week.
fn day_of(zone: &TimeZone, at: i64) -> i64 {
    let epoch: Date = "1970-01-01".parse().unwrap();
    let date = zone.to_datetime(jiff::Timestamp::from_second(at).unwrap()).date();
    i64::from((date - epoch).get_days())
}

/// 1970-01-01 was a Thursday; Monday is 0.
fn weekday(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap()
}

impl Weekly {
    fn span(&self, zone: &TimeZone, day: i64) -> (i64, i64) {
        let (from, until) = (self.from.unwrap_or(0), self.until.unwrap_or(DAY));
        let until = if until <= from { until + DAY } else { until };
        (instant(zone, day, from), instant(zone, day, until))
    }

    fn holds(&self, zone: &TimeZone, at: i64) -> bool {
        let today = day_of(zone, at);
        (today - 2..=today + 1).any(|day| {
            let (from, until) = self.span(zone, day);
            (self.days.is_empty() || self.days.contains(&weekday(day))) && from <= at && at < until
        })
    }
}

impl Model<'_> {
    fn zone(&self) -> TimeZone {
        TimeZone::get(if self.without(Part::Zone) { "UTC" } else { self.book.zone }).unwrap()
    }

    fn start(&self, moment: Moment) -> i64 {
        match moment {
            Moment::Day(day) => instant(&self.zone(), day, 0),
            Moment::Instant(instant) => instant,
        }
    }

    fn end(&self, moment: Moment) -> i64 {
        match moment {
            Moment::Day(day) => instant(&self.zone(), day + 1, 0),
            Moment::Instant(instant) => instant,
        }
    }

    /// Whether a `when` holds at an instant.
    pub fn when(&self, when: &When, circumstances: &Circumstances, at: i64) -> Truth {
        let services = when.services.is_empty() || self.without(Part::Services) || when.services.contains(&circumstances.service);
        let source = match circumstances.source {
            _ if when.source.is_empty() || self.without(Part::Source) => Truth::Yes,
            None => Truth::Unknown,
            Some(address) => Truth::from(when.source.iter().any(|(network, length)| inside(address, *network, *length))),
        };
        let from = when.from.is_none_or(|from| self.without(Part::From) || self.start(from) <= at);
        let until = when.until.is_none_or(|until| self.without(Part::Until) || at < self.end(until));
        let weekly = when.weekly.as_ref().is_none_or(|weekly| self.without(Part::Weekly) || weekly.holds(&self.zone(), at));
        Truth::from(services).and(source).and(Truth::from(from)).and(Truth::from(until)).and(Truth::from(weekly))
    }

    /// Every instant at which a `when` could change, in the weeks around this one and around its ends.
    pub fn boundaries(&self, when: &When, at: i64) -> Vec<i64> {
        let mut ends: Vec<i64> = when.from.map(|from| self.start(from)).into_iter().collect();
        ends.extend(when.until.map(|until| self.end(until)));
        let mut all = ends.clone();
        if let Some(weekly) = &when.weekly {
            let zone = self.zone();
            for around in ends.into_iter().chain([at]) {
                let today = day_of(&zone, around);
                all.extend((today - 2..=today + 10).map(|day| weekly.span(&zone, day)).flat_map(|(from, until)| [from, until]));
            }
        }
        all
    }
}

/// Whether an address is in a network, bit by bit.
fn inside(address: std::net::IpAddr, network: std::net::IpAddr, length: u8) -> bool {
    let bits = |address| match address {
        std::net::IpAddr::V4(four) => four.octets().to_vec(),
        std::net::IpAddr::V6(six) => six.octets().to_vec(),
    };
    let (one, other): (Vec<u8>, Vec<u8>) = (bits(address), bits(network));
    let bit = |octets: &[u8], index: usize| (octets[index / 8] >> (7 - index % 8)) & 1;
    one.len() == other.len() && (0..usize::from(length)).all(|index| bit(&one, index) == bit(&other, index))
}
