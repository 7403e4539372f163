use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn ms(ms: i64) -> Timestamp {
    NOW + SignedDuration::from_millis(ms)
}

fn link(settings: Settings) -> Link {
    Link::new(settings, Rng::new(1))
}

fn send(link: &mut Link, frames: &[&str], now: Timestamp) {
    for frame in frames {
        link.send(End::Terminal, frame.as_bytes().to_vec(), now);
    }
}

/// What arrives in the next hour: time in ms, end, and the frame, `closed` or `broken`.
fn arrivals(link: &mut Link) -> Vec<(i64, End, String)> {
    let mut all = Vec::new();
    while let Some(due) = link.next_due().filter(|due| *due < ms(3_600_000)) {
        let (end, arrival) = link.poll(due).unwrap();
        let text = match arrival {
            Arrival::Frame(frame) => String::from_utf8_lossy(&frame).into_owned(),
            Arrival::Closed => "closed".to_owned(),
            Arrival::Broken => "broken".to_owned(),
        };
        all.push((due.duration_since(NOW).as_millis() as i64, end, text));
    }
    all
}

fn texts(link: &mut Link) -> Vec<String> {
    arrivals(link).into_iter().map(|(_, _, text)| text).collect()
}

#[test]
fn frames_arrive_after_the_delay_in_their_order() {
    let mut link = link(Settings::protected());
    send(&mut link, &["a", "b"], NOW);
    link.send(End::Host, b"c".to_vec(), ms(5));
    assert_eq!(link.poll(ms(19)), None);
    let expected = [(20, End::Host, "a"), (20, End::Host, "b"), (25, End::Terminal, "c")];
    assert_eq!(arrivals(&mut link), expected.map(|(at, end, text)| (at, end, text.to_owned())));
}

#[test]
fn a_line_of_so_many_bits_takes_its_time_and_one_frame_waits_for_the_other() {
    let mut link = link(Settings { bits_per_second: Some(8_000), ..Settings::protected() });
    send(&mut link, &["0123456789", "0123456789"], NOW);
    let due: Vec<_> = arrivals(&mut link).into_iter().map(|(at, ..)| at).collect();
    assert_eq!(due, [30, 40]);
}

#[test]
fn jitter_keeps_the_order_under_tls_and_not_without() {
    let jitter = SignedDuration::from_millis(500);
    let frames: Vec<_> = (10..40).map(|n| n.to_string()).collect();
    let frames: Vec<_> = frames.iter().map(String::as_str).collect();
    for (settings, in_order) in [(Settings::protected(), true), (Settings::bare(), false)] {
        let mut link = link(Settings { jitter, ..settings });
        send(&mut link, &frames, NOW);
        assert_eq!(texts(&mut link) == frames, in_order);
    }
}

#[test]
fn without_tls_each_fault_is_delivered_as_it_is() {
    let scripted = |fault| {
        let mut link = link(Settings::bare());
        link.script(End::Terminal, 2, fault);
        send(&mut link, &["\0\x02aa", "\0\x04bbbb", "\0\x02cc"], NOW);
        texts(&mut link)
    };
    assert_eq!(scripted(Fault::Lose), ["\0\x02aa", "\0\x02cc"]);
    assert_eq!(scripted(Fault::Delay(SignedDuration::from_secs(1))), ["\0\x02aa", "\0\x02cc", "\0\x04bbbb"]);
    assert_eq!(scripted(Fault::Reorder), ["\0\x02aa", "\0\x02cc", "\0\x04bbbb"]);
    let mut twice = scripted(Fault::Duplicate);
    twice.sort();
    assert_eq!(twice, ["\0\x02aa", "\0\x02cc", "\0\x04bbbb", "\0\x04bbbb"]);
    assert_eq!(scripted(Fault::Truncate { keep_bytes: 4 }), ["\0\x02aa", "\0\x02bb", "\0\x02cc"]);
    assert_eq!(scripted(Fault::Corrupt { bit: 16 }), ["\0\x02aa", "\0\x04cbbb", "\0\x02cc"]);
    assert_eq!(scripted(Fault::HalfClose), ["\0\x02aa", "\0\x04bbbb", "closed"]);
    assert_eq!(scripted(Fault::Break), ["broken", "broken"]);
}

