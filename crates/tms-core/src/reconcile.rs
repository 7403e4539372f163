//! The decision: which operations are missing until desired and reported state agree.

use crate::kind::OperationKind;
use crate::operation::{Operation, OperationState};
use crate::terminal::{Desired, Reported};

/// Says which operations would bring a terminal from `reported` to `desired` and do not exist yet.
///
/// `desired_firmware_version` is the version of `desired.firmware` (`None` if the package is
/// unknown, which makes no operation). `known` holds the open operations of the terminal and, as far
/// as the caller has them, its latest finished ones: an open operation for the same goal is enough,
/// and a goal that **failed** or was **cancelled** is not tried again by itself, so that a terminal
/// that refuses an image is not sent it for ever. An expired one is tried again.
///
/// The answer is in the order in which the operations are best done: credentials, parameters, firmware.
pub fn reconcile(
    desired: &Desired,
    reported: &Reported,
    desired_firmware_version: Option<&str>,
    known: &[Operation],
) -> Vec<OperationKind> {
    let mut missing = Vec::new();
    for (role, generation) in &desired.credentials {
        // A generation that was never reported is unknown, not wrong: many profiles do not tell.
        if reported.credentials.get(role).is_some_and(|have| have < generation) {
            missing.push(OperationKind::RotateCredential { role: role.clone(), generation: *generation });
        }
    }
    if !parameters_agree(desired, reported) {
        missing.push(OperationKind::SetParameters { revision: desired.parameters_revision });
    }
    if let (Some(firmware), Some(version)) = (&desired.firmware, desired_firmware_version)
        && reported.firmware_version.as_deref() != Some(version)
    {
        missing.push(OperationKind::InstallFirmware { firmware: firmware.clone() });
    }
    missing.retain(|kind| !known.iter().any(|operation| covers(operation, kind)));
    missing
}

/// Parameters agree when no reported value differs from the desired one, and each desired value
/// was either reported or lies in a revision that the terminal says it applied.
fn parameters_agree(desired: &Desired, reported: &Reported) -> bool {
    let applied = reported.parameters_revision == Some(desired.parameters_revision);
    desired.parameters.iter().all(|(name, value)| match reported.parameters.get(name) {
        Some(have) => have == value,
        None => applied,
    })
}

fn covers(operation: &Operation, kind: &OperationKind) -> bool {
    match operation.state {
        // A queued change of parameters always carries the newest revision when it is sent.
        OperationState::Queued | OperationState::Sent | OperationState::Accepted => {
            match (&operation.kind, kind) {
                (OperationKind::SetParameters { .. }, OperationKind::SetParameters { .. }) => {
                    operation.state == OperationState::Queued || operation.kind == *kind
                }
                (have, wanted) => have == wanted,
            }
        }
        OperationState::Failed | OperationState::Cancelled => operation.kind == *kind,
        OperationState::Done | OperationState::Expired => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::id::{FirmwareId, OperationId, Role, TerminalId};

    fn desired() -> Desired {
        Desired {
            parameters: [("timeout_s".to_owned(), "45".to_owned())].into(),
            parameters_revision: 3,
            firmware: Some("fw1".parse::<FirmwareId>().unwrap()),
            credentials: [(Role::administrator(), 2)].into(),
        }
    }

    fn agreeing() -> Reported {
        Reported {
            parameters: [("timeout_s".to_owned(), "45".to_owned())].into(),
            parameters_revision: Some(3),
            firmware_version: Some("2.0.0".into()),
            credentials: [(Role::administrator(), 2)].into(),
            ..Reported::default()
        }
    }

    fn operation(kind: OperationKind, state: OperationState) -> Operation {
        Operation {
            id: OperationId::new(Timestamp::UNIX_EPOCH, [1; 10]),
            terminal: "10000001".parse::<TerminalId>().unwrap(),
            kind,
            state,
            attempts: 0,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            lease: None,
            detail: None,
            progress: None,
            result: Default::default(),
            terms: Default::default(),
        }
    }

    #[test]
    fn a_terminal_that_agrees_needs_nothing() {
        assert!(reconcile(&desired(), &agreeing(), Some("2.0.0"), &[]).is_empty());
    }

    #[test]
    fn everything_that_differs_is_missing() {
        let reported = Reported { credentials: [(Role::administrator(), 1)].into(), ..Reported::default() };
        let missing = reconcile(&desired(), &reported, Some("2.0.0"), &[]);
        let names: Vec<_> = missing.iter().map(OperationKind::name).collect();
        assert_eq!(names, ["rotate_credential", "set_parameters", "install_firmware"]);
    }

    #[test]
    fn a_value_changed_by_hand_at_the_terminal_is_put_right() {
        let mut reported = agreeing();
        reported.parameters.insert("timeout_s".into(), "10".into());
        assert_eq!(
            reconcile(&desired(), &reported, Some("2.0.0"), &[]),
            [OperationKind::SetParameters { revision: 3 }]
        );
    }

    #[test]
    fn an_unknown_package_is_not_sent() {
        let mut reported = agreeing();
        reported.firmware_version = None;
        assert!(reconcile(&desired(), &reported, None, &[]).is_empty());
    }

    #[test]
    fn a_queued_change_of_an_older_revision_is_enough_but_a_sent_one_is_not() {
        let older = OperationKind::SetParameters { revision: 2 };
        let reported = Reported { parameters: [].into(), parameters_revision: Some(1), ..agreeing() };
        let queued = operation(older.clone(), OperationState::Queued);
        assert!(reconcile(&desired(), &reported, Some("2.0.0"), &[queued]).is_empty());
        let sent = operation(older, OperationState::Sent);
        assert_eq!(reconcile(&desired(), &reported, Some("2.0.0"), &[sent]).len(), 1);
    }

    proptest! {
        #[test]
        fn a_goal_is_missing_unless_it_is_open_or_was_given_up(state in proptest::sample::select(&OperationState::ALL[..])) {
            let reported = Reported { firmware_version: Some("1.0.0".into()), ..agreeing() };
            let kind = OperationKind::InstallFirmware { firmware: "fw1".parse().unwrap() };
            let known = [operation(kind, state)];
            let missing = reconcile(&desired(), &reported, Some("2.0.0"), &known);
            let tried_again = matches!(state, OperationState::Done | OperationState::Expired);
            prop_assert_eq!(missing.len(), usize::from(tried_again));
        }
    }
}
