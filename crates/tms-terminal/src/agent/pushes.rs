//! Records that the host pushes: parameters, and what chip cards need.

use jiff::Timestamp;
use tms_proto::parameters::{Held, Outcome, Progress, Push, PushAnswer, PushRefusal, RecordFile};

use super::{Connection, Exit};

impl Connection {
    /// Carries out a push, and says what to answer once it is durable.
    pub(super) fn take_push(&mut self, push: &Push, now: Timestamp) -> Result<PushAnswer, Exit> {
        let file = push.file;
        let (revision, values) = self.machine().records(file);
        let room_bytes = self.session.profile().data_bytes();
        let mut held = self.pushed.remove(&file).unwrap_or_else(|| Held::new(file, revision, values.clone()));
        held.set(revision, values);
        let before = held.standing();
        let (mut answer, progress) = held.take(push, room_bytes);
        if progress == Progress::Store {
            let in_force = answer.standing.revision;
            let taken = match file {
                RecordFile::Parameters => {
                    self.machine().set_parameters(held.values().clone(), Some(in_force), now)?
                }
                _ => self.machine().set_records(file, held.values(), in_force)?,
            };
            if taken {
                if file == RecordFile::Parameters {
                    self.status.parameters_applied();
                }
                self.report_due = now;
            } else {
                answer.outcome = Outcome::Refused(PushRefusal::TooMuch);
                answer.standing = before;
            }
        }
        self.pushed.insert(file, held);
        Ok(answer)
    }
}
