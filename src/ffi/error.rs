//! Errors
//!
//! A function that fails returns a status and, if the caller passed a pointer for it, an error object that says what
//! was tried, on which broker or key, what came back, and what to do about it. The caller frees it. The codes that Kafka's brokers send are at the end
//! of this header.
//!
//! ```c
//! ottla_error *error = NULL;
//! if (ottla_producer_flush(producer, 10000, &error) != OTTLA_OK) {
//!     fprintf(stderr, "%s: %s\n", ottla_error_name(error), ottla_error_message(error));
//!     ottla_error_free(error);
//! }
//! ```
//!
//! In a helper that checks a status, pass the address of the error, or make the call in a separate statement. C may
//! evaluate arguments in any order, so `error` passed next to the call that sets it may be read before the call is
//! made:
//!
//! ```c
//! check(ottla_producer_flush(producer, 10000, &error), &error);   // right
//! check(ottla_producer_flush(producer, 10000, &error), error);    // wrong: may see the NULL of before
//! ```
//!
//! The functions on an error never fail. For NULL they return the success values: 0, "NONE", "", false.

use std::ffi::{CString, c_char};

use super::basics::ottla_status;
use super::guard::{self, Guarded, c_string, opaque};
use crate::error::{Error, ErrorCode};

/// Why a call, or an operation reported by a queue, failed. Immutable: all its functions may be called from many
/// threads at once.
pub struct ottla_error(Guarded<ErrorParts>);
opaque!(ottla_error, ErrorParts, "error");

pub(super) struct ErrorParts {
    error: Error,
    message: CString,
}

impl From<Error> for ErrorParts {
    fn from(error: Error) -> Self {
        let message = c_string(error.message());
        ErrorParts { error, message }
    }
}

impl ottla_error {
    /// An error that belongs to another object.
    pub(super) fn part(error: &Error) -> Box<ottla_error> {
        Box::new(ottla_error(Guarded::new(error.clone().into())))
    }
}

/// A part's address, or NULL.
pub(super) fn part_ptr(error: &Option<Box<ottla_error>>) -> *const ottla_error {
    error
        .as_deref()
        .map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Returns the status code; 0 only if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_code(error: *const ottla_error) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(error, 0, |e| e.error.code().0) }
}

/// Returns the name of the code, for example "CONFIG" or "UNKNOWN_TOPIC_OR_PARTITION". The string is static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_name(error: *const ottla_error) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(error, ErrorCode::NONE.c_name().as_ptr(), |e| {
            e.error.code().c_name().as_ptr()
        })
    }
}

/// Returns the message: one or a few sentences of English, in UTF-8. The string lives as long as the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_message(error: *const ottla_error) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(error, c"".as_ptr(), |e| e.message.as_ptr()) }
}

/// Returns true if the same call may succeed when retried later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_is_retriable(error: *const ottla_error) -> bool {
    // SAFETY: the header's conventions.
    unsafe { guard::read(error, false, |e| e.error.is_retriable()) }
}

/// Returns true if the client cannot continue: close it, free it and create another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_is_fatal(error: *const ottla_error) -> bool {
    // SAFETY: the header's conventions.
    unsafe { guard::read(error, false, |e| e.error.is_fatal()) }
}

/// Returns true if the open transaction has to be aborted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_needs_abort(error: *const ottla_error) -> bool {
    // SAFETY: the header's conventions.
    unsafe { guard::read(error, false, |e| e.error.needs_abort()) }
}

/// Returns a copy, which the caller frees, for keeping an error longer than the completion, event or result it
/// belongs to. Returns NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_clone(error: *const ottla_error) -> *mut ottla_error {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(error, std::ptr::null_mut(), |e| {
            guard::handle(e.error.clone().into())
        })
    }
}

/// Frees an error that a call wrote to its last argument, or a copy made by `ottla_error_clone`. Must not be called
/// with an error that belongs to a completion, event or result. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_error_free(error: *mut ottla_error) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(error) }
}

/// Returns the name of a status, for example "NONE" for 0 or "CONFIG" for OTTLA_ERR_CONFIG; "UNKNOWN" for a number
/// that is not a status. The string is static. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ottla_status_name(status: ottla_status) -> *const c_char {
    ErrorCode(status).c_name().as_ptr()
}
