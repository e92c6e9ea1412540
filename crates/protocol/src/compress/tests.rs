use proptest::prelude::*;

use super::*;

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize, alphabet: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(alphabet) as u8).collect()
    }
}

fn compressed(codec: Codec, level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut out = PoolBuf::with_capacity(0);
    compress(codec, level, input, &mut out).unwrap();
    out.to_vec()
}

fn decompressed(codec: Codec, input: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = PoolBuf::with_capacity(0);
    decompress(codec, input, &mut out, limit)?;
    Ok(out.to_vec())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// What the foreign streams below hold.
fn foreign_text() -> Vec<u8> {
    let lines =
        (0..6).map(|i| format!("record {i}: the quick brown fox jumps over the lazy dog\n"));
    lines.collect::<String>().into_bytes()
}

/// Written by CPython's gzip, python-lz4, python-zstandard and cramjam.
const FOREIGN: &[(Codec, &str, &str)] = &[
    (
        Codec::Gzip,
        "plain",
        "1f8b08000000000000032b4a4dce2f4a5130b05228c94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d024be72456552aa4e4a7731541741992a5cb882c5dc664e932214b972969ba00687cf7bf44010000",
    ),
    (
        Codec::Gzip,
        "with a file name",
        "1f8b08080100000002ff6e616d652e747874002b4a4dce2f4a5130b05228c94855282ccd4cce56482aca2fcf5348cbaf50c82acd2d2856c82f4b2d024be72456552aa4e4a7731541741992a5cb882c5dc664e932214b972969ba00687cf7bf44010000",
    ),
    (
        Codec::Lz4,
        "independent blocks",
        "04224d1860408257000000f1197265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f7665721f00936c617a7920646f670a36001f313600221f323600221f333600221f343600221f353600165020646f670a00000000",
    ),
    (
        Codec::Lz4,
        "content size and all checksums",
        "04224d187c4044010000000000005a57000000f1197265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f7665721f00936c617a7920646f670a36001f313600221f323600221f333600221f343600221f353600165020646f670a6a6bd92300000000975e5d97",
    ),
    (
        Codec::Lz4,
        "linked blocks",
        "04224d1844405e3c0000807265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a7920646f670a7265636f72640c0000002f203136002250323a2074683c0000806520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a7920646f670a7265636f726420333a207468652071756963140000000f36001821343a4d00a0717569636b2062726f772f000000f1016e20666f78206a756d7073206f7665721f00fd026c617a7920646f670a7265636f7264203536005020666f78200a0000000f3600005020646f670a00000000975e5d97",
    ),
    (
        Codec::Zstd,
        "plain",
        "28b52ffd6044005d020064037265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f7665726c617a7920646f670a31323334350700035304ce133899c02902e766e50e84a0ca",
    ),
    (
        Codec::Zstd,
        "no content size, checksum",
        "28b52ffd040065020074037265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f7665726c617a7920646f670a31323334353a072070330f9a2827d3297a9e1e96751242687a12f48ecf",
    ),
    (
        Codec::Zstd,
        "flushed amid",
        "28b52ffd0058f4010024037265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f7665726c617a7920646f670a310300c11359e581685519850000286132333435055001009b3a75ea9403",
    ),
    (
        Codec::Snappy,
        "raw",
        "c402a07265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f76657220011f206c617a7920646f670a0d360031d236000032d236000033d236000034d236000035b63600",
    ),
    (
        Codec::Snappy,
        "xerial, three chunks",
        "82534e41505059000000000100000001000000449601a07265636f726420303a2074686520717569636b2062726f776e20666f78206a756d7073206f76657220011f206c617a7920646f670a0d360031d236000032863600000000479601d06865206c617a7920646f670a7265636f726420333a2074686520717569636b2062726f776e20666f78206a756d7073206f76657220011f3e36000034d2360000355636000000001a185c6a756d7073206f76657220746865206c617a7920646f670a",
    ),
];

#[test]
fn ids_and_names_match_kafka() {
    let expected = [
        (0, "none"),
        (1, "gzip"),
        (2, "snappy"),
        (3, "lz4"),
        (4, "zstd"),
    ];
    for (id, name) in expected {
        let codec = Codec::from_id(id).unwrap();
        assert_eq!(
            (codec.id(), codec.name(), Codec::parse(name)),
            (id, name, Some(codec))
        );
    }
    assert_eq!(
        (Codec::from_id(5), Codec::from_id(7), Codec::parse("brotli")),
        (None, None, None)
    );
}

#[test]
fn round_trips_over_sizes_and_entropies() {
    let mut random = Random(0x5eed);
    let sizes = [
        0, 1, 2, 15, 100, 4095, 65_535, 65_536, 65_537, 131_072, 300_001,
    ];
    for codec in Codec::ALL {
        for size in sizes {
            for alphabet in [1, 2, 16, 256] {
                let input = random.bytes(size, alphabet);
                let packed = compressed(codec, None, &input);
                let unpacked = decompressed(codec, &packed, size).unwrap();
                assert!(
                    unpacked == input,
                    "{codec}, {size} bytes of {alphabet} letters"
                );
            }
        }
    }
}

#[test]
fn every_level_round_trips() {
    let input = foreign_text().repeat(50);
    let levels = [
        (Codec::Gzip, -1),
        (Codec::Gzip, 1),
        (Codec::Gzip, 9),
        (Codec::Zstd, -131_072),
    ];
    for (codec, level) in levels
        .into_iter()
        .chain([-5, 1, 3, 12, 22].map(|level| (Codec::Zstd, level)))
        .chain((1..=17).map(|level| (Codec::Lz4, level)))
    {
        let packed = compressed(codec, Some(level), &input);
        assert_eq!(
            decompressed(codec, &packed, input.len()).unwrap(),
            input,
            "{codec} at {level}"
        );
    }
    let size = |codec, level| compressed(codec, Some(level), &input).len();
    assert!(size(Codec::Gzip, 9) < size(Codec::Gzip, 1));
    assert!(size(Codec::Lz4, 12) < size(Codec::Lz4, 9));
    assert!(size(Codec::Zstd, 19) < size(Codec::Zstd, -50));
}

#[test]
fn levels_outside_the_range_are_configuration_errors() {
    let wrong = [
        (Codec::None, 1, "leave it out"),
        (Codec::Snappy, 1, "leave it out"),
        (Codec::Gzip, 0, "1 to 9"),
        (Codec::Gzip, 10, "1 to 9"),
        (Codec::Lz4, 18, "1 to 17"),
        (Codec::Lz4, 0, "1 to 17"),
        (Codec::Zstd, 23, "-131072 to 22"),
        (Codec::Zstd, -131_073, "-131072 to 22"),
    ];
    for (codec, level, says) in wrong {
        let error = check_level(codec, level).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CONFIG);
        assert!(error.message().contains(says), "{error}");
        let mut out = PoolBuf::with_capacity(0);
        assert_eq!(
            compress(codec, Some(level), b"x", &mut out)
                .unwrap_err()
                .code(),
            ErrorCode::CONFIG
        );
    }
}

