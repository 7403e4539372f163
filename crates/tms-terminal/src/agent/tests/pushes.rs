//! Records that the host pushes, where it may speak first.

use tms_proto::parameters::{Push, RecordFile, Values, content_hash};
use uuid::Uuid;

use super::{crashes::at_every_write, downloads::offer, world::World};

const FILES: [RecordFile; 4] =
    [RecordFile::Parameters, RecordFile::Capk, RecordFile::Aid, RecordFile::Blacklist];

fn records(file: RecordFile) -> Values {
    let offer = offer();
    match file {
        RecordFile::Parameters => (0..30).map(|n| (format!("name_{n}"), format!("value {n}"))).collect(),
        RecordFile::Capk => Values::from(&offer.capks),
        RecordFile::Aid => Values::from(&offer.aids),
        RecordFile::Blacklist => Values::from(&offer.blacklist),
    }
}

fn held(world: &World, file: RecordFile) -> (u64, Values) {
    world.machine().records(file)
}

#[test]
fn a_whole_set_and_then_differences_of_it_come_into_force_and_are_reported() {
    for profile in ["iso87", "iso93"] {
        for file in FILES {
            let mut world = World::new(profile);
            let whole = records(file);
            let fewer: Values = whole.iter().skip(3).map(|(n, v)| (n.clone(), v.clone())).collect();
            world.host.pushes.push_back(Push::replace_all(Uuid::from_u128(1), file, 4, whole.clone()));
            world.settle();
            assert_eq!(held(&world, file), (4, whole.clone()), "{profile} {file}");
            let mut operation = 10;
            let ids = || {
                operation += 1;
                Uuid::from_u128(operation)
            };
            for push in Push::difference(ids, file, 4, &whole, &fewer) {
                world.host.pushes.push_back(push);
                world.settle();
            }
            world.restart();
            assert_eq!(held(&world, file), (5, fewer.clone()), "{profile} {file}");
            world.settle();
            let details = &world.host.reports.last().unwrap().details;
            let reported = match file {
                RecordFile::Parameters => details.parameters_sha256,
                RecordFile::Capk => details.capk_sha256,
                RecordFile::Aid => details.aid_sha256,
                RecordFile::Blacklist => details.blacklist_sha256,
            };
            assert_eq!(reported, Some(content_hash(&fewer)), "{profile} {file}");
        }
    }
}

#[test]
fn a_set_is_whole_or_the_old_one_wherever_the_power_goes() {
    for file in FILES {
        at_every_write(
            "iso87",
            |world| {
                world.host.pushes.push_back(Push::replace_all(Uuid::from_u128(1), file, 4, records(file)));
            },
            |world| assert!([(0, Values::new()), (4, records(file))].contains(&held(world, file))),
        );
    }
}