#[test]
fn under_tls_what_was_changed_breaks_the_connection_and_what_was_lost_stops_it() {
    let scripted = |fault| {
        let mut link = link(Settings::protected());
        link.script(End::Terminal, 2, fault);
        send(&mut link, &["a", "b", "c"], NOW);
        arrivals(&mut link)
    };
    let told = |at, end, text: &str| (at, end, text.to_owned());
    for fault in
        [Fault::Corrupt { bit: 0 }, Fault::Truncate { keep_bytes: 0 }, Fault::Duplicate, Fault::Reorder]
    {
        let expected =
            [told(20, End::Host, "a"), told(20, End::Host, "broken"), told(40, End::Terminal, "broken")];
        assert_eq!(scripted(fault), expected, "{fault:?}");
    }
    assert_eq!(scripted(Fault::Lose), [told(20, End::Host, "a")]);
    let late = scripted(Fault::Delay(SignedDuration::from_secs(1)));
    assert_eq!(late, [told(20, End::Host, "a"), told(1020, End::Host, "b"), told(1020, End::Host, "c")]);
}

#[test]
fn an_end_that_closed_still_hears_the_other() {
    let mut link = link(Settings::protected());
    send(&mut link, &["last"], NOW);
    link.close(End::Terminal, NOW);
    send(&mut link, &["never"], NOW);
    link.send(End::Host, b"answer".to_vec(), NOW);
    assert_eq!(texts(&mut link), ["last", "closed", "answer"]);
    assert!(!link.is_over());
    link.close(End::Host, ms(50));
    assert_eq!(texts(&mut link), ["closed"]);
    assert!(link.is_over());
}

#[test]
fn a_broken_connection_tells_each_end_once_and_carries_nothing() {
    let mut link = link(Settings::bare());
    send(&mut link, &["lost"], NOW);
    link.break_off(ms(1));
    link.break_off(ms(2));
    send(&mut link, &["never"], ms(3));
    assert_eq!(texts(&mut link), ["broken", "broken"]);
    link.break_off(ms(4));
    assert_eq!(link.next_due(), None);
}

#[test]
fn a_partition_delays_what_tls_carries_and_loses_the_rest() {
    for (settings, expected) in [
        (Settings::protected(), &["before", "within", "after"][..]),
        (Settings::bare(), &["before", "after"]),
    ] {
        let mut link = link(settings);
        send(&mut link, &["before"], NOW);
        link.partition(ms(60_000));
        send(&mut link, &["within"], ms(10));
        assert!(link.next_due() >= Some(ms(60_000)));
        send(&mut link, &["after"], ms(60_001));
        assert_eq!(texts(&mut link), expected);
    }
}

#[test]
fn what_the_other_end_does_not_take_breaks_the_connection_at_a_limit() {
    let mut link = link(Settings { queue_bytes: 10, bits_per_second: Some(8), ..Settings::protected() });
    send(&mut link, &["01234", "01234"], NOW);
    assert_eq!(link.counts().most_bytes_under_way, 10);
    send(&mut link, &["5"], NOW);
    assert_eq!(texts(&mut link), ["broken", "broken"]);
}

#[test]
fn the_same_seed_does_the_same_things() {
    let run = |seed| {
        let settings = Settings { chances: Chances::all(30_000), ..Settings::bare() };
        let mut link = Link::new(settings, Rng::new(seed));
        for n in 0..200 {
            send(&mut link, &["some frame", "another"], ms(n * 10));
        }
        (arrivals(&mut link), link.counts().clone())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn every_fault_happens_by_chance() {
    let mut seen = Counts::default();
    for seed in 0..400 {
        let settings = Settings { chances: Chances::all(10_000), ..Settings::bare() };
        let mut link = Link::new(settings, Rng::new(seed));
        for n in 0..50 {
            send(&mut link, &["some frame"], ms(n));
        }
        for (name, count) in &link.counts().faults {
            *seen.faults.entry(name).or_default() += count;
        }
    }
    assert_eq!(seen.faults.len(), 8, "{seen:?}");
}
