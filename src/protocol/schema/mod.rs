//! schema.
// TEMP until the checker lands
pub fn decode_response<T: kafka_protocol::protocol::Decodable>(_k: i16, version: i16, mut body: bytes::Bytes) -> crate::Result<T> {
    T::decode(&mut body, version).map_err(|e| crate::Error::protocol(e.to_string()))
}
