//! One message at the host: frame in, message read, handled and answered, frame out. No I/O.
//!
//! `cargo bench -p tms-proto`

#![allow(missing_docs, reason = "the macros of criterion document nothing")]
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot begin stops")]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use tms_proto::{
    Answer, Function, HostEvent, HostSession, Identity, Profile, TerminalSession, parameters::Values,
    report::Report,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const STATIC_KEY: [u8; 16] = [0x5A; 16];

/// A host that met its terminal, and frames that this one sent.
struct Case {
    host: HostSession,
    frame: Vec<u8>,
}

impl Case {
    fn new(profile: &Arc<Profile>, send: impl FnOnce(&mut TerminalSession)) -> Self {
        let identity = Identity::new("10000001", "102310060510002");
        let mut terminal = TerminalSession::new(Arc::clone(profile), identity);
        let mut host = HostSession::new(Arc::clone(profile), Some("10000001".to_owned()));
        if let Ok(key) = profile.static_mac_key(&STATIC_KEY) {
            terminal.set_mac_key(key.clone()).expect("a static key");
            host.set_mac_key(key).expect("a static key");
        }
        send(&mut terminal);
        Self { host, frame: terminal.poll_transmit().expect("a request") }
    }

    /// What a server does with a frame.
    fn serve(&mut self, out: &mut Vec<u8>) {
        self.host.receive(black_box(&self.frame), NOW).expect("a message");
        while let Some(event) = self.host.poll_event() {
            match event {
                HostEvent::Echo | HostEvent::MacUnchecked(_) => {}
                HostEvent::Refused { reason, .. } => panic!("refused: {reason}"),
                event => {
                    let exchange = black_box(event).into_exchange().expect("a request");
                    self.host.answer(exchange, Answer::Approved, NOW).expect("an answer");
                }
            }
        }
        out.clear();
        assert!(self.host.poll_transmit_into(out), "an answer goes out");
    }
}

/// All status tags of facts §4.4, 127 bytes.
fn status() -> Values {
    let mut values: Values = [
        ("application_type", "60"),
        ("timeout_s", "30"),
        ("retries", "3"),
        ("phone_1", "82790625"),
        ("phone_2", "82790626"),
        ("phone_3", "82790627"),
        ("management_phone", "82790628"),
        ("tip_allowed", "0"),
        ("tip_percent", "10"),
        ("manual_entry", "0"),
        ("auto_sign_off", "0"),
        ("resend_count", "3"),
        ("tmk_index", "1"),
        ("offline_upload_count", "10"),
        ("communication_statistics", "72000999980"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    tms_proto::report::Health::default().put_tags(&mut values);
    values
}

fn bench(criterion: &mut Criterion, name: &str, mut case: Case) {
    let mut out = Vec::new();
    criterion.bench_function(name, |bencher| bencher.iter(|| case.serve(&mut out)));
}

fn sessions(criterion: &mut Criterion) {
    for name in Profile::builtin_names() {
        let profile = Arc::new(Profile::builtin(name).expect("built in"));
        bench(criterion, &format!("{name} echo"), Case::new(&profile, |t| t.echo(NOW).expect("echo")));
        if profile.rule(Function::Status).is_some() {
            let case = Case::new(&profile, |t| t.status(&status(), NOW).expect("status"));
            bench(criterion, &format!("{name} status"), case);
        }
        if profile.rule(Function::Report).is_some() {
            let case = Case::new(&profile, |t| t.report(&Report::default(), NOW).expect("report"));
            bench(criterion, &format!("{name} report"), case);
        }
    }
    // Every message with its MAC checked, and every answer with one.
    let text = include_str!("../profiles/iso87.toml");
    let text = text.replace("protect = \"optional\"", "protect = \"required\"");
    let profile = Arc::new(Profile::from_toml(&text).expect("a profile"));
    bench(criterion, "iso87 echo with MACs", Case::new(&profile, |t| t.echo(NOW).expect("echo")));
}

criterion_group!(benches, sessions);
criterion_main!(benches);
