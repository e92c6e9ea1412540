//! Record batches: what is written is read again, byte for byte; what is damaged is refused without a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first error")]

mod hostile;
mod legacy;

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
fn numbers_of_every_width() {
    // Offsets take four bytes from 2^20 records on; lengths three from 8 KiB on, four from 1 MiB on.
    let rows = (1 << 20) + 10;
    let (blob, lengths) = (vec![1u8; rows], vec![1; rows]);
    let mut starts = vec![];
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let call = Records::new(rows, Bytes::Null, values, None, Timestamps::One(7)).unwrap();
    let mut batch = BatchBuilder::new(usize::MAX, 0);
    assert_eq!(batch.append_range(&call, 0..rows).unwrap(), rows);
    let buf = wire(&batch.seal(Codec::None, None).unwrap());
    let found = Batches::new(&buf).next().unwrap().unwrap();
    verify_crc(&buf).unwrap();
    let mut columns = Columns::take();
    let mut cursor = RecordCursor::open(&buf, found.records(), &found.header).unwrap();
    assert_eq!(
        cursor
            .index(&buf, &mut columns, usize::MAX, usize::MAX, 0)
            .unwrap(),
        rows
    );
    assert!(cursor.is_done());
    assert!(columns.offsets.iter().copied().eq(0..rows as i64));
    assert!((0..rows).all(|row| columns.value(&buf, row) == Some(&[1])));

    let sizes = [0, 1, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20, 1 << 21];
    let recs: Vec<Rec> = sizes
        .iter()
        .flat_map(|&n| {
            let long = Some(vec![9; n]);
            [
                Rec {
                    key: None,
                    value: long.clone(),
                    headers: vec![],
                    timestamp: n as i64,
                },
                Rec {
                    key: long.clone(),
                    value: None,
                    headers: vec![],
                    timestamp: -(n as i64),
                },
                Rec {
                    key: None,
                    value: None,
                    headers: vec![(vec![9; n], long)],
                    timestamp: i64::MIN,
                },
            ]
        })
        .collect();
    let buf = wire(&fill(&recs).seal(Codec::None, None).unwrap());
    assert_eq!(read(&buf, 4).unwrap(), numbered(&recs));
}
