//! The messages of a call as a ladder: lines of text for a terminal, arrows for a picture.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use bridge::Stamp;
use sip::{Framing, Message};

use super::Passage;
use crate::plot::Color;
use crate::plot::ladder::{Arrow, Ladder, LadderCall, Lifeline};

/// Columns between two lifelines.
const APART: usize = 48;
/// Columns before the first lifeline: the time since the first message.
const MARGIN: usize = 12;
const COLOR: Color = Color::hex(0x0025_63eb);

/// Who we are in a ladder.
pub const OURSELVES: &str = "partyline";

/// One call's messages and what to call those who sent them.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its Call-ID.
    pub call_id: String,
    /// Its messages in order.
    pub messages: Vec<Passage>,
    /// How many are missing behind the first hundred.
    pub dropped: u64,
    /// The trunk that lists an address, by address.
    pub names: Vec<(SocketAddr, String)>,
}

/// Method or status line, as the label of an arrow. Text of the peer's, made harmless.
pub fn label(message: &Message) -> String {
    let method = message.cseq().map(|cseq| cseq.method.as_str().to_owned()).unwrap_or_default();
    let said = if let Some(status) = message.status() {
        format!("{status} {} ({method})", message.reason().unwrap_or_default())
    } else {
        let uri = message.uri().map(ToString::to_string).unwrap_or_default();
        format!("{} {uri}", message.method().as_str())
    };
    harmless(&said)
}

/// What else a reader wants to know: who calls, the media offered or answered, why it ended.
pub fn detail(message: &Message) -> String {
    let mut parts = Vec::new();
    if message.is_request() && message.method().as_str() == "INVITE" {
        let user = |uri: &sip::Uri| uri.user().map(std::borrow::Cow::into_owned);
        parts.extend(message.from().and_then(|from| user(from.uri())).map(|user| format!("from {user}")));
    }
    parts.extend(media(&String::from_utf8_lossy(message.body())));
    for name in ["Reason", "Retry-After", "Warning"] {
        parts.extend(message.headers().get(name).map(|value| format!("{name}: {value}")));
    }
    harmless(&parts.join("; "))
}

/// Where audio is received, in which formats, and how it is encrypted, by name.
fn media(sdp: &str) -> Option<String> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let address = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?;
    let mut words = line("m=audio ")?.split_whitespace();
    let port = words.next()?;
    let format = |number: &str| {
        let mapped = line(&format!("a=rtpmap:{number} ")).and_then(|name| name.split('/').next());
        mapped
            .unwrap_or(match number {
                "0" => "PCMU",
                "8" => "PCMA",
                "9" => "G722",
                "13" => "CN",
                "18" => "G729",
                _ => "?",
            })
            .to_owned()
    };
    let formats: Vec<String> = words.skip(1).map(format).collect();
    let suite = line("a=crypto:").and_then(|crypto| crypto.split_whitespace().nth(1));
    let suite = suite.map(|suite| format!(", {suite}")).unwrap_or_default();
    let held = ["a=inactive", "a=sendonly", "a=recvonly"].into_iter().find(|held| line(held).is_some());
    let held = held.map(|held| format!(", {}", &held[2..])).unwrap_or_default();
    Some(format!("audio at {address}:{port}: {}{suite}{held}", formats.join(", ")))
}

