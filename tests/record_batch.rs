//! Record batches: what is written is read again, byte for byte; what is damaged is refused without a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first error")]

use ottla::ErrorCode;
use ottla::protocol::compress::{self, Codec};
use ottla::protocol::record::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Rec {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    timestamp: i64,
}

impl Rec {
    fn headers(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        self.headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()))
            .collect()
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..20),
        4 => (any::<u8>(), 50..300usize).prop_map(|(b, n)| vec![b; n]),
        1 => (any::<u8>(), 8000..20_000usize).prop_map(|(b, n)| vec![b; n]),
    ]
}

fn rec() -> impl Strategy<Value = Rec> {
    let header_key = prop_oneof![Just(b"same".to_vec()), vec(any::<u8>(), 0..80)];
    let timestamp = prop_oneof![8 => 1_700_000_000_000..1_700_000_100_000i64, 1 => any::<i64>(), 1 => Just(-1i64)];
    (
        option::of(bytes()),
        option::of(bytes()),
        vec((header_key, option::of(bytes())), 0..4),
        timestamp,
    )
        .prop_map(|(key, value, headers, timestamp)| Rec {
            key,
            value,
            headers,
            timestamp,
        })
}

fn fill(recs: &[Rec]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(usize::MAX, 0);
    for r in recs {
        assert!(
            batch
                .append(
                    r.key.as_deref(),
                    r.value.as_deref(),
                    &r.headers(),
                    r.timestamp
                )
                .unwrap()
        );
    }
    batch
}

fn wire(batch: &SealedBatch) -> Vec<u8> {
    [&batch.header(&Attempt::PLAIN)[..], &batch.body()[..]].concat()
}

/// Every record of consecutive uncompressed batches, indexed `step` rows at a time.
fn read(buf: &[u8], step: usize) -> ottla::Result<Vec<(i64, Rec)>> {
    let mut found = vec![];
    for batch in Batches::new(buf) {
        let batch = batch?;
        verify_crc(&buf[batch.range.clone()])?;
        found.extend(read_records(buf, batch.records(), &batch.header, step)?);
    }
    Ok(found)
}

fn read_records(
    buf: &[u8],
    region: std::ops::Range<usize>,
    header: &BatchHeader,
    step: usize,
) -> ottla::Result<Vec<(i64, Rec)>> {
    let mut columns = Columns::take();
    let mut cursor = RecordCursor::open(buf, region, header)?;
    while !cursor.is_done() {
        let rows = cursor.index(buf, &mut columns, step, usize::MAX, i64::MIN)?;
        assert!(rows == step || (cursor.is_done() && rows < step));
    }
    Ok((0..columns.rows())
        .map(|row| {
            let headers: Vec<_> = columns
                .headers(buf, row)
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect();
            assert_eq!(headers.len(), columns.header_count[row] as usize);
            let rec = Rec {
                key: columns.key(buf, row).map(<[u8]>::to_vec),
                value: columns.value(buf, row).map(<[u8]>::to_vec),
                headers,
                timestamp: columns.timestamps[row],
            };
            (columns.offsets[row], rec)
        })
        .collect())
}

fn numbered(recs: &[Rec]) -> Vec<(i64, Rec)> {
    recs.iter()
        .cloned()
        .enumerate()
        .map(|(i, rec)| (i as i64, rec))
        .collect()
}

/// The same records as a blob and lengths.
fn column<'a>(strings: impl Iterator<Item = Option<&'a [u8]>>) -> (Vec<u8>, Vec<i32>) {
    let (mut blob, mut lengths) = (vec![], vec![]);
    for string in strings {
        blob.extend_from_slice(string.unwrap_or_default());
        lengths.push(string.map_or(-1, |s| s.len() as i32));
    }
    (blob, lengths)
}

fn pointers<'a>(strings: impl Iterator<Item = Option<&'a [u8]>>) -> (Vec<*const u8>, Vec<i32>) {
    strings
        .map(|s| {
            (
                s.map_or(std::ptr::null(), <[u8]>::as_ptr),
                s.map_or(0, |s| s.len() as i32),
            )
        })
        .unzip()
}

