//! What arrives and leaves on the wire: RTP (RFC 3550), telephone events (RFC 4733) and RTCP.

mod packet;

pub use packet::{HEADER, Header, MAX_CSRC, Malformed, Packet, is_rtcp, write_header};
