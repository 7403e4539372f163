//! The suite that every back end has to pass: each function is one promise of the [`Store`] trait.
//! [`conformance_tests!`](crate::conformance_tests) makes a test of every one of them, and of the
//! comparison with a model under random steps ([`model`]).
//!
//! The functions panic when a promise is broken, as tests do. Each works on terminals and users of
//! its own, so that they may share a store.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "test support: a panic is how a promise is reported broken"
)]

pub mod alarms;
pub mod artifacts;
pub mod concurrency;
pub mod configuration;
pub mod credentials;
pub mod estate;
pub mod model;
pub mod operations;
pub mod people;
pub mod postgres;
pub mod rollouts;
pub mod selectors;
pub mod terminals;
pub mod work;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tms_core::{
    Desired, FirmwareRecord, MerchantId, NewOperation, Operation, OperationId, OperationKind, Profile,
    Reported, Terminal, TerminalId,
};

use crate::store::{Store, Ticket};

/// Makes one test of every promise. `$open` is a path to `async fn() -> (Guard, Arc<dyn Store>)`;
/// the guard (a temporary folder, a container) lives as long as the test. `async fn() -> Option<…>` skips
/// the tests where there is nothing to open.
#[macro_export]
macro_rules! conformance_tests {
    ($open:path) => {
        $crate::conformance_tests! { @ $open,
            terminals::a_terminal_reads_back_as_it_was_added,
            terminals::a_terminal_and_a_certificate_are_added_once,
            terminals::a_refused_enrolment_leaves_nothing,
            terminals::terminals_come_in_pages_in_the_order_of_their_ids,
            terminals::a_report_keeps_what_it_does_not_mention,
            terminals::contacts_keep_the_latest_time_and_pass_over_strangers,
            terminals::nothing_happens_to_a_terminal_that_does_not_exist,
            estate::a_group_has_a_version_that_a_change_has_to_know,
            estate::groups_stay_a_tree,
            estate::a_place_reads_back_and_is_found,
            estate::a_change_of_a_terminal_does_what_it_says,
            estate::a_change_by_selector_counts_what_it_did,
            estate::an_import_is_done_whole_or_not_at_all,
            estate::an_imported_terminal_is_completed_by_its_enrolment,
            estate::a_terminal_takes_the_place_of_another,
            estate::a_saved_selector_has_a_version,
            configuration::revisions_of_a_scope_follow_each_other,
            configuration::what_a_terminal_should_have_is_read_in_one_call,
            configuration::parameters_of_many_are_applied_together,
            configuration::a_revision_is_raised_above_what_a_terminal_has,
            work::the_most_urgent_operation_goes_first,
            work::an_operation_waits_for_its_time_and_its_window,
            work::an_operation_waits_for_a_settlement,
            work::a_terminal_out_of_use_gets_no_work,
            work::every_attempt_is_remembered,
            work::what_a_clock_that_was_ahead_put_off_is_free_when_it_is_right,
            work::many_operations_are_queued_together,
            work::a_duty_is_had_by_one_at_a_time,
            rollouts::a_rollout_is_changed_by_who_has_seen_it,
            rollouts::targets_are_frozen_when_a_rollout_starts,
            rollouts::targets_are_started_with_their_work,
            rollouts::a_target_is_watched_until_it_is_judged,
            operations::a_parameter_change_raises_the_revision_and_replaces_what_is_queued,
            operations::a_firmware_assignment_replaces_every_open_one,
            operations::a_parameter_change_for_another_revision_is_refused,
            operations::an_operation_id_is_used_once_and_a_refused_change_changes_nothing,
            operations::leases_go_to_the_oldest_free_operation,
            operations::a_lease_ends_by_time_by_release_and_by_the_end_of_the_operation,
            operations::an_illegal_transition_names_both_states,
            operations::a_repeated_transition_changes_nothing,
            operations::progress_stops_with_the_operation,
            operations::what_a_terminal_found_is_added_to_its_operation,
            operations::a_cancelled_operation_is_given_up_at_the_terminal_that_may_have_begun_it,
            operations::what_cancels_goes_before_what_waits,
            operations::operations_expire_and_are_not_leased_any_more,
            operations::operations_come_in_pages_newest_first,
            credentials::a_rotation_goes_from_prepared_to_in_force,
            credentials::a_rotation_is_confirmed_only_after_it_was_verified,
            credentials::an_abandoned_generation_is_never_used_again,
            credentials::a_verified_generation_cannot_be_abandoned,
            credentials::a_generation_that_only_the_terminal_knows_is_replaced,
            artifacts::firmware_is_published_once_and_listed_newest_first,
            artifacts::a_log_belongs_to_an_operation_of_its_terminal,
            alarms::an_alarm_that_comes_twice_is_kept_once,
            alarms::alarms_come_in_pages_newest_first,
            alarms::old_alarms_of_a_terminal_make_room,
            alarms::the_revision_of_a_set_rises_when_it_changes,
            alarms::a_set_for_another_revision_is_refused,
            alarms::a_document_replaces_the_one_before,
            people::a_one_time_password_is_used_up_once,
            people::a_token_is_valid_until_it_expires,
            people::a_changed_role_holds_at_once,
            people::a_request_is_answered_once_under_its_key,
            concurrency::a_failing_write_does_not_fail_its_neighbours,
            concurrency::concurrent_changes_get_a_revision_each,
            concurrency::an_operation_is_leased_to_exactly_one_of_many,
            concurrency::a_one_time_password_is_used_up_by_exactly_one_of_many,
        }

        /// Random steps do to the store what they do to a model of it.
        #[test]
        fn random_steps_follow_the_model() {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let Some((guard, store)) = $crate::conformance::Opened::opened(runtime.block_on($open())) else { return };
            $crate::conformance::model::random_steps_follow_the_model(&runtime, &store);
            drop(guard);
        }

        /// Random selectors find in random estates what they mean.
        #[test]
        fn a_selector_finds_what_it_means() {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let Some((guard, store)) = $crate::conformance::Opened::opened(runtime.block_on($open())) else { return };
            $crate::conformance::selectors::a_selector_finds_what_it_means(&runtime, &store);
            drop(guard);
        }
    };
    (@ $open:path, $($module:ident::$name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let Some((guard, store)) = $crate::conformance::Opened::opened($open().await) else { return };
                $crate::conformance::$module::$name(&store).await;
                drop(guard);
            }
        )*
    };
}