/// Text of a peer's on a terminal: what acts instead of being shown becomes U+FFFD.
pub fn harmless(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

/// The arrows of a call.
struct Drawn {
    lifelines: Vec<Lifeline>,
    arrows: Vec<Arrow>,
    began: SystemTime,
}

fn draw(call: &Call) -> Drawn {
    let began = call.messages.first().map_or(SystemTime::UNIX_EPOCH, |first| first.at);
    let mut drawn = Drawn { lifelines: Vec::new(), arrows: Vec::new(), began };
    // Ourselves are one line, whatever the listener; a peer is one for each of its addresses.
    let mut known: Vec<Option<SocketAddr>> = Vec::new();
    for passage in &call.messages {
        let ends = [
            passage.ingress.then_some(passage.flow.remote),
            (!passage.ingress).then_some(passage.flow.remote),
        ];
        let [from, to] = ends.map(|end| {
            known.iter().position(|one| *one == end).unwrap_or_else(|| {
                known.push(end);
                drawn.lifelines.push(lifeline(call, end, passage));
                known.len() - 1
            })
        });
        let (label, detail) = match Message::parse(passage.bytes.clone(), Framing::Datagram) {
            Ok(message) => (label(&message), detail(&message)),
            Err(why) => (first_line(&passage.bytes), format!("not understood: {why}")),
        };
        let at = passage.at.duration_since(began).unwrap_or_default();
        drawn.arrows.push(Arrow { at, from, to, label, detail: harmless(&detail), dashed: false });
    }
    drawn
}

fn lifeline(call: &Call, end: Option<SocketAddr>, passage: &Passage) -> Lifeline {
    let transport = passage.flow.transport.via_token();
    let Some(peer) = end else {
        return Lifeline { name: OURSELVES.to_owned(), address: passage.flow.local.to_string() };
    };
    let name = call.names.iter().find(|(address, _)| *address == peer).map(|(_, name)| name.clone());
    Lifeline { name: name.unwrap_or_else(|| "stranger".to_owned()), address: format!("{transport} {peer}") }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    harmless(String::from_utf8_lossy(line).trim_end())
}

impl Call {
    /// The ladder as text, a line for each message, without a line break at the end.
    pub fn to_text(&self) -> String {
        let Drawn { lifelines, arrows, began } = draw(self);
        let mut out = format!(
            "Call-ID {}: {} since {}\n\n",
            harmless(&self.call_id),
            counted(self.messages.len() as u64 + self.dropped),
            Stamp(began)
        );
        let heads: [Vec<&str>; 2] = [
            lifelines.iter().map(|one| one.name.as_str()).collect(),
            lifelines.iter().map(|one| one.address.as_str()).collect(),
        ];
        for words in heads {
            let mut row = String::new();
            for (index, word) in words.iter().enumerate() {
                let middle = MARGIN + APART * index;
                let start = middle.saturating_sub(word.chars().count() / 2).max(row.chars().count() + 1);
                row.extend(std::iter::repeat_n(' ', start - row.chars().count()));
                row.push_str(word);
            }
            let _ = writeln!(out, "{row}");
        }
        for (place, arrow) in arrows.iter().enumerate() {
            if self.dropped > 0 && place == self.messages.len() / 2 {
                let _ = writeln!(out, "{:>9}   ... {} are not kept", "", counted(self.dropped));
            }
            let _ = writeln!(out, "{}", row(arrow, lifelines.len()).trim_end());
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// The ladder as a picture.
    pub fn to_picture(&self) -> Ladder {
        let Drawn { lifelines, arrows, began } = draw(self);
        Ladder {
            title: format!("Call-ID {}", self.call_id),
            subtitle: format!(
                "{} since {}, as seen by {OURSELVES}",
                counted(self.messages.len() as u64 + self.dropped),
                Stamp(began)
            ),
            lifelines,
            calls: vec![LadderCall { title: title(&arrows), color: COLOR, arrows }],
        }
    }
}

fn title(arrows: &[Arrow]) -> String {
    arrows.first().map(|first| first.label.clone()).unwrap_or_default()
}

fn counted(messages: u64) -> String {
    format!("{messages} message{}", if messages == 1 { "" } else { "s" })
}

/// `    0.012   |----------- INVITE sip:x -------------->|   detail`
fn row(arrow: &Arrow, lifelines: usize) -> String {
    let mut cells: Vec<char> = vec![' '; APART * lifelines.saturating_sub(1) + 1];
    for index in 0..lifelines {
        cells[APART * index] = '|';
    }
    let (left, right) = (APART * arrow.from.min(arrow.to), APART * arrow.from.max(arrow.to));
    let room = (right - left).saturating_sub(7);
    let mut label: Vec<char> = arrow.label.chars().take(room).collect();
    if arrow.label.chars().count() > room {
        label.truncate(room.saturating_sub(3));
        label.extend("...".chars());
    }
    cells[left + 1..right].fill('-');
    let start = left + 1 + (right - left - 1 - (label.len() + 2)) / 2;
    cells[start] = ' ';
    cells[start + label.len() + 1] = ' ';
    cells[start + 1..=start + label.len()].copy_from_slice(&label);
    let (tip, sign) = if arrow.to > arrow.from { (right - 1, '>') } else { (left + 1, '<') };
    cells[tip] = sign;
    let cells: String = cells.into_iter().collect();
    format!("{:>9.3}   {cells}   {}", arrow.at.as_secs_f64(), arrow.detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::{Flow, Transport};

    use super::*;

    const INVITE: &str = "INVITE sip:+496990009100@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\n\
        Max-Forwards: 70\nFrom: <sip:+493023125001@127.0.0.2>;tag=a\nTo: <sip:+496990009100@127.0.0.1>\nCall-ID: one\n\
        CSeq: 1 INVITE\nContent-Type: application/sdp\nContent-Length: 101\n\nv=0\nc=IN IP4 127.0.0.2\nm=audio 4000 RTP/SAVP 8 101\n\
        a=rtpmap:101 telephone-event/8000\na=inactive\n";
    const BUSY: &str = "SIP/2.0 486 Busy\u{202e} Here\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\n\
        From: <sip:+493023125001@127.0.0.2>;tag=a\nTo: <sip:+496990009100@127.0.0.1>;tag=b\nCall-ID: one\nCSeq: 1 INVITE\n\
        Reason: Q.850;cause=17\nContent-Length: 0\n\n";

    fn call(messages: &[(u64, bool, &str)]) -> Call {
        let (local, remote) = (([127, 0, 0, 1], 5060).into(), ([127, 0, 0, 2], 5060).into());
        let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
        let messages = messages.iter().map(|&(ms, ingress, text)| Passage {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(ms),
            ingress,
            flow,
            bytes: text.replace('\n', "\r\n").into(),
        });
        let names = vec![(remote, "acme".to_owned())];
        Call { call_id: "one".to_owned(), messages: messages.collect(), dropped: 0, names }
    }

    #[test]
    fn the_caller_stands_left_and_every_message_is_a_line() {
        let text = call(&[(1000, true, INVITE), (1012, false, BUSY)]).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Call-ID one: 2 messages since 1970-01-01T00:00:01.000Z");
        assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["acme", "partyline"]);
        assert_eq!(
            lines[3].split_whitespace().collect::<Vec<_>>(),
            ["UDP", "127.0.0.2:5060", "127.0.0.1:5060"]
        );
        assert_eq!(
            lines[4],
            "    0.000   |----- INVITE sip:+496990009100@127.0.0.1 ----->|   from +493023125001; \
             audio at 127.0.0.2:4000: PCMA, telephone-event, inactive"
        );
        assert_eq!(
            lines[5],
            "    0.012   |<---------- 486 Busy\u{fffd} Here (INVITE) -----------|   Reason: Q.850;cause=17"
        );
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn what_cannot_be_parsed_is_shown_all_the_same() {
        let text = call(&[(0, true, "HELLO\nCall-ID: one\n\n")]).to_text();
        assert!(text.contains(" HELLO ") && text.contains("not understood"), "{text}");
    }

    #[test]
    fn the_picture_has_the_same_arrows() {
        let picture = call(&[(0, true, INVITE), (5, false, BUSY)]).to_picture();
        let arrows = &picture.calls[0].arrows;
        assert_eq!(arrows.iter().map(|one| (one.from, one.to)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
        assert!(picture.to_svg().contains("486 Busy"));
    }
}