#[test]
fn reads_what_other_writers_wrote() {
    let text = foreign_text();
    for (codec, what, stream) in FOREIGN {
        let unpacked = decompressed(*codec, &hex(stream), text.len());
        assert_eq!(unpacked.unwrap(), text, "{codec}, {what}");
        let error = decompressed(*codec, &hex(stream), text.len() - 1).unwrap_err();
        assert_eq!(
            error.code(),
            ErrorCode::DECOMPRESSION_LIMIT,
            "{codec}, {what}: {error}"
        );
    }
}

#[test]
fn appends_after_what_the_buffer_held_and_leaves_it_on_error() {
    let text = foreign_text();
    for codec in Codec::ALL {
        let mut packed = PoolBuf::with_capacity(0);
        packed.extend_from_slice(b"header");
        compress(codec, None, &text, &mut packed).unwrap();
        assert_eq!(&packed[..6], b"header");
        let mut out = PoolBuf::with_capacity(0);
        out.extend_from_slice(b"before");
        decompress(codec, &packed[6..], &mut out, text.len()).unwrap();
        assert_eq!((&out[..6], &out[6..]), (&b"before"[..], &text[..]));
        decompress(codec, &packed[6..], &mut out, text.len() - 1).unwrap_err();
        assert_eq!(out.len(), 6 + text.len());
    }
}

#[test]
fn streams_joined_end_to_end_are_read() {
    let text = foreign_text();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = compressed(codec, None, &text).repeat(3);
        assert_eq!(
            decompressed(codec, &packed, 3 * text.len()).unwrap(),
            text.repeat(3),
            "{codec}"
        );
    }
}

#[test]
fn xerial_framing_is_as_java_writes_it() {
    let packed = compressed(Codec::Snappy, None, &[7; 100_000]);
    assert_eq!(packed[..16], hex("82534e41505059000000000100000001"));
    let first = u32::from_be_bytes(*packed[16..].first_chunk().unwrap()) as usize;
    let second = u32::from_be_bytes(*packed[20 + first..].first_chunk().unwrap()) as usize;
    assert_eq!(
        packed.len(),
        24 + first + second,
        "100,000 bytes are two chunks"
    );
}

#[test]
fn lz4_frame_header_is_as_java_writes_it() {
    let packed = compressed(Codec::Lz4, None, b"some text");
    assert_eq!(packed[..7], hex("04224d18604082"));
    assert_eq!(packed[packed.len() - 4..], [0; 4]);
}

