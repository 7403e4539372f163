//! A push of records under way: its messages go out one after the other.

use std::collections::VecDeque;

use super::HostEvent;
use crate::{
    error::ProtocolError,
    parameters::{Action, Outcome, Part, Push, PushAnswer},
    profile::Refusal,
};

/// Most records that a host takes in answer to one inquiry.
const MAX_SHOWN: usize = 1000;

#[derive(Debug)]
pub(super) struct Pushing {
    /// As the caller gave it.
    push: Push,
    /// The messages that were not sent yet, the next one first.
    messages: VecDeque<Push>,
    /// What an inquiry was answered so far.
    shown: Option<PushAnswer>,
}

/// What an answer means for a push.
pub(super) enum Turn {
    /// It is over.
    Over(Box<HostEvent>),
    /// There is another message to send.
    Next(Box<Pushing>),
}

impl Pushing {
    pub(super) fn new(push: Push, room_bytes: usize) -> Result<Self, ProtocolError> {
        let messages = if push.action == Action::Inquire {
            vec![push.clone()]
        } else {
            push.clone().split(room_bytes)?
        };
        Ok(Self { push, messages: messages.into(), shown: None })
    }

    /// The message to send now.
    pub(super) fn message(&self) -> Push {
        self.messages.front().unwrap_or(&self.push).clone()
    }

    pub(super) fn answered(mut self: Box<Self>, refusal: Option<Refusal>, data: &[u8]) -> Turn {
        self.messages.pop_front();
        // A terminal may answer with its code alone.
        let answer = match data.is_empty() {
            true => None,
            false => match PushAnswer::decode(self.push.file, data) {
                Ok(answer) => Some(answer),
                Err(_) => return self.over(refusal.or(Some(Refusal::FormatError)), None),
            },
        };
        let refusal = refusal.or(answer.as_ref().and_then(PushAnswer::refused).map(|r| r.refusal()));
        match answer {
            Some(answer) if refusal.is_none() && self.push.action == Action::Inquire => self.show(answer),
            // Done before the last message: the operation took effect at an earlier try.
            answer if refusal.is_some() || answer.as_ref().is_some_and(|a| a.outcome == Outcome::Done) => {
                self.over(refusal, answer)
            }
            answer if self.messages.is_empty() => {
                let kept = answer.is_some();
                self.over(kept.then_some(Refusal::FormatError), answer)
            }
            _ => Turn::Next(self),
        }
    }

    /// Joins the messages of an inquiry's answer. They are of one set, or there is none.
    fn show(mut self: Box<Self>, mut answer: PushAnswer) -> Turn {
        let Part { number, count } = answer.part;
        let asked = self.shown.as_ref().map_or(1, |shown| shown.part.number.saturating_add(1));
        if let Some(shown) = self.shown.take() {
            let one_set = shown.standing == answer.standing && shown.part.count == count;
            let before = answer.values.len().saturating_add(shown.values.len());
            answer.values.extend(shown.values);
            if !one_set || answer.values.len() < before {
                return self.over(Some(Refusal::Busy), None);
            }
        }
        if number != asked || answer.values.len() > MAX_SHOWN {
            return self.over(Some(Refusal::FormatError), None);
        }
        if number >= count {
            answer.part = Part::WHOLE;
            return self.over(None, Some(answer));
        }
        let part = Part { number: number.saturating_add(1), count };
        self.messages.push_back(Push { part, ..self.push.clone() });
        self.shown = Some(answer);
        Turn::Next(self)
    }

    fn over(self: Box<Self>, refusal: Option<Refusal>, answer: Option<PushAnswer>) -> Turn {
        let answer = answer.map(Box::new);
        Turn::Over(Box::new(HostEvent::PushAnswered { push: self.push, refusal, answer }))
    }
}
