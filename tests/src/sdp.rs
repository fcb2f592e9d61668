//! The phones' own SDP: just enough to write an offer or an answer and to read one, line by line.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::codec::Codec;

/// What the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where its RTP is received.
    pub rtp: SocketAddr,
    /// `RTP/AVP` or `RTP/SAVP`.
    pub protocol: String,
    /// The codecs it lists.
    pub codecs: Vec<Codec>,
    /// The payload type of telephone-event at the clock of the first codec, else at 8000.
    pub event_type: Option<u8>,
    /// What it wants of Opus.
    pub opus: Option<String>,
    /// `a=crypto` lines, without the attribute's name.
    pub crypto: Vec<String>,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: String,
    /// The version in its `o=` line.
    pub version: String,
    /// The whole text.
    pub text: String,
}

/// An offer or answer of ours.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    /// Where we receive RTP.
    pub rtp: SocketAddr,
    /// `RTP/AVP` or `RTP/SAVP`.
    pub protocol: &'a str,
    /// The codecs.
    pub codecs: &'a [Codec],
    /// The payload type of telephone-event at 8000; at 48000 it is the next one.
    pub event_type: u8,
    /// What we want of Opus, as in fmtp.
    pub opus: &'a str,
    /// Milliseconds in the packets that we want.
    pub ptime: u32,
    /// Further lines.
    pub lines: &'a [String],
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: &'a str,
    /// The version in the `o=` line.
    pub version: u32,
}

impl Description<'_> {
    /// As text.
    pub fn write(&self) -> String {
        let Self { rtp, protocol, codecs, event_type, opus, ptime, lines, direction, version } = self;
        let (ip, port) = (rtp.ip(), rtp.port());
        let wide = codecs.contains(&Codec::Opus);
        let narrow = codecs.iter().any(|codec| *codec != Codec::Opus) || codecs.is_empty();
        let events = [(*event_type, 8000, narrow), (event_type + 1, 48_000, wide)];
        let events: Vec<(u8, u32)> =
            events.into_iter().filter(|event| event.2).map(|(pt, clock, _)| (pt, clock)).collect();
        let types = codecs.iter().map(|codec| codec.payload_type()).chain(events.iter().map(|&(pt, _)| pt));
        let list = types.map(|pt| pt.to_string()).collect::<Vec<_>>().join(" ");
        let mut text = format!(
            "v=0\r\no=phone 4711 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} {protocol} {list}\r\n"
        );
        for codec in *codecs {
            let _ = write!(text, "a=rtpmap:{} {}\r\n", codec.payload_type(), codec.rtpmap());
        }
        for (pt, clock) in events {
            let _ = write!(text, "a=rtpmap:{pt} telephone-event/{clock}\r\na=fmtp:{pt} 0-15\r\n");
        }
        if wide && !opus.is_empty() {
            let _ = write!(text, "a=fmtp:{} {opus}\r\n", Codec::Opus.payload_type());
        }
        for line in *lines {
            let _ = write!(text, "{line}\r\n");
        }
        let _ = write!(text, "a=ptime:{ptime}\r\na={direction}\r\n");
        text
    }
}

/// The offer or answer of a plain telephone.
pub fn write(rtp: SocketAddr, codecs: &[Codec], event_type: u8, direction: &str, version: u32) -> String {
    let protocol = "RTP/AVP";
    Description { rtp, protocol, codecs, event_type, opus: "", ptime: 20, lines: &[], direction, version }
        .write()
}

/// Reads what the bridge wrote; `None` when it cannot be used.
pub fn read(text: &[u8]) -> Option<Heard> {
    let text = std::str::from_utf8(text).ok()?;
    let value = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let ip = value("c=IN IP4 ")?.trim();
    let mut media = value("m=audio ")?.split_whitespace();
    let port: u16 = media.next()?.parse().ok()?;
    let protocol = media.next().filter(|protocol| matches!(*protocol, "RTP/AVP" | "RTP/SAVP"))?.to_owned();
    let types: Vec<u8> = media.map(str::parse).collect::<Result<_, _>>().ok()?;
    let codecs: Vec<Codec> = types.iter().filter_map(|&number| Codec::of(number)).collect();
    let event_at = |clock: u32| {
        text.lines().find_map(|line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            name.eq_ignore_ascii_case(&format!("telephone-event/{clock}")).then(|| number.parse().ok())?
        })
    };
    let direction = text.lines().find_map(|line| {
        let word = line.strip_prefix("a=")?;
        ["sendrecv", "sendonly", "recvonly", "inactive"].contains(&word).then_some(word)
    });
    Some(Heard {
        rtp: SocketAddr::new(ip.parse().ok()?, port),
        protocol,
        event_type: codecs.first().and_then(|codec| event_at(codec.clock())).or_else(|| event_at(8000)),
        opus: value(&format!("a=fmtp:{} ", Codec::Opus.payload_type())).map(str::to_owned),
        crypto: text.lines().filter_map(|line| line.strip_prefix("a=crypto:")).map(str::to_owned).collect(),
        codecs,
        direction: direction.unwrap_or("sendrecv").to_owned(),
        version: value("o=")?.split_whitespace().nth(2)?.to_owned(),
        text: text.to_owned(),
    })
}
