//! Firmware that nobody may trust, on its way into the server and on its way out of it.

use testkit::{Estate, Release, Speaks, until};
use tms_core::{FirmwareRecord, Operation, OperationState};
use tms_firmware::Envelope;
use tms_server::service::{self, ServiceError};
use tms_terminal::Handle;

use crate::assert_counted;

#[tokio::test]
async fn firmware_with_a_wrong_signature_is_refused_at_publishing_and_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let release = Release::new("2.0.0", 5_000);
    let stranger = estate.site().package_from_elsewhere(&release);

    let rest = estate.rest().await;
    let (status, problem) = rest.upload("/api/v1/firmware", stranger.clone()).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("firmware_signature_invalid")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("sign"), "{detail}");
    assert_counted!(estate, firmware_refused, 1);

    let file = estate.site().path("stranger.tmsfw");
    std::fs::write(&file, &stranger).unwrap();
    let error = service::publish(estate.app(), &file).await.unwrap_err();
    assert!(matches!(error, ServiceError::Firmware(_)), "{error}");
    assert_counted!(estate, firmware_refused, 2);
    let (_, listed) = rest.get("/api/v1/firmware").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 0);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_package_with_any_part_changed_is_refused_at_publishing_and_counted() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let rest = estate.rest().await;
    let package = estate.site().package(&Release::new("2.0.0", 5_000));
    let flipped = |at: usize| {
        let mut changed = package.clone();
        changed[at] ^= 1;
        changed
    };
    let wrong = [
        ("magic", flipped(0)),
        ("length of the envelope", flipped(9)),
        ("payload", flipped(40)),
        ("image", flipped(package.len() - 1)),
        ("end", package[..package.len() - 1].to_vec()),
        ("beginning of the image", package[..package.len() - 5_000].to_vec()),
        ("trailing byte", [package.as_slice(), b"x"].concat()),
        ("everything", Vec::new()),
    ];
    for (refused, (part, changed)) in (1..).zip(wrong) {
        let (status, problem) = rest.upload("/api/v1/firmware", changed).await;
        assert_eq!(status, 422, "{part}: {problem}");
        assert!(problem["code"].as_str().unwrap().starts_with("firmware_"), "{part}: {problem}");
        assert_counted!(estate, firmware_refused, refused);
    }
    let (status, _) = rest.upload("/api/v1/firmware", package).await;
    assert_eq!(status, 201, "the package as it was signed");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_package_larger_than_the_limit_is_refused_while_it_comes_and_counted_and_leaves_nothing() {
    let estate = Estate::with(|config| config.limits.firmware_bytes = 10_000).await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let rest = estate.rest().await;
    // The first is over the limit for an image, the second for whatever comes.
    for (refused, size_bytes) in (1..).zip([10_001, 1_000_000]) {
        let package = estate.site().package(&Release::new("2.0.0", size_bytes));
        let (status, problem) = rest.upload("/api/v1/firmware", package).await;
        assert_eq!((status, problem["code"].as_str()), (413, Some("body_too_large")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        let expected = "more than 10000 bytes, which is the limit (limits.firmware_bytes)";
        assert!(detail.contains(expected), "{detail}");
        assert_counted!(estate, firmware_refused, refused);
    }
    let incoming = estate.app().objects.path("incoming").unwrap();
    until("nothing to be left", async || (std::fs::read_dir(&incoming).unwrap().count() == 0).then_some(()))
        .await;
    let (status, _) =
        rest.upload("/api/v1/firmware", estate.site().package(&Release::new("2.0.0", 10_000))).await;
    assert_eq!(status, 201, "exactly as large as allowed");
    bystander.is_undisturbed().await;
}

/// A terminal that has been assigned an image, and the image was changed before it could fetch it.
async fn assigned(
    estate: &Estate,
    speaks: Speaks,
    release: &Release,
    tamper: impl AsyncFnOnce(&Estate, &FirmwareRecord),
) -> (Handle, Operation) {
    let terminal = estate.enrol("10000001", speaks).await;
    let handle = estate.run_signed_on(terminal.scenario()).await;
    let firmware = estate.publish(release).await;
    tamper(estate, &firmware).await;
    let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
    (handle, estate.ended(operation.id).await)
}

/// Asserts that the terminal runs what it ran, and told why.
async fn was_refused(estate: &Estate, handle: &Handle, operation: &Operation, sentence: &str) {
    assert_eq!(operation.state, OperationState::Failed);
    let detail = operation.detail.as_deref().unwrap();
    assert!(detail.contains(sentence), "{detail}");
    assert_counted!(*estate, operations_failed, 1);
    let terminal = handle.snapshot();
    assert_eq!(terminal.firmware_version, "1.0.0");
    assert_eq!((terminal.boot_count, terminal.install_phase), (1, "settled"), "it never booted that");
    // It is not tried over and over: the next report finds that it failed already.
    handle.set_health(terminal.health);
    let reports = estate.counters().messages.get();
    until("a report", async || (estate.counters().messages.get() > reports).then_some(())).await;
    let id = handle.tid().parse().unwrap();
    assert_eq!(estate.app().store.open_operations(&id).await.unwrap(), []);
}

#[tokio::test]
async fn a_terminal_refuses_an_image_that_was_changed_on_the_servers_disk_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let change = async |estate: &Estate, firmware: &FirmwareRecord| {
            let file = estate.app().objects.path(&firmware.object).unwrap();
            let mut image = std::fs::read(&file).unwrap();
            image[30_000] ^= 0x40;
            std::fs::write(&file, image).unwrap();
        };
        let (handle, operation) = assigned(&estate, speaks, &Release::new("2.0.0", 50_000), change).await;
        was_refused(&estate, &handle, &operation, "the image does not have the signed size and hash").await;
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_terminal_refuses_a_manifest_that_somebody_else_signed_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        // Whoever stole the server can put anything into its database, but cannot sign.
        let change = async |estate: &Estate, firmware: &FirmwareRecord| {
            let envelope = Envelope::from_json(firmware.envelope.as_bytes()).unwrap();
            let root = estate.app().trust.as_ref().unwrap();
            let manifest = envelope.verify(root).unwrap().manifest().clone();
            let forged = estate.site().envelope_from_elsewhere(&manifest);
            estate.site().sql(&format!("UPDATE firmware SET envelope = '{forged}'")).await;
        };
        let (handle, operation) = assigned(&estate, speaks, &Release::new("2.0.0", 50_000), change).await;
        was_refused(&estate, &handle, &operation, "the signature of the image does not verify").await;
        assert_eq!(estate.counters().block_bytes.get() / 10_000, 0, "no byte of the image was fetched");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_terminal_refuses_an_older_version_although_it_is_well_signed() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let release = Release::new("0.9.0", 20_000);
    let (handle, operation) = assigned(&estate, Speaks::UnionPay, &release, async |_, _| {}).await;
    was_refused(&estate, &handle, &operation, "the image is older than the one in force").await;
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_terminal_refuses_an_older_security_counter_although_the_version_is_newer() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let release = Release { security_counter: 0, ..Release::new("3.0.0", 20_000) };
    let (handle, operation) = assigned(&estate, Speaks::Iso87, &release, async |_, _| {}).await;
    was_refused(&estate, &handle, &operation, "the image is older than the one in force").await;
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn an_image_that_is_gone_from_the_servers_disk_fails_with_its_reason() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let remove = async |estate: &Estate, firmware: &FirmwareRecord| {
        std::fs::remove_file(estate.app().objects.path(&firmware.object).unwrap()).unwrap();
    };
    let release = Release::new("2.0.0", 20_000);
    let (handle, operation) = assigned(&estate, Speaks::UnionPay, &release, remove).await;
    was_refused(&estate, &handle, &operation, "a file could not be fetched").await;
    bystander.is_undisturbed().await;
}
