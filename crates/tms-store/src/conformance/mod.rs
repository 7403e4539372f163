//! The suite that every back end has to pass.

use jiff::Timestamp;
use tms_core::{Desired, MerchantId, Profile, Reported, Terminal, TerminalId};

/// A terminal to try a store with.
///
/// # Panics
/// If `tid` is not a terminal id.
#[allow(
    clippy::expect_used,
    reason = "test support: the caller passes literals"
)]
pub fn terminal(tid: &str) -> Terminal {
    Terminal {
        id: tid.parse::<TerminalId>().expect("a terminal id"),
        merchant: "102310060510002"
            .parse::<MerchantId>()
            .expect("a merchant id"),
        profile: Profile::unionpay(),
        model: "SIM-8".to_owned(),
        hardware_revision: "A1".to_owned(),
        serial: format!("SIM{tid}"),
        enrolled_at: Timestamp::UNIX_EPOCH,
        sealing_public_key: vec![1; 32],
        tmk_sealed: vec![2; 44],
        certificate_sha256: None,
        desired: Desired::default(),
        reported: Reported::default(),
        last_contact: None,
    }
}
