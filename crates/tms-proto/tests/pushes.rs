//! Pushes of records between both ends of a connection, in the profiles whose host may speak first.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use iso8583::Message;
use jiff::{Timestamp, civil::date};
use tms_proto::{
    Answer, HostEvent, HostSession, Identity, Profile, Refusal, TerminalEvent, TerminalSession,
    emv::{Capk, CapkId, CapkSet, Expiry},
    parameters::{Action, Held, Outcome, Part, Progress, Push, PushAnswer, PushRefusal, RecordFile, Values},
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
    profile: Arc<Profile>,
    /// Selector and DE101 of each message of the host.
    sent: Vec<(String, String)>,
}

impl Pair {
    fn signed_on(name: &str) -> Self {
        let profile = Arc::new(Profile::builtin(name).unwrap());
        let mut pair = Self {
            host: HostSession::new(profile.clone(), Some("10000001".into())),
            terminal: TerminalSession::new(profile.clone(), Identity::new("10000001", "102310060510002")),
            profile,
            sent: Vec::new(),
        };
        pair.terminal.sign_on(b"", NOW).unwrap();
        pair.host.receive(&pair.terminal.poll_transmit().unwrap(), NOW).unwrap();
        let exchange = pair.host.poll_event().unwrap().into_exchange().unwrap();
        pair.host.answer(exchange, Answer::Approved, NOW).unwrap();
        pair.terminal.receive(&pair.host.poll_transmit().unwrap(), NOW).unwrap();
        pair.terminal.poll_event().unwrap();
        pair
    }

