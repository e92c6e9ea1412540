//! Threads of Ottla's own. They take no signals: handlers run on the program's threads, and a program that blocks a
//! signal in its own threads, to wait for it or to put it off, is not ended by one that Ottla's thread let through.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread, under a name that debuggers show. Threads that it starts itself inherit that they take no signals.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.to_owned());
    // Blocked before the thread is there, as a signal could otherwise reach it in its first moments.
    #[cfg(unix)]
    let _mask = mask::Blocked::new();
    builder.spawn(body)
}

#[cfg(unix)]
mod mask {
    use std::mem::MaybeUninit;

    /// Faults of a thread itself. Blocked they would end the process past the program's crash handler.
    const FAULTS: [libc::c_int; 5] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];

    /// All other signals are blocked in this thread until it is dropped.
    pub(super) struct Blocked(Option<libc::sigset_t>);

    impl Blocked {
        pub(super) fn new() -> Self {
            let mut all = MaybeUninit::uninit();
            let mut before = MaybeUninit::uninit();
            // SAFETY: sigfillset initialises the set that the others read; `before` is read only where
            // pthread_sigmask succeeded, which has then written it.
            let before = unsafe {
                libc::sigfillset(all.as_mut_ptr());
                for fault in FAULTS {
                    libc::sigdelset(all.as_mut_ptr(), fault);
                }
                let failed =
                    libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
                (failed == 0).then(|| before.assume_init())
            };
            Blocked(before)
        }
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            if let Some(before) = &self.0 {
                // SAFETY: a set that pthread_sigmask wrote.
                unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
            }
        }
    }
}
