//! The place in the shell that sees every SIP message, and hands it on to those who watch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use sip::Flow;
use tokio::sync::oneshot;
use trunk::Trunks;

use super::{Export, Kept, KeptSounds, Known, Ladders, Limits, Passage, Sounds, Summary};
use crate::media::capture::Packet;

/// Somebody wants to see what passed.
#[derive(Debug)]
pub enum Look {
    /// Which calls there are.
    List {
        /// Keep-alives and strangers too.
        all: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<Summary>>,
    },
    /// One call.
    Call {
        /// Its Call-ID.
        call_id: Vec<u8>,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<Kept>>,
    },
    /// The RTP packets of one call; `None` where none are kept.
    Media {
        /// Its Call-ID.
        call_id: Vec<u8>,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<KeptSounds>>,
    },
}

/// Watches the sockets.
pub struct Tap {
    trunks: Arc<ArcSwap<Trunks>>,
    ladders: Ladders,
    export: Option<Export>,
    sounds: Option<Sounds>,
}

impl Tap {
    /// Nothing has passed yet. What passes is exported too, where that is wanted.
    pub fn new(trunks: Arc<ArcSwap<Trunks>>, limits: Limits, export: Option<Export>) -> Self {
        Self { trunks, ladders: Ladders::new(limits), export, sounds: None }
    }

    /// RTP packets are kept as well, within so many bytes.
    #[must_use]
    pub fn with_media(self, bytes: Option<usize>) -> Self {
        Self { sounds: bytes.map(Sounds::new), ..self }
    }

    /// An RTP packet came or left. `call_id` tells which call its leg is, and `now` this moment by both clocks.
    pub fn note_media(
        &mut self,
        now: (Instant, SystemTime),
        packet: &Packet,
        call_id: impl FnOnce() -> Option<String>,
    ) {
        if let Some(sounds) = &mut self.sounds {
            sounds.note(now, packet, call_id);
        }
    }

    /// So many RTP packets of all calls, since the start, found a ring of the media threads full. How many more than before.
    pub fn note_dropped_media(&mut self, dropped: u64) -> u64 {
        self.sounds.as_mut().map_or(0, |sounds| sounds.note_dropped(dropped))
    }

    /// A message came (`ingress`) or leaves. Costs a clone of the `Bytes` and no wait.
    pub fn note(&mut self, at: SystemTime, ingress: bool, flow: &Flow, bytes: &Bytes) {
        let known =
            || if self.trunks.load().lists(flow.remote.ip()) { Known::Listed } else { Known::Stranger };
        let passage = Passage { at, ingress, flow: *flow, bytes: bytes.clone() };
        if let Some(export) = &self.export {
            export.note(passage.clone());
        }
        self.ladders.note(passage, known);
    }

    /// Shows what is kept.
    pub fn show(&self, look: Look) {
        // Whoever asked may have gone.
        match look {
            Look::List { all, answer } => drop(answer.send(self.ladders.list(all))),
            Look::Call { call_id, answer } => drop(answer.send(self.ladders.get(&call_id))),
            Look::Media { call_id, answer } => {
                if self.sounds.is_some() {
                    let call_id = String::from_utf8_lossy(&call_id);
                    tracing::warn!(%call_id, "somebody takes the media of this call out of the memory");
                }
                drop(answer.send(self.sounds.as_ref().map(|sounds| sounds.of(&call_id))));
            }
        }
    }
}

/// The trunk that an address belongs to: the one with this peer, else the first that lists it as a source.
pub fn trunk_of(trunks: &Trunks, address: SocketAddr) -> Option<&str> {
    let ip = address.ip().to_canonical();
    let profiles = trunks.profiles();
    let with_peer = |exact: bool| {
        profiles.iter().find(|profile| {
            let mut peers = profile.peers.iter().map(|peer| peer.address);
            peers.any(|peer| peer.ip().to_canonical() == ip && (!exact || peer.port() == address.port()))
        })
    };
    let by_source = || profiles.iter().find(|profile| profile.sources.iter().any(|net| net.contains(&ip)));
    let found = with_peer(true).or_else(|| with_peer(false)).or_else(by_source);
    found.map(|profile| profile.id.as_str())
}
