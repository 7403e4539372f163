use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn spec(size_bytes: u64) -> TransferSpec {
    TransferSpec { file: "image".into(), size_bytes, sha256: [7; 32], block_bytes: 10, window: 4 }
}

fn transfer(size_bytes: u64) -> Transfer {
    Transfer::new(spec(size_bytes), 0, 1)
}

fn block(file: &[u8], request: &BlockRequest) -> Block {
    let start = usize::try_from(request.offset).unwrap();
    let end = start + request.length as usize;
    Block { offset: request.offset, total_bytes: file.len() as u64, data: file[start..end].to_vec() }
}

fn offsets(requests: &[BlockRequest]) -> Vec<u64> {
    requests.iter().map(|request| request.offset).collect()
}

#[test]
fn the_last_block_is_exactly_as_long_as_what_is_left() {
    let lengths: Vec<u32> = transfer(25).next_requests(NOW).iter().map(|r| r.length).collect();
    assert_eq!(lengths, [10, 10, 5]);
}

#[test]
fn an_empty_file_needs_no_block_but_still_its_hash() {
    let mut transfer = transfer(0);
    assert!(transfer.is_complete() && transfer.next_requests(NOW).is_empty());
    assert_eq!(transfer.verify_now(), Some(&[7; 32]));
}

#[test]
fn a_file_that_changed_size_is_refused_for_good() {
    let mut transfer = transfer(25);
    transfer.next_requests(NOW);
    let error = transfer.on_block(Block { offset: 0, total_bytes: 26, data: vec![0; 10] }, NOW).unwrap_err();
    assert_eq!(error, TransferError::SizeChanged { actual: 26, announced: 25 });
    assert_eq!(transfer.state(), State::Failed);
    assert!(transfer.next_requests(NOW).is_empty());
}

#[test]
fn a_block_of_another_length_fails_the_transfer() {
    for data in [vec![], vec![0; 9], vec![0; 11]] {
        let mut transfer = transfer(25);
        transfer.next_requests(NOW);
        let actual = data.len();
        let error = transfer.on_block(Block { offset: 0, total_bytes: 25, data }, NOW).unwrap_err();
        assert_eq!(error, TransferError::WrongLength { offset: 0, actual, expected: 10 });
    }
}

#[test]
fn a_block_that_later_answers_overtook_is_asked_for_again_without_waiting() {
    let file: Vec<u8> = (0..200).collect();
    let mut transfer = Transfer::new(TransferSpec { window: 16, ..spec(200) }, 0, 1);
    let mut requests = transfer.next_requests(NOW);
    let lost = requests.remove(0);
    for request in requests.drain(..) {
        transfer.on_block(block(&file, &request), NOW).unwrap();
    }
    let again = transfer.next_requests(NOW);
    assert_eq!(again.first(), Some(&lost));
    // The first request is given up much later, when its block has long come.
    transfer.on_block(block(&file, &lost), NOW).unwrap();
    transfer.on_missing(lost.offset, NOW).unwrap();
    assert!(!offsets(&transfer.next_requests(NOW)).contains(&lost.offset));
}

#[test]
fn requests_reach_one_window_beyond_what_is_durable_and_no_further() {
    let file: Vec<u8> = (0..200).collect();
    let mut transfer = transfer(200);
    let mut furthest = 0;
    while let requests @ [_, ..] = &transfer.next_requests(NOW)[..] {
        for request in requests {
            furthest = furthest.max(request.offset + u64::from(request.length));
            transfer.on_block(block(&file, request), NOW).unwrap();
        }
        while transfer.take_ready().is_some() {}
    }
    assert_eq!(furthest, 40);
    assert_eq!(transfer.wants_durable(), Some(40));
    transfer.on_durable(40);
    assert_eq!(offsets(&transfer.next_requests(NOW)), [40, 50, 60, 70]);
}

#[test]
fn a_final_refusal_ends_the_transfer_and_a_passing_one_makes_it_wait() {
    let mut busy = transfer(10);
    busy.next_requests(NOW);
    busy.on_refused(0, Refusal::Busy, NOW).unwrap();
    let due = busy.poll_timeout().unwrap();
    assert!(due > NOW && busy.next_requests(NOW).is_empty());
    assert_eq!(offsets(&busy.next_requests(due)), [0]);

    let mut gone = transfer(25);
    gone.next_requests(NOW);
    assert_eq!(gone.on_refused(0, Refusal::NotFound, NOW), Err(TransferError::Refused(Refusal::NotFound)));
    assert_eq!(gone.state(), State::Failed);
}

