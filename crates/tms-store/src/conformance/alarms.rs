//! Promises about alarms, sets of the estate and documents.

use std::sync::Arc;

use tms_core::{Alarm, SetName, TerminalId, alarm::MAX_ALARMS_KEPT};

use super::{added, at};
use crate::error::StoreError;
use crate::store::Store;

fn alarm(tid: &TerminalId, sequence: u64) -> Alarm {
    Alarm {
        number: 0,
        terminal: tid.clone(),
        sequence,
        kind: "paper-out".to_owned(),
        severity: 2,
        at: at(1),
        text: "the printer has no paper 缺纸".to_owned(),
        received_at: at(2),
    }
}

/// By terminal and sequence; the first one stays.
pub async fn an_alarm_that_comes_twice_is_kept_once(store: &Arc<dyn Store>) {
    let (one, two) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    assert!(store.add_alarm(alarm(&one, 7)).await.unwrap());
    assert!(!store.add_alarm(Alarm { severity: 3, ..alarm(&one, 7) }).await.unwrap());
    assert!(store.add_alarm(alarm(&two, 7)).await.unwrap(), "another terminal's");
    let kept = store.alarms(Some(&one), None, 9).await.unwrap();
    let number = kept[0].number;
    assert_eq!(kept, [Alarm { number, ..alarm(&one, 7) }]);
    let stranger = store.add_alarm(alarm(&"T404".parse().unwrap(), 1)).await.unwrap_err();
    assert_eq!(stranger.to_string(), "there is no terminal T404");
}

/// Of one terminal, or of all.
pub async fn alarms_come_in_pages_newest_first(store: &Arc<dyn Store>) {
    let (one, two) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    for (tid, sequence) in [(&one, 1), (&two, 1), (&one, 5), (&two, 9), (&one, 6)] {
        store.add_alarm(alarm(tid, sequence)).await.unwrap();
    }
    let page = async |tid, after, limit| -> Vec<Alarm> { store.alarms(tid, after, limit).await.unwrap() };
    let all = page(None, None, 2).await;
    let seen = |alarms: &[Alarm]| -> Vec<_> {
        alarms.iter().map(|alarm| (alarm.terminal.to_string(), alarm.sequence)).collect()
    };
    assert_eq!(seen(&all), [("T1".to_owned(), 6), ("T2".to_owned(), 9)]);
    let rest = page(None, Some(all[1].number), 9).await;
    assert_eq!(seen(&rest), [("T1".to_owned(), 5), ("T2".to_owned(), 1), ("T1".to_owned(), 1)]);
    assert_eq!(seen(&page(Some(&one), Some(rest[0].number), 9).await), [("T1".to_owned(), 1)]);
}

/// A terminal that raises alarms without end takes no room without end.
pub async fn old_alarms_of_a_terminal_make_room(store: &Arc<dyn Store>) {
    let (one, two) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    store.add_alarm(alarm(&two, 1)).await.unwrap();
    let most = u64::try_from(MAX_ALARMS_KEPT).unwrap();
    for sequence in 1..=most + 3 {
        store.add_alarm(alarm(&one, sequence)).await.unwrap();
    }
    let kept = store.alarms(Some(&one), None, u32::MAX).await.unwrap();
    assert_eq!(kept.len(), MAX_ALARMS_KEPT);
    assert_eq!(kept.last().unwrap().sequence, 4);
    assert_eq!(store.alarms(Some(&two), None, 9).await.unwrap().len(), 1);
}

/// And only then.
pub async fn the_revision_of_a_set_rises_when_it_changes(store: &Arc<dyn Store>) {
    assert!(store.set(SetName::Capks).await.unwrap().is_none());
    assert_eq!(store.put_set(SetName::Capks, "[1]".to_owned(), None, at(1)).await.unwrap(), 1);
    assert_eq!(store.put_set(SetName::Capks, "[1]".to_owned(), None, at(2)).await.unwrap(), 1);
    assert_eq!(store.put_set(SetName::Capks, "[2]".to_owned(), None, at(3)).await.unwrap(), 2);
    assert_eq!(store.put_set(SetName::Aids, "[]".to_owned(), None, at(4)).await.unwrap(), 1);
    let capks = store.set(SetName::Capks).await.unwrap().unwrap();
    assert_eq!((capks.revision, capks.content.as_str(), capks.updated_at), (2, "[2]", at(3)));
    let all: Vec<_> = store.sets().await.unwrap().into_iter().map(|set| set.name).collect();
    assert_eq!(all, [SetName::Aids, SetName::Capks]);
}

/// One of each name for each terminal.
pub async fn a_document_replaces_the_one_before(store: &Arc<dyn Store>) {
    let (one, two) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    assert_eq!(store.document(&one, "batch").await.unwrap(), None);
    store.put_document(&one, "batch", "1".to_owned()).await.unwrap();
    store.put_document(&one, "batch", "2".to_owned()).await.unwrap();
    store.put_document(&one, "plan", "3".to_owned()).await.unwrap();
    assert_eq!(store.document(&one, "batch").await.unwrap().as_deref(), Some("2"));
    assert_eq!(store.document(&two, "batch").await.unwrap(), None);
    let stranger = store.put_document(&"T404".parse().unwrap(), "batch", String::new()).await.unwrap_err();
    assert!(matches!(stranger, StoreError::NotFound { .. }), "{stranger}");
}

/// A change that was made for another revision changes nothing, even if it would not have changed anything.
pub async fn a_set_for_another_revision_is_refused(store: &Arc<dyn Store>) {
    let name = SetName::TmsParameters;
    let put = |content: &str, expected| store.put_set(name, content.to_owned(), Some(expected), at(1));
    assert!(matches!(put("[1]", 3).await.unwrap_err(), StoreError::Stale { seen: 3, found: 0, .. }));
    assert_eq!(put("[1]", 0).await.unwrap(), 1);
    for content in ["[1]", "[2]"] {
        let late = put(content, 0).await.unwrap_err();
        assert!(matches!(late, StoreError::Stale { seen: 0, found: 1, .. }), "{late}");
    }
    assert_eq!(store.set(name).await.unwrap().unwrap().content, "[1]");
    assert_eq!(put("[2]", 1).await.unwrap(), 2);
}
