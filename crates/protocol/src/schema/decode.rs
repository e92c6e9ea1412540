//! Check, then decode.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::Decodable;
use ottla_base::error::{Error, Result};

use super::format::Of;
use super::{Kind, api_name, check, find};

/// Decodes the body of a response (what follows its header). `T` must be the response type of that API.
///
/// # Errors
/// As [`check`], and `PROTOCOL` for what only the decoder finds, such as a string that is not UTF-8.
pub fn decode_response<T: Decodable>(api_key: i16, version: i16, body: Bytes) -> Result<T> {
    decode(api_key, version, Kind::Response, body)
}

/// Decodes the body of a request (what follows its header). `T` must be the request type of that API.
///
/// # Errors
/// As [`decode_response`].
pub fn decode_request<T: Decodable>(api_key: i16, version: i16, body: Bytes) -> Result<T> {
    decode(api_key, version, Kind::Request, body)
}

fn decode<T: Decodable>(api_key: i16, version: i16, kind: Kind, mut body: Bytes) -> Result<T> {
    check(api_key, version, kind, &body)?;
    let len = body.len();
    T::decode(&mut body, version).map_err(|e| {
        Error::protocol(format!(
            "{} {kind} v{version} of {len} bytes: {e}",
            api_name(api_key)
        ))
    })
}

/// Decodes a consumer's subscription, the metadata of a JoinGroup request or response.
///
/// # Errors
/// `PROTOCOL` if it is broken.
pub fn decode_subscription(metadata: Bytes) -> Result<ConsumerProtocolSubscription> {
    decode_embedded(0, metadata)
}

/// Decodes a consumer's assignment, as it stands in SyncGroup requests and responses.
///
/// # Errors
/// `PROTOCOL` if it is broken.
pub fn decode_assignment(assignment: Bytes) -> Result<ConsumerProtocolAssignment> {
    decode_embedded(1, assignment)
}

/// Clients of any age meet in a group: a newer version is read as the newest one known, and what follows is left.
fn decode_embedded<T: Decodable>(number: u8, mut data: Bytes) -> Result<T> {
    let Some(schema) = find(Of::Embedded(number)) else {
        return Err(Error::protocol(format!(
            "embedded message {number} is not known"
        )));
    };
    let len = data.len();
    let failed = |what: String| Error::protocol(format!("{} of {len} bytes: {what}", schema.name));
    let version = data
        .try_get_i16()
        .map_err(|_| failed("its version is missing".to_owned()))?;
    if version < schema.versions.first {
        return Err(failed(format!("version {version} is not valid")));
    }
    let version = version.min(schema.versions.last);
    super::check::walk(schema, version, &data)
        .map_err(|fault| failed(format!("v{version}: {fault}")))?;
    T::decode(&mut data, version).map_err(|e| failed(format!("v{version}: {e}")))
}
