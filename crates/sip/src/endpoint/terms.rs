//! What a peer has agreed to beyond RFC 3261: session timers, reliable provisional responses, transfers. A trunk's profile
//! says so; our Allow, Supported and Require tell the peer nothing else.

use crate::wire::{HeaderName, Message};

use super::reply::Refusal;

/// How dialogs with one peer are kept. [`Endpoint::handle_input_under`](super::Endpoint::handle_input_under) and
/// [`OutgoingInvite`](super::OutgoingInvite) carry those of the peer; everything else is under those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether dialogs end when nobody refreshes them (RFC 4028).
    pub session_timer: SessionTimers,
    /// The interval that we ask for, and the longest that we grant, in seconds.
    pub session_expires: u32,
    /// The shortest interval that we grant, in seconds; never less than 90 (RFC 4028 section 4).
    pub min_se: u32,
    /// Whether provisional responses are acknowledged (RFC 3262).
    pub reliable: Reliable,
    /// Whether REFER in a dialog is taken (RFC 3515); otherwise it gets 603.
    pub accept_refer: bool,
    /// Whether an INVITE with Replaces may take the place of a dialog (RFC 3891); otherwise the header is not looked at.
    pub accept_replaces: bool,
}

/// Whether dialogs end when nobody refreshes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTimers {
    /// Never; what the peer says about it is not read, and where it insists (Require) it gets 420.
    Off,
    /// Where the peer asks for it.
    Accept,
    /// We ask for it too: in our INVITEs, and in our 2xx to a peer that knows it and did not ask.
    Ask,
}

/// Whether provisional responses are acknowledged by PRACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliable {
    /// Never; a peer that insists gets 420.
    Off,
    /// Where both sides can.
    Supported,
    /// Always: our INVITE says Require, an INVITE without it gets 421.
    Required,
}

impl Default for Terms {
    /// All that the peer may ask for without a risk to us: timers of half an hour where it wants them, PRACK.
    fn default() -> Self {
        Self {
            session_timer: SessionTimers::Accept,
            session_expires: 1800,
            min_se: 90,
            reliable: Reliable::Supported,
            accept_refer: false,
            accept_replaces: false,
        }
    }
}

impl Terms {
    /// The methods that this peer may use, for Allow.
    pub(super) fn allow(&self) -> &'static str {
        match (self.reliable, self.accept_refer) {
            (Reliable::Off, false) => "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE",
            (Reliable::Off, true) => "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, REFER, NOTIFY",
            (_, false) => "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE",
            (_, true) => "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY",
        }
    }

    /// The extensions that this peer may ask for.
    fn tags(&self) -> impl Iterator<Item = &'static str> {
        let timer = (self.session_timer != SessionTimers::Off).then_some("timer");
        let reliable = (self.reliable != Reliable::Off).then_some("100rel");
        let replaces = self.accept_replaces.then_some("replaces");
        let silent = self.accept_refer.then_some("norefersub");
        [timer, reliable, replaces, silent].into_iter().flatten()
    }

    /// The same as the value of Supported; empty for none.
    pub(super) fn supported(&self) -> String {
        self.tags().collect::<Vec<_>>().join(", ")
    }

    /// Adds Allow and Supported where they are not there yet.
    pub(super) fn describe(&self, message: &mut Message) {
        let headers = message.headers_mut();
        if !headers.contains(HeaderName::Allow) {
            headers.push(HeaderName::Allow, self.allow());
        }
        let supported = self.supported();
        if !supported.is_empty() && !headers.contains(HeaderName::Supported) {
            headers.push(HeaderName::Supported, supported);
        }
    }

    /// RFC 3261 section 8.2.2.3: what a request requires and we do not do is named in the 420.
    pub(super) fn check_required(&self, request: &Message) -> Result<(), Refusal> {
        let known = |tag: &str| self.tags().any(|ours| ours.eq_ignore_ascii_case(tag));
        let unknown: Vec<&str> =
            request.headers().all(HeaderName::Require).filter(|tag| !known(tag)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let list = unknown.join(", ");
        Err(Refusal::new(420, format!("extension {list} is required")).with("Unsupported", list))
    }
}

/// Whether a message says that its sender knows an extension.
pub(super) fn knows(message: &Message, tag: &str) -> bool {
    let headers = message.headers();
    headers.has_token(HeaderName::Supported, tag) || headers.has_token(HeaderName::Require, tag)
}

/// Whether its sender takes a method, as its Allow says.
pub(super) fn takes(message: &Message, method: &str) -> bool {
    message.headers().has_token(HeaderName::Allow, method)
}
