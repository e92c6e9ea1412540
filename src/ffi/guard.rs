//! What every exported function goes through, so that nothing a C caller does wrong, and no panic, gets past it:
//! handles and arguments are checked and converted, panics become errors and shut the object they met, errors are
//! handed out.

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::basics::{OTTLA_OK, ottla_bytes, ottla_status};
use super::error::ottla_error;
use crate::config::FOREVER;
use crate::error::{Error, ErrorCode, Result};
use crate::net::io_thread;

/// What lies behind a handle. It is only ever borrowed shared: two threads may be inside at once.
pub(super) struct Guarded<T> {
    value: T,
    /// A panic left `value` in an unknown state.
    poisoned: AtomicBool,
}

impl<T> Guarded<T> {
    pub(super) fn new(value: T) -> Self {
        Guarded {
            value,
            poisoned: AtomicBool::new(false),
        }
    }

    /// Of a second handle in a call, one that can't be left in an unknown state.
    pub(super) fn value(&self) -> &T {
        &self.value
    }
}

/// A type of handle.
pub(super) trait Opaque: Sized {
    type Value: Send + Sync;
    /// As messages call the argument.
    const NAME: &'static str;
    fn guarded(&self) -> &Guarded<Self::Value>;
    fn wrap(guarded: Guarded<Self::Value>) -> Self;
}

/// Makes a tuple struct around `Guarded<$value>` a type of handle.
macro_rules! opaque {
    ($handle:ident, $value:ty, $name:literal) => {
        impl $crate::ffi::guard::Opaque for $handle {
            type Value = $value;
            const NAME: &'static str = $name;
            #[inline]
            fn guarded(&self) -> &$crate::ffi::guard::Guarded<$value> {
                &self.0
            }
            fn wrap(guarded: $crate::ffi::guard::Guarded<$value>) -> Self {
                $handle(guarded)
            }
        }
    };
}
pub(super) use opaque;

/// The function that is running, which converts its arguments and names them where they are wrong.
#[derive(Clone, Copy)]
pub(super) struct Call {
    function: &'static str,
}

impl Call {
    /// INVALID_ARGUMENT: the function, the argument, and what is wrong with it.
    #[cold]
    pub(super) fn wrong(&self, argument: &str, problem: impl std::fmt::Display) -> Error {
        Error::argument(format!("{}: {argument} {problem}", self.function))
    }