#[test]
fn waits_grow_while_nothing_useful_comes_and_the_connection_is_given_up_in_the_end() {
    let mut transfer = transfer(25);
    let (mut now, mut waits, mut useless) = (NOW, Vec::new(), 0);
    let error = loop {
        let requests = transfer.next_requests(now);
        assert!(!requests.is_empty());
        let lost = requests.iter().try_for_each(|request| {
            useless += 1;
            transfer.on_missing(request.offset, now)
        });
        if let Err(error) = lost {
            break error;
        }
        let due = transfer.poll_timeout().unwrap_or(now);
        waits.push(due.duration_since(now));
        now = due;
    };
    assert_eq!(error, TransferError::NothingUseful(useless));
    assert_eq!(waits[0], SignedDuration::ZERO, "the first is asked for again at once");
    assert!(waits.iter().max().unwrap() > &SignedDuration::from_secs(2), "{waits:?}");
    assert!(now.duration_since(NOW) < SignedDuration::from_mins(20));
}

#[test]
fn the_file_is_believed_only_with_its_hash() {
    let (file, mut transfer) = (vec![1; 25], transfer(25));
    for request in transfer.next_requests(NOW) {
        transfer.on_block(block(&file, &request), NOW).unwrap();
    }
    while transfer.take_ready().is_some() {}
    assert_eq!(transfer.verify_now(), None, "what is not durable cannot be measured");
    let early = transfer.on_measured(25, &[7; 32]).unwrap_err();
    assert_eq!(early.to_string(), "a transfer that is fetching cannot be verified");
    transfer.on_durable(transfer.wants_durable().unwrap());
    assert_eq!(transfer.verify_now(), Some(&[7; 32]));
    let mut forged = Transfer::resume(spec(25), &transfer.saved(), 1).unwrap();
    assert_eq!(forged.on_measured(25, &[8; 32]), Err(TransferError::HashMismatch));
    assert_eq!(forged.state(), State::Failed);
    transfer.on_measured(25, &[7; 32]).unwrap();
    assert_eq!(transfer.state(), State::Done);
}

#[test]
fn a_cancelled_transfer_is_not_resumed() {
    let mut running = transfer(25);
    running.next_requests(NOW);
    running.cancel().unwrap();
    assert!(running.next_requests(NOW).is_empty());
    let error = Transfer::resume(spec(25), &running.saved(), 1).unwrap_err();
    assert_eq!(error.to_string(), "a transfer that is cancelled cannot resume");

    let mut asleep = transfer(25).saved();
    asleep.cancel().unwrap();
    assert!(Transfer::resume(spec(25), &asleep, 1).is_err());
    assert!(Transfer::resume(spec(26), &asleep, 1).is_ok(), "another file is another transfer");
}

#[test]
fn what_is_done_cannot_be_cancelled() {
    let mut transfer = transfer(0);
    transfer.on_measured(0, &[7; 32]).unwrap();
    let error = transfer.cancel().unwrap_err();
    assert_eq!(error, TransferError::IllegalState { state: State::Done, action: "cancel" });
}

proptest! {
    // Blocks arrive in any order, twice, or not at all; connections break; the terminal
    // restarts and knows only what was durable. The file is whole and no byte is written
    // out of place.
    #[test]
    fn a_transfer_ends_with_the_file_under_any_interleaving(
        size in 0usize..300,
        choices in prop::collection::vec((0u8..12, any::<prop::sample::Index>()), 0..400),
    ) {
        let file: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
        let mut flash = vec![0u8; size];
        let mut transfer = transfer(size as u64);
        let mut wire: Vec<BlockRequest> = Vec::new();
        let mut now = NOW;
        let faults = choices.into_iter().map(Some).chain(std::iter::repeat(None));
        for (step, choice) in faults.enumerate() {
            prop_assert!(step < 2000, "no progress");
            now += SignedDuration::from_mins(2);
            wire.extend(transfer.next_requests(now));
            match choice {
                Some((0, _)) => { wire.clear(); transfer.on_disconnect(); }
                Some((1, _)) => {
                    wire.clear();
                    transfer = Transfer::resume(spec(size as u64), &transfer.saved(), 2).unwrap();
                }
                Some((2, index)) if !wire.is_empty() => {
                    let lost = wire.remove(index.index(wire.len()));
                    if transfer.on_missing(lost.offset, now).is_err() {
                        wire.clear();
                        transfer.on_disconnect();
                    }
                }
                Some((3, index)) if !wire.is_empty() => {
                    let twice = wire[index.index(wire.len())].clone();
                    transfer.on_block(block(&file, &twice), now).unwrap();
                }
                Some((_, index)) if !wire.is_empty() => {
                    let request = wire.remove(index.index(wire.len()));
                    transfer.on_block(block(&file, &request), now).unwrap();
                }
                Some(_) => {}
                None if wire.is_empty() => break,
                None => {
                    let request = wire.remove(0);
                    transfer.on_block(block(&file, &request), now).unwrap();
                }
            }
            while let Some((offset, data)) = transfer.take_ready() {
                let start = offset as usize;
                flash[start..start + data.len()].copy_from_slice(&data);
            }
            if let Some(offset) = transfer.wants_durable() {
                transfer.on_durable(offset);
            }
        }
        prop_assert!(transfer.verify_now().is_some());
        prop_assert_eq!(flash, file);
    }
}
