//! Messages of formats 0 and 1, written by the encoder here, are read as they were written; what is damaged, cut off or
//! absurd is refused without a panic.

use ottla::memory::PoolBuf;
use ottla::protocol::record::legacy::{Converted, Entry, Limits, convert, is_message};

use super::*;

const LIMITS: Limits = Limits {
    check_crcs: true,
    run_bytes: usize::MAX,
    decompressed_bytes: 1 << 20,
};
const CODECS: [Codec; 4] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4];

/// A message as it is written; a record of format 2 without headers.
#[derive(Clone, Debug, PartialEq)]
struct Old {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    !crc
}

fn message(magic: u8, attributes: u8, old: &Old) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend(old.timestamp.to_be_bytes());
    }
    for part in [&old.key, &old.value] {
        match part {
            None => body.extend((-1i32).to_be_bytes()),
            Some(bytes) => {
                body.extend((bytes.len() as i32).to_be_bytes());
                body.extend(bytes);
            }
        }
    }
    let mut out = old.offset.to_be_bytes().to_vec();
    out.extend((body.len() as i32 + 4).to_be_bytes());
    out.extend(crc32(&body).to_be_bytes());
    out.extend(body);
    out
}

fn wrapper_of(magic: u8, attributes: u8, codec: Codec, last: &Old, inner: &[u8]) -> Vec<u8> {
    let mut compressed = PoolBuf::with_capacity(0);
    compress::compress(codec, None, inner, &mut compressed).unwrap();
    let mut value = compressed.to_vec();
    if codec == Codec::Lz4 && magic == 0 {
        // The checksum as it was written then: over the frame's magic, too.
        value[6] = (twox_hash::XxHash32::oneshot(0, &value[..6]) >> 8) as u8;
    }
    let wrapper = Old {
        key: None,
        value: Some(value),
        ..last.clone()
    };
    message(magic, attributes | codec.id(), &wrapper)
}

/// Messages one by one, or in one wrapper.
fn message_set(magic: u8, codec: Codec, append_time: bool, olds: &[Old]) -> Vec<u8> {
    let attributes = if append_time { 8 } else { 0 };
    let plain = |olds: &[Old], attributes: u8| -> Vec<u8> {
        olds.iter()
            .flat_map(|old| message(magic, attributes, old))
            .collect()
    };
    if codec == Codec::None {
        return plain(olds, attributes);
    }
    // In format 1 offsets count from any number at or below the first: compaction takes the first ones away.
    let inner: Vec<Old> = olds
        .iter()
        .map(|old| Old {
            offset: old.offset - if magic == 1 { olds[0].offset - 3 } else { 0 },
            ..old.clone()
        })
        .collect();
    let last = olds.last().unwrap();
    wrapper_of(magic, attributes, codec, last, &plain(&inner, 0))
}

/// Everything in `bytes` from one conversion after the other.
fn read_all(mut bytes: &[u8], limits: Limits) -> ottla::Result<Vec<(TimestampType, Old)>> {
    let mut found = vec![];
    // Behind what is there already, as the consumer does.
    let mut out = PoolBuf::with_capacity(0);
    out.extend_from_slice(b"before");
    while !bytes.is_empty() {
        let start = out.len();
        let converted =
            convert(bytes, limits, &mut out).inspect_err(|_| assert_eq!(out.len(), start))?;
        let Some(Converted {
            header,
            timestamp_type,
            len,
            ..
        }) = converted
        else {
            break;
        };
        let read = read_records(&out, start..out.len(), &header, 3)?;
        assert_eq!(read.len(), header.record_count as usize);
        assert!(read.last().unwrap().0 <= header.last_offset());
        found.extend(read.into_iter().map(|(offset, rec)| {
            assert!(rec.headers.is_empty());
            let Rec {
                key,
                value,
                timestamp,
                ..
            } = rec;
            (
                timestamp_type,
                Old {
                    offset,
                    timestamp,
                    key,
                    value,
                },
            )
        }));
        bytes = &bytes[len..];
    }
    Ok(found)
}

