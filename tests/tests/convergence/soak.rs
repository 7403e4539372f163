//! Everything at once: terminals of both protocols, every kind of operation, lines that are cut all
//! the time and a server that is killed. When the faults stop, everything agrees.
//!
//! `TMS_SOAK_SEED` tells another story, and `TMS_SOAK_ROUNDS` a longer one.

use std::collections::BTreeMap;

use testkit::{Estate, Proxy, Release, Speaks, Terminal, until};
use tms_core::{FirmwareId, Operation, OperationKind, OperationState};
use tms_server::service;
use tms_terminal::{Handle, Login};

const ROLE: &str = "99";
const SEED: u64 = 8583;
const ROUNDS: u64 = 12;

/// Pseudo-random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // Constants of Knuth's MMIX generator; the low bits are poor.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Line {
    terminal: Terminal,
    proxy: Proxy,
    handle: Handle,
    /// Assigned at some moment, and once: replacing an installation has a test of its own.
    firmware: Option<FirmwareId>,
    asked: Vec<Operation>,
}

impl Line {
    async fn ask(&mut self, estate: &Estate, dice: &mut Dice) {
        let (app, id) = (estate.app(), &self.terminal.id);
        let asked = match (dice.below(6), self.firmware.take_if(|_| dice.below(6) == 0)) {
            (_, Some(firmware)) => service::assign_firmware(app, id, &firmware).await,
            (0, _) => service::reset(app, id).await,
            (1, _) => service::collect_logs(app, id).await,
            // One is under way already.
            (2, _) => match service::rotate_credential(app, id, &ROLE.parse().unwrap()).await {
                Err(service::ServiceError::Store(_)) => return,
                rotation => rotation,
            },
            _ => {
                let change = BTreeMap::from([("timeout_s".to_owned(), (10 + dice.below(80)).to_string())]);
                service::set_parameters(app, id, &change, &[]).await.map(|(_, operation)| operation)
            }
        };
        self.asked.push(asked.unwrap());
    }
}

#[tokio::test]
async fn when_the_faults_stop_everything_agrees_and_nothing_took_effect_twice() {
    let given = |name: &str| std::env::var(name).ok()?.parse().ok();
    let mut dice = Dice(given("TMS_SOAK_SEED").unwrap_or(SEED));
    let rounds = given("TMS_SOAK_ROUNDS").unwrap_or(ROUNDS);
    let mut estate = Estate::start().await;
    let mut lines = Vec::new();
    for n in 0..4 {
        let speaks = Speaks::ALL[n % 2];
        let terminal = estate.enrol(&format!("1000000{n}"), speaks).await;
        let proxy = Proxy::to(estate.address(speaks)).await;
        let handle = estate.run_signed_on(terminal.scenario_at(proxy.address())).await;
        let firmware = Some(estate.publish(&Release::new(&format!("2.0.{n}"), 150_000)).await.id);
        lines.push(Line { terminal, proxy, handle, firmware, asked: Vec::new() });
    }
    for round in 0..rounds {
        for line in &mut lines {
            line.proxy.cut_after(dice.below(6_000));
            line.ask(&estate, &mut dice).await;
        }
        // Long enough for something to be under way.
        tokio::time::sleep(std::time::Duration::from_millis(dice.below(150))).await;
        if round % 5 == 4 {
            estate.kill().await;
            estate.start_again().await;
        }
    }

    for line in &lines {
        line.proxy.cut_after(u64::MAX);
        settles(&estate, line).await;
    }
    let cuts: u64 = lines.iter().map(|line| line.proxy.cuts()).sum();
    assert!(cuts > rounds, "{cuts} cuts");
}

async fn settles(estate: &Estate, line: &Line) {
    let (id, handle) = (&line.terminal.id, &line.handle);
    let mut starts = 1;
    for asked in &line.asked {
        let ended = estate.ended(asked.id).await;
        match (&ended.kind, ended.state) {
            (OperationKind::Reboot | OperationKind::InstallFirmware { .. }, OperationState::Done) => {
                starts += 1
            }
            (OperationKind::SetParameters { .. }, OperationState::Cancelled) | (_, OperationState::Done) => {}
            other => panic!("{id}: {other:?}, {:?}", ended.detail),
        }
    }
    let known = until("the last report", async || {
        let known = estate.app().store.terminal(id).await.unwrap().unwrap();
        (known.reported.boot_count == Some(starts)).then_some(known)
    })
    .await;
    let now = handle.snapshot();
    assert_eq!(now.boot_count, starts, "{id}");
    for (name, value) in &known.desired.parameters {
        assert_eq!(now.parameters.get(name), Some(value), "{id}: {name}");
    }
    if let Some(firmware) = &known.desired.firmware {
        let record = estate.app().store.firmware(firmware).await.unwrap().unwrap();
        assert_eq!(now.firmware_version, record.version, "{id}");
    }
    let (secret, generation) = estate.secret(id, ROLE).await;
    assert_eq!(handle.try_login(ROLE, &secret).unwrap(), Login::Accepted { generation }, "{id}");
    assert_eq!(estate.app().store.open_operations(id).await.unwrap(), [], "{id}");
}
