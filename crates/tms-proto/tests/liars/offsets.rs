//! Offsets beyond the end, backwards, overlapping, and of another block.

use std::sync::Arc;

use allocation_counter::measure;
use tms_proto::{
    Answer, Asked, Function, HostEvent, Profile, Refusal, TerminalEvent,
    file::{Block, BlockRequest},
    transfer::{MAX_WINDOW, State, Transfer, TransferError, TransferSpec},
    upload::Chunk,
};
use uuid::Uuid;

use super::{Link, MOST_BYTES, NOW, profiles};

const BLOCK_BYTES: u32 = 512;

fn spec(size_bytes: u64) -> TransferSpec {
    TransferSpec {
        file: "image".into(),
        size_bytes,
        sha256: [7; 32],
        block_bytes: BLOCK_BYTES,
        window: MAX_WINDOW,
    }
}

fn chunk(offset: u64, data: &[u8]) -> Chunk {
    let operation = Uuid::from_u128(3);
    Chunk { operation, offset, total_bytes: 8, sha256: [1; 32], data: data.to_vec() }
}

#[test]
fn a_block_from_another_offset_is_not_taken_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let request = BlockRequest { file: "image".into(), offset: 4096, length: 16 };
        // The block before, an overlapping one, the one after, the end, and beyond every file.
        for offset in [0, 4095, 4097, 4112, 8192, u64::MAX] {
            link.terminal.read_block(request.clone(), NOW).unwrap();
            let lie = Answer::Block { offset, total_bytes: 8192, data: &[0; 16] };
            let TerminalEvent::Unanswered { request: asked, reason } = link.answered(lie) else { panic!() };
            assert_eq!(asked, Asked::Block(request.clone()));
            assert_eq!(reason.to_string(), "file block: is not the one asked for");
        }
        link.still_stands();
    }
}

/// Whatever a host makes of a request: what the terminal's session lets through of it.
fn block(request: &BlockRequest, total_bytes: u64, length: usize) -> Block {
    Block { offset: request.offset, total_bytes, data: vec![0; length] }
}

#[test]
fn blocks_that_were_not_asked_for_are_neither_kept_nor_counted() {
    let mut transfer = Transfer::new(spec(1 << 20), 0, 1);
    let asked = transfer.next_requests(NOW);
    let held = measure(|| {
        for n in 0..10_000u64 {
            // Backwards from the end, overlapping, twice, and beyond the end.
            for offset in [(1 << 20) - n, n * 512 + 1, (1 << 20) + n * 512, u64::MAX - n] {
                let lie = Block { offset, total_bytes: 1 << 20, data: vec![0; 512] };
                transfer.on_block(lie, NOW).unwrap();
            }
        }
    });
    assert_eq!((transfer.buffered_bytes(), transfer.delivered_bytes()), (0, 0));
    assert!(held.bytes_current < MOST_BYTES, "{} bytes", held.bytes_current);
    assert_eq!(transfer.state(), State::Fetching, "the honest answers may yet come");
    for request in &asked {
        transfer.on_block(block(request, 1 << 20, 512), NOW).unwrap();
        transfer.on_block(block(request, 1 << 20, 512), NOW).unwrap();
    }
    assert_eq!(transfer.buffered_bytes(), asked.len() * 512, "each is there once");
}

#[test]
fn a_file_of_another_size_and_a_block_of_another_length_end_the_transfer_with_the_reason() {
    let mut transfer = Transfer::new(spec(2048), 0, 1);
    let request = transfer.next_requests(NOW).remove(0);
    assert_eq!(
        transfer.on_block(block(&request, u64::MAX, 512), NOW),
        Err(TransferError::SizeChanged { actual: u64::MAX, announced: 2048 })
    );
    assert_eq!((transfer.state(), transfer.buffered_bytes()), (State::Failed, 0));
    assert!(transfer.next_requests(NOW).is_empty());
    for actual in [0, 511, 513, 100_000] {
        let mut transfer = Transfer::new(spec(2048), 0, 1);
        let request = transfer.next_requests(NOW).remove(0);
        assert_eq!(
            transfer.on_block(block(&request, 2048, actual), NOW),
            Err(TransferError::WrongLength { offset: 0, actual, expected: BLOCK_BYTES })
        );
        assert_eq!((transfer.state(), transfer.buffered_bytes()), (State::Failed, 0));
    }
}