/// What the `$open` of [`conformance_tests!`](crate::conformance_tests) may answer.
pub trait Opened {
    /// Keeps what the store is in.
    type Guard;

    /// The store, if there is one to test.
    fn opened(self) -> Option<(Self::Guard, Arc<dyn Store>)>;
}

impl<G> Opened for (G, Arc<dyn Store>) {
    type Guard = G;

    fn opened(self) -> Option<(G, Arc<dyn Store>)> {
        Some(self)
    }
}

impl<G> Opened for Option<(G, Arc<dyn Store>)> {
    type Guard = G;

    fn opened(self) -> Self {
        self
    }
}

/// A terminal to try a store with.
pub fn terminal(tid: &str) -> Terminal {
    Terminal {
        id: tid.parse::<TerminalId>().unwrap(),
        merchant: "102310060510002".parse::<MerchantId>().unwrap(),
        profile: Profile::unionpay(),
        model: "SIM-8".to_owned(),
        hardware_revision: "A1".to_owned(),
        serial: format!("SIM{tid}"),
        enrolled_at: at(0),
        sealing_public_key: vec![1; 32],
        tmk_sealed: vec![2; 44],
        certificate_sha256: None,
        desired: Desired::default(),
        reported: Reported::default(),
        last_contact: None,
        place: tms_core::Place::default(),
    }
}

/// A package to try a store with.
pub fn firmware(id: &str, published_s: i64) -> FirmwareRecord {
    FirmwareRecord {
        id: id.parse().unwrap(),
        version: "1.2.0".to_owned(),
        models: vec!["SIM-8".to_owned(), "SIM-9".to_owned()],
        size_bytes: 4 << 20,
        sha256: "ab".repeat(32),
        envelope: "{}".to_owned(),
        object: format!("firmware/{id}.img"),
        published_at: at(published_s),
    }
}

/// So many seconds after a certain time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_767_225_600, 123_456_000).unwrap() + SignedDuration::from_secs(seconds)
}

/// An id that no other call with other arguments gives.
fn id(tid: &TerminalId, number: u32) -> OperationId {
    let mut random = [0; 10];
    for (slot, byte) in random.iter_mut().zip(tid.as_str().bytes().rev()) {
        *slot = byte;
    }
    let [.., a, b] = number.to_be_bytes();
    random[8] = a;
    random[9] = b;
    OperationId::new(at(0), random)
}

/// A ticket for a day.
fn ticket(tid: &TerminalId, number: u32) -> Ticket {
    Ticket { id: id(tid, number), expires_at: at(86_400) }
}

async fn added(store: &dyn Store, tid: &str) -> TerminalId {
    let terminal = terminal(tid);
    let tid = terminal.id.clone();
    store.add_terminal(terminal).await.unwrap();
    tid
}

async fn queued(store: &dyn Store, tid: &TerminalId, number: u32, seconds: i64) -> Operation {
    let operation = NewOperation {
        id: id(tid, number),
        terminal: tid.clone(),
        kind: OperationKind::Reboot,
        expires_at: at(86_400),
        terms: tms_core::Terms::default(),
    };
    store.enqueue(operation, at(seconds)).await.unwrap()
}
