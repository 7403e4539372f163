//! The slots as a whole: each refusal, each path, and random walks with power cuts.

use proptest::prelude::*;

use super::*;
use crate::{Draft, Envelope, SigningKey, TrustRoot};

const SIZE: u64 = 100;

fn signed(version: &str, counter: u32, sha256: [u8; 32]) -> VerifiedManifest {
    let key = SigningKey::generate().unwrap();
    let draft = Draft {
        vendor: "Example".into(),
        models: vec!["SIM-8".into(), "SIM-9".into()],
        hardware_revisions: vec!["A1".into()],
        version: version.parse().unwrap(),
        security_counter: counter,
        ..Draft::default()
    };
    let manifest = draft.complete(SIZE, sha256).unwrap();
    let root = TrustRoot::new(vec![key.public()], 1).unwrap();
    Envelope::sign(&manifest, &[key]).unwrap().verify(&root).unwrap()
}

fn device() -> Device {
    Device { model: "SIM-8".into(), hardware_revision: "A1".into(), slot_bytes: SIZE }
}

fn factory() -> SlotState {
    SlotState::factory(Image {
        version: "1.0.0".parse().unwrap(),
        security_counter: 2,
        size_bytes: SIZE,
        sha256: [1; 32],
    })
}

fn running(state: &SlotState) -> &str {
    state.running().unwrap().version.as_str()
}

/// A factory terminal with 1.1.0 written, verified and booted on trial.
fn on_trial() -> SlotState {
    let (mut state, new) = (factory(), signed("1.1.0", 3, [2; 32]));
    assert_eq!(state.begin(&new, &device()), Ok(Slot::B));
    state.verified(&new, SIZE, &[2; 32]).unwrap();
    assert_eq!(state.boot(), Boot::Trial);
    state
}

#[test]
fn an_image_that_confirms_stays_and_raises_the_floor() {
    let mut state = on_trial();
    assert_eq!((state.active(), running(&state), state.counter_floor()), (Slot::B, "1.1.0", 2));
    state.confirm().unwrap();
    assert_eq!((state.phase(), state.counter_floor()), (&Phase::Settled, 3));
    assert_eq!(state.boot(), Boot::Normal);
    assert_eq!(running(&state), "1.1.0");
}

#[test]
fn an_image_that_reports_itself_ill_gives_way_to_the_previous_one() {
    let mut state = on_trial();
    assert_eq!(state.fall_back().unwrap().version.as_str(), "1.1.0");
    assert_eq!((state.active(), running(&state), state.counter_floor()), (Slot::A, "1.0.0", 2));
    assert_eq!(state.slot(Slot::B), None);
}

#[test]
fn an_image_that_never_confirms_boots_three_times_and_no_more() {
    let mut state = on_trial();
    assert_eq!((state.boot(), state.boot()), (Boot::Trial, Boot::Trial));
    assert!(matches!(state.boot(), Boot::FellBack { failed } if failed.version.as_str() == "1.1.0"));
    assert_eq!(running(&state), "1.0.0");
}

#[test]
fn another_model_and_another_hardware_revision_are_refused_by_name() {
    let new = signed("1.1.0", 2, [2; 32]);
    let model = Device { model: "SIM-7".into(), ..device() };
    assert_eq!(
        factory().admit(&new, &model).unwrap_err().to_string(),
        "the image is for model SIM-8, SIM-9, this terminal is a SIM-7"
    );
    let hardware = Device { hardware_revision: "B2".into(), ..device() };
    assert!(matches!(factory().admit(&new, &hardware), Err(InstallError::WrongHardware { .. })));
}

#[test]
fn an_older_version_is_refused_even_with_a_higher_counter() {
    let old = signed("0.9.0", 9, [2; 32]);
    assert!(matches!(factory().begin(&old, &device()), Err(InstallError::RollbackVersion { .. })));
}

#[test]
fn a_lower_counter_is_refused_even_with_a_higher_version() {
    let dangerous = signed("9.0.0", 1, [2; 32]);
    assert_eq!(
        factory().begin(&dangerous, &device()),
        Err(InstallError::RollbackCounter { offered: 1, floor: 2 })
    );
}

#[test]
fn the_running_image_is_known_and_another_image_of_its_version_is_a_rollback() {
    let same = signed("1.0.0", 2, [1; 32]);
    assert!(matches!(factory().admit(&same, &device()), Err(InstallError::AlreadyRunning { .. })));
    let other = signed("1.0.0", 2, [7; 32]);
    assert!(matches!(factory().admit(&other, &device()), Err(InstallError::RollbackVersion { .. })));
}

#[test]
fn an_image_larger_than_a_slot_is_refused_before_it_is_fetched() {
    let small = Device { slot_bytes: SIZE - 1, ..device() };
    assert!(matches!(
        factory().begin(&signed("1.1.0", 2, [2; 32]), &small),
        Err(InstallError::TooLarge { .. })
    ));
}

#[test]
fn a_wrong_hash_or_size_ends_the_installation_and_nothing_boots() {
    let new = signed("1.1.0", 2, [2; 32]);
    for (size, hash) in [(SIZE, [3; 32]), (SIZE - 1, [2; 32]), (0, [2; 32])] {
        let mut state = factory();
        state.begin(&new, &device()).unwrap();
        let error = state.verified(&new, size, &hash).unwrap_err();
        assert!(matches!(error, InstallError::HashMismatch { .. } | InstallError::SizeMismatch { .. }));
        assert_eq!((state.boot(), running(&state)), (Boot::Normal, "1.0.0"));
        assert!(state.begin(&new, &device()).is_ok(), "it may be tried again");
    }
}

