//! Compaction of logs in memory and in files: what stays, offsets, tombstones, markers, producers, a restart.

use std::path::PathBuf;

use bytes::Bytes;
use ottla_protocol::compress::Codec;
use ottla_protocol::record::varint::put_varint;
use ottla_protocol::record::{Attributes, BatchHeader, HEADER_LEN};

use super::batch::rebuilt;
use super::records::{expand, records};
use super::{Cleaning, LogFiles, PartitionLog, ProducedBatch, SegmentLimits};

const LIMITS: SegmentLimits = SegmentLimits {
    bytes: 1 << 20,
    ms: 1000,
};

/// Key and value of a record; without a key, without a value (a tombstone).
type Pair<'a> = (Option<&'a str>, Option<&'a str>);

fn batch(
    pairs: &[Pair<'_>],
    codec: Codec,
    producer: (i64, i16, i32),
    timestamp: i64,
) -> ProducedBatch {
    let mut body = Vec::new();
    let mut number = [0; 5];
    let mut put = |out: &mut Vec<u8>, n: i32| {
        let len = put_varint(&mut number, n).unwrap();
        out.extend_from_slice(&number[..len]);
    };
    for (i, (key, value)) in pairs.iter().enumerate() {
        let mut record = vec![0u8, (i as u8) << 1, (i as u8) << 1];
        for part in [key, value] {
            match part {
                Some(text) => {
                    put(&mut record, text.len() as i32);
                    record.extend_from_slice(text.as_bytes());
                }
                None => put(&mut record, -1),
            }
        }
        record.push(0);
        put(&mut body, record.len() as i32);
        body.extend(record);
    }
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: pairs.len() as i32 - 1,
        base_timestamp: timestamp,
        max_timestamp: timestamp + pairs.len() as i64 - 1,
        producer_id: producer.0,
        producer_epoch: producer.1,
        base_sequence: producer.2,
        record_count: pairs.len() as i32,
    };
    let bytes = rebuilt(header, codec, None, &body).unwrap();
    ProducedBatch::check(&bytes, 1 << 20).unwrap()
}

fn plain(pairs: &[Pair<'_>]) -> ProducedBatch {
    batch(pairs, Codec::None, (-1, -1, -1), 100)
}

fn append(log: &mut PartitionLog, mut batch: ProducedBatch) {
    log.append(&mut batch, 0, None, false, 0).unwrap();
}

fn cleaning(now_ms: i64) -> Cleaning<'static> {
    Cleaning {
        now_ms,
        delete_retention_ms: 50,
        before: i64::MAX,
        older_than_ms: i64::MAX,
        is_aborted: &|_| false,
        is_last_of_producer: &|_| false,
    }
}

fn batches(log: &PartitionLog) -> Vec<Bytes> {
    let mut parts = Vec::new();
    log.read(
        log.start_offset(),
        log.end_offset(),
        u64::MAX / 2,
        true,
        &mut parts,
    )
    .unwrap();
    let mut bytes = Bytes::from(parts.concat());
    let mut all = Vec::new();
    while let Ok(Some(header)) = BatchHeader::parse(&bytes) {
        assert!(ottla_protocol::record::verify_crc(&bytes[..header.total_len()]).is_ok());
        all.push(bytes.split_to(header.total_len()));
    }
    assert!(bytes.is_empty());
    all
}

/// Offset, timestamp, key, and whether there is a value, of every record.
fn rows(log: &PartitionLog) -> Vec<(i64, i64, String, bool)> {
    let mut rows = Vec::new();
    for bytes in batches(log) {
        let header = BatchHeader::parse(&bytes).unwrap().unwrap();
        let body = expand(&header, &bytes[HEADER_LEN..]).unwrap();
        rows.extend(records(&body, header.record_count).map(|r| {
            (
                header.base_offset + i64::from(r.offset_delta),
                header.base_timestamp + r.timestamp_delta,
                String::from_utf8(r.key.unwrap_or_default().to_vec()).unwrap(),
                r.has_value,
            )
        }));
    }
    rows
}

fn row(offset: i64, timestamp: i64, key: &str, has_value: bool) -> (i64, i64, String, bool) {
    (offset, timestamp, key.to_owned(), has_value)
}

