//! Request and response headers.

use ottla_base::error::{Error, ErrorCode, Result};

use super::check::skip_tags;
use super::format::Of;
use super::reader::{Checked, Fault, Length, Reader};
use super::{Kind, api_name, lookup};

/// Its responses have header version 0 whatever their own version, so that a client can read the answer of a
/// broker older than itself.
const API_VERSIONS: i16 = 18;

/// The header version of a request: 1, or 2 (with tagged fields) for flexible versions.
///
/// # Errors
/// `UNSUPPORTED` for an API that is not known.
pub fn request_header_version(api_key: i16, version: i16) -> Result<i16> {
    Ok(
        if lookup(Of::Request(api_key), api_key)?.is_flexible(version) {
            2
        } else {
            1
        },
    )
}

/// The header version of a response: 0, or 1 (with tagged fields) for flexible versions; always 0 for ApiVersions.
///
/// # Errors
/// `UNSUPPORTED` for an API that is not known.
pub fn response_header_version(api_key: i16, version: i16) -> Result<i16> {
    let flexible = lookup(Of::Response(api_key), api_key)?.is_flexible(version);
    Ok(if flexible && api_key != API_VERSIONS {
        1
    } else {
        0
    })
}

/// A request's header as it stands at the start of a frame (after the frame's length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which API.
    pub api_key: i16,
    /// Which version of it; not checked against what is supported.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<&'a str>,
    /// Where the body begins in the frame.
    pub body: usize,
}

/// Reads and checks a request's header.
///
/// # Errors
/// `UNSUPPORTED` for an unknown API, `PROTOCOL` for a header that is cut off or broken.
pub fn check_request_header(frame: &[u8]) -> Result<RequestHeader<'_>> {
    let broken = |fault: Box<Fault>| {
        Error::protocol(format!(
            "request header in a frame of {} bytes: {fault}",
            frame.len()
        ))
    };
    let mut reader = Reader::new(frame);
    let (api_key, version, correlation_id) = fixed_part(&mut reader).map_err(broken)?;
    let header_version = request_header_version(api_key, version)?;
    let client_id = client_id(&mut reader).map_err(|fault| broken(fault.in_field("ClientId")))?;
    if header_version >= 2 {
        reader = skip_tags(reader).map_err(broken)?;
    }
    Ok(RequestHeader {
        api_key,
        version,
        correlation_id,
        client_id,
        body: frame.len() - reader.left(),
    })
}

fn fixed_part(reader: &mut Reader<'_>) -> Checked<(i16, i16, i32)> {
    Ok((reader.i16()?, reader.i16()?, reader.i32()?))
}

/// Never compact, in flexible versions neither.
fn client_id<'a>(reader: &mut Reader<'a>) -> Checked<Option<&'a str>> {
    let Length::Of(n) = reader.string_length(false)? else {
        return Ok(None);
    };
    let bytes = reader.take(n, "a string")?;
    std::str::from_utf8(bytes)
        .map(Some)
        .map_err(|e| Fault::new(format!("not UTF-8: {e}")))
}

/// A response's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// That of the request it answers.
    pub correlation_id: i32,
    /// Where the body begins in the frame.
    pub body: usize,
}

/// Reads and checks the header of a response to a request of this API and version.
///
/// # Errors
/// `UNSUPPORTED` for an unknown API, `PROTOCOL` for a header that is cut off or broken.
pub fn check_response_header(api_key: i16, version: i16, frame: &[u8]) -> Result<ResponseHeader> {
    let broken = |fault: Box<Fault>| {
        let (name, kind) = (api_name(api_key), Kind::Response);
        Error::new(
            ErrorCode::PROTOCOL,
            format!(
                "header of a {name} {kind} v{version} in a frame of {} bytes: {fault}",
                frame.len()
            ),
        )
    };
    let mut reader = Reader::new(frame);
    let correlation_id = reader.i32().map_err(broken)?;
    if response_header_version(api_key, version)? >= 1 {
        reader = skip_tags(reader).map_err(broken)?;
    }
    Ok(ResponseHeader {
        correlation_id,
        body: frame.len() - reader.left(),
    })
}
