//! Live events: server-sent events (WHATWG HTML) in the JSON form of CloudEvents.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tms_core::TerminalId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use super::code::Code;
use super::input::{Asked, name};
use super::problem::Problem;
use super::terminals::existing;
use crate::app::App;
use crate::events::{Event, EventKind};

/// Listeners at a time.
const MAX_LISTENERS: usize = 100;

/// Pause after which a comment shows that the line is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsRequest {
    /// Those of one terminal only.
    #[param(value_type = Option<TerminalId>)]
    terminal: Option<String>,
    /// Those of these kinds only, separated by commas: `terminal.signed_on`, `terminal.signed_off`,
    /// `terminal.reported`, `alarm.raised`, `operation.changed`, `operations.expired`.
    kind: Option<String>,
}

/// Events as they happen.
///
/// Each has a CloudEvents document as `data`. A client that comes back with `Last-Event-ID` gets what happened
/// meanwhile; an event `events.missed` says that some of it is remembered no more, and `events.ended` that the
/// client was too slow. The store has the truth: an event says where to look.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "events", tag = "events",
    params(EventsRequest, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that came")),
    responses((status = 200, description = "Events without end", body = String, content_type = "text/event-stream")))]
pub(super) async fn listen(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<EventsRequest>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
    let terminal: Option<TerminalId> = asked.terminal.as_deref().map(name).transpose()?;
    let kinds = asked.kind.as_deref().map(kinds).transpose()?;
    if let Some(terminal) = &terminal {
        existing(&app, terminal).await?;
    }
    if app.events.listeners() >= MAX_LISTENERS {
        let detail = format!("{MAX_LISTENERS} callers listen already; try again later");
        return Err(Problem::new(Code::Overloaded, detail));
    }
    let after = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let listener = app.events.listen(after);
    let state = Listening {
        missed: listener.missed,
        before: listener.before,
        live: Some(listener.live),
        filter: Filter { terminal, kinds },
        app,
    };
    let events = futures::stream::unfold(state, |mut state| async move {
        let sent = state.next().await?;
        Some((Ok(sent), state))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("alive")))
}

struct Listening {
    app: Arc<App>,
    missed: bool,
    before: VecDeque<Arc<Event>>,
    /// Taken away when nothing more comes.
    live: Option<Receiver<Arc<Event>>>,
    filter: Filter,
}

struct Filter {
    terminal: Option<TerminalId>,
    kinds: Option<Vec<EventKind>>,
}

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        let terminal = self.terminal.is_none() || self.terminal == event.terminal;
        terminal && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
    }
}

impl Listening {
    async fn next(&mut self) -> Option<Sent> {
        if std::mem::take(&mut self.missed) {
            let reason = "what happened since that event is not all remembered; look at what you watch";
            return Some(word("events.missed", reason));
        }
        loop {
            let event = match self.before.pop_front() {
                Some(event) => event,
                None => {
                    let live = self.live.as_mut()?;
                    let received = tokio::select! {
                        () = self.app.events.closed() => return None,
                        received = live.recv() => received,
                    };
                    match received {
                        Ok(event) => event,
                        Err(RecvError::Closed) => return None,
                        Err(RecvError::Lagged(events)) => {
                            self.live = None;
                            let reason =
                                format!("you are more than {events} events behind; come back for the rest");
                            return Some(word("events.ended", &reason));
                        }
                    }
                }
            };
            if self.filter.takes(&event) {
                let place = self.app.events.place(&event);
                let told = cloud_event(&place, &event).to_string();
                return Some(Sent::default().id(place).event(event.kind.name()).data(told));
            }
        }
    }
}

/// An event in the JSON form of CloudEvents 1.0.
pub(super) fn cloud_event(place: &str, event: &Event) -> Value {
    let mut told = json!({
        "specversion": "1.0",
        "id": place,
        "source": "/api/v1",
        "type": format!("tms8583.{}", event.kind.name()),
        "time": event.at,
        "datacontenttype": "application/json",
        "data": event.data,
    });
    if let (Some(terminal), Some(told)) = (&event.terminal, told.as_object_mut()) {
        told.insert("subject".to_owned(), json!(format!("terminals/{terminal}")));
    }
    told
}

/// A word about the events themselves. It has no id, so that the place of the listener stays.
fn word(kind: &str, reason: &str) -> Sent {
    Sent::default().event(kind).data(json!({"reason": reason}).to_string())
}

fn kinds(text: &str) -> Result<Vec<EventKind>, Problem> {
    let kind = |name: &str| {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::name).join(", ");
            let name: String = name.chars().take(40).collect();
            Problem::new(
                Code::QueryInvalid,
                format!("there are no events of the kind {name:?}; there are {known}"),
            )
        })
    };
    text.split(',').map(|name| kind(name.trim())).collect()
}
