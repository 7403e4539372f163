//! Requests that the host refused, answered uselessly, or did not answer.

use jiff::Timestamp;
use tms_proto::{Asked, Function, Refusal, Remedy};

use super::{Connection, Exit, InFlight, RETRY_AFTER_MS, sign_on};
use crate::failure::{Failure, FailureKind};

/// So many refusals in a row that are about the message, and not about what it says, are believed.
const MAX_SPOILED: u8 = 5;

/// Refusals in a row of what is told now that may come from a line that spoils messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spoiled {
    pub(super) alarm: u8,
    pub(super) result: u8,
}

/// Whether a refusal is one that saying the same again may help against, given those before it.
fn may_be_spoiled(refusal: Refusal, before: &mut u8) -> bool {
    *before = before.saturating_add(1);
    refusal.is_about_message() && *before < MAX_SPOILED
}

impl Connection {
    pub(super) fn on_refused(
        &mut self,
        asked: &Asked,
        refusal: Refusal,
        code: &str,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let what = asked.function();
        self.machine().note(now, 'W', "comm", &format!("host refused {what}: {refusal} (code {code})"));
        let ends_anyway =
            matches!(asked, Asked::Function(Function::SignOn) | Asked::Function(Function::SignOff));
        let renews = refusal == Refusal::MacWrong && !ends_anyway && self.renews_after_mac(what, now)?;
        // Said again later, like something for which the host had no time.
        let refusal = if renews { Refusal::Busy } else { refusal };
        if refusal.remedy() == Remedy::SignOn && !ends_anyway {
            // Only a new sign-on brings keys that both have (unionpay.md §6, 99 and A0), and it comes with
            // a new connection. This kind of failure lengthens the wait before it although the terminal was
            // signed on, so that a host that goes on refusing is asked less and less often.
            let (kind, reason) = if refusal == Refusal::MacWrong {
                (FailureKind::MacRefused, format!("the host found the MAC of the {what} missing or wrong"))
            } else {
                (
                    FailureKind::SessionOver,
                    format!("the host answered the {what} with a wish for a new sign-on"),
                )
            };
            return Err(Exit::Lost(Failure::new(kind, format!("{reason} (code {code})"), "")));
        }
        match asked {
            Asked::Function(Function::SignOn) => Err(Exit::Lost(sign_on::refused(refusal, code))),
            Asked::Function(Function::SignOff) => Err(Exit::Stopped),
            Asked::Function(Function::TaskPoll) => {
                self.polling = false;
                self.poll_at_interval(now);
                Ok(())
            }
            Asked::Function(function) if refusal.may_retry() => {
                self.ask_again(*function, now);
                Ok(())
            }
            Asked::Block(request) => self.on_block_refused(request, refusal, now),
            Asked::Download(request) => self.on_download_refused(request, refusal, now),
            Asked::Alarm(_) if refusal.may_retry() || may_be_spoiled(refusal, &mut self.spoiled.alarm) => {
                self.on_alarm_missing(now);
                Ok(())
            }
            Asked::Alarm(sequence) => {
                self.on_alarm_taken(*sequence, now);
                Ok(())
            }
            Asked::Result { .. }
                if refusal.may_retry() || may_be_spoiled(refusal, &mut self.spoiled.result) =>
            {
                self.retry_result(now);
                Ok(())
            }
            // A final no: the host does not want this result, and will not later.
            Asked::Result { .. } => self.on_result_taken(now),
            Asked::Upload { .. } | Asked::Journal { .. } => self.on_upload_refused(refusal, now),
            Asked::Batch { .. } => self.on_settlement_refused(refusal, now),
            _ => Ok(()),
        }
    }

    /// `late` tells silence, after which the connection is dead, from a reply that was of no use.
    pub(super) fn on_unanswered(
        &mut self,
        asked: &Asked,
        reason: &str,
        late: bool,
        now: Timestamp,
    ) -> Result<(), Exit> {
        if late {
            let failure = Failure::new(FailureKind::Timeout, "the host did not answer in time", "");
            return Err(Exit::Lost(failure));
        }
        self.machine().note(now, 'W', "comm", &format!("useless answer: {reason}"));
        match asked {
            Asked::Function(Function::SignOn) => Err(Exit::Lost(Failure::new(
                FailureKind::Protocol,
                format!("the sign-on's answer is of no use: {reason}"),
                "",
            ))),
            Asked::Function(Function::TaskPoll) => {
                self.polling = false;
                self.poll_after(RETRY_AFTER_MS, now);
                Ok(())
            }
            Asked::Function(function) => {
                self.ask_again(*function, now);
                Ok(())
            }
            Asked::Block(request) => self.on_block_useless(request.offset, now),
            Asked::Download(_) => {
                self.on_download_missing(now);
                Ok(())
            }
            Asked::Alarm(_) => {
                self.on_alarm_missing(now);
                Ok(())
            }
            Asked::Result { .. } => {
                self.retry_result(now);
                Ok(())
            }
            Asked::Upload { .. } | Asked::Journal { .. } => {
                self.on_chunk_missing(now);
                Ok(())
            }
            Asked::Batch { .. } => {
                self.on_settlement_missing(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ask_again(&mut self, function: Function, now: Timestamp) {
        let due = self.after(RETRY_AFTER_MS, now);
        match function {
            Function::Parameters => self.parameters_due = due,
            Function::Report => self.report_due = due,
            _ => {}
        }
    }

    fn retry_result(&mut self, now: Timestamp) {
        // A result is still in the journal; an answer that need not survive is nowhere else.
        if let Some(InFlight::Notice(notice)) = self.in_flight.take() {
            self.put_back(notice);
        }
        self.result_due = self.after(RETRY_AFTER_MS, now);
    }
}
