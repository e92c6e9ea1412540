//! Log lines
//!
//! Ottla does not write to stderr, unless the environment variable OTTLA_LOG names a level (error, warn, info, debug,
//! trace). The one exception is a line at the end of the process if records are lost; OTTLA_LOG=off silences it. Each
//! client keeps its last 1,024 lines, up to the level of its key `log.level`, until the program takes them with
//! `ottla_producer_logs`, `ottla_consumer_logs`, `ottla_share_consumer_logs` or `ottla_admin_logs`. Lines with the
//! same cause are logged at growing intervals, with the number of lines left out in between.
//! growing intervals, with the number left out between.

use std::ffi::{CString, c_char};
use std::time::UNIX_EPOCH;

use libc::size_t;

use super::basics::ottla_status;
use super::error::ottla_error;
use super::guard::{self, Guarded, c_string, opaque};
use crate::log::{Level, LogLine};

/// Log level: a requested operation failed.
pub const OTTLA_LOG_ERROR: i32 = 1;
/// Log level: something is wrong, but may recover without intervention.
pub const OTTLA_LOG_WARN: i32 = 2;
/// Log level: a noteworthy change.
pub const OTTLA_LOG_INFO: i32 = 3;
/// Log level: the client's decisions and their reasons.
pub const OTTLA_LOG_DEBUG: i32 = 4;
/// Log level: every request and response.
pub const OTTLA_LOG_TRACE: i32 = 5;

const _: () = assert!(
    OTTLA_LOG_ERROR == Level::Error as i32
        && OTTLA_LOG_WARN == Level::Warn as i32
        && OTTLA_LOG_INFO == Level::Info as i32
        && OTTLA_LOG_DEBUG == Level::Debug as i32
        && OTTLA_LOG_TRACE == Level::Trace as i32
);

/// Log lines, oldest first. Immutable: its functions may be called from many threads at once.
pub struct ottla_log_lines(Guarded<Vec<Line>>);
opaque!(ottla_log_lines, Vec<Line>, "lines");

pub(super) struct Line {
    facility: CString,
    client_id: CString,
    message: CString,
    line: LogLine,
}

/// New log lines for a caller; NULL for none.
pub(super) fn lines(lines: Vec<LogLine>) -> *mut ottla_log_lines {
    if lines.is_empty() {
        return std::ptr::null_mut();
    }
    let line = |line: LogLine| Line {
        facility: c_string(line.facility),
        client_id: c_string(&line.client_id),
        message: c_string(&line.message),
        line,
    };
    guard::handle(lines.into_iter().map(line).collect())
}

/// A log line. Its strings live as long as the `ottla_log_lines` that it belongs to.
#[repr(C)]
pub struct ottla_log_line {
    /// The part of the client that logged it, for example "connect".
    pub facility: *const c_char,
    /// The client's `client.id`.
    pub client_id: *const c_char,
    /// What happened.
    pub message: *const c_char,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The number of lines with the same cause that were left out since the previous one.
    pub repeated: u64,
    /// `OTTLA_LOG_*`
    pub level: i32,
}

/// Returns the number of lines, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_log_lines_count(lines: *const ottla_log_lines) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(lines, 0, |lines: &Vec<Line>| lines.len()) }
}

/// Writes line `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_log_lines_get(
    lines: *const ottla_log_lines,
    i: size_t,
    line: *mut ottla_log_line,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_log_lines_get", lines, error, |call, lines| {
            call.out("line", line)?;
            let own = call.element(lines, i)?;
            let since = own.line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
            guard::write(
                line,
                ottla_log_line {
                    facility: own.facility.as_ptr(),
                    client_id: own.client_id.as_ptr(),
                    message: own.message.as_ptr(),
                    time: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                    repeated: own.line.repeated,
                    level: own.line.level as i32,
                },
            );
            Ok(())
        })
    }
}

/// Frees log lines, including every string in them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_log_lines_free(lines: *mut ottla_log_lines) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(lines) }
}
