//! What a peer may send. Each limit has an answer, given by [`Message::parse`](super::Message::parse).

/// Bytes of a whole message, body included; beyond: 513.
pub const MESSAGE: usize = 64 * 1024;
/// Header lines; beyond: 513.
pub const HEADERS: usize = 256;
/// Bytes of one header with its folds; beyond: 513.
pub const HEADER: usize = 8 * 1024;
/// Bytes of a Request-URI; beyond: 414.
pub const REQUEST_URI: usize = 2048;
/// Values of one name-addr header (Contact, Record-Route, History-Info, ...); beyond: the getter refuses, 400.
pub const ADDRESSES: usize = 70;
/// Via values: as many as Max-Forwards 70 allows; beyond: 483.
pub const VIAS: usize = 70;