proptest! {
    #[test]
    fn written_is_read(recs in vec(rec(), 1..40), step in 1..45usize) {
        let batch = fill(&recs).seal(Codec::None, None).unwrap();
        prop_assert_eq!(batch.count() as usize, recs.len());
        prop_assert_eq!(batch.max_timestamp(), recs.iter().map(|r| r.timestamp).max().unwrap());
        let buf = wire(&batch);
        prop_assert_eq!(buf.len(), batch.wire_len());
        prop_assert_eq!(read(&buf, step).unwrap(), numbered(&recs));
        // And behind another batch, at other positions.
        let twice = [&buf[..], &buf[..]].concat();
        let both = [numbered(&recs), numbered(&recs)].concat();
        prop_assert_eq!(read(&twice, step).unwrap(), both);
    }

    #[test]
    fn columns_write_the_same_bytes(recs in vec(rec(), 1..40), plain in any::<bool>()) {
        let mut recs = recs;
        if plain {
            for r in &mut recs {
                *r = Rec { key: None, value: r.value.take(), headers: vec![], timestamp: 5 };
            }
        }
        let want = wire(&fill(&recs).seal(Codec::None, None).unwrap());

        let (key_blob, key_lengths) = column(recs.iter().map(|r| r.key.as_deref()));
        let (value_blob, value_lengths) = column(recs.iter().map(|r| r.value.as_deref()));
        let (key_pointers, key_pointer_lengths) = pointers(recs.iter().map(|r| r.key.as_deref()));
        let (value_pointers, value_pointer_lengths) = pointers(recs.iter().map(|r| r.value.as_deref()));
        let counts: Vec<i32> = recs.iter().map(|r| r.headers.len() as i32).collect();
        let (header_blob, header_lengths) =
            column(recs.iter().flat_map(|r| r.headers()).flat_map(|(key, value)| [Some(key), value]));
        let stamps: Vec<i64> = recs.iter().map(|r| r.timestamp).collect();

        let (mut a, mut b, mut c) = (vec![], vec![], vec![]);
        let keys = Bytes::Blob(Blob::new("keys", &key_blob, &key_lengths, &mut a).unwrap());
        let values = Bytes::Blob(Blob::new("values", &value_blob, &value_lengths, &mut b).unwrap());
        let headers = HeaderBlob::new(&counts, &header_lengths, &header_blob, &mut c).unwrap();
        // SAFETY: the pointers are those of the records' strings.
        let (key_places, value_places) = unsafe {(
            Bytes::Pointers(Pointers::new("keys", &key_pointers, &key_pointer_lengths).unwrap()),
            Bytes::Pointers(Pointers::new("values", &value_pointers, &value_pointer_lengths).unwrap()),
        )};
        let all_rows: Vec<u32> = (0..recs.len() as u32).collect();
        let n = recs.len();
        let mut calls = vec![
            Records::new(n, keys, values, Some(headers), Timestamps::Each(&stamps)).unwrap(),
            Records::new(n, key_places, value_places, Some(headers), Timestamps::Each(&stamps)).unwrap(),
        ];
        if plain {
            calls.push(Records::new(n, Bytes::Null, values, None, Timestamps::One(5)).unwrap());
            calls.push(Records::new(n, Bytes::Null, value_places, None, Timestamps::One(5)).unwrap());
            calls.push(Records::new(n, keys, values, None, Timestamps::One(5)).unwrap());
        }
        for call in &calls {
            let mut by_range = BatchBuilder::new(usize::MAX, 0);
            let half = n / 2;
            prop_assert_eq!(by_range.append_range(call, 0..half).unwrap(), half);
            prop_assert_eq!(by_range.append_range(call, half..n).unwrap(), n - half);
            prop_assert_eq!(&wire(&by_range.seal(Codec::None, None).unwrap()), &want);
            let mut by_rows = BatchBuilder::new(usize::MAX, 0);
            prop_assert_eq!(by_rows.append_rows(call, &all_rows).unwrap(), n);
            prop_assert_eq!(&wire(&by_rows.seal(Codec::None, None).unwrap()), &want);
            for (row, r) in recs.iter().enumerate() {
                let alone = fill(std::slice::from_ref(r)).size() - HEADER_LEN;
                prop_assert!(call.size_bound(row) >= alone);
            }
        }
    }

    #[test]
    fn a_full_batch_takes_no_more(recs in vec(rec(), 1..60), batch_size in 61..30_000usize) {
        let (blob, lengths) = column(recs.iter().map(|r| r.value.as_deref()));
        let mut starts = vec![];
        let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
        let call = Records::new(recs.len(), Bytes::Null, values, None, Timestamps::One(1)).unwrap();
        let mut row = 0;
        while row < recs.len() {
            let mut batch = BatchBuilder::new(batch_size, 0);
            let taken = batch.append_range(&call, row..recs.len()).unwrap();
            prop_assert!(taken >= 1);
            prop_assert!(taken == 1 || batch.size() <= batch_size);
            prop_assert_eq!(batch.count() as usize, taken);
            row += taken;
            if row < recs.len() {
                let size = batch.size();
                prop_assert_eq!(batch.append_range(&call, row..recs.len()).unwrap(), 0);
                prop_assert!(!batch.append(None, recs[row].value.as_deref(), &[], 1).unwrap());
                prop_assert_eq!(batch.size(), size);
                // It would really have been too much: at least as many bytes as alone.
                let mut alone = BatchBuilder::new(usize::MAX, 0);
                alone.append(None, recs[row].value.as_deref(), &[], 1).unwrap();
                prop_assert!(size + alone.size() - HEADER_LEN + 8 > batch_size);
            }
        }
    }

    #[test]
    fn halves_make_the_whole(recs in vec(rec(), 2..40), packed in any::<bool>()) {
        let codec = if packed { Codec::Lz4 } else { Codec::None };
        let whole = fill(&recs).seal(codec, None).unwrap();
        let (first, second) = whole.split().unwrap();
        let mut found = vec![];
        for half in [&first, &second] {
            prop_assert!(half.count() > 0);
            let header = BatchHeader::parse(&half.header(&Attempt::PLAIN)).unwrap().unwrap();
            let mut plain = ottla::memory::PoolBuf::with_capacity(0);
            compress::decompress(half.codec(), half.body(), &mut plain, half.uncompressed_len()).unwrap();
            prop_assert_eq!(plain.len(), half.uncompressed_len());
            found.extend(read_records(&plain, 0..plain.len(), &header, 1000).unwrap().into_iter().map(|(_, rec)| rec));
        }
        prop_assert_eq!(found, recs);
    }

    #[test]
    fn offsets_below_the_position_are_left_out(n in 1..50i64, from in -2..60i64, step in 1..7usize) {
        let recs: Vec<Rec> =
            (0..n).map(|i| Rec { key: None, value: Some(vec![0; i as usize]), headers: vec![], timestamp: i }).collect();
        let buf = wire(&fill(&recs).seal(Codec::None, None).unwrap());
        let batch = Batches::new(&buf).next().unwrap().unwrap();
        let mut cursor = RecordCursor::open(&buf, batch.records(), &batch.header).unwrap();
        let mut columns = Columns::take();
        while !cursor.is_done() {
            cursor.index(&buf, &mut columns, step, usize::MAX, from).unwrap();
        }
        let want: Vec<i64> = (from.max(0)..n).collect();
        prop_assert_eq!(&columns.offsets, &want);
    }

    #[test]
    fn bytes_are_limited(n in 1..50usize, max_bytes in 0..400usize) {
        let recs: Vec<Rec> =
            (0..n).map(|_| Rec { key: None, value: Some(vec![0; 30]), headers: vec![], timestamp: 1 }).collect();
        let buf = wire(&fill(&recs).seal(Codec::None, None).unwrap());
        let batch = Batches::new(&buf).next().unwrap().unwrap();
        let mut cursor = RecordCursor::open(&buf, batch.records(), &batch.header).unwrap();
        let mut columns = Columns::take();
        // Length, attributes, two deltas, key, value length, value, header count.
        let record = 1 + 1 + 1 + 1 + 1 + 1 + 30 + 1;
        let want = (max_bytes / record).clamp(1, n);
        prop_assert_eq!(cursor.index(&buf, &mut columns, usize::MAX, max_bytes, 0).unwrap(), want);
        prop_assert_eq!(cursor.records_left(), n - want);
        prop_assert_eq!(cursor.bytes_left(), record * (n - want));
        if want < n {
            let more = cursor.index(&buf, &mut columns, usize::MAX, record - 1, 0).unwrap();
            prop_assert_eq!(more, 0, "a batch with rows takes none above the limit");
        }
    }

    #[test]
    fn a_damaged_batch_is_refused(recs in vec(rec(), 1..10), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut buf = wire(&fill(&recs).seal(Codec::None, None).unwrap());
        let at = 17 + at.index(buf.len() - 17);
        buf[at] ^= flip;
        prop_assert_eq!(verify_crc(&buf).unwrap_err().code(), ErrorCode::CORRUPT_BATCH);
    }

    #[test]
    fn cut_or_lengthened_records_are_refused(recs in vec(rec(), 1..6), more in vec(any::<u8>(), 1..9)) {
        let batch = fill(&recs).seal(Codec::None, None).unwrap();
        let header = BatchHeader::parse(&batch.header(&Attempt::PLAIN)).unwrap().unwrap();
        let body = &batch.body()[..];
        let cuts = (0..body.len()).step_by(1 + body.len() / 500);
        for cut in cuts {
            let error = read_records(&body[..cut], 0..cut, &header, 3).unwrap_err();
            prop_assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
            // The bytes are in the buffer, but outside the batch.
            let error = read_records(body, 0..cut, &header, 3).unwrap_err();
            prop_assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
        }
        let longer = [body, &more[..]].concat();
        let error = read_records(&longer, 0..longer.len(), &header, 3).unwrap_err();
        prop_assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
        for wrong in [header.record_count - 1, header.record_count + 1] {
            let header = BatchHeader { record_count: wrong, ..header };
            prop_assert!(read_records(body, 0..body.len(), &header, 3).is_err());
        }
    }
}

