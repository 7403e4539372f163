//! A push of parameters and its answer.

use jiff::Timestamp;
use tms_proto::{
    HostRequest, HostSession, TerminalSession,
    parameters::{Push, Values},
};
use uuid::Uuid;

pub(crate) fn send(host: &mut HostSession, operation: Uuid, now: Timestamp) {
    let values = Values::from([("retries".into(), "3".into()), ("timeout_s".into(), "60".into())]);
    host.push_parameters(Push { operation, revision: 2, values }, now).unwrap();
}

pub(crate) fn answer(terminal: &mut TerminalSession, request: HostRequest, _push: Push, now: Timestamp) {
    terminal.answer(request, None, now).unwrap();
}
