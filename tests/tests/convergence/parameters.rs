//! Parameters of terminals that are not there when they are changed.

use std::collections::BTreeMap;

use testkit::{Estate, Proxy, Speaks, until};
use tms_core::OperationState;
use tms_server::service;

use crate::{done, reported};

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_change_made_while_a_terminal_is_away_is_in_force_at_its_next_contact() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        estate.run_signed_on(terminal.scenario()).await.stop().await;

        let change = values(&[("timeout_s", "45"), ("retries", "2")]);
        let (_, first) = service::set_parameters(estate.app(), &terminal.id, &change, &[]).await.unwrap();
        let change = values(&[("timeout_s", "50"), ("merchant_name", "银联商户 1")]);
        let (_, second) = service::set_parameters(estate.app(), &terminal.id, &change, &[]).await.unwrap();

        let handle = estate.run(terminal.scenario());
        done(&estate, second.id).await;
        assert_eq!(estate.ended(first.id).await.state, OperationState::Cancelled, "the second has it all");
        let expected = values(&[("timeout_s", "50"), ("retries", "2"), ("merchant_name", "银联商户 1")]);
        let known = reported(&estate, &terminal.id, "the new values", |t| {
            expected.iter().all(|(name, value)| t.reported.parameters.get(name) == Some(value))
        })
        .await;
        assert_eq!(known.desired.parameters, expected);
        let in_force = handle.snapshot().parameters;
        assert!(expected.iter().all(|(name, value)| in_force.get(name) == Some(value)), "{in_force:?}");
        assert_eq!(handle.snapshot().link.parameter_changes, 1, "one change brought both");
    }
}

#[tokio::test]
async fn a_change_made_while_the_server_restarts_again_and_again_arrives() {
    for speaks in Speaks::ALL {
        let mut estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let handle = estate.run_signed_on(terminal.scenario()).await;
        for round in 0..4 {
            let change = values(&[("retries", &round.to_string())]);
            // Killed right after the change was acknowledged: it must not be lost.
            service::set_parameters(estate.app(), &terminal.id, &change, &[]).await.unwrap();
            estate.kill().await;
            estate.start_again().await;
            reported(&estate, &terminal.id, "the acknowledged change", |t| {
                t.reported.parameters.get("retries") == change.get("retries")
            })
            .await;
        }
        assert_eq!(handle.snapshot().parameters["retries"], "3");
        until("every operation to end", async || {
            let open = estate.app().store.open_operations(&terminal.id).await.unwrap();
            open.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_of_a_change_only_delays_it() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let proxy = Proxy::to(estate.address(speaks)).await;
        let handle = estate.run_signed_on(terminal.scenario_at(proxy.address())).await;
        let change_to = async |timeout_s: u64| {
            let change = values(&[("timeout_s", &timeout_s.to_string())]);
            let (_, operation) =
                service::set_parameters(estate.app(), &terminal.id, &change, &[]).await.unwrap();
            done(&estate, operation.id).await;
            assert_eq!(handle.snapshot().parameters["timeout_s"], change["timeout_s"]);
        };
        // How many bytes a change has when nothing breaks.
        let began = proxy.passed();
        change_to(20).await;
        let length = proxy.passed() - began;
        let cuts = 12;
        for round in 0..cuts {
            proxy.cut_after(1 + length * round / cuts);
            change_to(21 + round).await;
        }
        assert!(proxy.cuts() >= cuts * 3 / 4, "{}", proxy.cuts());
    }
}
