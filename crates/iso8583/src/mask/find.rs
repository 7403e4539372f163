//! Which characters belong to a card number or to track data.

use std::ops::Range;

use super::units::{Kind, Unit};

/// Lengths of card numbers (ISO/IEC 7812: at most 19; below 13 none is in use).
const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// Characters after a track separator that are hidden: track 3 has no more.
const LONGEST_TAIL: usize = 107;

/// Digits that may stay at the beginning and at the end of a card number.
const FIRST: usize = 6;
const LAST: usize = 4;

/// Which units must be hidden.
///
/// `inside` is given where a number may be joined to its length or its neighbours, as among the
/// nibbles of bytes; it says whether the units of a range may be a number at all.
///
/// The time is linear: each run is looked at once, with seven lengths of window.
pub(super) fn hidden(units: &[Unit], inside: Option<&dyn Fn(Range<usize>) -> bool>) -> Vec<bool> {
    let mut finder = Finder { units, hidden: vec![false; units.len()], inside };
    let mut cluster: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < units.len() {
        let end = at + units.iter().skip(at).take_while(|unit| digit(unit).is_some()).count();
        if end > at {
            finder.run(at..end);
            cluster.push(at..end);
            at = end;
        }
        // One separator, with a digit after it, goes on with the cluster.
        let joined = finder.kind(at) == Some(Kind::Separator)
            && matches!(finder.kind(at + 1), Some(Kind::Digit(_)))
            && !cluster.is_empty();
        if !joined {
            finder.groups(&cluster);
            cluster.clear();
        }
        at += 1;
    }
    finder.groups(&cluster);
    finder.hidden
}

struct Finder<'u> {
    units: &'u [Unit],
    hidden: Vec<bool>,
    inside: Option<&'u dyn Fn(Range<usize>) -> bool>,
}