fn olds() -> impl Strategy<Value = Vec<Old>> {
    let timestamp = prop_oneof![8 => 1_700_000_000_000..1_700_000_100_000i64, 1 => any::<i64>(), 1 => Just(-1i64)];
    let one = (1..4i64, timestamp, option::of(bytes()), option::of(bytes()));
    (0..1i64 << 40, vec(one, 1..12)).prop_map(|(first, olds)| {
        let mut next = first;
        olds.into_iter()
            .map(|(gap, timestamp, key, value)| {
                next += gap;
                Old {
                    offset: next,
                    timestamp,
                    key,
                    value,
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        olds in olds(), magic in 0..2u8, codec in prop::sample::select(&CODECS[..]), append_time: bool, run_bytes in 1..3000usize,
    ) {
        let append_time = append_time && magic == 1;
        let bytes = message_set(magic, codec, append_time, &olds);
        let want: Vec<_> = olds.iter().map(|old| {
            let timestamp = match (magic, codec, append_time) {
                (0, ..) => -1,
                // The broker wrote its time into the wrapper only.
                (_, codec, true) if codec != Codec::None => olds.last().unwrap().timestamp,
                _ => old.timestamp,
            };
            let of = if append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
            (of, Old { timestamp, ..old.clone() })
        }).collect();
        for check_crcs in [false, true] {
            for run_bytes in [run_bytes, usize::MAX] {
                let limits = Limits { check_crcs, run_bytes, ..LIMITS };
                prop_assert_eq!(&read_all(&bytes, limits).unwrap(), &want);
            }
        }
        // Cut anywhere: what is whole is read, and nothing is made up.
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 12) {
            let read = read_all(&bytes[..cut], LIMITS).unwrap();
            prop_assert!(read.len() < want.len() && read[..] == want[..read.len()]);
        }
    }

    #[test]
    fn a_damaged_message_is_refused_after_what_is_sound(
        olds in olds(), magic in 0..2u8, codec in prop::sample::select(&CODECS[..]), at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let mut bytes = message_set(magic, codec, false, &olds);
        let sound = olds.len() - 1;
        // Within the last message, behind its CRC and magic.
        let last = if codec == Codec::None { message(magic, 0, &olds[sound]).len() } else { bytes.len() };
        let at = bytes.len() - last + 17 + at.index(last - 17);
        bytes[at] ^= flip;
        let mut out = PoolBuf::with_capacity(0);
        let refused = if codec == Codec::None && sound > 0 {
            let first = convert(&bytes, LIMITS, &mut out).unwrap().unwrap();
            prop_assert_eq!(first.header.record_count as usize, sound);
            convert(&bytes[first.len..], LIMITS, &mut out)
        } else {
            convert(&bytes, LIMITS, &mut out)
        };
        let error = refused.unwrap_err();
        prop_assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH);
        prop_assert!(error.message().contains(&olds[sound].offset.to_string()), "{}", error);
    }

    #[test]
    fn hostile_messages_end_in_an_error_or_in_rows(
        olds in olds(), magic in 0..2u8, codec in prop::sample::select(&CODECS[..]),
        edits in vec((any::<prop::sample::Index>(), prop::sample::select(&[0u8, 1, 0x7f, 0x80, 0xff, 0x42][..])), 1..5),
    ) {
        let mut bytes = message_set(magic, codec, false, &olds);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = Limits { check_crcs: false, ..LIMITS };
        // Lengths and places are asserted in there.
        let _ = read_all(&bytes, limits);
    }
}

fn old(offset: i64) -> Old {
    Old {
        offset,
        timestamp: 1000 + offset,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
    }
}

fn refusal(bytes: &[u8], limits: Limits) -> ottla::Error {
    let mut out = PoolBuf::with_capacity(0);
    let error = convert(bytes, limits, &mut out).unwrap_err();
    assert!(out.is_empty());
    error
}

#[test]
fn runs_end_where_a_batch_could_not_go_on() {
    let mixed = [
        message_set(0, Codec::None, false, &[old(1), old(2)]),
        message_set(1, Codec::None, false, &[old(3)]),
        message_set(1, Codec::None, true, &[old(4), old(5)]),
        message_set(1, Codec::Gzip, false, &[old(6), old(8)]),
        message_set(0, Codec::Lz4, false, &[old(10), old(13)]),
        message_set(0, Codec::None, false, &[old(14), old(14 + (1 << 40))]),
    ]
    .concat();
    let offsets: Vec<i64> = read_all(&mixed, LIMITS)
        .unwrap()
        .iter()
        .map(|(_, old)| old.offset)
        .collect();
    assert_eq!(offsets, [1, 2, 3, 4, 5, 6, 8, 10, 13, 14, 14 + (1 << 40)]);
    let mut counts = vec![];
    let (mut rest, mut out) = (&mixed[..], PoolBuf::with_capacity(0));
    while let Some(converted) = convert(rest, LIMITS, &mut out).unwrap() {
        counts.push((converted.header.record_count, converted.messages));
        rest = &rest[converted.len..];
    }
    assert_eq!(
        counts,
        [(2, 2), (1, 1), (2, 2), (2, 1), (2, 1), (1, 1), (1, 1)]
    );
    // A batch of format 2 is no message, nor is what is cut off before its magic byte.
    let batch = wire(&fill(&[]).seal(Codec::None, None).unwrap());
    for bytes in [&batch[..], &mixed[..16], &[]] {
        assert!(!is_message(bytes));
        assert_eq!(Entry::parse(bytes).unwrap(), None);
        assert!(convert(bytes, LIMITS, &mut out).unwrap().is_none());
    }
}

#[test]
fn wrappers_that_no_broker_writes_are_refused() {
    let plain = |magic: u8, olds: &[Old]| message_set(magic, Codec::None, false, olds);
    let wrap =
        |magic: u8, last: i64, inner: &[u8]| wrapper_of(magic, 0, Codec::Gzip, &old(last), inner);
    let nested = message_set(1, Codec::Gzip, false, &[old(0)]);
    let null = Old {
        value: None,
        ..old(4)
    };
    let mut cut = plain(1, &[old(0), old(1)]);
    cut.truncate(cut.len() - 1);
    for (bytes, why) in [
        (message(1, Codec::Gzip.id(), &null), "has no value"),
        (wrap(1, 4, &[]), "cut off"),
        (wrap(1, 4, &cut), "cut off"),
        (wrap(1, 4, &nested), "compressed again"),
        (wrap(1, 4, &plain(0, &[old(0)])), "another format"),
        (wrap(0, 4, &plain(1, &[old(4)])), "another format"),
        (wrap(0, 4, &plain(0, &[old(4), old(4)])), "do not rise"),
        (wrap(0, 4, &plain(0, &[old(5)])), "not what they can be"),
        (
            wrap(1, 4, &plain(1, &[old(0), old(1 << 40)])),
            "do not rise",
        ),
    ] {
        let error = refusal(&bytes, LIMITS);
        assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH, "{why}");
        assert!(error.message().contains(why), "{why}: {error}");
        assert!(error.message().contains("offset 4"), "{why}: {error}");
    }
    let unknown = message(1, 6, &old(4));
    assert_eq!(refusal(&unknown, LIMITS).code(), ErrorCode::UNSUPPORTED);
    for size in [i32::MIN, -1, 0, 5] {
        let mut bytes = message(0, 0, &old(4));
        bytes[8..12].copy_from_slice(&size.to_be_bytes());
        assert_eq!(refusal(&bytes, LIMITS).code(), ErrorCode::CORRUPT_BATCH);
        assert!(Entry::parse(&bytes).is_err());
    }
    // A length beyond what is there is a message cut off.
    let mut bytes = message(0, 0, &old(4));
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(Entry::parse(&bytes).unwrap(), None);
}

#[test]
fn a_wrapper_expands_to_its_limit_and_no_further() {
    let large = Old {
        value: Some(vec![0; 100_000]),
        ..old(7)
    };
    let plain = message(
        1,
        0,
        &Old {
            offset: 0,
            ..large.clone()
        },
    );
    for codec in &CODECS[1..] {
        let bytes = wrapper_of(1, 0, *codec, &large, &plain);
        let limit = |decompressed_bytes| Limits {
            decompressed_bytes,
            ..LIMITS
        };
        assert_eq!(read_all(&bytes, limit(plain.len())).unwrap()[0].1, large);
        let error = refusal(&bytes, limit(plain.len() - 1));
        assert_eq!(error.code(), ErrorCode::DECOMPRESSION_LIMIT, "{codec}");
    }
}
