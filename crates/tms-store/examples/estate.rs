//! Measures what people do with a large estate.
//!
//! ```text
//! cargo run --release -p tms-store --example estate [PLACE [TERMINALS]]
//! ```
//!
//! The place is a folder, or the URL of a store that may keep what is written; one with terminals in it is measured
//! as it is.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tms_core::configuration::{Revision, effective};
use tms_core::rollout::{Action, Caps, RolloutState, TargetState, Wave, WaveSize};
use tms_core::{
    AttributeValue, DeviceState, Group, GroupKind, Health, OperationId, OperationKind, Place, Reported,
    Rollout, RolloutTarget, Selector, Terminal, TerminalId, Terms,
};
use tms_store::{
    ImportRow, StartedTarget, StartedWork, Store, TargetFilter, TerminalChange, Ticket, Work, conformance,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is asked for, from what many terminals are to what few or none are.
const SELECTORS: [&str; 16] = [
    "all",
    "life_cycle = active and model = A920",
    "model in (\"A920\", \"N910\") and not tag canary",
    "group under branch-7",
    "group under bank and reported.battery < 20",
    "tag canary",
    "attr.floor > 95",
    "serial = SN0099990",
    "vendor ~ \"P*\" and reported.firmware < 2.1.0",
    "reported.firmware < 1.0.1",
    "last_contact older than 2h",
    "last_contact never or reported.printer = fault",
    "reported.tamper = true",
    "reported.parameter.timeout_s > 60 and not reported.detail.locked = yes",
    "not (tag canary or attr.rented = true) and tid ~ \"*77\"",
    "model = nothing",
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let count: u32 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let (_folder, url) = if place.starts_with("postgres") || place.starts_with("sqlite:") {
        (None, place)
    } else {
        let folder = tempfile::tempdir_in(place)?;
        let url = format!("sqlite:{}", folder.path().join("estate.db").display());
        (Some(folder), url)
    };
    let store = tms_store::open(&url).await?;
    let now = Timestamp::now();
    if store.count_terminals().await? == 0 {
        fill(&store, count, now).await?;
    }
    pages(store.as_ref(), count, now).await?;
    whole(store.as_ref(), now).await?;
    chains(store.as_ref(), count).await?;
    rollouts(store.as_ref(), now).await?;
    many(store.as_ref(), count, now).await?;
    store.close().await;
    Ok(())
}

fn tid(number: u32) -> Result<TerminalId, Failure> {
    Ok(format!("T{number:07}").parse()?)
}

fn terminal(number: u32) -> Result<Terminal, Failure> {
    let mut new = conformance::terminal(tid(number)?.as_str());
    let pick = |of: &[&'static str]| of.get(number as usize % of.len()).copied().unwrap_or_default();
    let state = |every: u32| if number.is_multiple_of(every) { DeviceState::Fault } else { DeviceState::Ok };
    new.model = pick(&["A920", "N910", "S80", "P2", "V40"]).to_owned();
    new.serial = format!("SN{number:07}");
    new.sealing_public_key = vec![1; 32];
    new.desired.parameters = (0..12).map(|n| (format!("parameter_{n}"), (n * 7).to_string())).collect();
    new.reported = Reported {
        parameters: [("timeout_s".to_owned(), (number % 64).to_string())]
            .into_iter()
            .chain(new.desired.parameters.clone())
            .collect(),
        firmware_version: Some(format!("{}.{}.{}", 1 + number % 2, number % 4, number % 7)),
        boot_count: Some(number % 1_000),
        health: Health {
            battery_percent: u8::try_from(number % 101).ok(),
            paper: Some(!number.is_multiple_of(50)),
            printer: Some(state(500)),
            card_reader: Some(state(900)),
            pin_pad: Some(DeviceState::Ok),
            keyboard: Some(DeviceState::Ok),
            display: Some(DeviceState::Ok),
            tamper: Some(number % 20_000 == 1),
        },
        details: [("locked".to_owned(), "no".to_owned()), ("network".to_owned(), "4G".to_owned())].into(),
        at: Some(new.enrolled_at),
        ..Reported::default()
    };
    let mut tags = vec![format!("region:{}", number % 10).parse()?];
    if number.is_multiple_of(100) {
        tags.push("canary".parse()?);
    }
    new.place = Place {
        vendor: pick(&["PAX", "Newland", "Verifone"]).to_owned(),
        group: Some(format!("store-{}", number % 2_000).parse()?),
        tags: tags.into_iter().collect(),
        attributes: [
            ("floor".parse()?, AttributeValue::Integer((number % 97).into())),
            ("rented".parse()?, AttributeValue::Flag(number.is_multiple_of(3))),
        ]
        .into(),
        ..Place::default()
    };
    Ok(new)
}

async fn fill(store: &Arc<dyn Store>, count: u32, now: Timestamp) -> Result<(), Failure> {
    let group = |id: String, parent: Option<String>, kind| -> Result<Group, Failure> {
        Ok(Group {
            name: id.clone(),
            id: id.parse()?,
            parent: parent.map(|parent| parent.parse()).transpose()?,
            kind,
            templates: if kind == GroupKind::Acquirer { vec!["standard".parse()?] } else { Vec::new() },
            attributes: Default::default(),
            version: 0,
        })
    };
    let started = Instant::now();
    store.put_group(group("bank".to_owned(), None, GroupKind::Acquirer)?, None).await?;
    for n in 0..20 {
        let parent = Some("bank".to_owned());
        store.put_group(group(format!("branch-{n}"), parent, GroupKind::Branch)?, None).await?;
    }
    for n in 0..400 {
        let parent = Some(format!("branch-{}", n % 20));
        store.put_group(group(format!("merchant-{n}"), parent, GroupKind::Merchant)?, None).await?;
    }
    for n in 0..2_000 {
        let parent = Some(format!("merchant-{}", n % 400));
        store.put_group(group(format!("store-{n}"), parent, GroupKind::Store)?, None).await?;
    }
    say("2421 groups, one after the other", started.elapsed());
    for (scope, name) in
        [("template:standard", "timeout_s"), ("group:bank", "retries"), ("group:branch-7", "timeout_s")]
    {
        let values = [(name.to_owned(), "9".to_owned())].into();
        let scope = scope.parse()?;
        let (author, reason) = ("ann".to_owned(), String::new());
        store
            .add_revision(Revision {
                scope,
                number: 1,
                values,
                author,
                reason,
                at: now,
                rolled_back_from: None,
            })
            .await?;
    }
    let started = Instant::now();
    for first in (0..count).step_by(1_000) {
        let mut tasks = Vec::new();
        for number in first..count.min(first + 1_000) {
            let (store, new) = (Arc::clone(store), terminal(number)?);
            tasks.push(tokio::spawn(async move { store.add_terminal(new).await }));
        }
        for task in tasks {
            task.await??;
        }
        let heard = (first..count.min(first + 1_000)).filter(|n| n % 10 != 0);
        let heard = heard.map(|n| Ok((tid(n)?, now - SignedDuration::from_secs((n % 14_400).into()))));
        store.record_contacts(&heard.collect::<Result<Vec<_>, Failure>>()?).await?;
    }
    say(format!("{count} terminals, a thousand at once"), started.elapsed());
    Ok(())
}

/// The best, the middle and the worst of some runs.
async fn timed<T>(
    what: impl Display,
    runs: u32,
    run: impl AsyncFn(u32) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let (mut took, mut last) = (Vec::new(), None);
    for number in 0..runs {
        let started = Instant::now();
        last = Some(run(number).await?);
        took.push(started.elapsed());
    }
    took.sort_unstable();
    let ms = |at: usize| took.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0;
    println!("{what}: {:.2} ms ({:.2} to {:.2})", ms(took.len() / 2), ms(0), ms(took.len() - 1));
    Ok(last)
}

fn say(what: impl Display, took: Duration) {
    println!("{what}: {:.2} s", took.as_secs_f64());
}

async fn pages(store: &dyn Store, count: u32, now: Timestamp) -> Result<(), Failure> {
    println!("\nA page of 50:");
    timed("  list, anywhere", 20, async |run| {
        Ok(store.terminals(Some(&tid(run * count / 20)?), 50).await?.len())
    })
    .await?;
    for text in SELECTORS {
        let selector: Selector = text.parse()?;
        timed(format!("  {text}"), 5, async |run| {
            let after = tid(run * count / 10)?;
            Ok(store.find(&selector, Some(&after), 50, now).await?.len())
        })
        .await?;
    }
    Ok(())
}

async fn whole(store: &dyn Store, now: Timestamp) -> Result<(), Failure> {
    println!("\nA count over all:");
    for text in SELECTORS {
        let selector: Selector = text.parse()?;
        let found = timed(format!("  {text}"), 5, async |_| Ok(store.count(&selector, now).await?)).await?;
        println!("      {} terminals", found.unwrap_or_default());
    }
    timed("  the ids of all", 3, async |_| Ok(store.ids(&Selector::all(), now).await?.len())).await?;
    Ok(())
}

async fn chains(store: &dyn Store, count: u32) -> Result<(), Failure> {
    println!("\nThe effective configuration of one terminal:");
    timed("  read and put together", 500, async |run| {
        let inputs = store.configuration(&[tid((run * 7_919) % count)?]).await?;
        let terminal = inputs.terminals.first().ok_or("the terminal is gone")?;
        Ok(effective(terminal, &inputs.groups, &inputs.current)?.entries.len())
    })
    .await?;
    Ok(())
}

async fn rollouts(store: &dyn Store, now: Timestamp) -> Result<(), Failure> {
    println!("\nA rollout over all:");
    let values = || [("timeout_s".to_owned(), "61".to_owned())].into();
    for (id, action, work) in [
        ("command", Action::Command { command: OperationKind::Reboot }, Work::Command(OperationKind::Reboot)),
        ("parameters", Action::Configuration, Work::Parameters(values())),
    ] {
        let wave = Wave {
            size: WaveSize::Rest,
            soak_s: 60,
            min_success_percent: 90,
            max_failure_percent: 10,
            needs_approval: false,
        };
        let draft = Rollout {
            id: id.parse()?,
            name: id.to_owned(),
            action,
            selector: Selector::all(),
            waves: vec![wave],
            caps: Caps { per_minute: u32::MAX, concurrent: u32::MAX },
            window: None,
            answer_within_s: 3_600,
            state: RolloutState::Draft,
            wave: 0,
            approved: 0,
            accepted_failures: 0,
            started_at: None,
            reason: None,
            author: "ann".to_owned(),
            version: 0,
        };
        let draft = store.add_rollout(draft).await?;
        let begun = Instant::now();
        let running = Rollout { state: RolloutState::Running, version: 2, ..draft };
        store.start_rollout(running.clone(), now).await?;
        say(format!("  {id}: targets frozen"), begun.elapsed());
        let waiting = TargetFilter { wave: Some(0), state: Some(TargetState::Waiting) };
        let targets = store.targets(&running.id, waiting, None, u32::MAX).await?;
        let first = targets.first().ok_or("there are no targets")?.terminal.clone();
        let started = (0_u64..).zip(targets).map(|(number, target)| {
            let mut random = [0; 10];
            random.iter_mut().zip(number.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
            random[9] = u8::from(id == "command");
            let ticket = Ticket {
                id: OperationId::new(now, random),
                expires_at: now + SignedDuration::from_hours(24),
            };
            let terms = Terms { rollout: Some(running.id.clone()), ..Terms::default() };
            StartedTarget {
                target: RolloutTarget {
                    state: TargetState::Queued,
                    operation: Some(ticket.id),
                    started_at: Some(now),
                    ..target
                },
                work: Some(StartedWork { work: work.clone(), ticket, terms }),
            }
        });
        let started: Vec<_> = started.collect();
        let queueing = Instant::now();
        let next = Rollout { version: 3, ..running };
        store.start_targets(next.clone(), started, now).await?;
        say(format!("  {id}: every operation queued"), queueing.elapsed());
        let leased =
            store.lease_next(&first, "node/session", now + SignedDuration::from_mins(1), now).await?;
        leased.ok_or("the first terminal has nothing to do")?;
        say(format!("  {id}: from the start to the first operation taken up"), begun.elapsed());
        timed(format!("  {id}: the tally"), 5, async |_| {
            Ok(store.rollout_tally(&next.id, now).await?.is_some())
        })
        .await?;
        timed(format!("  {id}: whom to look at, none"), 5, async |_| {
            Ok(store.watched(&next.id, false, None, 500, now).await?.len())
        })
        .await?;
    }
    Ok(())
}

async fn many(store: &dyn Store, count: u32, now: Timestamp) -> Result<(), Failure> {
    println!("\nMany at once:");
    let started = Instant::now();
    let change = TerminalChange { add_tags: [("seen".parse()?)].into(), ..TerminalChange::default() };
    let done = store.change_terminals(&Selector::all(), change, now).await?;
    say(format!("  a tag on {} terminals", done.changed), started.elapsed());
    let rows = (0..count).map(|number| {
        let change = TerminalChange {
            merchant: Some("102310060510002".parse()?),
            model: Some("A920".to_owned()),
            group: Some(Some("store-1".parse()?)),
            add_tags: [("imported".parse()?)].into(),
            ..TerminalChange::default()
        };
        Ok(ImportRow {
            id: format!("N{number:07}").parse()?,
            profile: Some(tms_core::Profile::iso87()),
            change,
        })
    });
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
    for dry_run in [true, false] {
        let started = Instant::now();
        let done = store.import_terminals(rows.clone(), dry_run, now).await?;
        say(format!("  an import of {count} new terminals (done: {})", done.is_applied), started.elapsed());
    }
    Ok(())
}
