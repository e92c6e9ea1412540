//! Vectored writes to a socket.

use std::io::{self, IoSlice};

use socket2::SockRef;

/// A lost connection is an error of the write. Never the signal SIGPIPE, which ends a program in C or C++ that has not
/// set it aside: plain `writev`, which tokio's vectored writes come down to, raises it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
/// Apple's sockets are made with SO_NOSIGPIPE by mio; Windows has no such signal.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const FLAGS: std::ffi::c_int = 0;

/// Writes what the socket takes at once of these pieces.
///
/// # Errors
/// `WouldBlock` when it takes nothing now, `BrokenPipe` or another when the connection is lost.
pub fn write_vectored<'s>(
    socket: impl Into<SockRef<'s>>,
    slices: &[IoSlice<'_>],
) -> io::Result<usize> {
    socket.into().send_vectored_with_flags(slices, FLAGS)
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    static SIGNALLED: AtomicBool = AtomicBool::new(false);

    extern "C" fn signalled(_: libc::c_int) {
        SIGNALLED.store(true, Ordering::SeqCst);
    }

    /// Rust's own programs ignore SIGPIPE, C's do not.
    #[test]
    fn a_lost_connection_is_an_error_and_no_signal() {
        // SAFETY: the handler only stores to an atomic.
        let before =
            unsafe { libc::signal(libc::SIGPIPE, signalled as *const () as libc::sighandler_t) };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let error = write_vectored(&stream, &[IoSlice::new(b"late")]).unwrap_err();
        // SAFETY: what was there before.
        unsafe { libc::signal(libc::SIGPIPE, before) };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(!SIGNALLED.load(Ordering::SeqCst));
    }
}
