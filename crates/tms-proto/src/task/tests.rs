use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    parameters::Values,
    plan::{Action, MAX_INLINE_PLAN_BYTES, Plan, PlanSource},
};

fn second() -> impl Strategy<Value = Timestamp> {
    (-60_000_000_000i64..200_000_000_000).prop_map(|s| Timestamp::from_second(s).unwrap())
}

/// Commands that need no live dialogue.
pub(crate) fn plannable() -> impl Strategy<Value = Command> {
    let text = "[ -~终端锁定]{0,60}";
    prop_oneof![
        Just(Command::Reboot),
        ("[a-z0-9]{1,40}", any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(file, size_bytes, sha256)| { Command::InstallFirmware { file, size_bytes, sha256 } }),
        any::<u64>().prop_map(|max_bytes| Command::CollectLogs { max_bytes }),
        Just(Command::RestartApplication),
        Just(Command::FactoryReset),
        text.prop_map(|message| Command::Lock { message }),
        Just(Command::Unlock),
        Just(Command::ClearReversal),
        Just(Command::ClearBatch),
        prop::option::of(text).prop_map(|text| Command::PrintTestSlip { text }),
        Just(Command::SelfTest),
        Just(Command::Diagnose),
        any::<(Option<u32>, u64)>()
            .prop_map(|(from_batch, max_bytes)| Command::CollectJournal { from_batch, max_bytes }),
        (second(), -MAX_UTC_OFFSET_S..=MAX_UTC_OFFSET_S, any::<bool>())
            .prop_map(|(time, utc_offset_s, force)| Command::SyncClock { time, utc_offset_s, force }),
        (text, prop::option::of(second()), any::<u16>())
            .prop_map(|(text, until, seconds)| Command::ShowMessage { text, until, seconds }),
        (prop::collection::vec("[a-z0-9.]{1,30}:[1-9][0-9]{0,3}", 1..=4), 1u8..)
            .prop_map(|(addresses, attempts)| Command::ChangeTmsAddress { addresses, attempts }),
        (100u8..).prop_map(Command::Unknown),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let role = "[0-9]{2}";
    prop_oneof![
        8 => plannable(),
        1 => (role, any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(role, generation, sealed)| Command::CredentialPrepare {
                role,
                generation,
                base: generation.wrapping_sub(1),
                sealed
            }
        ),
        1 => (role, any::<u32>()).prop_map(|(role, generation)| Command::CredentialCommit { role, generation }),
        1 => (role, any::<u32>(), any::<[u8; 16]>()).prop_map(|(role, generation, challenge)| {
            Command::CredentialVerify { role, generation, challenge }
        }),
        1 => (role, any::<u32>())
            .prop_map(|(role, generation)| Command::CredentialConfirm { role, generation }),
        1 => (role, any::<u32>())
            .prop_map(|(role, generation)| Command::CredentialAbandon { role, generation }),
        1 => any::<u128>().prop_map(|id| Command::CancelOperation { target: Uuid::from_u128(id) }),
        1 => (any::<u64>(), "[a-z]{1,20}", 0u32..16_000, any::<[u8; 32]>()).prop_map(
            |(version, file, size_bytes, sha256)| Command::InstallPlan(PlanSource::File {
                version,
                file,
                size_bytes,
                sha256
            })
        ),
        1 => (any::<u64>(), plannable()).prop_map(|(version, command)| {
            let plan = Plan { id: Uuid::from_u128(3), version, actions: vec![Action::new(1, command)] };
            Command::InstallPlan(PlanSource::Inline(Box::new(plan)))
        }),
    ]
}

fn task(command: Command) -> Task {
    Task { operation: Uuid::from_u128(7), step: 1, command }
}

proptest! {
    #[test]
    fn a_task_survives_the_wire_and_a_restart(id in any::<u128>(), step in 1u8.., command in command()) {
        let task = Task { operation: Uuid::from_u128(id), step, command };
        prop_assert!(Task::decode(&task.encode()).unwrap() == task);
        prop_assert!(task.check().is_ok());
        let json = serde_json::to_string(&task.command).unwrap();
        prop_assert!(serde_json::from_str::<Command>(&json).unwrap() == task.command);
    }

    #[test]
    fn a_result_survives_the_wire(id in any::<u128>(), step in any::<u8>(), outcome in any::<u8>(),
                                  reason in "[ -~\u{4e00}-\u{4e20}]{0,30}", proof in any::<Option<[u8; 32]>>(),
                                  values in prop::collection::btree_map("[a-z.]{1,12}", "[ -~]{0,20}", 0..9)) {
        let result = TaskResult { operation: Uuid::from_u128(id), step, outcome: Outcome(outcome), reason, proof, values };
        prop_assert_eq!(TaskResult::decode(&result.encode()).unwrap(), result);
    }

    #[test]
    fn whatever_a_terminal_says_the_host_can_read(reason in ".{0,300}",
                                                  values in prop::collection::btree_map("[a-z]{1,200}", ".{0,200}", 0..60)) {
        let result = TaskResult::new(Uuid::nil(), 1, Outcome::DONE).because(reason).with_values(values);
        let bytes = result.encode();
        prop_assert!(bytes.len() <= FIELD_ROOM_BYTES);
        prop_assert!(TaskResult::decode(&bytes).is_ok());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_task(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Task::decode(&bytes);
        let _ = TaskResult::decode(&bytes);
    }

    #[test]
    fn a_damaged_task_is_an_error_or_a_task(command in command(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = task(command).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Task::decode(&bytes);
    }
}

#[test]
fn the_codes_of_commands_never_change() {
    let codes: Vec<(u8, &str)> = [
        Command::Reboot,
        Command::CollectLogs { max_bytes: 1 },
        Command::RestartApplication,
        Command::FactoryReset,
        Command::Lock { message: String::new() },
        Command::Unlock,
        Command::ClearReversal,
        Command::ClearBatch,
        Command::PrintTestSlip { text: None },
        Command::SelfTest,
        Command::Diagnose,
    ]
    .iter()
    .map(|command| (command.code(), command.name()))
    .collect();
    assert_eq!(
        codes,
        [
            (1, "reboot"),
            (8, "collect-logs"),
            (9, "restart-application"),
            (10, "factory-reset"),
            (11, "lock"),
            (12, "unlock"),
            (13, "clear-reversal"),
            (14, "clear-batch"),
            (15, "print-test-slip"),
            (16, "self-test"),
            (17, "diagnose"),
        ]
    );
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let result = TaskResult::new(Uuid::nil(), 1, Outcome::INTERNAL).because("终".repeat(100));
    assert_eq!(TaskResult::decode(&result.encode()).unwrap().reason.len(), 120);
}

#[test]
fn a_message_in_chinese_arrives_and_one_that_is_too_long_or_has_control_characters_is_told_beforehand() {
    let lock = |message: &str| task(Command::Lock { message: message.into() });
    let fits = lock(&"锁".repeat(80));
    assert_eq!(Task::decode(&fits.encode()).unwrap(), fits);
    fits.check().unwrap();
    for bad in [&"锁".repeat(81)[..], "a\u{1b}[2Jb", "two\nlines"] {
        assert!(lock(bad).check().unwrap_err().to_string().contains("control characters"));
        Task::decode(&lock(bad).encode()).unwrap();
    }
    let mut raw = lock("ab").encode();
    *raw.last_mut().unwrap() = 7;
    assert!(Task::decode(&raw).unwrap_err().to_string().contains("printable"));
}

#[test]
fn what_no_terminal_could_do_is_refused_when_it_is_read() {
    let time = Timestamp::UNIX_EPOCH;
    let bad = [
        Command::SyncClock { time, utc_offset_s: MAX_UTC_OFFSET_S + 1, force: true },
        Command::SyncClock { time, utc_offset_s: i32::MIN, force: true },
        Command::ChangeTmsAddress { addresses: vec!["a:1".into()], attempts: 0 },
        Command::ChangeTmsAddress { addresses: vec![], attempts: 1 },
        Command::ChangeTmsAddress { addresses: vec!["nowhere".into()], attempts: 1 },
        Command::ChangeTmsAddress { addresses: vec!["a:1".into(); 5], attempts: 1 },
        Command::InstallPlan(PlanSource::File {
            version: 1,
            file: "p".into(),
            size_bytes: 1 << 20,
            sha256: [0; 32],
        }),
    ];
    for command in bad {
        let name = command.name();
        assert!(Task::decode(&task(command).encode()).is_err(), "{name}");
    }
}

#[test]
fn a_task_whose_content_is_no_good_still_has_a_name_to_answer_under() {
    let bytes = task(Command::ChangeTmsAddress { addresses: vec!["nowhere".into()], attempts: 1 }).encode();
    let read = Task::decode_named(&bytes).unwrap();
    assert_eq!((read.operation, read.step), (Uuid::from_u128(7), 1));
    let Command::Unusable { code: 21, reason } = read.command else { panic!() };
    assert!(reason.contains("host:port"), "{reason}");
    assert_eq!(Task::decode_named(&task(Command::Unlock).encode()).unwrap(), task(Command::Unlock));
    assert!(Task::decode_named(&bytes[3..]).is_err());
}

#[test]
fn the_largest_plan_that_a_command_carries_fits_into_one_message() {
    let text = "x".repeat(MAX_TEXT_BYTES);
    let mut plan = Plan { id: Uuid::from_u128(1), version: 1, actions: Vec::new() };
    let mut inline = 0;
    for id in 0..20 {
        plan.actions.push(Action::new(id, Command::Lock { message: text[..(id as usize * 7)].into() }));
        if let source @ PlanSource::Inline(_) = PlanSource::of(plan.clone(), "plan").unwrap() {
            inline = plan.encode().unwrap().len();
            task(Command::InstallPlan(source)).check().unwrap();
        }
    }
    assert!(inline > MAX_INLINE_PLAN_BYTES - 200, "{inline}");
}

#[test]
fn results_of_the_first_layout_are_read() {
    let old = r#"{"operation":"00000000-0000-0000-0000-000000000002","step":1,"outcome":0,"reason":"","proof":null}"#;
    let result: TaskResult = serde_json::from_str(old).unwrap();
    assert_eq!(result, TaskResult::new(Uuid::from_u128(2), 1, Outcome::DONE));
    assert_eq!(result.values, Values::new());
}

#[test]
fn debug_output_never_shows_the_sealed_verifier() {
    let command =
        Command::CredentialPrepare { role: "99".into(), generation: 2, base: 1, sealed: vec![7; 3] };
    assert_eq!(format!("{command:?}"), "credential-prepare");
}

// The journal keeps what it must know of a whole operation under step 0.
#[test]
fn a_task_whose_step_is_0_is_refused() {
    let task = Task { operation: Uuid::from_u128(7), step: 0, command: Command::SelfTest };
    for read in [Task::decode, Task::decode_named] {
        assert!(read(&task.encode()).unwrap_err().to_string().contains("step"));
    }
    assert!(task.check().is_err());
}
