//! Any losses, restarts, late replies and lies, in any order.

use proptest::prelude::*;

use super::*;
use crate::emv::{DownloadBody, tests::any_application};

/// What may happen to one question.
#[derive(Debug, Clone)]
enum Fault {
    None,
    /// The reply does not come.
    Lost,
    /// The reply to an earlier question comes instead.
    Stale(prop::sample::Index),
    Busy,
    /// The terminal restarts with what it keeps.
    Restart,
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        5 => Just(Fault::None),
        1 => Just(Fault::Lost),
        1 => any::<prop::sample::Index>().prop_map(Fault::Stale),
        1 => Just(Fault::Busy),
        1 => Just(Fault::Restart),
    ]
}

fn any_offer() -> impl Strategy<Value = Offer> {
    (
        prop::collection::btree_map(0u8..99, 2026i16..2030, 0..40),
        prop::collection::vec(any_application(), 0..12),
        0usize..120,
    )
        .prop_map(|(all, parameters, count)| {
            let mut aids = AidSet::default();
            parameters.into_iter().for_each(|one| aids.insert(one).unwrap());
            Offer {
                capks: keys(all),
                aids,
                blacklist: cards(count),
                contactless: templates(u16::try_from(count / 4).unwrap()),
                pin_free_bins: cards(count / 2),
                pin_free_blacklist: cards(count / 3),
                tms_parameters: None,
            }
        })
}

fn each_download(offer: &Offer) -> [Download; 7] {
    [
        Download::capk(&offer.capks),
        Download::aid(&offer.aids),
        Download::blacklist(&offer.blacklist),
        Download::tms_parameters(offer.tms_parameters.as_ref()),
        Download::contactless(&offer.contactless),
        Download::pin_free_bins(&offer.pin_free_bins),
        Download::pin_free_blacklist(&offer.pin_free_blacklist),
    ]
}

/// The part of an offer that one download brings.
fn of_kind(offer: &Offer, kind: DownloadKind) -> Offer {
    in_force(each_download(offer).iter().find(|download| download.kind() == kind).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_download_gets_through_losses_restarts_and_late_replies(
        old in any_offer(),
        new in any_offer(),
        faults in prop::collection::vec(any_fault(), 0..60),
    ) {
        for mut download in each_download(&old) {
            let kind = download.kind();
            let mut faults = faults.iter();
            let mut sent: Vec<(crate::Function, DownloadBody)> = Vec::new();
            let mut asked = 0;
            while let Some(request) = download.next_request() {
                asked += 1;
                prop_assert!(asked < 600, "{kind} goes on and on");
                let body = new.answer(&request, &FORMS).unwrap();
                let stored = in_force(&download);
                let outcome = match faults.next().unwrap_or(&Fault::None) {
                    Fault::None => download.on_reply(&request, &body, &FORMS),
                    Fault::Lost => continue,
                    Fault::Stale(index) => {
                        // A session tells replies apart by their function, and by nothing else.
                        let of_kind: Vec<_> = sent.iter().filter(|(f, _)| *f == request.function()).collect();
                        if of_kind.is_empty() {
                            continue;
                        }
                        download.on_reply(&request, &index.get(&of_kind).1, &FORMS)
                    }
                    Fault::Busy => download.on_refused(&request, Refusal::Busy),
                    Fault::Restart => {
                        let kept = serde_json::to_string(&download).unwrap();
                        download = serde_json::from_str(&kept).unwrap();
                        continue;
                    }
                };
                sent.push((request.function(), body));
                // A late reply may end the try, and never changes what is in force.
                let now = in_force(&download);
                if outcome.is_err() {
                    prop_assert_eq!(&now, &stored);
                }
                if kind != DownloadKind::Capk {
                    prop_assert!(now == of_kind(&old, kind) || now == of_kind(&new, kind), "{kind} in part");
                }
            }
            let now = in_force(&download);
            match kind {
                DownloadKind::Capk if new.has(kind) => {
                    for key in new.capks.iter() {
                        let given_up = skipped(&download).iter().any(|s| s.id == key.id());
                        prop_assert!(given_up || now.capks.get(key.id()) == Some(key));
                    }
                }
                _ if new.has(kind) => prop_assert_eq!(now, of_kind(&new, kind)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_lying_host_is_bounded_and_changes_nothing_but_by_whole_sets(
        old in any_offer(),
        new in any_offer(),
        lies in prop::collection::vec(any_lie(), 1..80),
    ) {
        for mut download in each_download(&old) {
            let before = in_force(&download);
            let mut lies = lies.iter().cycle();
            let mut asked = 0;
            while let Some(request) = download.next_request() {
                asked += 1;
                prop_assert!(asked < 2000, "it goes on and on");
                let honest = new.answer(&request, &FORMS).unwrap_or_default();
                let stored = in_force(&download);
                match download.on_reply(&request, &lies.next().unwrap().tell(&honest), &FORMS) {
                    Ok(Progress::Store) => {}
                    Ok(_) => prop_assert_eq!(in_force(&download), stored),
                    Err(_) => {
                        prop_assert_eq!(in_force(&download), stored);
                        break;
                    }
                }
            }
            if download.kind() != DownloadKind::Capk {
                let now = in_force(&download);
                prop_assert!(now == before || download.next_request().is_none_or(|r| r.is_end()));
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Lie {
    Honest,
    Control(u8),
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Random(Vec<u8>),
    Entries(u8, u8, u8),
}

fn any_lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        4 => Just(Lie::Honest),
        2 => (b'0'..b'5').prop_map(Lie::Control),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Lie::Byte(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Lie::Cut),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Lie::Random),
        2 => (b'0'..b'4', any::<u8>(), 0u8..12).prop_map(|(control, first, count)| Lie::Entries(control, first, count)),
    ]
}

impl Lie {
    fn tell(&self, honest: &[u8]) -> Vec<u8> {
        let mut body = honest.to_vec();
        match self {
            Self::Honest => {}
            Self::Control(control) => {
                if let Some(first) = body.first_mut() {
                    *first = *control;
                }
            }
            Self::Byte(at, byte) if !body.is_empty() => body[at.index(honest.len())] = *byte,
            Self::Byte(..) => body = vec![b'2'],
            Self::Cut(at) => body.truncate(at.index(honest.len() + 1)),
            Self::Random(bytes) => body.clone_from(bytes),
            Self::Entries(control, first, count) => {
                body = vec![*control];
                for index in 0..*count {
                    key(first.wrapping_add(index), 2030).entry().encode(&mut body, FORMS.capk_expiry);
                }
            }
        }
        body
    }
}
