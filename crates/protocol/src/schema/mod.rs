//! Nothing from a socket reaches kafka-protocol's decoders unchecked.
//!
//! Those decoders allocate for as many elements as a count on the wire claims; eight bytes can ask for 200 GB.
//! [`check`] walks a body by Kafka's message schemas (a generated table) and compares every length and count with
//! the bytes that are left, so that what a decoder allocates stays within a small multiple of the frame.
//! [`decode_request`] and [`decode_response`] check, then decode; no other code calls the decoders.

mod check;
mod decode;
mod error_codes;
mod format;
mod header;
mod reader;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use ottla_base::error::{Error, ErrorCode, Result};

use format::{Message, Of};
use table::MESSAGES;

pub use decode::{decode_assignment, decode_request, decode_response, decode_subscription};
#[doc(hidden)]
pub use error_codes::{error_codes, error_levels};
pub use header::{
    RequestHeader, ResponseHeader, check_request_header, check_response_header,
    request_header_version, response_header_version,
};

/// Which half of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What a client sends.
    Request,
    /// What a broker answers.
    Response,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Request => "request",
            Kind::Response => "response",
        })
    }
}

/// The API's name as in Kafka's protocol, for example `Metadata`; `unknown API` if it is not known.
pub fn api_name(api_key: i16) -> &'static str {
    find(Of::Request(api_key)).map_or("unknown API", |message| message.name)
}

/// Checks that `body` (what follows the header) is a well-formed message: every length and count within the bytes
/// left, and nulls only where the version has them. Bytes that follow its end do no harm and are let be, as Kafka's own
/// brokers and clients do: librdkafka sends three too many when it asks for all topics, and its mock broker one when it
/// answers.
///
/// # Errors
/// `PROTOCOL`, naming API, version, field and numbers; `UNSUPPORTED` for an API or version that is not known.
pub fn check(api_key: i16, version: i16, kind: Kind, body: &[u8]) -> Result<()> {
    let message = lookup(of(api_key, kind), api_key)?;
    if !message.versions.contains(version) {
        return Err(Error::new(
            ErrorCode::UNSUPPORTED,
            format!(
                "{} {kind} v{version} (API key {api_key}): only versions {} to {} are known",
                message.name, message.versions.first, message.versions.last
            ),
        ));
    }
    check::walk(message, version, body).map_err(|fault| {
        Error::protocol(format!(
            "{} {kind} v{version} of {} bytes: {fault}",
            message.name,
            body.len()
        ))
    })
}

fn of(api_key: i16, kind: Kind) -> Of {
    match kind {
        Kind::Request => Of::Request(api_key),
        Kind::Response => Of::Response(api_key),
    }
}

/// The table is sorted by API key, requests before responses, embedded messages at the end.
fn find(of: Of) -> Option<&'static Message> {
    let order = |of: Of| match of {
        Of::Request(key) => (0, key, 0),
        Of::Response(key) => (0, key, 1),
        Of::Embedded(number) => (1, number.into(), 0),
    };
    let at = MESSAGES
        .binary_search_by_key(&order(of), |message| order(message.of))
        .ok()?;
    MESSAGES.get(at)
}

fn lookup(of: Of, api_key: i16) -> Result<&'static Message> {
    find(of).ok_or_else(|| {
        Error::new(
            ErrorCode::UNSUPPORTED,
            format!("API key {api_key} is not known"),
        )
    })
}
