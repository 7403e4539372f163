use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(text: &str) -> Window {
    text.parse().unwrap()
}

fn zone(text: &str) -> Zone {
    text.parse().unwrap()
}

#[test]
fn the_zone_of_a_terminal_that_says_nothing_is_shanghai() {
    assert_eq!(Zone::default().as_str(), "Asia/Shanghai");
    assert_eq!(zone("asia/shanghai"), Zone::default());
    assert_eq!(zone("UTC"), Zone::UTC);
    assert_eq!(serde_json::to_string(&Zone::default()).unwrap(), "\"Asia/Shanghai\"");
    let error = "Asia/Beijing".parse::<Zone>().unwrap_err().to_string();
    assert_eq!(error, "\"Asia/Beijing\" is not a time zone: it is an IANA name such as Asia/Shanghai");
}

#[test]
fn a_window_reads_back_from_its_text() {
    for text in [
        "daily 01:00-05:00",
        "mon-fri 22:00-04:00",
        "mon,tue,thu-sun 00:00-00:00",
        "wed 09:30-09:31",
        "sat,sun 00:00-23:59",
    ] {
        assert_eq!(window(text).to_string(), text);
    }
    assert_eq!(window("mon,tue,wed 01:00-02:00").to_string(), "mon-wed 01:00-02:00");
    for bad in [
        "",
        "daily",
        "daily 1:00-2:00",
        "daily 24:00-01:00",
        "fri-mon 01:00-02:00",
        "day 01:00-02:00",
        "daily 01:00",
        ",mon 01:00-02:00",
        "daily 01:00-02:00 ",
        "daily +1:00-02:00",
    ] {
        assert!(bad.parse::<Window>().is_err(), "{bad}");
    }
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let (friday_night, shanghai) = (window("fri 22:00-04:00"), Zone::default());
    // 2026-11-27 is a Friday; Shanghai is eight hours ahead.
    assert!(!friday_night.is_open(at("2026-11-27T13:59:59Z"), &shanghai));
    assert!(friday_night.is_open(at("2026-11-27T14:00:00Z"), &shanghai));
    assert!(friday_night.is_open(at("2026-11-27T19:59:59Z"), &shanghai));
    assert!(!friday_night.is_open(at("2026-11-27T20:00:00Z"), &shanghai));
    assert!(!friday_night.is_open(at("2026-11-28T14:00:00Z"), &shanghai));
    let opening = friday_night.next_opening(at("2026-11-27T20:00:00Z"), &shanghai);
    assert_eq!(opening, Some(at("2026-12-04T14:00:00Z")));
    let closing = friday_night.next_closing(at("2026-11-27T15:00:00Z"), &shanghai);
    assert_eq!(closing, Some(at("2026-11-27T20:00:00Z")));
}

#[test]
fn a_window_that_the_clock_leaps_over_does_not_open_that_day() {
    // In Berlin, 2026-03-29 has no times from 02:00 to 03:00.
    let berlin = zone("Europe/Berlin");
    let gone = window("daily 02:15-02:45").next_opening(at("2026-03-28T12:00:00Z"), &berlin);
    assert_eq!(gone, Some(at("2026-03-30T00:15:00Z")));
    // One that begins in the gap and ends after it opens when the clock arrives in it.
    let partly = window("daily 02:30-04:00").next_opening(at("2026-03-28T12:00:00Z"), &berlin);
    assert_eq!(partly, Some(at("2026-03-29T01:00:00Z")));
    // A weekly one waits for the week after.
    let weekly = window("sun 02:15-02:45").next_opening(at("2026-03-28T12:00:00Z"), &berlin);
    assert_eq!(weekly, Some(at("2026-04-05T00:15:00Z")));
}

#[test]
fn times_that_the_clock_shows_twice_are_open_twice() {
    // In Berlin, 2026-10-25 has the times from 02:00 to 03:00 twice.
    let (berlin, night) = (zone("Europe/Berlin"), window("daily 02:15-02:45"));
    let first = night.next_opening(at("2026-10-24T12:00:00Z"), &berlin).unwrap();
    assert_eq!(first, at("2026-10-25T00:15:00Z"));
    let closing = night.next_closing(first, &berlin).unwrap();
    assert_eq!(closing, at("2026-10-25T00:45:00Z"));
    assert_eq!(night.next_opening(closing, &berlin), Some(at("2026-10-25T01:15:00Z")));
}

#[test]
fn a_window_of_every_whole_day_never_closes() {
    let always = window("daily 00:00-00:00");
    assert_eq!(always.next_closing(at("2026-03-28T12:00:00Z"), &zone("Europe/Berlin")), None);
    assert_eq!(always.next_opening(Timestamp::MAX, &Zone::UTC), Some(Timestamp::MAX));
    assert_eq!(window("mon 00:00-00:01").next_opening(Timestamp::MAX, &Zone::UTC), None);
}

/// Places and moments at which clocks do what they seldom do.
const STRANGE: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-29T00:00:00Z"),
    ("Europe/Berlin", "2026-10-25T00:00:00Z"),
    ("America/New_York", "2026-11-01T04:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T14:00:00Z"),
    ("Asia/Shanghai", "1986-05-03T16:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z"),
    // A day that never was, and half an hour that was twice.
    ("Pacific/Apia", "2011-12-30T08:00:00Z"),
    ("Asia/Pyongyang", "2015-08-14T14:00:00Z"),
];

fn windows() -> impl Strategy<Value = Window> {
    (1..128_u8, 0..24_i8, 0..60_i8, 0..24_i8, 0..60_i8, any::<bool>()).prop_map(
        |(days, h, m, h2, m2, daily)| {
            let days = (0..7).filter(|day| daily || days >> day & 1 == 1);
            let days = days.map(|day| jiff::civil::Weekday::from_monday_zero_offset(day).unwrap());
            let time = |hour, minute| Time::new(hour, minute, 0, 0).unwrap();
            Window::new(Days::new(days).unwrap(), time(h, m), time(h2, m2))
        },
    )
}

/// Written apart from the code under test: walks along the wall clock, minute by minute.
fn walked(window: &Window, after: Timestamp, zone: &Zone, open: bool) -> Option<Timestamp> {
    let text = window.to_string();
    let (_, times) = text.split_once(' ').unwrap();
    let (from, to) = times.split_once('-').unwrap();
    (0..14 * 24 * 60).map(|minute| after + i64::from(minute).minutes()).find(|at| {
        let clock = zone.local(*at);
        let shown = format!("{:02}:{:02}", clock.hour(), clock.minute());
        let (today, yesterday) = (clock.weekday(), clock.weekday().previous());
        let days = window.days();
        let is_open = match from < to {
            true => days.contains(today) && shown.as_str() >= from && shown.as_str() < to,
            false => {
                days.contains(today) && shown.as_str() >= from
                    || days.contains(yesterday) && shown.as_str() < to
            }
        };
        is_open == open
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn openings_and_closings_are_those_found_minute_by_minute(
        window in windows(),
        strange in proptest::sample::select(&STRANGE[..]),
        minutes in -3_000..3_000_i64,
        open in any::<bool>(),
    ) {
        let zone = zone(strange.0);
        let after = at(strange.1) + minutes.minutes();
        let found = window.next(after, &zone, open);
        let walked = walked(&window, after, &zone, open);
        match walked {
            Some(_) => prop_assert_eq!(found, walked),
            None => prop_assert!(found.is_none_or(|found| found > after + (13 * 24).hours())),
        }
    }

    #[test]
    fn every_window_reads_back(window in windows()) {
        prop_assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
    }
}
