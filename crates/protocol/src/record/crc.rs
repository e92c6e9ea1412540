//! CRC-32C (Castagnoli), the checksum of record batches, and how two of them are joined.
//!
//! A batch's body is summed once, when it is sealed; its header changes with every attempt to send it. [`combine`]
//! joins the two sums without reading the body again.

use crc_fast::{CrcAlgorithm, Digest};

/// The polynomial, bits reversed: bit 31 is the coefficient of x⁰.
const POLY: u32 = 0x82f6_3b78;
const ONE: u32 = 1 << 31;

/// `ADVANCE[k][b]`: the register `b` after `k + 1` zero bytes.
static ADVANCE: [[u32; 256]; 4] = advance_table();
/// `POWER[k][b]`: x to the power 8·b·256ᵏ, that is "b·256ᵏ bytes follow".
static POWER: [[u32; 256]; 4] = power_table();

/// The CRC-32C of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32C of what `crc` is of, followed by `bytes`.
pub fn extend(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    digest.finalize() as u32
}

/// The CRC-32C of A followed by B, from those of A (`crc1`) and B (`crc2`) and the length of B.
pub fn combine(crc1: u32, crc2: u32, len2: u32) -> u32 {
    let mut crc = crc1;
    for (table, byte) in POWER.iter().zip(len2.to_le_bytes()) {
        if byte != 0 {
            crc = multiply(crc, table[usize::from(byte)]);
        }
    }
    crc ^ crc2
}

/// a·b modulo the polynomial.
#[inline]
fn multiply(a: u32, b: u32) -> u32 {
    // In reversed order the 63-bit product lies one bit low.
    let product = carryless(a, b) << 1;
    let [b0, b1, b2, b3] = (product as u32).to_le_bytes();
    (product >> 32) as u32
        ^ ADVANCE[3][usize::from(b0)]
        ^ ADVANCE[2][usize::from(b1)]
        ^ ADVANCE[1][usize::from(b2)]
        ^ ADVANCE[0][usize::from(b3)]
}

/// The product without carries. Each operand is split into four with every fourth bit: an ordinary product of such
/// parts counts at most eight ones at a place, which its three empty neighbours hold, so that the lowest bit of each
/// group of four is the carryless product's.
#[inline]
fn carryless(a: u32, b: u32) -> u64 {
    const MASK: u64 = 0x1111_1111_1111_1111;
    let part = |v: u32, i: usize| u64::from(v) & (MASK << i);
    let (a0, a1, a2, a3) = (part(a, 0), part(a, 1), part(a, 2), part(a, 3));
    let (b0, b1, b2, b3) = (part(b, 0), part(b, 1), part(b, 2), part(b, 3));
    let r0 = (a0 * b0) ^ (a1 * b3) ^ (a2 * b2) ^ (a3 * b1);
    let r1 = (a0 * b1) ^ (a1 * b0) ^ (a2 * b3) ^ (a3 * b2);
    let r2 = (a0 * b2) ^ (a1 * b1) ^ (a2 * b0) ^ (a3 * b3);
    let r3 = (a0 * b3) ^ (a1 * b2) ^ (a2 * b1) ^ (a3 * b0);
    (r0 & MASK) | (r1 & (MASK << 1)) | (r2 & (MASK << 2)) | (r3 & (MASK << 3))
}

const fn step_byte(mut register: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        register = (register >> 1) ^ (POLY & (register & 1).wrapping_neg());
        bit += 1;
    }
    register
}

const fn advance_table() -> [[u32; 256]; 4] {
    let mut table = [[0; 256]; 4];
    let mut b = 0;
    while b < 256 {
        let mut register = b as u32;
        let mut k = 0;
        while k < 4 {
            register = step_byte(register);
            table[k][b] = register;
            k += 1;
        }
        b += 1;
    }
    table
}

/// a·b modulo the polynomial, bit by bit, for the tables.
const fn multiply_slowly(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = (b >> 1) ^ (POLY & (b & 1).wrapping_neg());
        bit >>= 1;
    }
    product
}

const fn power_table() -> [[u32; 256]; 4] {
    let mut table = [[ONE; 256]; 4];
    // x⁸, then its 256th power again and again.
    let mut base = ONE >> 8;
    let mut k = 0;
    while k < 4 {
        let mut b = 1;
        while b < 256 {
            table[k][b] = multiply_slowly(table[k][b - 1], base);
            b += 1;
        }
        base = multiply_slowly(table[k][255], base);
        k += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Vec<u8> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    #[test]
    fn known_answers() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn extend_and_combine_agree_with_one_pass() {
        let data = bytes(200_000);
        for len in [
            0, 1, 2, 39, 40, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 199_960,
        ] {
            let (a, b) = data[..len + 40].split_at(40);
            let whole = crc32c(&data[..len + 40]);
            assert_eq!(extend(crc32c(a), b), whole, "extend {len}");
            assert_eq!(
                combine(crc32c(a), crc32c(b), len as u32),
                whole,
                "combine {len}"
            );
        }
    }

    #[test]
    fn combine_reaches_the_highest_table() {
        let zeros = vec![0; (1 << 24) + 3];
        let whole = extend(crc32c(b"head"), &zeros);
        assert_eq!(
            combine(crc32c(b"head"), crc32c(&zeros), zeros.len() as u32),
            whole
        );
    }
}