#[test]
fn a_manifest_other_than_the_one_being_written_does_not_vouch_for_it() {
    let (new, other) = (signed("1.1.0", 2, [2; 32]), signed("1.2.0", 2, [3; 32]));
    let mut state = factory();
    state.begin(&new, &device()).unwrap();
    assert!(matches!(state.verified(&other, SIZE, &[3; 32]), Err(InstallError::WrongState { .. })));
}

#[test]
fn impossible_steps_name_the_state() {
    assert_eq!(factory().confirm().unwrap_err().to_string(), "cannot confirm an image in state settled");
    assert_eq!(factory().fall_back().unwrap_err().to_string(), "cannot fall back in state settled");
    assert_eq!(on_trial().cancel().unwrap_err().to_string(), "cannot cancel an installation in state trial");
    let next = signed("1.2.0", 3, [3; 32]);
    assert_eq!(
        on_trial().begin(&next, &device()).unwrap_err().to_string(),
        "cannot begin an installation in state trial"
    );
    assert_eq!(
        factory().verified(&next, SIZE, &[3; 32]).unwrap_err().to_string(),
        "cannot accept a written image in state settled"
    );
}

#[test]
fn cancel_wins_over_a_finished_download() {
    let new = signed("1.1.0", 2, [2; 32]);
    let mut state = factory();
    state.begin(&new, &device()).unwrap();
    state.verified(&new, SIZE, &[2; 32]).unwrap();
    state.cancel().unwrap();
    assert_eq!((state.boot(), running(&state), state.slot(Slot::B)), (Boot::Normal, "1.0.0", None));
}

#[test]
fn a_stored_state_whose_active_slot_is_empty_is_not_believed() {
    let mut json = serde_json::to_value(factory()).unwrap();
    json["active"] = "B".into();
    let error = serde_json::from_value::<SlotState>(json).unwrap_err().to_string();
    assert!(error.contains("slot B is active but empty"), "{error}");
    let mut json = serde_json::to_value(factory()).unwrap();
    json["phase"] = "ready".into();
    assert!(serde_json::from_value::<SlotState>(json).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Begin(usize),
    Written { honest: bool },
    Boot,
    Confirm,
    FallBack,
    Cancel,
    PowerCut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..6).prop_map(Step::Begin),
        3 => prop::bool::weighted(0.8).prop_map(|honest| Step::Written { honest }),
        3 => Just(Step::Boot),
        2 => Just(Step::Confirm),
        1 => Just(Step::FallBack),
        1 => Just(Step::Cancel),
        1 => Just(Step::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens in whatever order: a whole and verified image runs, confirmed versions and
    /// the counter floor only rise, and no image stays on trial for ever.
    #[test]
    fn no_order_of_events_boots_an_unverified_or_older_image(steps in prop::collection::vec(step(), 0..60)) {
        let offers = [("1.1.0", 2), ("1.2.0", 2), ("1.3.0", 3), ("0.9.0", 4), ("2.0.0", 1), ("2.1.0", 5)];
        let offers: Vec<_> = (2_u8..).zip(offers).map(|(hash, (version, counter))| signed(version, counter, [hash; 32])).collect();
        let mut state = factory();
        let mut whole = vec![state.running().cloned().unwrap()];
        let mut confirmed = whole[0].clone();
        let mut trial_boots = 0;
        let mut last = 0;
        for step in steps {
            let before = state.clone();
            let refused = match step {
                Step::Begin(offer) => {
                    last = offer;
                    state.begin(&offers[offer], &device()).is_err()
                }
                Step::Written { honest } => {
                    let image = Image::of(offers[last].manifest());
                    let hash = if honest { image.sha256 } else { [0xEE; 32] };
                    let result = state.verified(&offers[last], SIZE, &hash);
                    if result.is_ok() {
                        prop_assert!(honest);
                        whole.push(image);
                    }
                    matches!(result, Err(InstallError::WrongState { .. }))
                }
                Step::Boot => {
                    trial_boots = if state.boot() == Boot::Trial { trial_boots + 1 } else { 0 };
                    false
                }
                Step::Confirm => {
                    let result = state.confirm();
                    if result.is_ok() {
                        confirmed = state.running().cloned().unwrap();
                        trial_boots = 0;
                    }
                    result.is_err()
                }
                Step::FallBack => {
                    let result = state.fall_back();
                    trial_boots = 0;
                    result.is_err()
                }
                Step::Cancel => state.cancel().is_err(),
                Step::PowerCut => {
                    let stored = serde_json::to_string(&state).unwrap();
                    state = serde_json::from_str(&stored).unwrap();
                    prop_assert_eq!(&state, &before);
                    false
                }
            };
            if refused {
                prop_assert_eq!(&state, &before, "a refused step changes nothing");
            }
            let running = state.running().cloned().unwrap();
            prop_assert!(whole.contains(&running));
            prop_assert!(running.version >= confirmed.version);
            prop_assert!(running.security_counter >= state.counter_floor());
            prop_assert!(state.counter_floor() >= before.counter_floor());
            prop_assert!(trial_boots <= TRIAL_BOOTS);
            if matches!(state.phase(), Phase::Trial { .. }) {
                prop_assert_eq!(state.slot(state.active().other()), Some(&confirmed), "the way back is there");
            } else {
                prop_assert_eq!(&running, &confirmed);
            }
        }
    }
}
