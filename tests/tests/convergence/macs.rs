//! Estates whose profiles ask for MACs, out of files as an operator writes them.

use std::{collections::BTreeMap, path::PathBuf};

use testkit::{Estate, Speaks, Terminal, until};
use tms_server::{config::Config, service};
use tms_terminal::Scenario;

use crate::{done, reported};

/// A profile that asks for MACs, and for :1987 the key, in files of the estate.
fn ask_for_macs(config: &mut Config, speaks: Speaks) -> (PathBuf, Option<PathBuf>) {
    let folder = config.vault_key_file.parent().unwrap().to_owned();
    let (name, rules) = match speaks {
        Speaks::UnionPay => ("unionpay", "protect = \"possible\"\n"),
        Speaks::Iso87 => ("iso87", "protect = \"required\"\n"),
    };
    let text = format!("extends = \"{name}\"\n\n[mac]\n{rules}");
    let profile = folder.join("acquirer.toml");
    std::fs::write(&profile, text).unwrap();
    let key = (speaks == Speaks::Iso87).then(|| folder.join("mac.key"));
    if let Some(key) = &key {
        tms_crypto::keyfile::create(key, "mac-key", &[0x5A; 16]).unwrap();
    }
    let mut listeners = config.listeners.iter_mut();
    let listener = listeners.find(|listener| listener.profile.as_str() == name).unwrap();
    listener.profile_file = Some(profile.clone());
    listener.mac_key_file.clone_from(&key);
    (profile, key)
}

async fn estate(speaks: Speaks) -> (Estate, Terminal, Scenario) {
    let mut files = None;
    let estate = Estate::with(|config| files = Some(ask_for_macs(config, speaks))).await;
    let terminal = estate.enrol("10000001", speaks).await;
    let mut scenario = terminal.scenario();
    let (profile, key) = files.unwrap();
    scenario.host.profile_file = Some(profile);
    scenario.security.mac_key_file = key;
    (estate, terminal, scenario)
}

#[tokio::test]
async fn a_change_arrives_where_nothing_is_acted_on_without_a_mac() {
    for speaks in Speaks::ALL {
        let (estate, terminal, scenario) = estate(speaks).await;
        let handle = estate.run_signed_on(scenario).await;
        let change = BTreeMap::from([("timeout_s".to_owned(), "45".to_owned())]);
        let (_, operation) = service::set_parameters(estate.app(), &terminal.id, &change, &[]).await.unwrap();
        done(&estate, operation.id).await;
        reported(&estate, &terminal.id, "the new value", |t| {
            t.reported.parameters.get("timeout_s").is_some_and(|value| value == "45")
        })
        .await;
        assert_eq!(estate.counters().messages_refused.get(), 0);
        handle.stop().await;
    }
}

#[tokio::test]
async fn a_terminal_with_another_mac_key_gets_nowhere() {
    let (estate, terminal, mut scenario) = estate(Speaks::Iso87).await;
    let other = estate.config().vault_key_file.with_file_name("other.key");
    tms_crypto::keyfile::create(&other, "mac-key", &[0xA5; 16]).unwrap();
    scenario.security.mac_key_file = Some(other);
    let handle = estate.run(scenario);
    until("its sign-on to be refused", async || (estate.counters().messages_refused.get() > 0).then_some(()))
        .await;
    assert_eq!(handle.snapshot().link.sign_ons, 0);
    let known = estate.app().store.terminal(&terminal.id).await.unwrap().unwrap();
    assert_eq!(known.reported.boot_count, None);
}
