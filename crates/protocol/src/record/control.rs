//! Control records: what a transaction coordinator writes between the users' records.

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Something else, of no meaning to clients (Kafka's own log keeps more kinds).
    Other(i16),
}

impl ControlType {
    /// Reads a control record's key: version, then type; `None` if it is too short or of a negative version.
    pub fn parse(key: &[u8]) -> Option<ControlType> {
        let &[v0, v1, t0, t1] = key.first_chunk::<4>()?;
        // Later versions may only append to the key.
        if i16::from_be_bytes([v0, v1]) < 0 {
            return None;
        }
        Some(match i16::from_be_bytes([t0, t1]) {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            other => ControlType::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers() {
        assert_eq!(ControlType::parse(&[0, 0, 0, 0]), Some(ControlType::Abort));
        assert_eq!(ControlType::parse(&[0, 0, 0, 1]), Some(ControlType::Commit));
        assert_eq!(
            ControlType::parse(&[0, 1, 0, 1, 9]),
            Some(ControlType::Commit)
        );
        assert_eq!(
            ControlType::parse(&[0, 0, 0, 2]),
            Some(ControlType::Other(2))
        );
        assert_eq!(ControlType::parse(&[0, 0, 0]), None);
        assert_eq!(ControlType::parse(&[0xff, 0xff, 0, 0]), None);
    }
}
