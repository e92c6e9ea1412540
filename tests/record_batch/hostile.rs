//! What is damaged, cut off, lengthened or absurd is refused without a panic.

use super::*;

proptest! {
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