#[test]
fn bombs_are_capped() {
    const LIMIT: usize = 1 << 20;
    let zeros = vec![0; 64 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = compressed(codec, None, &zeros);
        let mut out = PoolBuf::with_capacity(0);
        let error = decompress(codec, &bomb, &mut out, LIMIT).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DECOMPRESSION_LIMIT, "{error}");
        let message = error.message();
        assert!(
            message.contains(codec.name()) && message.contains("1048576"),
            "{message}"
        );
        assert!(
            out.capacity() <= LIMIT + LIMIT / 2,
            "{codec} grew to {}",
            out.capacity()
        );
    }
}

#[test]
fn a_zstd_bomb_without_a_declared_size_is_capped() {
    use zstd_safe::{CCtx, CParameter};
    const LIMIT: usize = 1 << 20;
    for (size, window_log) in [
        (32 << 20, 20),
        (32 << 20, 27),
        (LIMIT + 1, 20),
        (LIMIT, 20),
        (LIMIT - 1, 20),
    ] {
        let mut context = CCtx::create();
        context
            .set_parameter(CParameter::ContentSizeFlag(false))
            .unwrap();
        context
            .set_parameter(CParameter::WindowLog(window_log))
            .unwrap();
        let mut bomb = vec![0; 1 << 20];
        let n = context.compress2(&mut bomb[..], &vec![0; size]).unwrap();
        let mut out = PoolBuf::with_capacity(0);
        let result = decompress(Codec::Zstd, &bomb[..n], &mut out, LIMIT);
        if size <= LIMIT {
            result.unwrap();
            assert_eq!(out.len(), size);
        } else {
            assert_eq!(
                result.unwrap_err().code(),
                ErrorCode::DECOMPRESSION_LIMIT,
                "{size} {window_log}"
            );
        }
        assert!(
            out.capacity() <= LIMIT + LIMIT / 2,
            "grew to {}",
            out.capacity()
        );
    }
}

#[test]
fn declared_sizes_that_cannot_be_true_cost_nothing() {
    // Raw snappy of 1 GiB in 6 bytes; gzip whose trailer claims 4 GiB; a zstd frame claiming 2^60 bytes.
    let mut gzip = compressed(Codec::Gzip, None, b"small");
    let end = gzip.len();
    gzip[end - 4..].fill(0xff);
    let lies = [
        (Codec::Snappy, hex("808080800400")),
        (Codec::Gzip, gzip),
        (Codec::Zstd, hex("28b52ffde00000000000000010010000")),
    ];
    for (codec, lie) in lies {
        let mut out = PoolBuf::with_capacity(0);
        let error = decompress(codec, &lie, &mut out, usize::MAX).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_BATCH, "{error}");
        assert!(out.capacity() < 1 << 20, "{codec} took {}", out.capacity());
    }
}

#[test]
fn cut_off_streams_are_errors() {
    let text = foreign_text();
    for (codec, what, stream) in FOREIGN {
        let stream = hex(stream);
        for len in 1..stream.len() {
            // A framed snappy stream cut between chunks is a shorter stream; nothing in it tells.
            match decompressed(*codec, &stream[..len], text.len()) {
                Err(error) => assert_eq!(
                    error.code(),
                    ErrorCode::CORRUPT_BATCH,
                    "{codec}, {what}, {len}: {error}"
                ),
                Ok(shorter) => assert!(
                    what.starts_with("xerial") && text.starts_with(&shorter),
                    "{codec} {what} {len}"
                ),
            }
        }
    }
}

#[test]
fn changed_bytes_never_panic_or_pass_the_limit() {
    let mut random = Random(0xc0ffee);
    let text = foreign_text();
    let own = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]
        .map(|codec| (codec, compressed(codec, None, &text)));
    let streams: Vec<_> = FOREIGN
        .iter()
        .map(|(codec, _, stream)| (*codec, hex(stream)))
        .chain(own)
        .collect();
    for _ in 0..3000 {
        for (codec, stream) in &streams {
            let mut broken = stream.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(broken.len());
                broken[at] = random.next() as u8;
            }
            let mut out = PoolBuf::with_capacity(0);
            match decompress(*codec, &broken, &mut out, 4096) {
                Ok(()) => assert!(out.len() <= 4096),
                Err(error) => assert!(
                    matches!(
                        error.code(),
                        ErrorCode::CORRUPT_BATCH | ErrorCode::DECOMPRESSION_LIMIT
                    ),
                    "{error}"
                ),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_round_trip(pieces in prop::collection::vec((any::<u8>(), 1usize..3000), 0..60), id in 0u8..5) {
        let input: Vec<u8> = pieces.iter().flat_map(|(byte, times)| (0..*times).map(move |i| byte ^ (i % 7) as u8)).collect();
        let codec = Codec::from_id(id).unwrap();
        prop_assert_eq!(decompressed(codec, &compressed(codec, None, &input), input.len()).unwrap(), input);
    }

    #[test]
    fn random_input_never_panics(input in prop::collection::vec(any::<u8>(), 0..300), id in 0u8..5) {
        let codec = Codec::from_id(id).unwrap();
        if let Ok(out) = decompressed(codec, &input, 10_000) {
            prop_assert!(out.len() <= 10_000);
        }
    }
}
