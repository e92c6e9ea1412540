//! Configuration
//!
//! Pairs of key and value, both text, under Kafka's own names: `bootstrap.servers`, `linger.ms`, `compression.type`.
//! docs/configuration.md lists all keys. librdkafka's names are accepted where they mean the same. Plain numbers are
//! in Kafka's own unit; values with a unit (5ms, 64MB, 64MiB) are accepted too.
//!
//! Everything is checked when a client is created from the configuration: an unknown key, a wrong type, a number out
//! of range, a key of another kind of client, or two names of the same key are OTTLA_ERR_CONFIG. The message names
//! the key, the value and what was probably meant.
//!
//! ```c
//! ottla_config *config = ottla_config_new();
//! if (ottla_config_set(config, "bootstrap.servers", "localhost:9092", &error) == OTTLA_OK &&
//!     ottla_config_set(config, "linger.ms", "5", &error) == OTTLA_OK) {
//!     status = ottla_producer_new(config, &producer, &error);
//! }
//! ottla_config_free(config);
//! ```

use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

use libc::size_t;

use super::basics::ottla_status;
use super::error::ottla_error;
use super::guard::{self, Call, Guarded, c_string, opaque};
use crate::config::{self, ClientKind};
use crate::error::Result;

/// Pairs of key and value. Any number of clients can be created from it; it may be freed or changed as soon as they
/// are created.
pub struct ottla_config(Guarded<Pairs>);
opaque!(ottla_config, Pairs, "config");

/// The pairs in the order in which their keys came.
#[derive(Default)]
pub(super) struct Pairs(Mutex<Vec<(String, String)>>);

impl Pairs {
    /// Lets `read` have the pairs as they are now.
    pub(super) fn read<R>(&self, read: impl FnOnce(&[(String, String)]) -> R) -> R {
        // Copied, so that no lock is held while a client is made.
        let pairs = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        read(&pairs)
    }

    fn set(&self, key: &str, value: &str) {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pairs.iter_mut().find(|(k, _)| k == key) {
            Some(pair) => pair.1 = value.to_owned(),
            None => pairs.push((key.to_owned(), value.to_owned())),
        }
    }
}

/// Makes a client's configuration of a handle.
///
/// # Safety
/// `config` is NULL or a live handle.
pub(super) unsafe fn typed<C>(
    call: Call,
    config: *const ottla_config,
    make: impl for<'a> FnOnce(&mut dyn Iterator<Item = (&'a str, &'a str)>) -> Result<C>,
) -> Result<C> {
    // SAFETY: the same promise.
    let made = unsafe {
        guard::read(config, None, |pairs: &Pairs| {
            Some(pairs.read(|pairs| make(&mut pairs.iter().map(|(k, v)| (&**k, &**v)))))
        })
    };
    made.unwrap_or_else(|| {
        Err(call.wrong(
            "config",
            "is NULL; make one with ottla_config_new and set at least bootstrap.servers",
        ))
    })
}

/// Returns a new, empty configuration, which the caller frees with `ottla_config_free`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ottla_config_new() -> *mut ottla_config {
    guard::handle(Pairs::default())
}

/// Sets a key, replacing its earlier value. Key and value are copied, and are only checked to be UTF-8: whether the
/// key exists and the value is valid is checked when a client is created.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_config_set(
    config: *mut ottla_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_config_set", config, error, |call, pairs| {
            pairs.set(call.text("key", key)?, call.text("value", value)?);
            Ok(())
        })
    }
}

/// Frees a configuration. Clients created from it are unaffected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_config_free(config: *mut ottla_config) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(config) }
}

/// The table of all keys, for tools and bindings. Immutable: its functions may be called from many threads at once.
pub struct ottla_keys(Guarded<Vec<KeyRow>>);
opaque!(ottla_keys, Vec<KeyRow>, "keys");

pub(super) struct KeyRow {
    name: CString,
    type_name: CString,
    default_value: Option<CString>,
    meaning: CString,
    clients: u32,
}

/// The key applies to producers.
pub const OTTLA_KEY_PRODUCER: u32 = 1;
/// The key applies to consumers.
pub const OTTLA_KEY_CONSUMER: u32 = 2;
/// The key applies to admin clients.
pub const OTTLA_KEY_ADMIN: u32 = 4;
/// The key applies to share consumers.
pub const OTTLA_KEY_SHARE_CONSUMER: u32 = 8;

/// A row of the table of keys. Its strings live as long as the table.
#[repr(C)]
pub struct ottla_key {
    /// Kafka's name of the key.
    pub name: *const c_char,
    /// "boolean", "integer", "duration", "size", "text", "choice", "hosts", or "not yet" for a key that is known but
    /// not supported yet, and refused.
    pub type_name: *const c_char,
    /// The default value, as one would write it; NULL if there is none.
    pub default_value: *const c_char,
    /// What the key means.
    pub meaning: *const c_char,
    /// The kinds of client that the key applies to: a sum of `OTTLA_KEY_*`.
    pub clients: u32,
}

/// Writes the table of all keys, which the caller frees with `ottla_keys_free`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_config_keys(
    keys: *mut *mut ottla_keys,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_config_keys", error, |call| {
            call.out("keys", keys)?;
            let rows = config::keys().map(|key| {
                let has = |kind, bit| if key.clients.contains(kind) { bit } else { 0 };
                KeyRow {
                    name: c_string(key.name),
                    type_name: c_string(key.kind.name()),
                    default_value: key.default.map(c_string),
                    meaning: c_string(key.doc),
                    clients: has(ClientKind::Producer, OTTLA_KEY_PRODUCER)
                        | has(ClientKind::Consumer, OTTLA_KEY_CONSUMER)
                        | has(ClientKind::Admin, OTTLA_KEY_ADMIN)
                        | has(ClientKind::ShareConsumer, OTTLA_KEY_SHARE_CONSUMER),
                }
            });
            guard::write(keys, guard::handle(rows.collect()));
            Ok(())
        })
    }
}

/// Returns the number of keys, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_keys_count(keys: *const ottla_keys) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(keys, 0, |keys: &Vec<KeyRow>| keys.len()) }
}

/// Writes row `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_keys_get(
    keys: *const ottla_keys,
    i: size_t,
    key: *mut ottla_key,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_keys_get", keys, error, |call, keys| {
            call.out("key", key)?;
            let row = call.element(keys, i)?;
            let default_value = &row.default_value;
            guard::write(
                key,
                ottla_key {
                    name: row.name.as_ptr(),
                    type_name: row.type_name.as_ptr(),
                    default_value: default_value
                        .as_ref()
                        .map_or(std::ptr::null(), |d| d.as_ptr()),
                    meaning: row.meaning.as_ptr(),
                    clients: row.clients,
                },
            );
            Ok(())
        })
    }
}

/// Frees the table of keys, including every string in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_keys_free(keys: *mut ottla_keys) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(keys) }
}
