//! Zigzag variable-length integers: seven bits a byte, least significant first, the high bit says "more follows".

/// Bytes the longest varint (32 bits) takes.
pub const MAX_VARINT_LEN: usize = 5;
/// Bytes the longest varlong (64 bits) takes.
pub const MAX_VARLONG_LEN: usize = 10;

#[inline(always)]
const fn zigzag32(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}

#[inline(always)]
const fn zigzag64(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

#[inline(always)]
const fn unzigzag32(v: u32) -> i32 {
    (v >> 1) as i32 ^ -((v & 1) as i32)
}

#[inline(always)]
pub(super) const fn unzigzag64(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Bytes `v` takes as a varlong (1 to 10); a varint takes as many for the same value.
#[inline(always)]
pub const fn varlong_len(v: i64) -> usize {
    len(zigzag64(v))
}

/// Bytes `v` takes as a varint (1 to 5).
#[inline(always)]
pub const fn varint_len(v: i32) -> usize {
    len(zigzag32(v) as u64)
}

/// Bytes that a length or count takes: [`varlong_len`] without the sign.
#[inline(always)]
pub(super) const fn size_len(n: usize) -> usize {
    len((n as u64) << 1)
}

#[inline(always)]
const fn len(v: u64) -> usize {
    if v < 0x80 {
        1
    } else if v < 0x4000 {
        2
    } else {
        // Significant bits divided by seven, rounded up: 9/64 is a hair below 1/7, and exact over this range.
        let bits = 64 - v.leading_zeros() as usize;
        (bits * 9 + 64) / 64
    }
}

/// Writes a varint at the start of `out` and says how many bytes it took, or `None` if there is too little room.
#[inline]
pub fn put_varint(out: &mut [u8], v: i32) -> Option<usize> {
    put(out, u64::from(zigzag32(v)))
}

/// Writes a varlong at the start of `out` and says how many bytes it took, or `None` if there is too little room.
#[inline]
pub fn put_varlong(out: &mut [u8], v: i64) -> Option<usize> {
    put(out, zigzag64(v))
}

#[inline]
fn put(out: &mut [u8], mut v: u64) -> Option<usize> {
    let mut n = 0;
    while v >= 0x80 {
        *out.get_mut(n)? = v as u8 | 0x80;
        v >>= 7;
        n += 1;
    }
    *out.get_mut(n)? = v as u8;
    Some(n + 1)
}

/// Writes a varlong at `at` and gives the place after it; a varint is written alike.
///
/// # Safety
/// [`varlong_len`]`(v)` bytes from `at` on must be writable.
#[inline(always)]
pub(super) unsafe fn write_varlong(at: *mut u8, v: i64) -> *mut u8 {
    // SAFETY: the same condition.
    unsafe { write(at, zigzag64(v)) }
}

/// Writes a length or count at `at` and gives the place after it.
///
/// # Safety
/// [`size_len`]`(n)` bytes from `at` on must be writable.
#[inline(always)]
pub(super) unsafe fn write_size(at: *mut u8, n: usize) -> *mut u8 {
    // SAFETY: the same condition.
    unsafe { write(at, (n as u64) << 1) }
}

/// # Safety
/// As many bytes as `v` takes must be writable from `at` on.
#[inline(always)]
unsafe fn write(mut at: *mut u8, mut v: u64) -> *mut u8 {
    // SAFETY: writes one byte per started group of seven bits, which is what the caller guarantees room for.
    unsafe {
        if v < 0x80 {
            *at = v as u8;
            return at.add(1);
        }
        if v < 0x4000 {
            at.cast::<[u8; 2]>().write([v as u8 | 0x80, (v >> 7) as u8]);
            return at.add(2);
        }
        while v >= 0x80 {
            *at = v as u8 | 0x80;
            v >>= 7;
            at = at.add(1);
        }
        *at = v as u8;
        at.add(1)
    }
}

/// Reads a varint at `*pos` and moves `*pos` past it; `None` if the bytes end first or it does not fit 32 bits.
#[inline]
pub fn read_varint(buf: &[u8], pos: &mut usize) -> Option<i32> {
    let (v, next) = varint_at(buf, *pos)?;
    *pos = next;
    Some(v)
}

/// Reads a varlong at `*pos` and moves `*pos` past it; `None` if the bytes end first or it does not fit 64 bits.
#[inline]
pub fn read_varlong(buf: &[u8], pos: &mut usize) -> Option<i64> {
    let (v, next) = long(buf, *pos)?;
    *pos = next;
    Some(unzigzag64(v))
}

/// The varint at `at`, and the place after it.
// Places go in and out by value, so that the hot loop can keep them in registers.
#[inline(always)]
pub(super) fn varint_at(buf: &[u8], at: usize) -> Option<(i32, usize)> {
    // One to three bytes, if a fourth is there too, take one check and one load.
    let (v, next) = match buf.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(&four) => {
            let word = u32::from_le_bytes(four);
            if word & 0x80 == 0 {
                (word & 0x7f, at + 1)
            } else if word & 0x8000 == 0 {
                (word & 0x7f | word >> 1 & 0x3f80, at + 2)
            } else if word & 0x80_0000 == 0 {
                (
                    word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000,
                    at + 3,
                )
            } else {
                long32(buf, at)?
            }
        }
        None => long32(buf, at)?,
    };
    Some((unzigzag32(v), next))
}

#[cold]
#[inline(never)]
fn long32(buf: &[u8], at: usize) -> Option<(u32, usize)> {
    let (v, next) = long(buf, at)?;
    Some((u32::try_from(v).ok()?, next))
}

/// The general case, out of the way of the short ones.
fn long(buf: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut v = 0u64;
    for i in 0..MAX_VARLONG_LEN {
        let b = *buf.get(at + i)?;
        if i == MAX_VARLONG_LEN - 1 && b > 1 {
            return None;
        }
        v |= u64::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            return Some((v, at + i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interesting() -> Vec<i64> {
        let mut all = vec![
            0,
            i64::MIN,
            i64::MAX,
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        ];
        for shift in 0..63 {
            for d in -2..=2 {
                all.push((1i64 << shift).wrapping_add(d));
                all.push((-1i64 << shift).wrapping_add(d));
            }
        }
        all
    }

    #[test]
    fn golden() {
        let cases: [(i64, &[u8]); 8] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (100, &[0xc8, 1]),
            (8192, &[0x80, 0x80, 1]),
        ];
        for (v, bytes) in cases {
            let mut out = [0; MAX_VARLONG_LEN];
            let n = put_varlong(&mut out, v).unwrap();
            assert_eq!(&out[..n], bytes, "{v}");
        }
    }

    #[test]
    fn round_trip_and_exact_room() {
        for v in interesting() {
            let mut out = [0xff; MAX_VARLONG_LEN + 1];
            let n = varlong_len(v);
            assert_eq!(put_varlong(&mut out[..n], v), Some(n));
            assert_eq!(put_varlong(&mut [0; MAX_VARLONG_LEN][..n - 1], v), None);
            let mut raw = [0; MAX_VARLONG_LEN];
            // SAFETY: ten bytes hold every varlong.
            let end = unsafe { write_varlong(raw.as_mut_ptr(), v) };
            assert_eq!(
                (end as usize - raw.as_ptr() as usize, &raw[..n]),
                (n, &out[..n])
            );
            let mut pos = 0;
            assert_eq!(read_varlong(&out[..n], &mut pos), Some(v));
            assert_eq!(pos, n);
            for cut in 0..n {
                assert_eq!(read_varlong(&out[..cut], &mut 0), None);
            }
            if let Ok(v) = i32::try_from(v) {
                assert_eq!(varint_len(v), n);
                assert_eq!(put_varint(&mut out, v), Some(n));
                let mut pos = 0;
                assert_eq!(read_varint(&out, &mut pos), Some(v));
                assert_eq!(pos, n);
            } else {
                assert_eq!(read_varint(&out[..n], &mut 0), None, "{v} is no varint");
            }
        }
    }

    #[test]
    fn too_long_is_refused() {
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x1f], &mut 0), None);
        assert_eq!(read_varlong(&[0xff; 11], &mut 0), None);
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert_eq!(read_varlong(&ten, &mut 0), None);
        ten[9] = 1;
        assert_eq!(read_varlong(&ten, &mut 0), Some(i64::MIN));
    }
}
