//! `when`, near the days on which clocks change.

use crate::dice::Dice;
use crate::rules::{Moment, Rulebook, Weekly, When};

/// The last Sundays of March and October 2026, on which Berlin's clocks change, and a Wednesday on which none does.
const DAYS: [i64; 3] = [20_541, 20_751, 20_614];
const MINUTES: [i64; 9] = [0, 90, 120, 150, 180, 480, 1080, 1439, 150];
const NETWORKS: [(&str, u8); 5] = [("10.0.0.0", 8), ("10.1.0.0", 16), ("192.0.2.1", 32), ("2001:db8::", 32), ("0.0.0.0", 0)];

/// Around which day a rulebook's times lie.
pub fn base(book: &Rulebook) -> i64 {
    DAYS[(book.spelling + usize::from(book.third)) % DAYS.len()]
}

pub fn when(dice: &mut Dice<'_>, book: &Rulebook, number: usize) -> When {
    let mut when = When::default();
    let first = dice.below(5);
    // At least one key, and seldom all of them.
    for key in [first, dice.below(8)] {
        match key {
            0 => when.services = dice.some(&["one", "two"]),
            1 => when.source = dice.some(&NETWORKS.map(|(network, length)| (network.parse().unwrap(), length))),
            2 => when.from = Some(moment(dice, base(book) - 1)),
            3 => when.until = Some(moment(dice, base(book) + 1)),
            4 => when.weekly = Some(weekly(dice)),
            _ => {}
        }
    }
    if number % 7 == 6 {
        when.weekly = Some(weekly(dice));
    }
    when
}

/// On a day or on one of its neighbours.
fn moment(dice: &mut Dice<'_>, around: i64) -> Moment {
    let day = around + i64::try_from(dice.below(2)).unwrap() - 1;
    if dice.chance(40) { Moment::Day(day) } else { Moment::Instant(day * 86_400 + *dice.one(&MINUTES) * 60) }
}

fn weekly(dice: &mut Dice<'_>) -> Weekly {
    let days = if dice.chance(70) { dice.some(&[6, 5, 0, 2, 3]) } else { Vec::new() };
    let from = dice.chance(75).then(|| *dice.one(&MINUTES));
    let until = dice.chance(75).then(|| if dice.chance(10) { 1440 } else { *dice.one(&MINUTES) });
    if days.is_empty() && from.is_none() && until.is_none() { Weekly { days: vec![6], from, until } } else { Weekly { days, from, until } }
}
