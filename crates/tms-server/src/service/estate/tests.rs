use std::sync::Arc;

use testkit::MemoryStore;
use tms_core::{Group, GroupKind, LifeCycle, Selector, TerminalId};
use tms_store::TerminalChange;

use super::*;
use crate::service::ServiceError;
use crate::testing::{self, Estate};

async fn estate() -> Estate {
    let estate = testing::on(Arc::new(MemoryStore::new()));
    for (id, parent) in [("bank", None), ("branch", Some("bank")), ("shop", Some("branch"))] {
        create_group(&estate.app, new_group(id, parent)).await.unwrap();
    }
    estate
}

fn new_group(id: &str, parent: Option<&str>) -> Group {
    Group {
        id: id.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        kind: GroupKind::Other,
        name: id.to_owned(),
        templates: Vec::new(),
        attributes: BTreeMap::new(),
        version: 0,
    }
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

async fn import_csv(estate: &Estate, file: &str, options: ImportOptions) -> ImportReport {
    let rows = read(Format::Csv, file.as_bytes()).unwrap();
    import(&estate.app, rows, options).await.unwrap()
}

async fn exported(estate: &Estate, format: Format) -> String {
    let mut export = Export::begin(Arc::clone(&estate.app), Selector::all(), format).await.unwrap();
    let mut file = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        file.extend(piece);
    }
    String::from_utf8(file).unwrap()
}

fn told(report: &ImportReport) -> Vec<(u64, &str)> {
    report.problems.iter().map(|(row, problem)| (*row, problem.reason.as_str())).collect()
}

#[tokio::test]
async fn a_group_is_renamed_and_moved_and_never_under_itself() {
    let estate = estate().await;
    let id = "branch".parse().unwrap();
    let rename = GroupChange { name: Some("分行".to_owned()), ..GroupChange::default() };
    let renamed = change_group(&estate.app, &id, rename.clone(), Some(1)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.version), ("分行", 2));
    let stale = change_group(&estate.app, &id, rename, Some(1)).await.unwrap_err().to_string();
    assert!(stale.contains("has version 2 by now and not 1"), "{stale}");
    let under = |parent: Option<&str>| GroupChange {
        parent: Some(parent.map(|parent| parent.parse().unwrap())),
        ..GroupChange::default()
    };
    let error = change_group(&estate.app, &id, under(Some("shop")), None).await.unwrap_err();
    assert_eq!(error.to_string(), "group branch would stand under itself: branch under shop under branch");
    change_group(&estate.app, &id, under(None), None).await.unwrap();
    let sight = group(&estate.app, &"shop".parse().unwrap()).await.unwrap();
    assert_eq!(sight.path, ["branch".parse().unwrap(), "shop".parse().unwrap()]);
    let nothing = change_group(&estate.app, &id, GroupChange::default(), None).await.unwrap_err();
    assert!(matches!(nothing, ServiceError::Invalid(_)));
}

#[tokio::test]
async fn a_group_counts_its_terminals_and_stays_while_it_has_any() {
    let estate = estate().await;
    let tid = estate.terminal("10000001").await;
    let shop = "shop".parse().unwrap();
    let into = TerminalChange { group: Some(Some("shop".parse().unwrap())), ..TerminalChange::default() };
    change_place(&estate.app, &tid, into, None).await.unwrap();
    let bank = group(&estate.app, &"bank".parse().unwrap()).await.unwrap();
    assert_eq!((bank.terminals, bank.terminals_below), (0, 1));
    assert_eq!(bank.children, ["branch".parse().unwrap()]);
    let error = delete_group(&estate.app, &shop, None).await.unwrap_err().to_string();
    assert_eq!(error, "group shop cannot be deleted: 0 groups and 1 terminals belong to it");
    let out = TerminalChange { group: Some(None), ..TerminalChange::default() };
    change_place(&estate.app, &tid, out, None).await.unwrap();
    delete_group(&estate.app, &shop, Some(1)).await.unwrap();
    assert!(group(&estate.app, &shop).await.is_err());
    let again = create_group(&estate.app, new_group("bank", None)).await.unwrap_err().to_string();
    assert_eq!(again, "group bank exists already");
}

