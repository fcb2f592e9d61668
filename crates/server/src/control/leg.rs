//! One leg as control knows it: the dialog it rides on, the media it was promised, and when things happened.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bridge::ConferenceId;
use bytes::Bytes;
use routing::{Candidate, LegDirection, TrunkId};
use sip::InviteId;
use sip::sdp::{LocalMedia, Negotiated};
use trunk::MediaAddress;

use super::keys::Keyed;

/// A leg between its first message and its last.
pub(super) struct Leg<Io> {
    /// Who called whom.
    pub direction: LegDirection,
    /// The trunk it rides on; for a dial-out the one of the current attempt.
    pub trunk: TrunkId,
    /// The INVITE usage of the current attempt; `None` between attempts and after the end.
    pub invite: Option<InviteId>,
    /// The dial-out attempt, from 1; 0 for a dial-in.
    pub attempt: u32,
    /// What the current dial-out attempt wants.
    pub candidate: Option<Candidate>,
    /// The peers this attempt has tried; for a dial-in where it came from.
    pub tried: Vec<(sip::Transport, SocketAddr)>,
    /// Our Contact in the answer to a dial-in.
    pub contact: Option<String>,
    /// Our own number in this call, with its plus.
    pub number: String,
    /// Its media, from the offer on.
    pub media: Option<LegMedia<Io>>,
    /// Whether a channel of the trunk is taken for it.
    pub channel: bool,
    /// The SIP Call-ID, for the log.
    pub call_id: String,
    /// When the INVITE came or left.
    pub began: Instant,
    /// When the 200 left or came.
    pub answered: Option<Instant>,
    /// The meeting it sits in.
    pub meeting: Option<ConferenceId>,
    /// Whether anything was ever heard from it.
    pub heard: bool,
    /// How late it sends back what it is sent, while it does.
    pub echo: Option<Duration>,
    /// Keys on their way to the far end, at most; none once the mixer has said that all are sent.
    pub digits: usize,
    /// Whether it broke: its ACK, its dialog or its media was lost, and nobody hung up.
    pub broken: bool,
}

impl<Io> Leg<Io> {
    /// A leg of which nothing is known yet but whose it is.
    pub(super) fn new(direction: LegDirection, trunk: TrunkId, began: Instant) -> Self {
        Self {
            direction,
            trunk,
            invite: None,
            attempt: 0,
            candidate: None,
            tried: Vec::new(),
            contact: None,
            number: String::new(),
            media: None,
            channel: false,
            call_id: String::new(),
            began,
            answered: None,
            meeting: None,
            heard: false,
            echo: None,
            digits: 0,
            broken: false,
        }
    }
}

/// What was promised for a leg's media.
pub(super) struct LegMedia<Io> {
    /// The sockets, until the mixer's seat takes them.
    pub io: Option<Io>,
    /// The RTP port, given back when the leg is over.
    pub port: u16,
    /// Where its trunk wants its media, if not where all others are.
    pub home: Option<MediaAddress>,
    /// How we describe ourselves.
    pub local: LocalMedia,
    /// The description we sent last.
    pub sdp: Bytes,
    /// What was agreed, once it is.
    pub negotiated: Option<Negotiated>,
    /// The keys of the peer's that ours belong to, once the leg is encrypted.
    pub keyed: Option<Keyed>,
    /// Whether our 200 carried the offer, so that the ACK brings the answer.
    pub late_offer: bool,
    /// What an UPDATE before the answer has agreed on; it holds if that early dialog is the one that answers.
    pub early: Option<Box<EarlyMedia>>,
}

/// An agreement in an early dialog.
pub(super) struct EarlyMedia {
    /// How we described ourselves.
    pub local: LocalMedia,
    /// The description we sent.
    pub sdp: Bytes,
    /// What was agreed.
    pub negotiated: Negotiated,
}

impl<Io> LegMedia<Io> {
    /// Notes what an UPDATE before the answer has agreed on, now that its early dialog is the leg's. `false`: nothing.
    pub(super) fn settle_early(&mut self) -> bool {
        let Some(early) = self.early.take() else { return false };
        let EarlyMedia { local, sdp, negotiated } = *early;
        (self.local, self.sdp) = (local, sdp);
        self.agree(negotiated);
        true
    }

    /// Notes what was agreed; what held before.
    pub(super) fn agree(&mut self, negotiated: Negotiated) -> Option<Negotiated> {
        self.keyed = Keyed::after(self.keyed.take(), &negotiated);
        self.negotiated.replace(negotiated)
    }
}