/// Bit by bit, as the definition has it.
fn slow_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn golden_bytes() {
    let mut batch = BatchBuilder::new(16_384, 0);
    batch
        .append(Some(b"k"), Some(b"hello"), &[(b"h", Some(b"x"))], 1000)
        .unwrap();
    batch.append(None, None, &[], 995).unwrap();
    batch
        .append(
            Some(b""),
            Some(b""),
            &[(b"", None), (b"h", Some(b""))],
            1064,
        )
        .unwrap();
    let batch = batch.seal(Codec::None, None).unwrap();
    #[rustfmt::skip]
    let body: &[u8] = &[
        // Length 16; attributes, timestamp delta 0, offset delta 0; "k"; "hello"; one header, "h" = "x".
        0x20, 0, 0, 0, 2, b'k', 10, b'h', b'e', b'l', b'l', b'o', 2, 2, b'h', 2, b'x',
        // Length 6; timestamp delta -5, offset delta 1; null, null, no headers.
        0x0c, 0, 9, 2, 1, 1, 0,
        // Length 12; timestamp delta 64, offset delta 2; empty, empty; two headers, "" = null, "h" = "".
        0x18, 0, 0x80, 1, 4, 0, 0, 4, 0, 1, 2, b'h', 0,
    ];
    assert_eq!(&batch.body()[..], body);
    let attempt = Attempt {
        producer_id: 0x0102,
        producer_epoch: 3,
        base_sequence: 4,
        transactional: true,
    };
    #[rustfmt::skip]
    let mut header = vec![
        0, 0, 0, 0, 0, 0, 0, 0,             // base offset
        0, 0, 0, 49 + 37,                   // length after this field
        0xff, 0xff, 0xff, 0xff,             // partition leader epoch -1
        2,                                  // magic
        0, 0, 0, 0,                         // CRC, below
        0, 0x10,                            // attributes: transactional
        0, 0, 0, 2,                         // last offset delta
        0, 0, 0, 0, 0, 0, 0x03, 0xe8,       // base timestamp 1000
        0, 0, 0, 0, 0, 0, 0x04, 0x28,       // maximum timestamp 1064
        0, 0, 0, 0, 0, 0, 1, 2,             // producer id
        0, 3,                               // producer epoch
        0, 0, 0, 4,                         // base sequence
        0, 0, 0, 3,                         // records
    ];
    assert_eq!(body.len(), 37);
    let crc = slow_crc(&[&header[21..], body].concat());
    header[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(&batch.header(&attempt)[..], &header[..]);
    let sent = [&header[..], body].concat();
    verify_crc(&sent).unwrap();
    let again = batch.header(&Attempt {
        base_sequence: 5,
        ..attempt
    });
    verify_crc(&[&again[..], body].concat()).unwrap();
}

#[test]
fn append_time_holds_for_every_record() {
    let mut batch = BatchBuilder::new(16_384, 0);
    for timestamp in [5, 9, 1] {
        batch.append(None, Some(b"v"), &[], timestamp).unwrap();
    }
    let batch = batch.seal(Codec::None, None).unwrap();
    let header = BatchHeader::parse(&batch.header(&Attempt::PLAIN))
        .unwrap()
        .unwrap();
    let header = BatchHeader {
        attributes: header.attributes.with_log_append_time(),
        max_timestamp: 777,
        base_offset: 40,
        ..header
    };
    let found = read_records(batch.body(), 0..batch.body().len(), &header, 2).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|(offset, rec)| (*offset, rec.timestamp))
            .collect::<Vec<_>>(),
        [(40, 777), (41, 777), (42, 777)]
    );
}

