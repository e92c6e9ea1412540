//! The structural checker against kafka-protocol: whatever arrives, decoding never panics and never allocates
//! more than a small multiple of the frame.

mod allocation;
mod apis;
// The names in the table are for error messages, which are not made here.
#[allow(dead_code)]
#[path = "../../crates/protocol/src/schema/format.rs"]
mod format;
mod generate;
#[path = "../../crates/protocol/src/schema/table.rs"]
mod table;

use allocation::allocated_by;
use apis::{Half, halves};
use bytes::Bytes;
use generate::{Fill, Random, body};
use kafka_protocol::messages::ApiKey;
use ottla::ErrorCode;
use ottla::protocol::schema::{Kind, api_name, check, decode_response};

/// What decoding a frame of this length may allocate in total.
fn allowance(frame: usize) -> usize {
    64 * frame + (64 << 10)
}

fn each_version(mut f: impl FnMut(&Half, i16)) {
    for half in halves() {
        for version in half.versions.min..=half.versions.max {
            f(&half, version);
        }
    }
}

fn name(half: &Half, version: i16) -> String {
    format!("{} {} v{version}", api_name(half.key), half.kind)
}

#[test]
fn no_api_is_missing() {
    let halves = halves();
    for api in ApiKey::iter() {
        for kind in [Kind::Request, Kind::Response] {
            assert!(
                halves
                    .iter()
                    .any(|half| half.key == api as i16 && half.kind == kind),
                "{api:?} {kind}"
            );
        }
    }
}

#[test]
fn default_messages_are_accepted() {
    each_version(|half, version| {
        let body = (half.default)(version);
        if let Err(error) = (half.decode)(half.key, version, body) {
            panic!("{}: {error}", name(half, version));
        }
    });
}

#[test]
fn filled_messages_are_accepted_and_mean_the_same_to_kafka_protocol() {
    let mut random = Random(0x5eed);
    each_version(|half, version| {
        for _ in 0..20 {
            let Some(body) = body(half.key, half.kind, version, Fill::Random, &mut random) else {
                panic!("{} is not in the table", name(half, version));
            };
            check(half.key, version, half.kind, &body).unwrap();
            let again = (half.again)(version, body.into());
            check(half.key, version, half.kind, &again).unwrap();
        }
    });
}

#[test]
fn cut_off_messages_are_refused_and_overlong_ones_taken() {
    let mut random = Random(0xcafe);
    each_version(|half, version| {
        let mut body = body(half.key, half.kind, version, Fill::Random, &mut random).unwrap();
        for len in 0..body.len() {
            let error = check(half.key, version, half.kind, &body[..len]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL);
        }
        // Kafka's brokers and clients let bytes follow a message.
        body.push(0);
        check(half.key, version, half.kind, &body).unwrap();
        (half.decode)(half.key, version, body.into()).unwrap();
    });
}

/// Decodes and returns what that allocated per byte of allowance, as a fraction.
fn decode_within_allowance(half: &Half, version: i16, body: Bytes) -> f64 {
    let len = body.len();
    let (allocated, _) = allocated_by(|| (half.decode)(half.key, version, body));
    assert!(
        allocated <= allowance(len),
        "{} of {len} bytes allocated {allocated}",
        name(half, version)
    );
    allocated as f64 / allowance(len) as f64
}

#[test]
fn changed_messages_never_panic_or_allocate_beyond_the_allowance() {
    let mut random = Random(0xfeed);
    let mut changed = 0;
    while changed < 200_000 {
        each_version(|half, version| {
            let body = body(half.key, half.kind, version, Fill::Random, &mut random).unwrap();
            for _ in 0..if body.is_empty() { 0 } else { 40 } {
                let mut body = body.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(body.len());
                    // Lengths are what matters: bytes that make a huge, a negative or a slightly wrong one.
                    body[at] = match random.below(6) {
                        0 => 0xff,
                        1 => 0x7f,
                        2 => 0x80,
                        3 => body[at].wrapping_add(1),
                        4 => body[at].wrapping_sub(1),
                        _ => random.next() as u8,
                    };
                }
                decode_within_allowance(half, version, body.into());
                changed += 1;
            }
        });
    }
}

#[test]
fn the_widest_arrays_stay_within_the_allowance() {
    let mut random = Random(1);
    let mut worst = (0.0, String::new());
    each_version(|half, version| {
        for depth in 0..3 {
            for fill in [
                Fill::Wide { depth, count: 1500 },
                Fill::Tagged { depth, count: 1500 },
            ] {
                let body = body(half.key, half.kind, version, fill, &mut random).unwrap();
                let used = decode_within_allowance(half, version, body.into());
                if used > worst.0 {
                    worst = (used, name(half, version));
                }
            }
        }
    });
    println!(
        "at most {:.0} % of the allowance, by {}",
        worst.0 * 100.0,
        worst.1
    );
    assert!(
        worst.0 > 0.2,
        "the arrays were not wide enough to show anything"
    );
}

/// A Metadata response of eight bytes once made the decoder ask for 206 GB and so ended the process.
#[test]
fn the_eight_byte_metadata_bomb_is_refused() {
    let bomb = Bytes::from_static(&[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    let decode = || decode_response::<kafka_protocol::messages::MetadataResponse>(3, 8, bomb);
    let (allocated, result) = allocated_by(decode);
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PROTOCOL);
    assert_eq!(
        error.message(),
        "Metadata response v8 of 8 bytes: Brokers: an array of 2147483647 elements of at least 12 bytes, but only 0 \
         bytes are left"
    );
    assert!(allocated < 4096, "{allocated}");
}