    /// Carries the host's messages to the terminal and its answers back, until the host has its answer.
    fn push(
        &mut self,
        push: Push,
        mut answer: impl FnMut(&Push, usize) -> PushAnswer,
    ) -> (Option<Refusal>, Option<PushAnswer>) {
        self.host.push_parameters(push.clone(), NOW).unwrap();
        loop {
            let frame = self.host.poll_transmit().expect("a message of the push");
            let (whole, _) = self.profile.framing().split(&frame, frame.len()).unwrap().unwrap();
            let message = Message::parse(self.profile.dialect(), whole.body).unwrap();
            let selector = if message.has(91) { "91" } else { "24" };
            let text = |n| message.text(n).unwrap().trim_end().to_owned();
            self.sent.push((text(selector), text("101")));

            self.terminal.receive(&frame, NOW).unwrap();
            let Some(TerminalEvent::ParameterPush { request, push: got }) = self.terminal.poll_event() else {
                panic!("no push arrived")
            };
            let answer = answer(&got, self.profile.data_bytes());
            self.terminal.answer_push(request, &answer, NOW).unwrap();
            self.host.receive(&self.terminal.poll_transmit().unwrap(), NOW).unwrap();
            match self.host.poll_event() {
                None => {}
                Some(HostEvent::PushAnswered { push: pushed, refusal, answer }) => {
                    assert_eq!(pushed, push);
                    return (refusal, answer.map(|answer| *answer));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn many() -> Values {
    (0..400).map(|n| (format!("name{n:03}"), "v".repeat(60))).collect()
}

fn keys() -> CapkSet {
    let mut set = CapkSet::default();
    for index in 0..40 {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
        let expiry = Expiry::new(date(2030, 12, 31)).unwrap();
        set.insert(Capk::new(id, expiry, &[0xC1; 248], &[3]).unwrap()).unwrap();
    }
    set
}

#[test]
fn each_action_has_its_code_and_each_file_its_name() {
    for (name, codes) in
        [("iso87", ["1", "2", "3", "4", "5"]), ("iso93", ["301", "302", "303", "306", "305"])]
    {
        let mut pair = Pair::signed_on(name);
        for (file, action) in RecordFile::ALL.into_iter().flat_map(|f| Action::ALL.map(|a| (f, a))) {
            let mut held = Held::new(file, 1, Values::new());
            let base = Some(held.standing());
            let push = Push { action, base, ..Push::replace_all(Uuid::from_u128(1), file, 2, Values::new()) };
            let (refusal, answer) = pair.push(push.clone(), |got, room| {
                assert_eq!(*got, push);
                held.take(got, room).0
            });
            assert_eq!((refusal, answer.unwrap().outcome), (None, Outcome::Done), "{name} {file} {action}");
            let sent = pair.sent.pop().unwrap();
            assert_eq!(sent, (codes[action.place()].to_owned(), file.name().to_owned()));
        }
    }
}

#[test]
fn a_set_larger_than_a_message_arrives_in_parts_and_takes_effect_at_the_last() {
    for name in ["iso87", "iso93"] {
        let mut pair = Pair::signed_on(name);
        let mut held = Held::new(RecordFile::Parameters, 0, Values::new());
        let mut stored = 0;
        let (refusal, answer) = pair.push(Push::parameters(Uuid::from_u128(1), 1, many()), |push, room| {
            let (answer, progress) = held.take(push, room);
            stored += usize::from(progress == Progress::Store);
            answer
        });
        assert_eq!((refusal, stored), (None, 1));
        assert!(pair.sent.len() > 4, "{} messages", pair.sent.len());
        assert_eq!(answer.unwrap().standing, held.standing());
        assert_eq!(*held.values(), many());

        let (refusal, answer) = pair
            .push(Push::inquire(Uuid::from_u128(2), RecordFile::Parameters), |push, room| {
                held.take(push, room).0
            });
        let answer = answer.unwrap();
        assert_eq!((refusal, answer.part), (None, Part::WHOLE));
        assert_eq!(answer.values, many(), "what a terminal has can be asked for, whatever its size");
    }
}

#[test]
fn keys_can_be_pushed_where_the_host_may_speak_first() {
    let mut pair = Pair::signed_on("iso87");
    let mut held = Held::new(RecordFile::Capk, 0, Values::new());
    let push = Push::replace_all(Uuid::from_u128(1), RecordFile::Capk, 1, Values::from(&keys()));
    let (refusal, _) = pair.push(push, |push, room| held.take(push, room).0);
    assert_eq!(refusal, None);
    assert_eq!(CapkSet::try_from(held.values()).unwrap(), keys());
}

#[test]
fn a_difference_for_another_set_is_refused_with_the_reason_and_what_the_terminal_has() {
    for name in ["iso87", "iso93"] {
        let mut pair = Pair::signed_on(name);
        let mut held = Held::new(RecordFile::Parameters, 7, values(&[("a", "1")]));
        let believed = values(&[("a", "2")]);
        let pushes = Push::difference(
            || Uuid::from_u128(1),
            RecordFile::Parameters,
            7,
            &believed,
            &values(&[("a", "3")]),
        );
        let (refusal, answer) = pair.push(pushes[0].clone(), |push, room| held.take(push, room).0);
        let answer = answer.unwrap();
        assert_eq!(refusal, Some(Refusal::NotFound));
        assert_eq!(answer.refused(), Some(PushRefusal::WrongBase));
        assert_eq!(answer.standing, held.standing());
    }
}

#[test]
fn a_terminal_that_keeps_everything_and_does_nothing_is_not_believed() {
    let mut pair = Pair::signed_on("iso87");
    let held = Held::new(RecordFile::Parameters, 0, Values::new());
    let kept = |_: &Push, _: usize| PushAnswer {
        outcome: Outcome::Kept,
        standing: held.standing(),
        part: Part::WHOLE,
        values: Values::new(),
    };
    let (refusal, _) = pair.push(Push::parameters(Uuid::from_u128(1), 1, many()), kept);
    assert_eq!(refusal, Some(Refusal::FormatError));
}

#[test]
fn an_endless_answer_to_an_inquiry_is_given_up() {
    let mut pair = Pair::signed_on("iso87");
    let held = Held::new(RecordFile::Parameters, 0, Values::new());
    let mut messages = 0;
    let (refusal, answer) =
        pair.push(Push::inquire(Uuid::from_u128(1), RecordFile::Parameters), |push, _| {
            messages += 1;
            let values = (0..60).map(|n| (format!("{messages}.{n}"), String::new())).collect();
            let part = Part { number: push.part.number, count: 99 };
            PushAnswer { outcome: Outcome::Done, standing: held.standing(), part, values }
        });
    assert_eq!((refusal, answer), (Some(Refusal::FormatError), None));
    assert!(messages < 20, "{messages}");
}

#[test]
fn a_set_that_changes_between_two_messages_of_an_answer_is_none() {
    let mut pair = Pair::signed_on("iso87");
    let mut held = Held::new(RecordFile::Parameters, 0, many());
    let (refusal, answer) =
        pair.push(Push::inquire(Uuid::from_u128(1), RecordFile::Parameters), |push, room| {
            let (answer, _) = held.take(push, room);
            held.set(held.standing().revision + 1, many());
            answer
        });
    assert_eq!((refusal, answer), (Some(Refusal::Busy), None));
}

#[test]
fn a_terminal_may_answer_each_message_with_its_code_alone() {
    let mut pair = Pair::signed_on("iso87");
    pair.host.push_parameters(Push::parameters(Uuid::from_u128(1), 1, many()), NOW).unwrap();
    let mut messages = 0;
    let answered = loop {
        pair.terminal.receive(&pair.host.poll_transmit().unwrap(), NOW).unwrap();
        let Some(TerminalEvent::ParameterPush { request, .. }) = pair.terminal.poll_event() else { panic!() };
        pair.terminal.answer(request, None, NOW).unwrap();
        pair.host.receive(&pair.terminal.poll_transmit().unwrap(), NOW).unwrap();
        messages += 1;
        if let Some(event) = pair.host.poll_event() {
            break event;
        }
    };
    assert!(matches!(answered, HostEvent::PushAnswered { refusal: None, answer: None, .. }), "{answered:?}");
    assert!(messages > 4);
}

#[test]
fn a_profile_whose_push_lacks_an_action_is_refused() {
    let text = include_str!("../profiles/iso87.toml");
    let text = text.replace(r#"codes = ["1", "2", "3", "4", "5"]"#, r#"codes = ["1", "2"]"#);
    let error = Profile::from_toml(&text).unwrap_err().to_string();
    assert!(error.contains("five codes"), "{error}");
}
