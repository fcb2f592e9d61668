//! What arrives and leaves on the wire: RTP and RTCP (RFC 3550), telephone events (RFC 4733).

mod compound;
mod digit_sender;
mod packet;
mod reception;
mod rtcp;
mod source;
mod telephone_event;

pub use compound::{Blocks, Compound, MalformedRtcp, Part, ReportBlock, RtcpPacket, Sources};
pub use digit_sender::{DigitSender, EventPacket};
pub use packet::{HEADER, Header, MAX_CSRC, Malformed, Packet, is_rtcp, write_header};
pub use reception::{Reception, ReceptionBlock};
pub use rtcp::{FarEnd, Rtcp, Sent};
pub use source::{Source, Verdict};
pub use telephone_event::{Clocks, Detector, EventPayload};
