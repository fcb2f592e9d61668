//! The phones' own SDP: just enough to write an offer or an answer and to read one, line by line.

use std::net::SocketAddr;

use crate::g711::Law;

/// What the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where its RTP is received.
    pub rtp: SocketAddr,
    /// The first law it lists.
    pub law: Option<Law>,
    /// The payload type of telephone-event.
    pub event_type: Option<u8>,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: String,
    /// The version in its `o=` line.
    pub version: String,
}

/// An offer or answer of ours.
pub fn write(rtp: SocketAddr, laws: &[Law], event_type: u8, direction: &str, version: u32) -> String {
    let list: Vec<String> = laws.iter().map(|law| law.payload_type().to_string()).collect();
    let list = list.join(" ");
    let maps: Vec<String> = laws.iter().map(|law| rtpmap(*law)).collect();
    let maps = maps.concat();
    let (ip, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=phone 4711 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {list} {event_type}\r\n{maps}a=rtpmap:{event_type} telephone-event/8000\r\n\
         a=fmtp:{event_type} 0-15\r\na=ptime:20\r\na={direction}\r\n"
    )
}

fn rtpmap(law: Law) -> String {
    let name = if law == Law::Mu { "PCMU" } else { "PCMA" };
    format!("a=rtpmap:{} {name}/8000\r\n", law.payload_type())
}

/// Reads what the bridge wrote; `None` when it cannot be used.
pub fn read(text: &[u8]) -> Option<Heard> {
    let text = std::str::from_utf8(text).ok()?;
    let value = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let ip = value("c=IN IP4 ")?.trim();
    let mut media = value("m=audio ")?.split_whitespace();
    let port: u16 = media.next()?.parse().ok()?;
    if media.next()? != "RTP/AVP" {
        return None;
    }
    let types: Vec<u8> = media.map(str::parse).collect::<Result<_, _>>().ok()?;
    let event_type = text.lines().find_map(|line| {
        let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        name.eq_ignore_ascii_case("telephone-event/8000").then(|| number.parse().ok())?
    });
    let direction = text.lines().find_map(|line| {
        let word = line.strip_prefix("a=")?;
        ["sendrecv", "sendonly", "recvonly", "inactive"].contains(&word).then_some(word)
    });
    Some(Heard {
        rtp: SocketAddr::new(ip.parse().ok()?, port),
        law: types.iter().find_map(|&number| Law::of(number)),
        event_type,
        direction: direction.unwrap_or("sendrecv").to_owned(),
        version: value("o=")?.split_whitespace().nth(2)?.to_owned(),
    })
}
