//! What the endpoint tells the application.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::flow::Flow;
use super::register::{Registered, RegistrationId};
use crate::wire::{Message, NameAddr};

/// One INVITE usage, from the INVITE to its end, whichever side began it. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub u64);

/// One OPTIONS we sent. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionsId(pub u64);

/// Something the application should know.
///
/// For one [`InviteId`] the order is: `InviteReceived` (if they called), any `Progress`, then either one `Failed`, or
/// `Answered` (if we called) and later exactly one `Ended`. A leg that was accepted with
/// [`Endpoint::accept`](super::Endpoint::accept) reports `Established` when its ACK arrives and always ends with
/// `Ended`, also if the ACK never came.
#[derive(Debug, Clone)]
pub enum Event {
    /// Somebody calls; 100 Trying has been sent.
    InviteReceived {
        /// The new usage.
        id: InviteId,
        /// The INVITE as it arrived.
        request: Arc<Message>,
        /// The way it came.
        flow: Flow,
        /// The SDP offer; `None` asks us to offer in the 200.
        offer: Option<Bytes>,
        /// The leg whose place it is to take, where its terms allow that (RFC 3891): accept it, then hang up that one.
        replaces: Option<InviteId>,
    },
    /// The ACK to our 200 arrived.
    Established {
        /// The usage.
        id: InviteId,
        /// The SDP answer in the ACK, where our 200 carried the offer.
        answer: Option<Bytes>,
    },
    /// Our INVITE got a 101-199.
    Progress {
        /// The usage.
        id: InviteId,
        /// 101 to 199.
        status: u16,
        /// The SDP in it, if any.
        body: Option<Bytes>,
        /// The response as it arrived.
        response: Arc<Message>,
    },
    /// Our INVITE got a 2xx. The ACK has been sent, except where the 2xx carries the offer to an INVITE of ours
    /// without one: then [`Endpoint::acknowledge`](super::Endpoint::acknowledge) is awaited.
    Answered {
        /// The usage.
        id: InviteId,
        /// The SDP in it, if any.
        body: Option<Bytes>,
        /// An UPDATE in this early dialog has settled the media already, by the last
        /// [`accept_reinvite`](super::Endpoint::accept_reinvite); `body` is then `None`.
        settled: bool,
        /// The response as it arrived.
        response: Arc<Message>,
    },
    /// The INVITE came to nothing; the usage is gone.
    Failed {
        /// The usage.
        id: InviteId,
        /// Why.
        failure: Failure,
    },
    /// The peer wants to change the media, by a re-INVITE, or by an UPDATE, which may come before the answer too: answer with
    /// `accept_reinvite` or `reject_reinvite`.
    ReinviteReceived {
        /// The usage.
        id: InviteId,
        /// The SDP offer; `None` asks us to offer in the 200.
        offer: Option<Bytes>,
    },
    /// The peer answered our offer: our re-INVITE got a 2xx, or the ACK to our 2xx for an offerless re-INVITE came.
    ReinviteAnswered {
        /// The usage.
        id: InviteId,
        /// The SDP answer.
        body: Option<Bytes>,
    },
    /// Our re-INVITE was refused; the dialog and its media stay as they were.
    ReinviteFailed {
        /// The usage.
        id: InviteId,
        /// The status, 408 for none.
        status: u16,
    },
    /// The peer asks us to call somebody else in its place: answer with `accept_refer` or `reject_refer`.
    ReferReceived {
        /// The usage.
        id: InviteId,
        /// Refer-To.
        target: Box<NameAddr>,
        /// Referred-By (RFC 3892), as it is written.
        by: Option<String>,
    },
    /// The leg that was answered is over; the usage is gone.
    Ended {
        /// The usage.
        id: InviteId,
        /// How.
        end: End,
    },
    /// An OPTIONS of ours is finished.
    OptionsAnswered {
        /// Which.
        id: OptionsId,
        /// The final status, whatever it is, or why there is none.
        outcome: Result<u16, Failure>,
        /// From sending to the outcome.
        rtt: Duration,
    },
    /// A REGISTER of ours is finished.
    RegisterAnswered {
        /// Its series.
        id: RegistrationId,
        /// What was granted, or why nothing was.
        outcome: Result<Registered, Failure>,
    },
    /// A message was not processed; for the log and the metric.
    Discarded {
        /// The way it came.
        flow: Flow,
        /// Why.
        why: String,
        /// The status it was answered with, if any.
        answered: Option<u16>,
    },
}

/// Why an INVITE, an OPTIONS or a REGISTER came to nothing.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kind of end it was.
    pub kind: FailureKind,
    /// The final status received; 408 where nothing came, 503 for the transport (RFC 3261 section 8.1.3.1), 487 where
    /// it was canceled.
    pub status: u16,
    /// The reason phrase, or the Reason header of a CANCEL or an early BYE, or our own words.
    pub reason: String,
    /// Seconds from Retry-After.
    pub retry_after: Option<u32>,
    /// The final response, where there is one.
    pub response: Option<Arc<Message>>,
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A final response of 300 or above.
    Response,
    /// No response of any kind in time (`first_response_within`, timer B or F).
    NoResponse,
    /// No 101-199 in time (`provisional_within`).
    ProvisionalTimeout,
    /// It rang for too long (`ring_for`).
    RingTimeout,
    /// The message could not be sent.
    Transport,
    /// Ended before the answer: by `hangup` here, or by the caller's CANCEL or BYE.
    Canceled,
    /// The application did not answer the INVITE in time (`answer_within`).
    Unanswered,
    /// The application refused the INVITE with `reject`.
    Rejected,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} {}", self.kind, self.status, self.reason)
    }
}

/// How an answered leg ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer's BYE.
    Bye {
        /// Its Reason header (RFC 3326).
        reason: Option<String>,
    },
    /// Our 200 was never acknowledged; BYE has been sent.
    AckTimeout,
    /// Our own `hangup`; BYE has been sent.
    Local,
    /// The session timer ran out without a refresh (RFC 4028 section 10); BYE has been sent.
    Expired,
    /// The peer no longer knows the dialog: it answered a request in it with 481 or 408, or not at all.
    DialogGone(u16),
}

/// Why a command cannot be carried out. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The usage has ended; its `Failed` or `Ended` event is in the queue or was taken already.
    #[error("no such INVITE usage: it has ended already; drop the command")]
    Gone,
    /// The usage is not in a state for this command.
    #[error("this INVITE usage cannot do that now: it is {0}")]
    WrongState(&'static str),
    /// Another offer is under way in this dialog.
    #[error(
        "an earlier offer in this dialog is not answered yet: wait for its event, then repeat the command"
    )]
    OfferPending,
    /// The status does not fit the command.
    #[error("status {0} does not fit this command")]
    BadStatus(u16),
}
