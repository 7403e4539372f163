//! Alarms: each told once, until it was right again.

use tms_proto::alarm::AlarmKind;

use super::{crashes::at_every_write, world::World};

fn kinds(world: &World) -> Vec<AlarmKind> {
    world.host.alarms.iter().map(|alarm| alarm.kind).collect()
}

#[test]
fn what_is_wrong_is_told_once_until_it_was_right_again() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::with(profile, "[hardware]\npaper = false\ntamper = true\nbattery_percent = 9");
        world.settle();
        assert_eq!(kinds(&world), [AlarmKind::TAMPER, AlarmKind::PAPER_OUT, AlarmKind::BATTERY_LOW]);
        world.restart();
        world.settle();
        assert_eq!(world.host.alarms.len(), 3, "a restart says nothing new");
        let mut health = world.machine().health;
        for paper in [true, false] {
            health.paper = paper;
            world.device.set_health(health, world.now).unwrap();
        }
        world.settle();
        assert_eq!(kinds(&world).last(), Some(&AlarmKind::PAPER_OUT));
        assert_eq!(world.host.alarms.len(), 4);
    }
}

#[test]
fn a_default_credential_and_a_guesser_raise_alarms() {
    let extra = "[[credential]]\nrole = \"00\"\nsecret = \"123456\"\ngeneration = 1";
    let mut world = World::with("iso87", extra);
    world.settle();
    assert_eq!(kinds(&world), [AlarmKind::DEFAULT_CREDENTIAL]);
    let defaults = &world.host.reports.last().unwrap().details.default_credentials;
    assert_eq!((defaults["00"], defaults["99"]), (true, false));
    for _ in 0..5 {
        world.device.try_login("99", "1", world.now).unwrap();
    }
    world.settle();
    assert_eq!(kinds(&world).last(), Some(&AlarmKind::FAILED_LOGINS));
}

#[test]
fn an_alarm_reaches_the_host_wherever_the_power_goes_and_a_repeat_has_its_number() {
    at_every_write(
        "iso87",
        |world| {
            let mut health = world.machine().health;
            health.paper = false;
            world.device.set_health(health, world.now).unwrap();
        },
        |world| {
            let mut numbers: Vec<_> = world.host.alarms.iter().map(|alarm| alarm.sequence).collect();
            numbers.dedup();
            assert_eq!(numbers.len(), 1, "{:?}", world.host.alarms);
        },
    );
}

#[test]
fn an_alarm_that_cannot_be_kept_is_not_told_before_it_can_be() {
    let mut world = World::new("iso87");
    world.settle();
    let mut health = world.machine().health;
    health.paper = false;
    world.storage.fail_after(0);
    world.device.set_health(health, world.now).unwrap_err();
    // Told now and forgotten by a restart, its number would be given to another.
    assert_eq!(world.machine().state.alarms.next(), None);
    for _ in 0..5 {
        world.device.try_login("99", "1", world.now).unwrap_err();
    }
    assert_eq!(world.machine().state.alarms.next(), None);
    world.storage.mend();
    world.device.set_health(health, world.now).unwrap();
    world.settle();
    assert_eq!(kinds(&world), [AlarmKind::PAPER_OUT]);
}