#[tokio::test]
async fn a_trial_of_a_change_of_many_tells_what_the_change_then_does() {
    let estate = estate().await;
    for n in 0..3 {
        estate.terminal(&format!("1000000{n}")).await;
    }
    let retired = "10000002".parse::<TerminalId>().unwrap();
    let retire = TerminalChange { life_cycle: Some(LifeCycle::Retired), ..TerminalChange::default() };
    change_place(&estate.app, &retired, retire, None).await.unwrap();
    let lock = TerminalChange { life_cycle: Some(LifeCycle::Locked), ..TerminalChange::default() };
    let trial = change_many(&estate.app, &Selector::all(), lock.clone(), true).await.unwrap();
    assert_eq!((trial.selected, trial.changed, trial.refused), (3, 2, 1));
    assert_eq!(estate.app.store.count(&selector("life_cycle = locked"), estate.app.now()).await.unwrap(), 0);
    let done = change_many(&estate.app, &Selector::all(), lock, false).await.unwrap();
    assert_eq!(done, trial);
    assert_eq!(
        done.refusals,
        [(retired, "terminal 10000002 is retired and cannot become locked".to_owned())]
    );
    let nowhere = TerminalChange { group: Some(Some("x".parse().unwrap())), ..TerminalChange::default() };
    for dry_run in [true, false] {
        let error = change_many(&estate.app, &Selector::all(), nowhere.clone(), dry_run).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no group x");
    }
}

#[tokio::test]
async fn a_terminal_takes_the_place_of_another() {
    let estate = estate().await;
    let (old, new) = (estate.terminal("10000001").await, estate.terminal("10000002").await);
    let place = TerminalChange {
        group: Some(Some("shop".parse().unwrap())),
        add_tags: ["canary".parse().unwrap()].into(),
        ..TerminalChange::default()
    };
    change_place(&estate.app, &old, place, None).await.unwrap();
    let (retired, heir) = replace(&estate.app, &old, &new).await.unwrap();
    assert_eq!(
        (retired.place.life_cycle, retired.place.replaced_by.as_ref()),
        (LifeCycle::Retired, Some(&new))
    );
    assert_eq!((heir.place.group, heir.place.tags), (retired.place.group, retired.place.tags));
    let again = replace(&estate.app, &old, &new).await.unwrap_err().to_string();
    assert_eq!(again, "terminal 10000001 has been replaced by 10000002 already");
}

#[tokio::test]
async fn a_saved_selector_is_meant_by_its_name() {
    let estate = estate().await;
    let save = |text: &'static str, version| {
        save_selector(&estate.app, "north".parse().unwrap(), text, String::new(), "ann".to_owned(), version)
    };
    let saved = save("tag  north", Some(0)).await.unwrap();
    assert_eq!((saved.selector.to_string().as_str(), saved.version), ("tag north", 1));
    assert_eq!(resolve(&estate.app, " @north").await.unwrap(), selector("tag north"));
    assert!(save("all", Some(0)).await.unwrap_err().to_string().contains("has version 1"));
    assert!(matches!(save("@north", None).await, Err(ServiceError::Selector(_))));
    for unknown in ["@south", "@", "@a b"] {
        assert!(matches!(resolve(&estate.app, unknown).await, Err(ServiceError::NoSelector(_))), "{unknown}");
    }
    let name = "check".parse().unwrap();
    let reserved = save_selector(&estate.app, name, "all", String::new(), "ann".to_owned(), None).await;
    assert!(matches!(reserved, Err(ServiceError::Invalid(_))));
    delete_selector(&estate.app, &"north".parse().unwrap(), Some(1)).await.unwrap();
    assert!(resolve(&estate.app, "@north").await.is_err());
}

const FILE: &str = "\
id,merchant,profile,group,tags,attr.floor,attr.contract,time_zone
20000001,102310060510002,unionpay,shop,canary north,3,\"\"\"17\"\"\",Asia/Urumqi
20000002,102310060510002,iso87,,,,,
";

