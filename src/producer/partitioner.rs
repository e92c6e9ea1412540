//! Which partition a record goes to: Java's murmur2 and librdkafka's hashes, byte for byte.

use crate::config::Partitioner;

/// Java's 32-bit murmur2, as `org.apache.kafka.common.utils.Utils.murmur2` computes it.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for w in &mut words {
        let mut k = u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// CRC-32 (IEEE), which librdkafka's `consistent` partitioners use.
pub fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let mut c = i as u32;
            let mut k = 0;
            while k < 8 {
                c = if c & 1 == 1 {
                    0xedb8_8320 ^ (c >> 1)
                } else {
                    c >> 1
                };
                k += 1;
            }
            table[i] = c;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0u32, |c, b| {
        TABLE[((c ^ u32::from(*b)) & 0xff) as usize] ^ (c >> 8)
    })
}

/// FNV-1a as librdkafka computes it for compatibility with Sarama: a negative result is negated.
pub fn fnv1a(data: &[u8]) -> u32 {
    let h = data.iter().fold(0x811c_9dc5u32, |h, b| {
        (h ^ u32::from(*b)).wrapping_mul(0x0100_0193)
    });
    (h as i32).unsigned_abs()
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This partition.
    Fixed(i32),
    /// The partition the topic sticks to at present.
    Sticky,
    /// Any partition, drawn anew for each record.
    Random,
    /// The next in turn.
    RoundRobin,
}

/// Chooses for a record with this key among `n` partitions.
#[inline]
pub(crate) fn choose(
    partitioner: Partitioner,
    ignore_keys: bool,
    key: Option<&[u8]>,
    n: u32,
) -> Choice {
    let key = if ignore_keys { None } else { key };
    let murmur = |key| Choice::Fixed(((murmur2(key) & 0x7fff_ffff) % n) as i32);
    let crc = |key| Choice::Fixed((crc32(key) % n) as i32);
    let fnv = |key| Choice::Fixed((fnv1a(key) % n) as i32);
    match (partitioner, key) {
        (Partitioner::Default, Some(key)) => murmur(key),
        (Partitioner::Default, None) => Choice::Sticky,
        // librdkafka: without a key these hash the empty string.
        (Partitioner::Murmur2, key) => murmur(key.unwrap_or(b"")),
        (Partitioner::Consistent, key) => crc(key.unwrap_or(b"")),
        (Partitioner::Fnv1a, key) => fnv(key.unwrap_or(b"")),
        // ... and these send it to a random partition; `consistent_random` an empty key too.
        (Partitioner::Murmur2Random, Some(key)) => murmur(key),
        (Partitioner::ConsistentRandom, Some(key)) if !key.is_empty() => crc(key),
        (Partitioner::Fnv1aRandom, Some(key)) => fnv(key),
        (
            Partitioner::Murmur2Random | Partitioner::ConsistentRandom | Partitioner::Fnv1aRandom,
            _,
        ) => Choice::Sticky,
        (Partitioner::Random, _) => Choice::Random,
        (Partitioner::RoundRobin, _) => Choice::RoundRobin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // Values of Java's own UtilsTest.
        assert_eq!(murmur2(b"21") as i32, -973932308);
        assert_eq!(murmur2(b"foobar") as i32, -790332482);
        assert_eq!(murmur2(b"a-little-bit-long-string") as i32, -985981536);
        assert_eq!(murmur2(b"a-little-bit-longer-string") as i32, -1486304829);
        assert_eq!(
            murmur2(b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") as i32,
            -58897971
        );
        assert_eq!(murmur2(b"abc") as i32, 479470107);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    /// The keys of `tests/golden`: bytes of a linear congruential generator, lengths 0 to 40 going round.
    fn keys() -> Vec<Vec<u8>> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (state >> 16) as u8
        };
        (0..10_000)
            .map(|i| (0..i % 41).map(|_| next()).collect())
            .collect()
    }

    /// What librdkafka's own functions chose (tests/golden/librdkafka.py).
    #[test]
    fn keys_go_where_librdkafka_sends_them() {
        use Partitioner as P;
        let golden = include_bytes!("../../tests/golden/librdkafka-partitions.bin");
        let variants = [
            (P::Consistent, P::ConsistentRandom),
            (P::Murmur2, P::Murmur2Random),
            (P::Fnv1a, P::Fnv1aRandom),
        ];
        let (of_keys, of_null) = golden.split_at(30_000);
        for (i, key) in keys().iter().enumerate() {
            let n = [1, 2, 3, 7, 12, 100, 127][i % 7];
            for (v, (plain, random)) in variants.iter().enumerate() {
                let want = Choice::Fixed(i32::from(of_keys[3 * i + v]));
                assert_eq!(
                    choose(*plain, false, Some(key), n),
                    want,
                    "{plain:?} {key:?}"
                );
                let decides = !key.is_empty() || *plain != P::Consistent;
                let want = if decides { want } else { Choice::Sticky };
                assert_eq!(
                    choose(*random, false, Some(key), n),
                    want,
                    "{random:?} {key:?}"
                );
            }
        }
        for ((plain, random), null) in variants.iter().zip(of_null) {
            let want = Choice::Fixed(i32::from(*null));
            assert_eq!(choose(*plain, false, None, 127), want, "{plain:?}");
            assert_eq!(choose(*random, false, None, 127), Choice::Sticky);
        }
    }

    /// What Java's own classes chose (tests/golden/java/Golden.java).
    #[test]
    fn keys_go_where_java_sends_them() {
        let golden = include_bytes!("../../tests/golden/partitions.bin");
        for (i, key) in keys().iter().enumerate() {
            let n = [1, 2, 3, 7, 12, 100, 127][i % 7];
            let want = Choice::Fixed(i32::from(golden[i]));
            assert_eq!(choose(Partitioner::Default, false, Some(key), n), want);
            let ignoring = choose(Partitioner::Default, true, Some(key), n);
            assert_eq!(ignoring, Choice::Sticky);
        }
        assert_eq!(choose(Partitioner::Default, false, None, 7), Choice::Sticky);
    }
}
