//! Where systems are told what happens: addresses, and what was or is to be delivered to them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::IdError;

/// Most webhooks of an estate.
pub const MAX_WEBHOOKS: usize = 50;

macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = uuid::Uuid))]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id from the time and ten random bytes; one made later sorts later, to the millisecond.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError {
                    what: $what,
                    text: text.chars().take(40).collect(),
                    rule: "it is a UUID of 32 hexadecimal digits",
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_id!(
    /// The identity of a webhook.
    WebhookId,
    "webhook id"
);
uuid_id!(
    /// The identity of a delivery. The receiver knows a repetition by it.
    DeliveryId,
    "delivery id"
);

/// An address that is told what happens.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its identity.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: String,
    /// Names of the kinds of events that it is told of; all when empty.
    pub kinds: Vec<String>,
    /// Whether it is told anything at the moment.
    pub enabled: bool,
    /// The key of the signatures, sealed by the host's vault.
    pub secret_sealed: Vec<u8>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Webhook {
    /// Whether it is told of events of this kind.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.enabled && (self.kinds.is_empty() || self.kinds.iter().any(|known| known == kind))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("kinds", &self.kinds)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeliveryState {
    /// It is to be tried, or tried again.
    Pending,
    /// The receiver has it.
    Delivered,
    /// It was tried as often as it may be, or the receiver wants none of it.
    Dead,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The state as it appears in JSON and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| IdError {
            what: "delivery state",
            text: text.chars().take(40).collect(),
            rule: "it is pending, delivered or dead",
        })
    }
}

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its identity.
    pub id: DeliveryId,
    /// To whom.
    pub webhook: WebhookId,
    /// The document that is posted.
    pub event: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried since it was made or replayed.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last tried, or is to be tried.
    pub due_at: Timestamp,
    /// What came of the last attempt; a sentence for people.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_told_of_what_it_asked_for_while_it_is_enabled() {
        let id = WebhookId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        assert_eq!(id.to_string().parse::<WebhookId>().unwrap(), id);
        let mut webhook = Webhook {
            id,
            url: "https://hooks.example".to_owned(),
            kinds: Vec::new(),
            enabled: true,
            secret_sealed: Vec::new(),
            author: "ann".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        assert!(webhook.takes("alarm.raised"));
        webhook.kinds = vec!["operation.changed".to_owned()];
        assert!(webhook.takes("operation.changed") && !webhook.takes("alarm.raised"));
        webhook.enabled = false;
        assert!(!webhook.takes("operation.changed"));
        for state in DeliveryState::ALL {
            assert_eq!(state.name().parse::<DeliveryState>().unwrap(), state);
        }
    }
}
