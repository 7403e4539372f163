//! Downloads for chip cards, announced by the host's header digit.

use tms_proto::{
    PendingWork,
    emv::{Aid, AidParameters, Capk, CapkId, CardPrefix, ContactlessTemplate, Expiry, Offer},
    parameters::{Values, content_hash},
};

use super::{
    crashes::at_every_write,
    world::{End, World},
};

pub(super) fn offer() -> Offer {
    let mut offer = Offer::default();
    for index in 1..=5 {
        let id = CapkId { rid: *b"\xA0\x00\x00\x03\x33", index };
        let expiry = Expiry::new("2030-12-31".parse().unwrap()).unwrap();
        offer.capks.insert(Capk::new(id, expiry, &[0xC1; 144], &[3]).unwrap()).unwrap();
        let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, 1, 1, index]).unwrap();
        offer.aids.insert(AidParameters::new(aid)).unwrap();
    }
    for card in 0..70u8 {
        offer.blacklist.push(CardPrefix::new(&format!("6228480000{card:04}")).unwrap()).unwrap();
        offer.pin_free_bins.push(CardPrefix::new(&format!("62290000{card:02}")).unwrap()).unwrap();
        offer.pin_free_blacklist.push(CardPrefix::new(&format!("6229000000{card:04}")).unwrap()).unwrap();
        let template = [&[0xFF, 0x80, 0x5D, 32, 0x9F, 0x66, 29][..], &[card; 29]].concat();
        offer.contactless.push(ContactlessTemplate::decode(&template).unwrap()).unwrap();
    }
    offer
}

fn announce(world: &mut World, work: PendingWork) {
    world.host.offer = offer();
    world.host.announced = Some(work);
}

#[test]
fn each_announced_download_is_fetched_kept_and_reported() {
    let mut world = World::new("unionpay");
    for work in [
        PendingWork::Capk,
        PendingWork::Aid,
        PendingWork::Blacklist,
        PendingWork::Contactless,
        PendingWork::PinFreeBins,
        PendingWork::PinFreeBlacklist,
    ] {
        announce(&mut world, work);
        world.settle();
        assert_eq!(world.host.announced, None, "{work:?}");
    }
    world.restart();
    let machine = world.machine();
    assert_eq!(machine.downloads.capk, world.host.offer.capks);
    assert_eq!(machine.downloads.aid, world.host.offer.aids);
    assert_eq!(machine.downloads.blacklist, world.host.offer.blacklist);
    assert_eq!(machine.downloads.contactless, world.host.offer.contactless);
    assert_eq!(machine.downloads.pin_free_bins, world.host.offer.pin_free_bins);
    assert_eq!(machine.downloads.pin_free_blacklist, world.host.offer.pin_free_blacklist);
    drop(machine);
    world.settle();
    let details = &world.host.reports.last().unwrap().details;
    let records = Values::from(&world.host.offer.capks);
    assert_eq!(details.capk_sha256, Some(content_hash(&records)));
    assert!(details.aid_sha256.is_some() && details.blacklist_sha256.is_some());
}

#[test]
fn a_broken_line_resumes_a_download_that_the_host_announces_again() {
    let mut world = World::new("unionpay");
    for frames in 8..40 {
        announce(&mut world, PendingWork::Capk);
        assert!(matches!(world.connect(frames), End::Broken | End::Quiet));
    }
    world.settle();
    assert_eq!(world.machine().downloads.capk, world.host.offer.capks);
}

#[test]
fn a_download_is_whole_in_the_end_wherever_the_power_goes() {
    at_every_write(
        "unionpay",
        |world| announce(world, PendingWork::Capk),
        |world| {
            assert_eq!(world.machine().downloads.capk, world.host.offer.capks);
            assert!(world.machine().downloads.running.is_empty());
        },
    );
}

#[test]
fn contactless_parameters_are_the_old_or_the_new_ones_wherever_the_power_goes() {
    at_every_write(
        "unionpay",
        |world| announce(world, PendingWork::Contactless),
        |world| {
            assert_eq!(world.machine().downloads.contactless, world.host.offer.contactless);
            assert!(world.machine().downloads.running.is_empty());
        },
    );
}

#[test]
fn a_download_that_is_still_announced_at_its_end_is_begun_again_but_not_at_once() {
    let mut world = World::new("unionpay");
    announce(&mut world, PendingWork::Blacklist);
    world.host.ends_unheard = 2;
    let began = world.now;
    world.settle();
    assert_eq!((world.host.announced, world.host.ends_unheard), (None, 0));
    let waited = world.now.duration_since(began).as_secs();
    assert!(waited >= 5 + 10, "{waited} s");
}
