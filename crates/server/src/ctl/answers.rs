//! What is answered, and by whom: control, the published conferences, or the memory of what passed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bridge::{Action, Keys, LegId, Stamp};
use bytes::Bytes;
use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sip::{Flow, Framing, Message, Transport};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use trunk::Trunks;

use super::{Configurations, Question, Reply};
use crate::control::{Ask, Reply as Replied, Shown};
use crate::http::Usage;
use crate::trace::ladder::{harmless, label};
use crate::trace::mask::masked;
use crate::trace::{KeptSounds, Look, Passage, Sound, Summary, trunk_of};
use crate::what_if::{self, NotRehearsed, Rehearsal};

/// RTP packets in one answer, the latest: ten minutes of a leg.
const MOST_PACKETS: usize = 60_000;
/// Control must answer within this time.
const WITHIN: Duration = Duration::from_secs(5);

/// Whom a question is handed to.
pub struct Answers {
    /// The node's name.
    pub node: String,
    /// When the bridge was started.
    pub started: SystemTime,
    /// Who our peers are.
    pub trunks: Arc<ArcSwap<Trunks>>,
    /// Questions to control.
    pub asks: mpsc::Sender<(Ask, oneshot::Sender<Replied>)>,
    /// Questions to the memory of what passed.
    pub looks: mpsc::Sender<Look>,
    /// The conferences as control last published them, as JSON, by conference ID.
    pub conferences: Arc<DashMap<String, Shown>>,
    /// Says what another configuration would have decided.
    pub rehearsal: Rehearsal,
    /// The configurations that were taken.
    pub configurations: Configurations,
    /// Who reads usage records.
    pub usage: Usage,
}

/// One message as the socket tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// When it passed, RFC 3339.
    pub at: String,
    /// The same in microseconds since 1970.
    pub micros: u64,
    /// `in` or `out`.
    pub direction: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// The trunk that lists it.
    pub trunk: Option<String>,
    /// The message, masked. Where it is not UTF-8, `bytes` has it.
    pub message: String,
    /// Its bytes in hexadecimal, masked, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// One RTP packet as the socket tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heard {
    /// When it passed, in microseconds since 1970.
    pub micros: u64,
    /// `in` or `out`.
    pub direction: String,
    /// Our RTP address.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// How long it was.
    pub length: usize,
    /// As much of it as is kept, in hexadecimal.
    pub bytes: String,
}

fn passed_on(reply: Replied) -> Reply {
    Reply { status: reply.status, body: reply.body }
}

impl Answers {
    pub(super) async fn answer(&self, question: Question) -> Reply {
        match question {
            Question::Status => {
                let mut reply = self.ask(Ask::Status).await;
                reply.body["node"] = json!(self.node);
                reply.body["version"] = json!(env!("CARGO_PKG_VERSION"));
                reply.body["process"] = json!(std::process::id());
                reply.body["started"] = json!(Stamp(self.started));
                reply
            }
            Question::Trunks => self.ask(Ask::Trunks).await,
            Question::Trunk { name } => self.ask(Ask::Trunk { name }).await,
            Question::DrainTrunk { name, draining } => self.ask(Ask::DrainTrunk { name, draining }).await,
            Question::Conferences => self.conferences(),
            Question::Conference { id } => match self.conferences.get(&id) {
                Some(shown) => Reply { status: 200, body: parsed(&shown.json) },
                None => {
                    Reply::refusal(404, "no such conference is running; `ctl conf ls` lists those that are")
                }
            },
            Question::Act { id, act } => self.ask(Ask::Act { conference_id: id, action: act.into() }).await,
            Question::DialOut { id, number, confirm, call_me } => {
                self.ask(Ask::DialOut { conference_id: id, number, confirm, call_me }).await
            }
            Question::Digits { id, leg, digits } => match Keys::parse(&digits) {
                Ok(keys) => {
                    let action = Action::SendDigits { leg: LegId(leg), keys };
                    self.ask(Ask::Act { conference_id: id, action }).await
                }
                Err(why) => Reply::refusal(400, why.to_string()),
            },
            Question::Record { id, on: true, format } => {
                self.ask(Ask::StartRecording { conference_id: id, format }).await
            }
            Question::Record { id, on: false, .. } => {
                self.ask(Ask::StopRecording { conference_id: id }).await
            }
            Question::PauseRecording { id, paused } => {
                self.ask(Ask::PauseRecording { conference_id: id, paused }).await
            }
            Question::Versions => self.configurations.list().await,
            Question::Version { number } => self.configurations.one(number).await,
            Question::Reload => self.configurations.reload().await,
            Question::WhatIf { config } => match self.rehearsal.of(config).await {
                Ok(body) => Reply { status: 200, body },
                Err(NotRehearsed::Wrong(why)) => Reply::refusal(400, why),
                Err(NotRehearsed::Unavailable(why)) => Reply::refusal(503, why),
                Err(NotRehearsed::Busy) => Reply::refusal(429, what_if::BUSY),
            },
            Question::Usage(span) => passed_on(self.usage.records(None, span).await),
            Question::UsageReport(grouped) => passed_on(self.usage.totals(None, &grouped).await),
            Question::Calls { all } => self.calls(all).await,
            Question::Trace { call_id, media } => self.trace(call_id, media).await,
        }
    }

