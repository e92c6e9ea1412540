//! The one source of randomness of a client.

/// The one source of randomness of a client; seeded, so that a simulation can repeat itself.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A generator seeded by the operating system (through the standard library's hash keys).
    pub(crate) fn from_os() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Rng::new(RandomState::new().hash_one(0))
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random id as Kafka's clients write theirs: 16 bytes in URL-safe base 64.
    pub(crate) fn id(&mut self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut id = String::new();
        for bits in [self.next(), self.next()] {
            // 22 digits hold 128 bits; the last of each half takes the odd four.
            for i in 0..11 {
                let digit = (bits >> (i * 6)) & 63;
                id.push(char::from(DIGITS[digit as usize]));
            }
        }
        id
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 to below `n`; 0 for `n` = 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (self.next() % n as u64) as usize
        }
    }
}
