use super::*;

fn text(disk: &Disk, name: &str) -> String {
    String::from_utf8(disk.read(name).unwrap().unwrap_or_default()).unwrap()
}

fn power_cycle(disk: &Disk, seed: u64) {
    disk.cut_power();
    disk.power_on(&mut Rng::new(seed));
}

#[test]
fn a_file_holds_what_was_written_where_it_was_written() {
    let disk = Disk::default();
    disk.append("log", b"one two").unwrap();
    disk.write_at("log", 4, b"TWO!").unwrap();
    assert_eq!((text(&disk, "log").as_str(), disk.len("log").unwrap()), ("one TWO!", Some(8)));
    disk.truncate("log", 3).unwrap();
    assert_eq!(text(&disk, "log"), "one");
    disk.remove("log").unwrap();
    assert_eq!((disk.read("log").unwrap(), disk.len("log").unwrap()), (None, None));
}

#[test]
fn a_write_is_torn_at_the_byte_at_which_the_power_goes() {
    for at in 0..4 {
        let disk = Disk::default();
        disk.append("slot", b"old").unwrap();
        disk.sync("slot").unwrap();
        disk.cut_power_after(at);
        disk.append("slot", b"new!").unwrap_err();
        assert!(!disk.is_on());
        disk.read("slot").unwrap_err();
        // A seed that loses nothing more.
        let kept = (0..50).any(|seed| {
            let mut rng = Rng::new(seed);
            rng.index(2) == 0 && {
                disk.power_on(&mut Rng::new(seed));
                true
            }
        });
        assert!(kept);
        let expected = &"oldnew!"[..3 + usize::try_from(at).unwrap()];
        assert_eq!(text(&disk, "slot"), expected);
    }
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one_wherever_the_power_goes() {
    let mut seen = std::collections::BTreeSet::new();
    for at in 0..6 {
        let disk = Disk::default();
        disk.replace("state", b"before").unwrap();
        disk.cut_power_after(at);
        let answered = disk.replace("state", b"after").is_ok();
        disk.power_on(&mut Rng::new(at));
        let found = text(&disk, "state");
        assert!(found == "before" || found == "after", "{found}");
        assert!(!answered || found == "after", "an answered replacement is durable");
        seen.insert((answered, found));
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn only_what_was_not_synced_is_lost_and_the_newest_first() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let disk = Disk::default();
        disk.append("log", b"safe ").unwrap();
        disk.sync("log").unwrap();
        disk.append("log", b"a").unwrap();
        disk.append("log", b"b").unwrap();
        disk.write_at("log", 0, b"S").unwrap();
        power_cycle(&disk, seed);
        seen.insert(text(&disk, "log"));
    }
    let expected = ["Safe ab", "safe ", "safe a", "safe ab"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_full_disk_changes_nothing_and_recovers() {
    let disk = Disk::default();
    disk.replace("state", b"old").unwrap();
    disk.fail_writes(2);
    assert_eq!(disk.replace("state", b"new").unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.append("state", b"more").unwrap_err();
    assert_eq!(text(&disk, "state"), "old");
    disk.replace("state", b"new").unwrap();
    assert_eq!(text(&disk, "state"), "new");
    assert_eq!(disk.counts().failed, 2);
}

#[test]
fn what_waits_to_be_safe_is_bounded() {
    let disk = Disk::default();
    for _ in 0..1000 {
        disk.append("log", b"x").unwrap();
    }
    power_cycle(&disk, 1);
    assert!(disk.len("log").unwrap() >= Some(1000 - 32));
    assert_eq!(disk.counts().power_cuts, 1);
}
