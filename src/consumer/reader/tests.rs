use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::config::ConsumerConfig;
use crate::consumer::chunk::scan;
use crate::error::ErrorCode;
use crate::log::LogRing;
use crate::protocol::record::TimestampType;
use crate::reading::committed::Aborted;
use crate::reading::poll::Start;
use crate::reading::testing::{Wire, marker, pooled};

/// A consumer's shared side without an I/O thread, and one partition of it.
struct Desk {
    shared: Shared,
    reader: Reader,
    partition: Arc<Partition>,
    generation: u32,
}

impl Desk {
    fn new(more: &[(&str, &str)]) -> Self {
        let pairs = [("bootstrap.servers", "b:1")]
            .into_iter()
            .chain(more.iter().copied());
        let shared = Shared::new(
            ConsumerConfig::from_pairs(pairs).unwrap(),
            Arc::new(LogRing::new("c", None)),
            Clock::System,
        );
        let partition = shared.assignment().add("t", 0).unwrap();
        let generation = partition.restart(Start::Offset(0));
        Desk {
            shared,
            reader: Reader::default(),
            partition,
            generation,
        }
    }

    fn chunk(&self, batches: &[Vec<u8>], min_offset: i64, aborted: &[(i64, i64)]) -> Chunk {
        let data = pooled(batches);
        let charged = data.capacity();
        self.partition.add_unread(charged);
        self.shared.memory.add(charged);
        Chunk {
            partition: self.partition.clone(),
            generation: self.generation,
            records_left: scan(&data).records,
            data: Some(Data::Fresh(data)),
            at: 0,
            open: None,
            min_offset,
            aborted: Aborted::new(aborted.to_vec()),
            charged,
        }
    }

    fn arrive(&self, batches: &[Vec<u8>], min_offset: i64, aborted: &[(i64, i64)]) {
        self.shared.inbox.deliver(
            &mut Vec::new(),
            &mut vec![self.chunk(batches, min_offset, aborted)],
        );
    }

    fn poll(&mut self, max: usize) -> Polled {
        self.reader.poll(&self.shared, max, Duration::ZERO).unwrap()
    }