#[tokio::test]
async fn a_file_registers_terminals_that_are_enrolled_later_and_keep_their_place() {
    let estate = estate().await;
    let trial = import_csv(&estate, FILE, ImportOptions { dry_run: true, partial: false }).await;
    assert_eq!((trial.rows, trial.added, trial.refused, trial.applied), (2, 2, 0, false));
    assert_eq!(estate.app.store.count_terminals().await.unwrap(), 0);
    let done = import_csv(&estate, FILE, ImportOptions::default()).await;
    assert_eq!(done, ImportReport { applied: true, ..trial });
    let again = import_csv(&estate, FILE, ImportOptions::default()).await;
    assert_eq!((again.same, again.added, again.changed), (2, 0, 0));

    let tid = "20000001".parse().unwrap();
    let imported = estate.app.store.terminal(&tid).await.unwrap().unwrap();
    assert_eq!(imported.place.life_cycle, LifeCycle::Registered);
    assert_eq!(imported.place.attributes["floor"], AttributeValue::Integer(3));
    assert_eq!(imported.place.attributes["contract"], AttributeValue::Text("17".into()));
    assert!(!tms_store::estate::is_enrolled(&imported));
    estate.terminal("20000001").await;
    let enrolled = estate.app.store.terminal(&tid).await.unwrap().unwrap();
    assert!(tms_store::estate::is_enrolled(&enrolled));
    assert_eq!(enrolled.place.life_cycle, LifeCycle::Active);
    assert_eq!(enrolled.place.tags, imported.place.tags);
    assert_eq!(enrolled.place.group, imported.place.group);
}

const FAULTY: &str = "\
id,merchant,profile,group,life_cycle,tags
30000001,102310060510002,iso87,shop,,
30000001,102310060510002,iso87,shop,,

a b,102310060510002,iso87,,,
30000002,102310060510002,iso87,nowhere,,
30000003,,iso87,,,
30000004,102310060510002,iso87,,sleeping,Canary
,102310060510002,iso87,,,
30000005,102310060510002
";

#[tokio::test]
async fn each_row_that_cannot_be_says_where_and_why_and_nothing_is_done() {
    let estate = estate().await;
    let report = import_csv(&estate, FAULTY, ImportOptions::default()).await;
    assert_eq!(
        told(&report),
        [
            (3, "terminal 30000001 is in row 2 too"),
            (5, "\"a b\" is not a terminal id: it has 1 to 16 letters, digits, '-' or '_'"),
            (6, "there is no group nowhere"),
            (7, "the new terminal 30000003 needs a merchant"),
            (
                8,
                "\"sleeping\" is not a life cycle: it is registered, active, locked, suspended or retired; \
                 \"Canary\" is not a tag: it has 1 to 40 lower-case letters, digits, '.', '_', ':' or '-', and \
                 begins with a letter or digit"
            ),
            (9, "the row has no id"),
            (10, "the row has 2 cells and the file 6 columns"),
        ]
    );
    assert_eq!((report.rows, report.added, report.refused, report.applied), (8, 1, 7, false));
    assert_eq!(estate.app.store.count_terminals().await.unwrap(), 0);
    let partial = ImportOptions { partial: true, dry_run: false };
    let part = import_csv(&estate, FAULTY, partial).await;
    assert_eq!(part, ImportReport { applied: true, ..report.clone() });
    assert_eq!(estate.app.store.count_terminals().await.unwrap(), 1);
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_as_a_whole() {
    for (format, file, part) in [
        (Format::Csv, &b""[..], "no column id"),
        (Format::Csv, b"tid,merchant\n", "there is no column \"tid\"; the columns are id, merchant"),
        (Format::Csv, b"id,id\n", "the column id is there twice"),
        (Format::Csv, b"id,attr.Floor\n", "is not a attribute name"),
        (Format::Json, b"{}", "an array of terminals"),
        (Format::Json, b"[{\"id\": ", "no JSON array of terminals: EOF"),
    ] {
        let error = read(format, file).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let rows = read(Format::Csv, b"\xef\xbb\xbfid,vendor\r\n1,\"a\r\nb\"\r\n\r\n,,\r\n2,\r\n,\r\n").unwrap();
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 6]);
    let rows = read(Format::Csv, b"id,vendor\n1,\xd6\xd0\n").unwrap();
    assert!(rows[0].content.as_ref().unwrap_err().reason.contains("not in UTF-8"));
    let rows = read(Format::Json, b"[{\"id\": \"1\", \"colour\": \"red\"}, 7]").unwrap();
    let problem = rows[0].content.as_ref().unwrap_err();
    assert!(problem.reason.contains("unknown field `colour`"), "{}", problem.reason);
    assert_eq!(problem.terminal, Some("1".parse().unwrap()));
    assert!(rows[1].content.is_err());
    let estate = estate().await;
    let empty = import(&estate.app, Vec::new(), ImportOptions::default()).await.unwrap_err();
    assert_eq!(empty.to_string(), "there is no row to import");
}