#[test]
fn a_host_that_never_sends_the_first_block_is_given_up_with_no_more_than_a_window_kept() {
    let mut transfer = Transfer::new(spec(64 << 20), 0, 1);
    let mut now = NOW;
    let mut asked = 0u64;
    let ended = loop {
        let requests = transfer.next_requests(now);
        asked += requests.len() as u64;
        assert!(asked < 10_000, "asks for ever");
        let mut ended = None;
        for request in requests {
            let heard = match request.offset {
                0 => transfer.on_missing(0, now),
                _ => transfer.on_block(block(&request, 64 << 20, 512), now),
            };
            ended = ended.or(heard.err());
        }
        assert!(transfer.buffered_bytes() <= MAX_WINDOW * 512, "{}", transfer.buffered_bytes());
        if let Some(ended) = ended {
            break ended;
        }
        now = transfer.poll_timeout().unwrap_or(now).max(now);
    };
    assert!(matches!(ended, TransferError::NothingUseful(_)), "{ended}");
    assert_eq!(transfer.delivered_bytes(), 0);
}

#[test]
fn a_piece_of_a_log_past_its_own_end_is_answered_with_a_format_error_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        for (offset, data) in [(6, &b"abc"[..]), (9, b""), (u64::MAX, b"a")] {
            for journal in [false, true] {
                let lie = chunk(offset, data);
                match journal {
                    false => link.terminal.upload(&lie, NOW).unwrap(),
                    true => link.terminal.upload_journal(&lie, NOW).unwrap(),
                }
                let HostEvent::Refused { function, refusal, reason } = link.hear_at_host() else { panic!() };
                let wanted = if journal { Function::JournalUpload } else { Function::LogUpload };
                assert_eq!((function, refusal), (Some(wanted), Refusal::FormatError));
                assert_eq!(reason.to_string(), "log chunk: reaches past the announced size");
                assert!(matches!(link.hear_at_terminal(), TerminalEvent::Refused { .. }));
            }
        }
        link.still_stands();
    }
}

#[test]
fn a_host_that_has_more_of_a_log_than_there_is_is_not_believed_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        // It may want an earlier piece again, because it lost it, or have later ones of another connection.
        for (next, taken) in [(0, true), (5, true), (8, true), (9, false), (u64::MAX, false)] {
            for journal in [false, true] {
                let piece = chunk(2, b"abc");
                match journal {
                    false => link.terminal.upload(&piece, NOW).unwrap(),
                    true => link.terminal.upload_journal(&piece, NOW).unwrap(),
                }
                let event = link.answered(Answer::Uploaded(next));
                match (taken, event) {
                    (true, TerminalEvent::Uploaded { next: told, .. })
                    | (true, TerminalEvent::JournalUploaded { next: told, .. }) => assert_eq!(told, next),
                    (false, TerminalEvent::Unanswered { reason, .. }) => {
                        assert_eq!(reason.to_string(), "upload answer: is past the announced size");
                    }
                    (_, other) => panic!("{}: {next}: {other:?}", profile.name()),
                }
            }
        }
        link.still_stands();
    }
}

/// A transfer whose host lies in every answer sends no more questions than its limit, whichever profile
/// carries it.
#[test]
fn a_host_whose_every_block_is_another_is_given_up_in_any_profile() {
    for profile in profiles() {
        let (asked, ended) = lied_to(&profile);
        assert!(asked < 200, "{}: {asked}", profile.name());
        assert!(matches!(ended, TransferError::NothingUseful(_)), "{ended}");
    }
}

fn lied_to(profile: &Arc<Profile>) -> (u32, TransferError) {
    let mut link = Link::new(profile);
    let mut transfer = Transfer::new(spec(1 << 20), 0, 1);
    let (mut now, mut asked) = (NOW, 0);
    loop {
        for request in transfer.next_requests(now) {
            asked += 1;
            let lie = request.offset.wrapping_sub(512);
            link.terminal.read_block(request.clone(), NOW).unwrap();
            let lie = Answer::Block { offset: lie, total_bytes: 1 << 20, data: &[0; 512] };
            let event = link.answered(lie);
            assert!(matches!(event, TerminalEvent::Unanswered { .. }), "{event:?}");
            if let Err(ended) = transfer.on_missing(request.offset, now) {
                return (asked, ended);
            }
        }
        now = transfer.poll_timeout().unwrap_or(now).max(now);
    }
}