    /// The bytes of a NUL-terminated string.
    ///
    /// # Safety
    /// `text` is NULL or points to a NUL-terminated string that outlives `'a`.
    #[inline]
    pub(super) unsafe fn c_bytes<'a>(
        &self,
        argument: &str,
        text: *const c_char,
    ) -> Result<&'a [u8]> {
        if text.is_null() {
            return Err(self.wrong(argument, "is NULL, where a string is needed"));
        }
        // SAFETY: not NULL, so by the caller's promise a NUL-terminated string.
        Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
    }

    /// A NUL-terminated string.
    ///
    /// # Safety
    /// `text` is NULL or points to a NUL-terminated string that outlives `'a`.
    #[inline]
    pub(super) unsafe fn text<'a>(&self, argument: &str, text: *const c_char) -> Result<&'a str> {
        // SAFETY: the same promise.
        let bytes = unsafe { self.c_bytes(argument, text) }?;
        std::str::from_utf8(bytes).map_err(|_| {
            self.wrong(
                argument,
                format_args!("is not UTF-8: {:?}", String::from_utf8_lossy(bytes)),
            )
        })
    }

    /// An array of `len` NUL-terminated strings, by what it and what each of them is called.
    ///
    /// # Safety
    /// `texts` is NULL or points to `len` strings, each as for [`Call::text`].
    pub(super) unsafe fn texts<'a>(
        &self,
        (array, argument): (&str, &str),
        texts: *const *const c_char,
        len: usize,
    ) -> Result<Vec<&'a str>> {
        // SAFETY: the same promise.
        let given = unsafe { self.slice(array, texts, len) }?;
        let each = given.iter();
        // SAFETY: the same promise.
        each.map(|text| unsafe { self.text(argument, *text) })
            .collect()
    }

    /// An array of `len` elements, which may be NULL if there are none.
    ///
    /// # Safety
    /// `data` is NULL or points to `len` elements that outlive `'a`.
    #[inline]
    pub(super) unsafe fn slice<'a, T>(
        &self,
        argument: &str,
        data: *const T,
        len: usize,
    ) -> Result<&'a [T]> {
        if len == 0 {
            return Ok(&[]);
        }
        if data.is_null() {
            return Err(self.wrong(argument, format_args!("is NULL, where {len} are needed")));
        }
        if len > isize::MAX as usize / size_of::<T>().max(1) {
            return Err(self.wrong(
                argument,
                format_args!("has {len} elements, more than memory can hold"),
            ));
        }
        if !data.is_aligned() {
            return Err(self.wrong(argument, "is not aligned for its type"));
        }
        // SAFETY: not NULL, aligned, not too long; the rest is the caller's promise.
        Ok(unsafe { std::slice::from_raw_parts(data, len) })
    }

    /// A byte string; `None` is Kafka's null.
    ///
    /// # Safety
    /// `bytes.data` is NULL or points to `bytes.len` bytes that outlive `'a`.
    #[inline]
    pub(super) unsafe fn bytes<'a>(
        &self,
        argument: &str,
        bytes: ottla_bytes,
    ) -> Result<Option<&'a [u8]>> {
        if bytes.data.is_null() {
            if bytes.len != 0 {
                return Err(self.wrong(
                    argument,
                    format_args!("has {} bytes at NULL; null has length 0", bytes.len),
                ));
            }
            return Ok(None);
        }
        if bytes.len > i32::MAX as usize {
            return Err(self.wrong(
                argument,
                format_args!("has {} bytes; Kafka's limit is {}", bytes.len, i32::MAX),
            ));
        }
        // SAFETY: not NULL and not too long; the rest is the caller's promise.
        Ok(Some(unsafe {
            std::slice::from_raw_parts(bytes.data, bytes.len)
        }))
    }

    /// A timeout: milliseconds, -1 for no limit.
    pub(super) fn timeout(&self, timeout_ms: i64) -> Result<Duration> {
        match u64::try_from(timeout_ms) {
            Ok(ms) => Ok(Duration::from_millis(ms).min(FOREVER)),
            Err(_) if timeout_ms == -1 => Ok(FOREVER),
            Err(_) => Err(self.wrong(
                "timeout_ms",
                format_args!("is {timeout_ms}; give 0 or more, or -1 for no limit"),
            )),
        }
    }

    /// Checks that an output can be written.
    pub(super) fn out<T>(&self, argument: &str, out: *mut T) -> Result<()> {
        if out.is_null() {
            return Err(self.wrong(argument, "is NULL, where the result is to be written"));
        }
        Ok(())
    }

    /// The element of a result that a caller asks for by its index.
    pub(super) fn element<'a, T>(&self, of: &'a [T], index: usize) -> Result<&'a T> {
        of.get(index)
            .ok_or_else(|| self.wrong("i", format_args!("is {index}, but there are {}", of.len())))
    }
}

/// A client or a broker: something with threads of its own, which a forked child does not have.
pub(super) struct Live<T> {
    /// Always there, but while it is dropped.
    value: Option<T>,
    /// The fork generation it was made in.
    born: u32,
}

impl<T> Live<T> {
    /// `make` runs after forks are watched, so that a fork while it runs is noticed.
    pub(super) fn new(make: impl FnOnce() -> Result<T>) -> Result<Self> {
        io_thread::watch_forks();
        let born = io_thread::generation();
        let value = Some(make()?);
        Ok(Live { value, born })
    }

    /// FORKED in a child of the process it was made in.
    #[inline]
    pub(super) fn get(&self) -> Result<&T> {
        io_thread::check_generation(self.born)?;
        self.value
            .as_ref()
            .ok_or_else(|| Error::new(ErrorCode::CLOSED, "it is being freed"))
    }
}

impl<T> Drop for Live<T> {
    fn drop(&mut self) {
        // What the parent has is left alone: its locks may be held by threads that this process does not have.
        if io_thread::check_generation(self.born).is_err() {
            std::mem::forget(self.value.take());
        }
    }
}

/// Writes an output that was checked by [`Call::out`].
///
/// # Safety
/// `out` is not NULL and writable.
#[inline]
pub(super) unsafe fn write<T>(out: *mut T, value: T) {
    // SAFETY: the same promise; what was there is the caller's and not dropped.
    unsafe { out.write(value) }
}

/// A new handle, owned by whoever gets it.
pub(super) fn handle<H: Opaque>(value: H::Value) -> *mut H {
    Box::into_raw(Box::new(H::wrap(Guarded::new(value))))
}

