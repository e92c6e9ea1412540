//! Version, status, bytes

use std::ffi::{CStr, c_char};

use libc::size_t;

/// The number of this ABI, as in the library's SONAME. It changes when programs have to be recompiled.
pub const OTTLA_ABI_VERSION: u32 = 0;

/// A status code: 0 is success. Kafka's own error codes are as on the wire (-1 and the numbers above 0), Ottla's own
/// are at or below -100: the constants `OTTLA_ERR_*`.
pub type ottla_status = i32;

/// The status of a successful call.
pub const OTTLA_OK: i32 = 0;

/// A borrowed view of bytes. Never freed separately.
///
/// `data` NULL, with `len` 0, is Kafka's null. A non-NULL pointer with `len` 0 is an empty string, which is not the
/// same.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ottla_bytes {
    /// The first byte, or NULL.
    pub data: *const u8,
    /// The number of bytes.
    pub len: size_t,
}

/// A header of a record. Names may repeat; the order is kept.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ottla_header {
    /// The name. Never null, but not necessarily text.
    pub name: ottla_bytes,
    /// The value, or null.
    pub value: ottla_bytes,
}

/// Returns the ABI number of the loaded library, for programs that load it at run time to compare with
/// OTTLA_ABI_VERSION. Never fails. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ottla_abi_version() -> u32 {
    OTTLA_ABI_VERSION
}

/// Returns the library's version, for example "0.1.0". The string is static. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ottla_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

impl ottla_bytes {
    /// A view of `bytes`; `None` is null.
    pub(super) fn of(bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => ottla_bytes {
                data: bytes.as_ptr(),
                len: bytes.len(),
            },
            None => ottla_bytes {
                data: std::ptr::null(),
                len: 0,
            },
        }
    }
}
