//! Records that the host pushes.

use jiff::Timestamp;
use tms_proto::parameters::{Held, Outcome, Progress, Push, PushAnswer, PushRefusal, RecordFile};

use super::{Connection, Exit};

impl Connection {
    /// Carries out a push of parameters, and says what to answer once it is durable.
    pub(super) fn take_push(&mut self, push: &Push, now: Timestamp) -> Result<PushAnswer, Exit> {
        let (revision, values) = {
            let machine = self.machine();
            (machine.state.parameters_revision.unwrap_or(0), machine.state.parameters.clone())
        };
        let room_bytes = self.session.profile().data_bytes();
        let mut held =
            self.pushed.take().unwrap_or_else(|| Held::new(RecordFile::Parameters, revision, values.clone()));
        held.set(revision, values);
        let before = held.standing();
        let (mut answer, progress) = held.take(push, room_bytes);
        if progress == Progress::Store {
            let in_force = answer.standing.revision;
            if self.machine().set_parameters(held.values().clone(), Some(in_force), now)? {
                self.status.parameters_applied();
                self.report_due = now;
            } else {
                answer.outcome = Outcome::Refused(PushRefusal::TooMuch);
                answer.standing = before;
            }
        }
        self.pushed = Some(held);
        Ok(answer)
    }
}