#[tokio::test]
async fn what_is_exported_reads_back_as_the_same() {
    let estate = estate().await;
    import_csv(&estate, FILE, ImportOptions::default()).await;
    let odd = ["=1+1", "-", "", "true", "007", "7", "\"q\"", "a, b", " padded", "三楼", "@x", "+1"];
    for (n, text) in odd.into_iter().enumerate() {
        let attributes = [(format!("a{n}").parse().unwrap(), Some(AttributeValue::Text(text.to_owned())))];
        let change = TerminalChange {
            vendor: Some(text.to_owned()),
            attributes: attributes.into(),
            ..TerminalChange::default()
        };
        change_place(&estate.app, &"20000002".parse().unwrap(), change, None).await.unwrap();
    }
    let csv = exported(&estate, Format::Csv).await;
    assert!(csv.starts_with("id,merchant,profile,group,vendor,"), "{csv}");
    assert!(csv.contains("\"\"\"=1+1\"\"\""), "no formula for a spreadsheet: {csv}");
    let json = exported(&estate, Format::Json).await;
    for (format, file) in [(Format::Csv, csv), (Format::Json, json)] {
        let rows = read(format, file.as_bytes()).unwrap();
        let here = import(&estate.app, rows.clone(), ImportOptions::default()).await.unwrap();
        assert_eq!((here.same, here.refused), (2, 0), "{format:?}: {here:?}");
        let fresh = self::estate().await;
        import(&fresh.app, rows, ImportOptions::default()).await.unwrap();
        for tid in ["20000001", "20000002"] {
            let tid = tid.parse().unwrap();
            let there = fresh.app.store.terminal(&tid).await.unwrap().unwrap();
            let here = estate.app.store.terminal(&tid).await.unwrap().unwrap();
            assert_eq!(there.place.attributes, here.place.attributes);
            assert_eq!((there.place.vendor, there.place.tags), (here.place.vendor, here.place.tags));
        }
    }
    let nothing = Export::begin(Arc::clone(&estate.app), selector("tag none"), Format::Json).await;
    let piece = nothing.unwrap().next().await.unwrap().unwrap();
    assert_eq!(read(Format::Json, &piece).unwrap(), []);
}

#[tokio::test]
async fn a_dash_takes_away_and_an_empty_cell_leaves() {
    let estate = estate().await;
    import_csv(&estate, FILE, ImportOptions::default()).await;
    let file = "id,group,tags,attr.floor,attr.contract,vendor\n20000001,-,-,-,,PAX\n";
    let report = import_csv(&estate, file, ImportOptions::default()).await;
    assert_eq!((report.changed, report.applied), (1, true));
    let place = estate.app.store.terminal(&"20000001".parse().unwrap()).await.unwrap().unwrap().place;
    assert_eq!((place.group, place.tags.len(), place.vendor.as_str()), (None, 0, "PAX"));
    assert_eq!(place.attributes.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["contract"]);
}