    async fn ask(&self, ask: Ask) -> Reply {
        let (answer, answered) = oneshot::channel();
        if self.asks.try_send((ask, answer)).is_err() {
            return Reply::refusal(503, "the bridge is too busy; try again in a second");
        }
        match timeout(WITHIN, answered).await {
            Ok(Ok(reply)) => passed_on(reply),
            _ => Reply::refusal(503, "the bridge did not answer in time"),
        }
    }

    fn conferences(&self) -> Reply {
        let mut all: Vec<_> =
            self.conferences.iter().map(|entry| (entry.key().clone(), Arc::clone(&entry.json))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let all: Vec<Value> = all.iter().map(|(_, shown)| parsed(shown)).collect();
        Reply { status: 200, body: json!({ "conferences": all }) }
    }

    async fn look<T>(&self, look: impl FnOnce(oneshot::Sender<T>) -> Look) -> Result<T, Reply> {
        let (answer, answered) = oneshot::channel();
        if self.looks.try_send(look(answer)).is_err() {
            return Err(Reply::refusal(503, "the bridge is too busy; try again in a second"));
        }
        match timeout(WITHIN, answered).await {
            Ok(Ok(found)) => Ok(found),
            _ => Err(Reply::refusal(503, "the bridge did not answer in time")),
        }
    }

    async fn calls(&self, all: bool) -> Reply {
        match self.look(|answer| Look::List { all, answer }).await {
            Ok(found) => {
                let calls: Vec<Value> = found.iter().map(|one| self.summary(one)).collect();
                Reply { status: 200, body: json!({ "calls": calls }) }
            }
            Err(refusal) => refusal,
        }
    }

    fn summary(&self, one: &Summary) -> Value {
        json!({
            "call_id": String::from_utf8_lossy(&one.call_id),
            "began": Stamp(one.first.at),
            "last": Stamp(one.last.at),
            "messages": one.messages,
            "direction": if one.first.ingress { "in" } else { "out" },
            "trunk": trunk_of(&self.trunks.load(), one.first.flow.remote),
            "remote": one.first.flow.remote,
            "first": said(&one.first.bytes),
            "latest": said(&one.last.bytes),
        })
    }

    async fn trace(&self, call_id: String, media: bool) -> Reply {
        let wanted = call_id.clone().into_bytes();
        let sounds = match self.sounds(media, wanted.clone()).await {
            Ok(sounds) => sounds,
            Err(refusal) => return refusal,
        };
        match self.look(|answer| Look::Call { call_id: wanted, answer }).await {
            Ok(Some(kept)) => {
                let messages: Vec<Line> = kept.messages.iter().map(|one| self.line(one)).collect();
                let mut body = json!({ "call_id": call_id, "dropped": kept.dropped, "messages": messages });
                if let Some(sounds) = sounds {
                    tell(&mut body, &sounds);
                }
                Reply { status: 200, body }
            }
            Ok(None) => Reply::refusal(
                404,
                "no message of this Call-ID is kept: `ctl trace` lists those that are; [trace] calls and megabytes say how \
                 many",
            ),
            Err(refusal) => refusal,
        }
    }

    async fn sounds(&self, wanted: bool, call_id: Vec<u8>) -> Result<Option<KeptSounds>, Reply> {
        if !wanted {
            return Ok(None);
        }
        let kept = self.look(|answer| Look::Media { call_id, answer }).await?;
        let nothing =
            "no media is kept: set [trace] capture_media = true, restart the bridge and place the call again";
        kept.map(Some).ok_or_else(|| Reply::refusal(409, nothing))
    }

    fn line(&self, one: &Passage) -> Line {
        let masked = masked(&one.bytes);
        let bytes = std::str::from_utf8(&masked).is_err().then(|| hex(&masked));
        Line {
            at: Stamp(one.at).to_string(),
            micros: one.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64,
            direction: if one.ingress { "in" } else { "out" }.to_owned(),
            transport: one.flow.transport.via_token().to_ascii_lowercase(),
            local: one.flow.local,
            remote: one.flow.remote,
            trunk: trunk_of(&self.trunks.load(), one.flow.remote).map(str::to_owned),
            message: String::from_utf8_lossy(&masked).into_owned(),
            bytes,
        }
    }
}

/// Adds the latest packets of a call to what is said of it, and what of its sound is missing.
fn tell(body: &mut Value, kept: &KeptSounds) {
    let older = kept.sounds.len().saturating_sub(MOST_PACKETS);
    body["media"] = kept.sounds[older..].iter().map(|one| json!(heard(one))).collect();
    body["media_left_out"] = json!(older);
    body["media_dropped"] = json!(kept.dropped);
}

fn heard(one: &Sound) -> Heard {
    Heard {
        micros: one.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64,
        direction: if one.ingress { "in" } else { "out" }.to_owned(),
        local: one.local,
        remote: one.remote,
        length: one.length,
        bytes: hex(&one.bytes),
    }
}

fn parsed(shown: &str) -> Value {
    serde_json::from_str(shown).unwrap_or_default()
}

/// Method or status of a message.
fn said(bytes: &Bytes) -> String {
    match Message::parse(bytes.clone(), Framing::Datagram) {
        Ok(message) => label(&message),
        Err(_) => harmless("not understood"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// What the socket told of a call, as what passed. `None` for a transport or bytes that nobody knows.
pub fn passages_of(lines: &[Line]) -> Option<Vec<Passage>> {
    let passage = |line: &Line| {
        let transport = match line.transport.as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return None,
        };
        let bytes = match &line.bytes {
            Some(digits) => unhex(digits)?.into(),
            None => Bytes::copy_from_slice(line.message.as_bytes()),
        };
        Some(Passage {
            at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(line.micros))?,
            ingress: line.direction == "in",
            flow: Flow { transport, local: line.local, remote: line.remote, connection: 0 },
            bytes,
        })
    };
    lines.iter().map(passage).collect()
}

/// What the socket told of a call's media, as what passed. `None` for bytes that are none.
pub fn sounds_of(all: &[Heard]) -> Option<Vec<Sound>> {
    let sound = |heard: &Heard| {
        Some(Sound {
            at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(heard.micros))?,
            ingress: heard.direction == "in",
            local: heard.local,
            remote: heard.remote,
            length: heard.length,
            bytes: unhex(&heard.bytes)?.into(),
        })
    };
    all.iter().map(sound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_call_the_latest_packets_are_told_and_how_many_are_not() {
        let sound = |n: usize| Sound {
            at: SystemTime::UNIX_EPOCH,
            ingress: true,
            local: ([127, 0, 0, 1], 20_000).into(),
            remote: ([127, 0, 0, 1], 30_000).into(),
            length: n,
            bytes: [0x80].into(),
        };
        // (packets that are kept, those that are left out)
        for (kept, left_out) in [(0, 0), (MOST_PACKETS, 0), (MOST_PACKETS + 3, 3)] {
            let mut body = json!({});
            tell(&mut body, &KeptSounds { sounds: (0..kept).map(sound).collect(), dropped: 7 });
            assert_eq!(
                (&body["media_left_out"], &body["media_dropped"]),
                (&json!(left_out), &json!(7)),
                "{kept}"
            );
            let told: Vec<Heard> = serde_json::from_value(body["media"].clone()).expect("a list");
            assert_eq!(told.len(), kept.min(MOST_PACKETS));
            assert!(told.first().is_none_or(|first| first.length == left_out), "the oldest are left out");
        }
    }

    #[test]
    fn bytes_that_are_no_text_come_through_unchanged() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)), Some(all));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
    }
}