/// Runs a function that needs no handle.
///
/// # Safety
/// `error` is NULL or writable.
pub(super) unsafe fn run(
    function: &'static str,
    error: *mut *mut ottla_error,
    body: impl FnOnce(Call) -> Result<()>,
) -> ottla_status {
    let result = catch_unwind(AssertUnwindSafe(|| body(Call { function })));
    match result {
        Ok(Ok(())) => OTTLA_OK,
        // SAFETY: the same promise.
        Ok(Err(failed)) => unsafe { fail(failed, error) },
        // SAFETY: the same promise.
        Err(payload) => unsafe { fail(panicked(function, &*payload), error) },
    }
}

/// Runs a function on the object of a handle. A panic in it shuts the object.
///
/// # Safety
/// `handle` is NULL or from [`handle`] and not freed; `error` is NULL or writable.
#[inline]
pub(super) unsafe fn on<H: Opaque>(
    function: &'static str,
    handle: *const H,
    error: *mut *mut ottla_error,
    body: impl FnOnce(Call, &H::Value) -> Result<()>,
) -> ottla_status {
    let call = Call { function };
    // SAFETY: the caller's promise; only shared references are ever made of handles.
    let Some(object) = (unsafe { handle.as_ref() }) else {
        let problem = call.wrong(
            H::NAME,
            "is NULL; give the handle that a successful call wrote",
        );
        // SAFETY: the same promise.
        return unsafe { fail(problem, error) };
    };
    let guarded = object.guarded();
    if guarded.poisoned.load(Ordering::Relaxed) {
        // SAFETY: the same promise.
        return unsafe { fail(shut(function, H::NAME), error) };
    }
    match catch_unwind(AssertUnwindSafe(|| body(call, &guarded.value))) {
        Ok(Ok(())) => OTTLA_OK,
        // SAFETY: the same promise.
        Ok(Err(failed)) => unsafe { fail(failed, error) },
        Err(payload) => {
            guarded.poisoned.store(true, Ordering::Relaxed);
            // SAFETY: the same promise.
            unsafe { fail(panicked(function, &*payload), error) }
        }
    }
}