impl Finder<'_> {
    fn kind(&self, at: usize) -> Option<Kind> {
        self.units.get(at).map(|unit| unit.kind)
    }

    /// A run of digits without separators.
    fn run(&mut self, run: Range<usize>) {
        if self.holds_card(run.clone()) || (run.len() >= SHORTEST && self.is_track(run.end)) {
            self.hide_middle(run.clone());
            self.hide_tail(run.end);
            return;
        }
        // Digits of one kind may be a number of their own to those who do not see the others.
        let mut start = run.start;
        for at in run.start + 1..=run.end {
            if (at == run.end || !self.is_alike(at)) && (start..at) != run {
                if self.holds_card(start..at) {
                    self.hide_middle(start..at);
                }
                start = at;
            }
        }
    }

    fn holds_card(&self, run: Range<usize>) -> bool {
        if run.len() < SHORTEST {
            return false;
        }
        let digits: Vec<u8> = self.digits(run.clone()).collect();
        let sums = Sums::new(&digits);
        match self.inside {
            None => sums.in_text(&digits),
            Some(inside) => {
                sums.anywhere(&digits, |window| inside(run.start + window.start..run.start + window.end))
            }
        }
    }

    /// Whether a unit is written as the one before it and right behind it.
    fn is_alike(&self, at: usize) -> bool {
        match (at.checked_sub(1).and_then(|before| self.units.get(before)), self.units.get(at)) {
            (Some(one), Some(next)) => {
                one.form == next.form
                    && one.source.len() == next.source.len()
                    && one.source.end == next.source.start
            }
            _ => false,
        }
    }

    /// Runs with one separator between each, as card numbers are printed.
    ///
    /// Amounts and reference numbers have more digits than a printed group, dates have their own
    /// shape, and smaller groups are lists of numbers, unless there is nothing else beside them.
    fn groups(&mut self, groups: &[Range<usize>]) {
        let evenly_small = groups.first().map_or(0, Range::len) < 3
            && groups.iter().zip(groups.iter().skip(1)).all(|(one, next)| one.len() == next.len());
        if groups.len() < 2 || evenly_small {
            return self.group_sequence(groups, 1);
        }
        for first in 0..groups.len() {
            self.group_sequence(groups.get(first..).unwrap_or_default(), 3);
        }
    }

    /// The card numbers that begin with the first of these groups and end with a later one.
    fn group_sequence(&mut self, groups: &[Range<usize>], smallest: usize) {
        let (mut places, mut digits) = (Vec::new(), Vec::new());
        for (at, group) in groups.iter().enumerate() {
            if digits.len() + group.len() > LONGEST {
                return;
            }
            places.extend(group.clone());
            digits.extend(self.digits(group.clone()));
            let ends_here = smallest > 1 || at + 1 == groups.len();
            if at > 0
                && ends_here
                && digits.first() != Some(&0)
                && Sums::new(&digits).is_card(0..digits.len())
            {
                for place in places.iter().take(places.len().saturating_sub(LAST)).skip(FIRST) {
                    self.hide(*place);
                }
                self.hide_tail(group.end);
            }
            if !(smallest..=8).contains(&group.len()) || self.is_date(group) {
                return;
            }
        }
    }

    fn digits(&self, places: Range<usize>) -> impl Iterator<Item = u8> {
        self.units.get(places).unwrap_or_default().iter().filter_map(digit)
    }

    /// `20YYMMDD` or `19YYMMDD`.
    fn is_date(&self, group: &Range<usize>) -> bool {
        let digits: Vec<u8> = self.digits(group.clone()).collect();
        let &[c1, c2, _, _, m1, m2, d1, d2] = digits.as_slice() else {
            return false;
        };
        matches!((c1, c2), (1, 9) | (2, 0))
            && (1..=12).contains(&(m1 * 10 + m2))
            && (1..=31).contains(&(d1 * 10 + d2))
    }

    /// Whether a track separator and what may be an expiry date follow.
    fn is_track(&self, at: usize) -> bool {
        let next = |ahead: usize| self.units.get(at + ahead).and_then(digit);
        match self.kind(at) {
            Some(Kind::Caret) => true,
            Some(Kind::Equals) => match (next(1), next(2), next(3), next(4)) {
                (Some(_), Some(_), Some(m1), Some(m2)) => (1..=12).contains(&(m1 * 10 + m2)),
                _ => false,
            },
            _ => false,
        }
    }

    fn hide_middle(&mut self, run: Range<usize>) {
        for place in run.start + FIRST..run.end.saturating_sub(LAST) {
            self.hide(place);
        }
    }

    /// What stands after the separator of a track: expiry date, service code and the issuer's data.
    fn hide_tail(&mut self, at: usize) {
        let name = match self.kind(at) {
            Some(Kind::Caret) => true,
            Some(Kind::Equals) if matches!(self.kind(at + 1), Some(Kind::Digit(_) | Kind::Equals)) => false,
            _ => return,
        };
        for place in at + 1..(at + 1 + LONGEST_TAIL).min(self.units.len()) {
            match self.kind(place) {
                Some(Kind::Digit(_) | Kind::Equals) => self.hide(place),
                Some(Kind::Separator | Kind::Caret | Kind::Other) if name => self.hide(place),
                _ => break,
            }
        }
    }

    fn hide(&mut self, place: usize) {
        if let Some(hidden) = self.hidden.get_mut(place) {
            *hidden = true;
        }
    }
}

fn digit(unit: &Unit) -> Option<u8> {
    match unit.kind {
        Kind::Digit(digit) => Some(digit),
        _ => None,
    }
}

/// Running sums over a run, so that the check digit of any window takes one subtraction.
struct Sums {
    /// Before each place and at the end.
    at: Vec<Sum>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    /// With the digits at odd places doubled, as ISO/IEC 7812-1 annex B does.
    odd_doubled: u32,
    even_doubled: u32,
    /// Digits other than 0.
    others: u32,
}