#[test]
fn compression_that_does_not_help_is_left_out() {
    let mut batch = BatchBuilder::new(16_384, 0);
    batch.append(None, Some(b"tiny"), &[], 1).unwrap();
    let batch = batch.seal(Codec::Gzip, None).unwrap();
    assert_eq!(batch.codec(), Codec::None);
    let header = BatchHeader::parse(&batch.header(&Attempt::PLAIN))
        .unwrap()
        .unwrap();
    assert_eq!(header.attributes.codec().unwrap(), Codec::None);
}

#[test]
fn a_single_record_is_not_split() {
    let batch = fill(&[Rec {
        key: None,
        value: Some(vec![0; 100]),
        headers: vec![],
        timestamp: 0,
    }]);
    let error = batch.seal(Codec::None, None).unwrap().split().unwrap_err();
    assert_eq!(error.code(), ErrorCode::RECORD_TOO_LARGE);
}

#[test]
fn wrong_columns_are_refused() {
    let blob = [0u8; 10];
    let code = |r: ottla::Result<()>| r.unwrap_err().code();
    let mut scratch = vec![];
    for lengths in [&[5, 4][..], &[5, 6], &[11], &[-2, 10], &[i32::MIN, 10], &[]] {
        let result = Blob::new("values", &blob, lengths, &mut scratch).map(|_| ());
        assert_eq!(code(result), ErrorCode::INVALID_ARGUMENT, "{lengths:?}");
    }
    let mut starts = vec![];
    for (counts, lengths) in [
        (&[1][..], &[5, 4][..]),
        (&[1], &[5]),
        (&[1], &[-1, 10]),
        (&[1], &[10, -2]),
        (&[-1], &[]),
        (&[1, 1], &[5, 5]),
        (&[0], &[5, 5]),
        (&[i32::MAX, i32::MAX], &[5, 5]),
    ] {
        let result = HeaderBlob::new(counts, lengths, &blob, &mut starts).map(|_| ());
        assert_eq!(
            code(result),
            ErrorCode::INVALID_ARGUMENT,
            "{counts:?} {lengths:?}"
        );
    }
    let null = [std::ptr::null()];
    // SAFETY: NULL is never read.
    let result = unsafe { Pointers::new("values", &null, &[3]) }.map(|_| ());
    assert_eq!(code(result), ErrorCode::INVALID_ARGUMENT);

    let values = Bytes::Blob(Blob::new("values", &blob, &[4, 6], &mut scratch).unwrap());
    let result = Records::new(3, Bytes::Null, values, None, Timestamps::One(0)).map(|_| ());
    assert_eq!(code(result), ErrorCode::INVALID_ARGUMENT);
    let call = Records::new(2, Bytes::Null, values, None, Timestamps::One(0)).unwrap();
    let mut batch = BatchBuilder::new(1000, 0);
    assert_eq!(
        code(batch.append_range(&call, 1..3).map(|_| ())),
        ErrorCode::INVALID_ARGUMENT
    );
    assert_eq!(
        code(batch.append_rows(&call, &[0, 2]).map(|_| ())),
        ErrorCode::INVALID_ARGUMENT
    );
    assert!(batch.is_empty() && batch.size() == HEADER_LEN);
}

