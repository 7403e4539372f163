//! A push of parameters and its answer.

use jiff::Timestamp;
use tms_proto::{
    HostRequest, HostSession, TerminalSession,
    parameters::{Held, Push, RecordFile, Values},
};
use uuid::Uuid;

fn values(retries: &str) -> Values {
    Values::from([("retries".into(), retries.into()), ("timeout_s".into(), "60".into())])
}

/// A change of one parameter.
pub(crate) fn send(host: &mut HostSession, operation: Uuid, now: Timestamp) {
    let (old, new) = (values("2"), values("3"));
    let mut pushes = Push::difference(|| operation, RecordFile::Parameters, 1, &old, &new);
    host.push_parameters(pushes.remove(0), now).unwrap();
}

pub(crate) fn answer(terminal: &mut TerminalSession, request: HostRequest, push: Push, now: Timestamp) {
    let mut held = Held::new(RecordFile::Parameters, 1, values("2"));
    let (answer, _) = held.take(&push, 900);
    assert_eq!(answer.refused(), None);
    terminal.answer_push(request, &answer, now).unwrap();
}
