//! The SIP messages that passed the callers' sockets, as a ladder.

use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

use sip::{Framing, Message};

use super::{caller::Passed, cast::PEOPLE, stage::CallNote};
use crate::plot::{
    Color, Ladder,
    ladder::{Arrow, LadderCall, Lifeline},
};
use crate::trace::ladder::{detail, label};

/// Index of the bridge's lifeline; the operator's is left of it, Microsoft's right.
const BRIDGE: usize = 1;
/// So many keep-alives are drawn; the rest is counted.
const KEEP_ALIVES: usize = 8;

/// One side's messages and where it stands in the picture.
pub struct Witness<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address.
    pub address: SocketAddr,
    /// What passed its socket.
    pub passed: &'a [Passed],
}

/// All calls, each with its messages, in the order in which they began. `operator` stands left, `microsoft` right.
pub fn ladder(
    epoch: Instant,
    operator: &Witness<'_>,
    microsoft: &Witness<'_>,
    bridge: SocketAddr,
    calls: &[CallNote],
) -> Ladder {
    let mut by_call: BTreeMap<String, Vec<(Instant, Arrow)>> = BTreeMap::new();
    let mut keep_alives = Vec::new();
    for (column, witness) in [(0, operator), (2, microsoft)] {
        for passed in witness.passed {
            let Ok(message) = Message::parse(passed.bytes.clone(), Framing::Datagram) else { continue };
            let arrow = arrow(epoch, column, passed, &message);
            if message.cseq().is_some_and(|cseq| cseq.method.as_str() == "OPTIONS") {
                keep_alives.push((passed.at, arrow));
            } else {
                let call = message.call_id().unwrap_or_default().to_owned();
                by_call.entry(call).or_default().push((passed.at, arrow));
            }
        }
    }
    let mut blocks: Vec<LadderCall> = calls.iter().map(|note| block(epoch, note, &mut by_call)).collect();
    // Calls that never became one still happened.
    blocks.extend(by_call.into_iter().map(|(call, arrows)| finish(format!("Call-ID {call}"), OTHER, arrows)));
    if !keep_alives.is_empty() {
        keep_alives.sort_by_key(|(at, _)| *at);
        let title = format!("Keep-alive: {} messages", keep_alives.len());
        keep_alives.truncate(KEEP_ALIVES);
        blocks.push(finish(title, OTHER, keep_alives));
    }
    let lifeline =
        |name: &str, address: SocketAddr| Lifeline { name: name.into(), address: address.to_string() };
    Ladder {
        title: "Every SIP message of the demo".into(),
        subtitle:
            "as it passed the sockets of the operator's SBC and of the Microsoft gateway; dashed: in the RTP"
                .into(),
        lifelines: vec![
            lifeline(operator.name, operator.address),
            lifeline("partyline", bridge),
            lifeline(microsoft.name, microsoft.address),
        ],
        calls: blocks,
    }
}

const OTHER: Color = Color::hex(0x0065_7280);

fn block(
    epoch: Instant,
    note: &CallNote,
    by_call: &mut BTreeMap<String, Vec<(Instant, Arrow)>>,
) -> LadderCall {
    let mut arrows = by_call.remove(&note.call_id).unwrap_or_default();
    let side = arrows
        .iter()
        .map(|(_, arrow)| if arrow.from == BRIDGE { arrow.to } else { arrow.from })
        .next()
        .unwrap_or(0);
    for (at, towards_bridge, text) in &note.asides {
        let (from, to) = if *towards_bridge { (side, BRIDGE) } else { (BRIDGE, side) };
        let at_epoch = at.saturating_duration_since(epoch);
        let label = text.clone();
        arrows.push((*at, Arrow { at: at_epoch, from, to, label, detail: String::new(), dashed: true }));
    }
    finish(note.title.clone(), PEOPLE[note.person].color, arrows)
}

fn finish(title: String, color: Color, mut arrows: Vec<(Instant, Arrow)>) -> LadderCall {
    arrows.sort_by_key(|(at, _)| *at);
    LadderCall { title, color, arrows: arrows.into_iter().map(|(_, arrow)| arrow).collect() }
}

fn arrow(epoch: Instant, column: usize, passed: &Passed, message: &Message) -> Arrow {
    let (from, to) = if passed.sent { (column, BRIDGE) } else { (BRIDGE, column) };
    let at = passed.at.saturating_duration_since(epoch);
    Arrow { at, from, to, label: label(message), detail: detail(message), dashed: false }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn passed(at: Instant, sent: bool, text: &str) -> Passed {
        let bytes = text.replace('\n', "\r\n").into_bytes().into();
        Passed { at, sent, peer: "127.0.0.1:5060".parse().unwrap(), bytes }
    }

    const INVITE: &str = "INVITE sip:+496990009100@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\n\
        Max-Forwards: 70\nFrom: <sip:+493023125001@127.0.0.2>;tag=a\nTo: <sip:+496990009100@127.0.0.1>\nCall-ID: one\n\
        CSeq: 1 INVITE\nContent-Length: 0\n\n";
    const BUSY: &str = "SIP/2.0 486 Busy Here\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\n\
        From: <sip:+493023125001@127.0.0.2>;tag=a\nTo: <sip:+496990009100@127.0.0.1>;tag=b\nCall-ID: one\nCSeq: 1 INVITE\n\
        Reason: Q.850;cause=17\nContent-Length: 0\n\n";
    const OPTIONS: &str = "OPTIONS sip:127.0.0.3 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2\nMax-Forwards: 70\n\
        From: <sip:127.0.0.1>;tag=c\nTo: <sip:127.0.0.3>\nCall-ID: two\nCSeq: 7 OPTIONS\nContent-Length: 0\n\n";

    #[test]
    fn calls_get_blocks_with_their_messages_asides_and_directions() {
        let epoch = Instant::now();
        let after = |ms| epoch + Duration::from_millis(ms);
        let left = [passed(after(10), true, INVITE), passed(after(30), false, BUSY)];
        let right = [passed(after(5), false, OPTIONS)];
        let address = "127.0.0.2:5060".parse().unwrap();
        let note = CallNote {
            call_id: "one".into(),
            person: 1,
            title: "Bob dials in".into(),
            asides: vec![(after(20), true, "keys".into())],
        };
        let ladder = ladder(
            epoch,
            &Witness { name: "SBC", address, passed: &left },
            &Witness { name: "gateway", address, passed: &right },
            address,
            &[note],
        );
        assert_eq!(ladder.calls.len(), 2);
        let arrows = &ladder.calls[0].arrows;
        assert_eq!(
            arrows.iter().map(|a| (a.from, a.to, a.dashed)).collect::<Vec<_>>(),
            [(0, 1, false), (0, 1, true), (1, 0, false)]
        );
        assert!(arrows[0].label.starts_with("INVITE sip:+496990009100@"), "{}", arrows[0].label);
        assert_eq!(arrows[2].label, "486 Busy Here (INVITE)");
        assert_eq!(arrows[2].detail, "Reason: Q.850;cause=17");
        assert_eq!(ladder.calls[1].title, "Keep-alive: 1 messages");
        assert_eq!((ladder.calls[1].arrows[0].from, ladder.calls[1].arrows[0].to), (1, 2));
    }
}