/// A small generator with a fixed seed, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

#[test]
fn hostile_batches_end_in_an_error_or_in_rows_within_the_buffer() {
    let recs: Vec<Rec> = (0..6)
        .map(|i| Rec {
            key: (i % 2 == 0).then(|| vec![1; i]),
            value: (i % 3 != 0).then(|| vec![2; 10 * i]),
            headers: vec![(b"h".to_vec(), Some(vec![3; i])); i % 3],
            timestamp: 1000 + i as i64,
        })
        .collect();
    let good = wire(&fill(&recs).seal(Codec::None, None).unwrap());
    let mut random = Random(0x0dd_ba11);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..100_000 {
        let mut buf = good.clone();
        for _ in 0..=random.below(4) {
            // Past the magic byte and the CRC, so that most get as far as the records.
            let at = 23 + random.below(buf.len() - 23);
            buf[at] = [0, 1, 0x7f, 0x80, 0xff, random.below(256) as u8][random.below(6)];
        }
        let batch = match BatchHeader::parse(&buf) {
            Ok(header) => header.unwrap(),
            Err(_) => {
                refused += 1;
                continue;
            }
        };
        let mut columns = Columns::take();
        let result =
            RecordCursor::open(&buf, HEADER_LEN..buf.len(), &batch).and_then(|mut cursor| {
                cursor.index(&buf, &mut columns, usize::MAX, usize::MAX, i64::MIN)
            });
        match result {
            Ok(rows) => {
                read += 1;
                assert_eq!(rows, columns.rows());
                for row in 0..rows {
                    assert_eq!(columns.key_len[row] >= 0, columns.key(&buf, row).is_some());
                    assert_eq!(
                        columns.value_len[row] >= 0,
                        columns.value(&buf, row).is_some()
                    );
                    assert_eq!(
                        columns.headers(&buf, row).count(),
                        columns.header_count[row] as usize
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
                assert_eq!(columns.rows(), 0);
                assert!(columns.memory() <= 40 * 4 * buf.len() || columns.memory() <= 1 << 20);
            }
        }
    }
    assert!(
        refused > 10_000 && read > 1_000,
        "{refused} refused, {read} read"
    );
}

#[test]
fn absurd_counts_allocate_nothing() {
    let header = BatchHeader {
        base_offset: i64::MAX,
        batch_length: 49 + 70,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: i32::MAX,
        base_timestamp: i64::MAX,
        max_timestamp: i64::MIN,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: i32::MAX,
    };
    let buf = [0u8; 70];
    assert_eq!(
        RecordCursor::open(&buf, 0..70, &header).unwrap_err().code(),
        ErrorCode::CORRUPT_BATCH
    );
    let backwards = std::ops::Range { start: 5, end: 4 };
    for region in [0..71, 71..71, backwards] {
        let header = BatchHeader {
            record_count: 0,
            ..header
        };
        assert!(RecordCursor::open(&buf, region, &header).is_err());
    }
    assert_eq!(header.last_offset(), i64::MAX);
}