/// Reads a property that can't fail; `otherwise` of NULL, or of an object that is shut.
///
/// # Safety
/// `handle` is NULL or from [`handle`] and not freed.
pub(super) unsafe fn read<'a, H: Opaque + 'a, R>(
    handle: *const H,
    otherwise: R,
    body: impl FnOnce(&'a H::Value) -> R,
) -> R {
    // SAFETY: the caller's promise.
    let Some(object) = (unsafe { handle.as_ref() }) else {
        return otherwise;
    };
    let guarded = object.guarded();
    if guarded.poisoned.load(Ordering::Relaxed) {
        return otherwise;
    }
    catch_unwind(AssertUnwindSafe(|| body(&guarded.value))).unwrap_or_else(|_| {
        guarded.poisoned.store(true, Ordering::Relaxed);
        otherwise
    })
}

/// Frees a handle; NULL is nothing to free.
///
/// # Safety
/// `handle` is NULL, or from [`handle`] and not freed, and no call with it is running.
pub(super) unsafe fn free<H: Opaque>(handle: *mut H) {
    if handle.is_null() {
        return;
    }
    // SAFETY: the caller's promise: it came from a Box, and nobody uses it any more.
    let object = unsafe { Box::from_raw(handle) };
    // There is nobody to tell of a panic, and what it leaves behind is gone with the object.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(object)));
}

/// Hands out an error, if the caller wants it, and gives its code.
///
/// # Safety
/// `error` is NULL or writable.
#[cold]
unsafe fn fail(failed: Error, error: *mut *mut ottla_error) -> ottla_status {
    let code = failed.code().0;
    if !error.is_null() {
        // SAFETY: just checked, and the caller's promise.
        unsafe { write(error, handle(failed.into())) };
    }
    code
}

#[cold]
fn panicked(function: &str, payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Error::new(
        ErrorCode::PANIC,
        format!(
            "{function}: Ottla panicked, which is a bug in Ottla; please report it: {text}. The object refuses further \
             use: free it and make a new one"
        ),
    )
}

#[cold]
fn shut(function: &str, name: &str) -> Error {
    Error::new(
        ErrorCode::PANIC,
        format!(
            "{function}: this {name} refuses further use, because Ottla panicked in an earlier call: free it and make a \
             new one"
        ),
    )
}

/// A string for C. NUL bytes, which it cannot hold, become spaces.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let clean: Vec<u8> = text
            .bytes()
            .map(|b| if b == 0 { b' ' } else { b })
            .collect();
        CString::new(clean).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::error::{ottla_error_code, ottla_error_free, ottla_error_message};
    use super::*;

    struct Thing(Guarded<u32>);
    opaque!(Thing, u32, "thing");

    fn call(thing: *const Thing, body: impl FnOnce(u32) -> Result<()>) -> (i32, String) {
        let mut error = std::ptr::null_mut();
        // SAFETY: the tests give NULL or a live handle.
        let status = unsafe { on("ottla_thing_do", thing, &mut error, |_, v| body(*v)) };
        let mut message = String::new();
        // SAFETY: the error is NULL or what `on` wrote, and freed once.
        unsafe {
            if !error.is_null() {
                assert_eq!(ottla_error_code(error), status);
                message = CStr::from_ptr(ottla_error_message(error))
                    .to_string_lossy()
                    .into_owned();
            }
            ottla_error_free(error);
        }
        (status, message)
    }

    #[test]
    fn a_panic_becomes_an_error_and_shuts_the_object() {
        let thing = handle::<Thing>(7);
        assert_eq!(call(thing, |_| Ok(())), (0, String::new()));
        let (status, message) = call(thing, |v| panic!("at {v}"));
        assert_eq!(status, ErrorCode::PANIC.0);
        assert!(message.contains("ottla_thing_do: Ottla panicked"));
        assert!(message.contains("at 7"), "{message}");
        let (status, message) = call(thing, |_| Ok(()));
        assert_eq!(status, ErrorCode::PANIC.0);
        assert!(
            message.contains("this thing refuses further use"),
            "{message}"
        );
        // SAFETY: a live handle, freed once.
        unsafe {
            assert_eq!(read(thing, 1, |v| *v), 1);
            free(thing);
        }
    }

    #[test]
    fn null_handles_and_missing_error_pointers() {
        let (status, message) = call(std::ptr::null(), |_| Ok(()));
        assert_eq!(status, ErrorCode::INVALID_ARGUMENT.0);
        assert_eq!(
            message,
            "ottla_thing_do: thing is NULL; give the handle that a successful call wrote"
        );
        // SAFETY: NULL is allowed everywhere.
        unsafe {
            let none = std::ptr::null_mut();
            assert_eq!(
                on::<Thing>("f", std::ptr::null(), none, |_, _| Ok(())),
                status
            );
            free::<Thing>(std::ptr::null_mut());
            assert_eq!(
                run("f", none, |_| panic!("nobody listens")),
                ErrorCode::PANIC.0
            );
        }
    }

    #[test]
    fn arguments_are_checked() {
        let call = Call { function: "f" };
        assert_eq!(call.timeout(-1).unwrap(), FOREVER);
        assert_eq!(call.timeout(i64::MAX).unwrap(), FOREVER);
        assert_eq!(call.timeout(5).unwrap(), Duration::from_millis(5));
        assert!(
            call.timeout(-2)
                .unwrap_err()
                .message()
                .contains("timeout_ms is -2")
        );
        let null = ottla_bytes {
            data: std::ptr::null(),
            len: 0,
        };
        let words = [1u64, 2];
        // SAFETY: NULL, or arrays that live here.
        unsafe {
            assert_eq!(call.bytes("key", null).unwrap(), None);
            assert!(call.bytes("key", ottla_bytes { len: 1, ..null }).is_err());
            let empty = ottla_bytes {
                data: words.as_ptr().cast(),
                len: 0,
            };
            assert_eq!(call.bytes("key", empty).unwrap(), Some(&[][..]));
            let long = ottla_bytes {
                len: 1 << 31,
                ..empty
            };
            assert!(call.bytes("key", long).is_err());
            assert_eq!(call.slice("times", words.as_ptr(), 2).unwrap(), &words[..]);
            assert!(call.slice("times", words.as_ptr(), usize::MAX / 4).is_err());
            let odd = words.as_ptr().cast::<u8>().add(1).cast::<u64>();
            assert!(call.slice("times", odd, 1).is_err());
            assert!(call.slice::<u64>("times", std::ptr::null(), 1).is_err());
            let latin = [0xe9u8, 0];
            let error = call.text("topic", latin.as_ptr().cast()).unwrap_err();
            assert!(error.message().starts_with("f: topic is not UTF-8"));
        }
        assert_eq!(c_string("a\0b").as_bytes(), b"a b");
    }
}