    fn batch(&mut self, max: usize) -> Batch {
        match self.poll(max) {
            Polled::Batch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    /// Offsets of all that can be polled, checked against the values.
    fn all(&mut self, max: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        while let Polled::Batch(batch) = self.poll(max) {
            assert!(batch.len() <= max && !batch.is_empty());
            for r in batch.iter() {
                assert_eq!(r.value().unwrap(), r.offset().to_string().as_bytes());
                assert_eq!((r.key(), r.headers().count()), (Some(&b"key"[..]), 1));
                offsets.push(r.offset());
            }
        }
        offsets
    }

    fn is_settled(&self) {
        assert_eq!(
            (self.shared.memory.unread(), self.partition.unread()),
            (0, 0),
            "all is read"
        );
        assert_eq!(self.shared.memory.held(), 0, "nothing is held");
    }
}

#[test]
fn every_bound_gives_the_same_records() {
    let codecs = [
        Codec::None,
        Codec::Lz4,
        Codec::Zstd,
        Codec::None,
        Codec::Snappy,
    ];
    let batches: Vec<_> = codecs
        .iter()
        .enumerate()
        .map(|(i, codec)| Wire::new(i as i64 * 20, 20).codec(*codec).bytes())
        .collect();
    for max in [1, 3, 7, 19, 20, 21, 40, 99, 100, 1000] {
        for from in [0, 1, 19, 20, 55, 99] {
            let mut desk = Desk::new(&[]);
            desk.arrive(&batches, from, &[]);
            assert_eq!(
                desk.all(max),
                (from..100).collect::<Vec<_>>(),
                "{max} from {from}"
            );
            desk.is_settled();
            assert_eq!(desk.partition.position(), Some(100));
        }
    }
}

#[test]
fn polls_merge_chunks_into_segments() {
    let mut desk = Desk::new(&[]);
    desk.arrive(&[Wire::new(0, 5).bytes(), Wire::new(5, 5).bytes()], 0, &[]);
    desk.arrive(
        &[
            Wire::new(10, 5).codec(Codec::Gzip).bytes(),
            Wire::new(15, 5).codec(Codec::Gzip).bytes(),
        ],
        10,
        &[],
    );
    let appended = Wire {
        append_time: Some(77),
        epoch: 4,
        ..Wire::new(20, 5)
    };
    desk.arrive(&[appended.bytes(), Wire::new(25, 1).bytes()], 20, &[]);
    let batch = desk.batch(100);
    let rows: Vec<_> = batch.segments().iter().map(Segment::rows).collect();
    assert_eq!(rows, [0..10, 10..20, 20..25, 25..26]);
    let stamped = &batch.segments()[2];
    assert_eq!(
        (stamped.timestamp_type(), stamped.leader_epoch()),
        (TimestampType::LogAppendTime, 4)
    );
    assert_eq!(batch.record(22).unwrap().timestamp(), 77);
    assert_eq!(batch.record(3).unwrap().timestamp(), 1003);
    assert!(desk.shared.memory.held() >= batch.held_bytes());
    drop(batch);
    desk.is_settled();
}

#[test]
fn the_position_is_before_the_batch_until_the_next_is_asked_for() {
    let mut desk = Desk::new(&[]);
    desk.arrive(&[Wire::new(0, 10).bytes()], 0, &[]);
    desk.batch(4);
    assert_eq!(desk.partition.position(), Some(0));
    desk.batch(4);
    assert_eq!(desk.partition.position(), Some(4));
    // A seek meanwhile is what counts.
    desk.generation = desk.partition.restart(Start::Offset(1));
    assert!(matches!(desk.poll(4), Polled::Nothing));
    assert_eq!(desk.partition.position(), Some(1));
    desk.is_settled();
}

#[test]
fn aborted_transactions_are_left_out_and_passed() {
    // 0-1 committed of 7, 3-4 aborted of 8 with 5-6 of 9 between, then 8 commits 9-10.
    let batches = [
        Wire::new(0, 2).of(7).bytes(),
        marker(2, 7, true),
        Wire::new(3, 2).of(8).bytes(),
        Wire::new(5, 2).of(9).bytes(),
        marker(7, 8, false),
        marker(8, 9, true),
        Wire::new(9, 2).of(8).bytes(),
        marker(11, 8, true),
    ];
    let mut desk = Desk::new(&[("isolation.level", "read_committed")]);
    desk.arrive(&batches, 0, &[(8, 3)]);
    assert_eq!(desk.all(3), [0, 1, 5, 6, 9, 10]);
    assert_eq!(desk.partition.position(), Some(12), "past the last marker");
    desk.is_settled();
    let mut desk = Desk::new(&[]);
    desk.arrive(&batches, 0, &[]);
    assert_eq!(desk.all(3), [0, 1, 3, 4, 5, 6, 9, 10], "read_uncommitted");
    // A chunk of nothing to deliver moves the position too.
    let mut desk = Desk::new(&[("isolation.level", "read_committed")]);
    desk.arrive(
        &[Wire::new(0, 5).of(1).bytes(), marker(5, 1, false)],
        0,
        &[(1, 0)],
    );
    assert!(matches!(desk.poll(10), Polled::Nothing));
    assert_eq!(desk.partition.position(), Some(6));
}

#[test]
fn a_corrupt_batch_stops_its_partition_after_what_is_sound() {
    for (at, check, code) in [
        (70, "true", ErrorCode::CORRUPT_BATCH),
        (61, "false", ErrorCode::CORRUPT_BATCH),
    ] {
        let mut bad = Wire::new(10, 10).bytes();
        bad[at] ^= 0x7f;
        let mut desk = Desk::new(&[("check.crcs", check)]);
        desk.arrive(
            &[Wire::new(0, 10).bytes(), bad, Wire::new(20, 10).bytes()],
            0,
            &[],
        );
        desk.arrive(&[Wire::new(30, 10).bytes()], 30, &[]);
        assert_eq!(desk.batch(100).len(), 10);
        let Polled::Event(event) = desk.poll(100) else {
            panic!("no event")
        };
        assert_eq!(
            (event.kind, event.from, event.to),
            (EventKind::PartitionStopped, 10, 20)
        );
        let error = event.error.unwrap();
        assert_eq!(error.code(), code);
        for part in ["t-0", "offset 10", "seek to offset 20"] {
            assert!(error.message().contains(part), "no {part:?} in {error}");
        }
        assert!(
            matches!(desk.poll(100), Polled::Nothing),
            "nothing behind it is delivered"
        );
        assert_eq!(desk.partition.position(), Some(10));
        let commands = desk.shared.take_commands();
        assert!(
            matches!(commands[..], [Command::Stop { generation, .. }] if generation == desk.partition.generation())
        );
        desk.is_settled();
    }
}

#[test]
fn a_decompression_bomb_is_named() {
    let mut builder = crate::protocol::record::BatchBuilder::new(usize::MAX, 1024);
    builder
        .append(None, Some(&vec![0; 100_000]), &[], 0)
        .unwrap();
    let sealed = builder.seal(Codec::Zstd, None).unwrap();
    let attempt = crate::protocol::record::Attempt::PLAIN;
    let bytes = [&sealed.header(&attempt)[..], &sealed.body()[..]].concat();
    let mut desk = Desk::new(&[("decompression.max.bytes", "10000")]);
    desk.arrive(&[bytes], 0, &[]);
    let Polled::Event(event) = desk.poll(100) else {
        panic!("no event")
    };
    assert_eq!(event.error.unwrap().code(), ErrorCode::DECOMPRESSION_LIMIT);
    desk.is_settled();
}

#[test]
fn paused_chunks_wait_aside_in_order() {
    let mut desk = Desk::new(&[]);
    let paused = [desk.partition.clone()];
    desk.arrive(&[Wire::new(0, 10).bytes()], 0, &[]);
    assert_eq!(desk.batch(3).len(), 3);
    desk.shared.set_paused(&paused, true);
    desk.arrive(&[Wire::new(10, 5).bytes()], 10, &[]);
    assert!(matches!(desk.poll(10), Polled::Nothing));
    desk.arrive(&[Wire::new(15, 5).bytes()], 15, &[]);
    desk.shared.set_paused(&paused, false);
    assert_eq!(desk.all(100), (3..20).collect::<Vec<_>>());
    desk.is_settled();
    desk.arrive(&[Wire::new(20, 5).bytes()], 20, &[]);
    desk.shared.set_paused(&paused, true);
    desk.generation = desk.partition.restart(Start::Offset(0));
    desk.shared.purge();
    desk.is_settled();
}

#[test]
fn events_come_first_and_a_jump_in_its_turn() {
    let mut desk = Desk::new(&[]);
    desk.arrive(&[Wire::new(0, 2).bytes()], 0, &[]);
    let jump = Chunk::jump(desk.partition.clone(), desk.generation, 50);
    let event = Event::of_topic(
        EventKind::TopicFailing,
        &desk.partition.topic,
        Error::protocol("x"),
    );
    desk.shared
        .inbox
        .deliver(&mut vec![event.clone(), event], &mut vec![jump]);
    desk.arrive(&[Wire::new(50, 2).bytes()], 50, &[]);
    assert!(matches!(desk.poll(1), Polled::Event(_)));
    assert!(matches!(desk.poll(1), Polled::Event(_)));
    assert_eq!(desk.all(1), [0, 1, 50, 51]);
}

#[test]
fn batches_without_records_and_compacted_ones() {
    // Compaction leaves gaps, and empty batches that keep a producer's sequence.
    let mut empty = Wire::new(10, 1).bytes();
    empty.truncate(61);
    let mut header = BatchHeader::parse(&empty).unwrap().unwrap();
    (
        header.record_count,
        header.last_offset_delta,
        header.batch_length,
    ) = (0, 9, 49);
    header.write(empty.first_chunk_mut().unwrap());
    header.crc = crate::protocol::record::crc::crc32c(&empty[21..]);
    header.write(empty.first_chunk_mut().unwrap());
    let mut desk = Desk::new(&[]);
    desk.arrive(&[Wire::new(3, 2).bytes(), empty], 0, &[]);
    assert_eq!(desk.all(10), [3, 4]);
    assert_eq!(desk.partition.position(), Some(20));
    desk.is_settled();
}

/// A log whose topic was in formats 0, 1, 2, 1 and 0, plain and then compressed in each: nine records each time.
const MIXED: &[u8] = include_bytes!("../../../tests/golden/format-mixed.bin");

fn offsets(desk: &mut Desk, max: usize) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Polled::Batch(batch) = desk.poll(max) {
        assert!(batch.len() <= max && !batch.is_empty());
        for r in batch.iter() {
            let stamped = !(18..72).contains(&r.offset());
            assert_eq!(r.timestamp() == -1, stamped, "format 0 has no timestamps");
            assert_eq!(r.headers().count(), 0);
            offsets.push(r.offset());
        }
    }
    offsets
}

#[test]
fn older_formats_are_read_amid_batches() {
    for max in [1, 4, 9, 10, 1000] {
        for from in [0, 5, 9, 12, 17, 18, 30, 44, 50, 70, 89] {
            let mut desk = Desk::new(&[]);
            desk.arrive(&[MIXED.to_vec()], from, &[]);
            assert_eq!(
                offsets(&mut desk, max),
                (from..90).collect::<Vec<_>>(),
                "{max} from {from}"
            );
            desk.is_settled();
            assert_eq!(desk.partition.position(), Some(90));
        }
    }
}

#[test]
fn an_older_message_cut_off_is_left_for_the_next_fetch() {
    let ends: Vec<(usize, i64)> = {
        let mut walk = crate::protocol::record::Batches::new(MIXED);
        let mut ends = vec![(0, 0)];
        while let Some(batch) = walk.next() {
            let next = match batch {
                Ok(batch) => batch.header.last_offset() + 1,
                Err(_) => {
                    let message = legacy::Entry::parse(walk.rest()).unwrap().unwrap();
                    walk.skip_over(message.len);
                    message.offset + 1
                }
            };
            ends.push((walk.position(), next));
        }
        ends
    };
    for cut in (0..MIXED.len()).step_by(7) {
        let (end, next) = *ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
        let scan = scan(&MIXED[..cut]);
        assert_eq!((scan.end, scan.broken), (end, false), "{cut}");
        assert_eq!(scan.next, Some(next).filter(|n| *n > 0));
        // The fetcher takes the rest away; the reader copes by itself, too.
        let mut desk = Desk::new(&[]);
        desk.arrive(&[MIXED[..cut].to_vec()], 0, &[]);
        assert_eq!(offsets(&mut desk, 1000), (0..next).collect::<Vec<_>>());
    }
}

#[test]
fn a_damaged_older_message_stops_its_partition_after_what_is_sound() {
    // In message 20, and in the compressed ones of 27 to 35.
    for (at, from, to) in [(948 + 30, 20, 21), (1547 + 100, 27, 36)] {
        let mut bad = MIXED.to_vec();
        bad[at] ^= 0x7f;
        let mut desk = Desk::new(&[]);
        desk.arrive(&[bad], 0, &[]);
        let mut read = vec![];
        let event = loop {
            match desk.poll(1000) {
                Polled::Batch(batch) => read.extend(batch.iter().map(|r| r.offset())),
                Polled::Event(event) => break event,
                Polled::Nothing => panic!("no event"),
            }
        };
        assert_eq!(read, (0..from).collect::<Vec<_>>());
        let told = (event.kind, event.from, event.to);
        assert_eq!(told, (EventKind::PartitionStopped, from, to));
        let error = event.error.unwrap();
        assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
        let (at, seek) = (format!("offset {from}"), format!("seek to offset {to}"));
        for part in ["t-0", &at, &seek, "CRC"] {
            assert!(error.message().contains(part), "no {part:?} in {error}");
        }
        desk.is_settled();
    }
    let zeros = message(9, 0, &vec![0; 100_000]);
    let mut compressed = PoolBuf::with_capacity(0);
    crate::protocol::compress::compress(Codec::Gzip, None, &zeros, &mut compressed).unwrap();
    let bomb = message(9, Codec::Gzip.id(), &compressed);
    let mut desk = Desk::new(&[("decompression.max.bytes", "10000")]);
    desk.arrive(&[bomb], 0, &[]);
    let Polled::Event(event) = desk.poll(1000) else {
        panic!("no event")
    };
    assert_eq!(event.to, 10);
    assert_eq!(event.error.unwrap().code(), ErrorCode::DECOMPRESSION_LIMIT);
    desk.is_settled();
}

/// A message of format 0.
fn message(offset: i64, attributes: u8, value: &[u8]) -> Vec<u8> {
    let mut body = vec![0, attributes];
    body.extend((-1i32).to_be_bytes());
    body.extend((value.len() as i32).to_be_bytes());
    body.extend(value);
    let mut out = offset.to_be_bytes().to_vec();
    out.extend((body.len() as i32 + 4).to_be_bytes());
    out.extend(crc_fast::crc32_iso_hdlc(&body).to_be_bytes());
    out.extend(body);
    out
}

#[test]
fn a_long_run_of_older_messages_is_read_in_pieces() {
    // One message larger than a piece, then many.
    let large = vec![7; 3 * SCRATCH_FULL];
    let mut log = message(0, 0, &large);
    for offset in 1..3000 {
        log.extend(message(offset, 0, &[offset as u8; 1000]));
    }
    let mut desk = Desk::new(&[]);
    desk.arrive(&[log], 0, &[]);
    let mut next = 0;
    while let Polled::Batch(batch) = desk.poll(10_000) {
        for r in batch.iter() {
            let value = r.value().unwrap();
            assert!(r.offset() == next && r.key().is_none());
            assert!(match next {
                0 => value == large,
                n => value == [n as u8; 1000],
            });
            next += 1;
        }
        let most = batch.segments().iter().map(|s| s.buffer().len()).max();
        assert!(most <= Some(4 * SCRATCH_FULL), "{most:?}");
    }
    assert_eq!(next, 3000);
    desk.is_settled();
}
