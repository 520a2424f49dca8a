//! What an SSH server says, byte by byte.

/// A packet, put together (RFC 4251 section 5).
#[derive(Clone)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    /// One of this type.
    pub(crate) fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    /// Bytes that are no packet, to be hashed or put into one.
    pub(crate) fn bare() -> Self {
        Self(Vec::new())
    }

    /// Bytes as they are.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A `uint32`.
    pub(crate) fn number(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// A `string`.
    pub(crate) fn string(self, string: &[u8]) -> Self {
        self.number(string.len() as u32).bytes(string)
    }

    /// An `mpint` that is not negative.
    pub(crate) fn mpint(self, big_endian: &[u8]) -> Self {
        let start = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len());
        let digits = &big_endian[start..];
        let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
        self.string(&[sign, digits].concat())
    }

    /// `SSH_MSG_CHANNEL_SUCCESS`.
    pub(crate) fn success(channel: u32) -> Self {
        Self::new(99).number(channel)
    }

    /// `SSH_MSG_CHANNEL_FAILURE`.
    pub(crate) fn failure(channel: u32) -> Self {
        Self::new(100).number(channel)
    }

    /// Standard output.
    pub(crate) fn data(channel: u32, data: &[u8]) -> Self {
        Self::new(94).number(channel).string(data)
    }

    /// Another stream; 1 is standard error.
    pub(crate) fn extended(channel: u32, stream: u32, data: &[u8]) -> Self {
        Self::new(95).number(channel).number(stream).string(data)
    }

    /// The exit status.
    pub(crate) fn exit_status(channel: u32, status: u32) -> Self {
        Self::new(98).number(channel).string(b"exit-status").bytes(&[0]).number(status)
    }

    /// Nothing more comes from a session.
    pub(crate) fn eof(channel: u32) -> Self {
        Self::new(96).number(channel)
    }

    /// A session is closed.
    pub(crate) fn close(channel: u32) -> Self {
        Self::new(97).number(channel)
    }

    /// `SSH_MSG_DISCONNECT` with these words.
    pub(crate) fn disconnect(words: &[u8]) -> Self {
        Self::new(1).number(2).string(words).string(b"")
    }
}