impl Sums {
    fn new(digits: &[u8]) -> Self {
        let mut sum = Sum::default();
        let mut at = Vec::with_capacity(digits.len() + 1);
        at.push(sum);
        for (place, &digit) in digits.iter().enumerate() {
            let plain = u32::from(digit);
            let doubled = if digit > 4 { plain * 2 - 9 } else { plain * 2 };
            let odd = place % 2 == 1;
            sum.odd_doubled += if odd { doubled } else { plain };
            sum.even_doubled += if odd { plain } else { doubled };
            sum.others += u32::from(digit != 0);
            at.push(sum);
        }
        Self { at }
    }

    /// Whether a window has the length and the check digit of a card number, and an account behind
    /// the six digits of its issuer: `2600000000000000` says how PINs are protected.
    fn is_card(&self, window: Range<usize>) -> bool {
        let after_issuer = self.at.get(window.start + FIRST);
        let (Some(start), Some(after_issuer), Some(end)) =
            (self.at.get(window.start), after_issuer, self.at.get(window.end))
        else {
            return false;
        };
        // The last digit is not doubled.
        let sum = if window.end.is_multiple_of(2) {
            end.even_doubled - start.even_doubled
        } else {
            end.odd_doubled - start.odd_doubled
        };
        (SHORTEST..=LONGEST).contains(&window.len())
            && sum.is_multiple_of(10)
            && end.others > after_issuer.others
    }

    fn len(&self) -> usize {
        self.at.len() - 1
    }

    /// All windows that have the length of a card number.
    fn windows(&self) -> impl Iterator<Item = Range<usize>> {
        let len = self.len();
        (0..len).flat_map(move |start| {
            (SHORTEST..=LONGEST)
                .map(move |length| start..start + length)
                .take_while(move |window| window.end <= len)
        })
    }

    /// Whether a run of digits in a text holds a card number: is one, is one filled with zeros
    /// behind it, announces one by its length (`16` and sixteen digits, as in a variable field), has
    /// one of a known issuer at an end (behind a tag, before a check value) or, when it is longer,
    /// has one inside.
    fn in_text(&self, digits: &[u8]) -> bool {
        let len = self.len();
        if len > LONGEST {
            return self.windows().any(|window| self.is_card(window));
        }
        let zeros = digits.iter().rev().take_while(|digit| **digit == 0).count();
        if (0..=zeros).any(|zeros| self.is_card(0..len - zeros)) {
            return true;
        }
        let announced = |window: &Range<usize>| {
            let before = window.start.checked_sub(2).and_then(|before| digits.get(before..window.start));
            matches!(before, Some([tens, ones]) if usize::from(tens * 10 + ones) == window.len())
        };
        let issued = |window: &Range<usize>| {
            let at_an_end = window.start == 0 || window.end == len;
            at_an_end && digits.get(window.clone()).is_some_and(is_issued)
        };
        self.windows().any(|window| (announced(&window) || issued(&window)) && self.is_card(window))
    }

    /// Whether a run of digits without known bounds holds a card number: is one, or has one inside
    /// that does not begin with 0. The digits around it may be a length, a tag or half a byte.
    fn anywhere(&self, digits: &[u8], inside: impl Fn(Range<usize>) -> bool) -> bool {
        let len = self.len();
        if len <= LONGEST && self.is_card(0..len) {
            return true;
        }
        self.windows().any(|window| {
            let begins = digits.get(window.start) != Some(&0) || len > LONGEST;
            begins && self.is_card(window.clone()) && inside(window)
        })
    }
}

/// Whether a number has the first digits and the length of cards that are in wide use.
fn is_issued(number: &[u8]) -> bool {
    let &[a, b, c, d, ..] = number else { return false };
    match (a, b, number.len()) {
        (4, _, 13 | 16 | 19) | (5, 1..=5, 16) | (3, 4 | 7, 15) | (3, 0 | 6 | 8 | 9, 14) | (3, 5, 16) => true,
        (2, ..) => number.len() == 16 && (22..=27).contains(&(a * 10 + b)) && (a, b, c, d) >= (2, 2, 2, 1),
        (6, _, 16..=19) | (5, 0 | 6..=8, 13..=19) => true,
        _ => false,
    }
}