/// Logs of both kinds; the directory is removed at the end.
fn logs(name: &str) -> (Vec<PartitionLog>, Scratch) {
    let scratch = Scratch::new(name);
    let (files, found) = LogFiles::open(&scratch.0).unwrap();
    let in_files = PartitionLog::in_files(files, &found, 0, LIMITS);
    (vec![PartitionLog::in_memory(LIMITS), in_files], scratch)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ottla-log-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_last_record_of_each_key_stays_where_it_was() {
    let (logs, _scratch) = logs("last");
    for mut log in logs {
        for codec in Codec::ALL {
            let a_b = [(Some("a"), Some("1")), (Some("b"), Some("1"))];
            append(&mut log, batch(&a_b, codec, (-1, -1, -1), 100));
        }
        append(
            &mut log,
            plain(&[
                (Some("a"), Some("2")),
                (None, Some("x")),
                (Some("c"), Some("1")),
            ]),
        );
        let end = log.end_offset();
        assert_eq!(
            log.compact(&cleaning(0)).unwrap(),
            0,
            "all is in the active segment"
        );
        log.roll().unwrap();
        assert_eq!(log.dirty(i64::MAX).0, 1.0);
        let size = log.size();
        let freed = log.compact(&cleaning(0)).unwrap();
        assert_eq!(log.size() + freed, size);
        let last_b = end - 4;
        assert_eq!(
            rows(&log),
            [
                row(last_b, 101, "b", true),
                row(end - 3, 100, "a", true),
                row(end - 1, 102, "c", true)
            ]
        );
        assert_eq!((log.start_offset(), log.end_offset()), (0, end));
        let headers: Vec<BatchHeader> = batches(&log)
            .iter()
            .map(|b| BatchHeader::parse(b).unwrap().unwrap())
            .collect();
        let spans: Vec<(i64, i32, i32)> = headers
            .iter()
            .map(|h| (h.base_offset, h.last_offset_delta, h.record_count))
            .collect();
        assert_eq!(spans, [(last_b - 1, 1, 1), (end - 3, 2, 2)]);
        assert_eq!(log.dirty(i64::MAX), (0.0, None));
        // What is written later is compacted with it.
        append(&mut log, plain(&[(Some("b"), Some("9"))]));
        log.roll().unwrap();
        log.compact(&cleaning(0)).unwrap();
        assert_eq!(
            rows(&log).iter().map(|r| r.0).collect::<Vec<_>>(),
            [end - 3, end - 1, end]
        );
    }
}

#[test]
fn tombstones_stay_until_their_time_is_over() {
    let (logs, _scratch) = logs("tombstones");
    for mut log in logs {
        append(&mut log, plain(&[(Some("a"), Some("1"))]));
        append(
            &mut log,
            plain(&[(Some("a"), None), (Some("b"), Some("1"))]),
        );
        append(&mut log, plain(&[(Some("c"), Some("1"))]));
        log.roll().unwrap();
        log.compact(&cleaning(1000)).unwrap();
        let with = [
            row(1, 100, "a", false),
            row(2, 101, "b", true),
            row(3, 100, "c", true),
        ];
        assert_eq!(rows(&log), with, "with their own timestamps");
        let header = BatchHeader::parse(&batches(&log)[0]).unwrap().unwrap();
        assert!(header.attributes.has_delete_horizon());
        assert_eq!((header.base_timestamp, header.max_timestamp), (1050, 101));
        assert_eq!(log.next_horizon(), Some(1050));
        log.compact(&cleaning(1049)).unwrap();
        assert_eq!(rows(&log), with);
        log.compact(&cleaning(1050)).unwrap();
        assert_eq!(rows(&log), with[1..]);
        assert_eq!(log.next_horizon(), None);
    }
}

#[test]
fn what_was_aborted_goes_and_the_last_batch_of_a_producer_stays_without_records() {
    let (logs, _scratch) = logs("aborted");
    for mut log in logs {
        append(
            &mut log,
            batch(&[(Some("a"), Some("1"))], Codec::Gzip, (7, 0, 0), 100),
        );
        append(
            &mut log,
            batch(&[(Some("a"), Some("2"))], Codec::Gzip, (8, 0, 0), 100),
        );
        append(
            &mut log,
            batch(&[(Some("a"), Some("3"))], Codec::Gzip, (9, 0, 5), 100),
        );
        append(
            &mut log,
            batch(&[(Some("b"), Some("1"))], Codec::Gzip, (9, 0, 6), 100),
        );
        log.roll().unwrap();
        let with = Cleaning {
            is_aborted: &|h| h.producer_id == 9 && h.base_offset == 2,
            is_last_of_producer: &|h| matches!(h.base_offset, 0 | 1 | 3),
            ..cleaning(0)
        };
        log.compact(&with).unwrap();
        assert_eq!(rows(&log), [row(1, 100, "a", true), row(3, 100, "b", true)]);
        let first = BatchHeader::parse(&batches(&log)[0]).unwrap().unwrap();
        assert_eq!(
            (
                first.producer_id,
                first.base_sequence,
                first.base_offset,
                first.record_count
            ),
            (7, 0, 0, 0)
        );
        let again = log.compact(&with).unwrap();
        assert_eq!(again, 0);
    }
}

#[test]
fn young_records_and_open_transactions_are_left_alone() {
    let (logs, _scratch) = logs("young");
    for mut log in logs {
        for timestamp in [100, 200, 300] {
            append(
                &mut log,
                batch(
                    &[(Some("a"), Some("1"))],
                    Codec::None,
                    (-1, -1, -1),
                    timestamp,
                ),
            );
        }
        log.roll().unwrap();
        log.compact(&Cleaning {
            older_than_ms: 250,
            ..cleaning(0)
        })
        .unwrap();
        assert_eq!(rows(&log), [row(1, 200, "a", true), row(2, 300, "a", true)]);
        log.compact(&Cleaning {
            before: 2,
            ..cleaning(0)
        })
        .unwrap();
        assert_eq!(rows(&log).len(), 2);
    }
}

#[test]
fn segments_roll_by_time_and_compacted_files_are_found_again() {
    let scratch = Scratch::new("files");
    let (files, found) = LogFiles::open(&scratch.0).unwrap();
    let mut log = PartitionLog::in_files(files, &found, 0, LIMITS);
    for i in 0..6 {
        let mut one = plain(&[(Some(if i % 2 == 0 { "a" } else { "b" }), Some("1"))]);
        log.append(&mut one, 0, None, false, i * 2000).unwrap();
    }
    let count = || {
        let names = std::fs::read_dir(&scratch.0).unwrap();
        names
            .filter(|e| {
                e.as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|x| x == "log")
            })
            .count()
    };
    assert_eq!(count(), 6);
    log.compact(&cleaning(0)).unwrap();
    let left = [
        row(3, 100, "b", true),
        row(4, 100, "a", true),
        row(5, 100, "b", true),
    ];
    assert_eq!(rows(&log), left, "the last file grows and is left alone");
    assert_eq!(count(), 2, "small ones became one");
    drop(log);
    let (files, found) = LogFiles::open(&scratch.0).unwrap();
    let mut log = PartitionLog::in_files(files, &found, 0, LIMITS);
    assert_eq!(rows(&log), left);
    assert_eq!((log.start_offset(), log.end_offset()), (0, 6));
    append(&mut log, plain(&[(Some("b"), Some("2"))]));
    log.roll().unwrap();
    log.compact(&cleaning(0)).unwrap();
    assert_eq!(rows(&log), [row(4, 100, "a", true), row(6, 100, "b", true)]);
    drop(log);
    let (files, found) = LogFiles::open(&scratch.0).unwrap();
    let log = PartitionLog::in_files(files, &found, 2, LIMITS);
    assert_eq!((log.start_offset(), log.end_offset()), (2, 7));
    assert_eq!(rows(&log).len(), 2);
}

#[test]
fn a_log_begins_in_the_midst_of_a_batch() {
    let (logs, _scratch) = logs("midst");
    for mut log in logs {
        append(&mut log, plain(&[(Some("a"), Some("1"))]));
        append(
            &mut log,
            plain(&[(Some("a"), Some("1")), (Some("b"), Some("1"))]),
        );
        append(&mut log, plain(&[(Some("c"), Some("1"))]));
        assert!(log.delete_before(2) > 0);
        assert_eq!((log.start_offset(), log.end_offset()), (2, 4));
        assert_eq!(
            rows(&log).first().map(|r| r.0),
            Some(1),
            "the batch is whole"
        );
        assert_eq!(log.delete_before(1), 0);
        assert_eq!(log.retain_bytes(1 << 20), 0);
        assert_eq!(log.start_offset(), 2);
        log.delete_before(4);
        assert_eq!(
            (log.start_offset(), log.end_offset(), log.size()),
            (4, 4, 0)
        );
        append(&mut log, plain(&[(Some("d"), Some("1"))]));
        assert_eq!(rows(&log), [row(4, 100, "d", true)]);
        assert!(log.retain_since(101).unwrap() > 0);
        assert_eq!((log.start_offset(), log.end_offset()), (5, 5));
    }
}
