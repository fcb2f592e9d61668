//! Calls into the bridge: one SIP socket and one engine for all of them, a pair of RTP sockets for each.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mixer::srtp::{Keys, Mki, Suite};
use rand::{RngExt as _, rngs::StdRng};
use sip::sdp::{self, Capabilities, Direction, LocalMedia, MasterKey};
use sip::{
    Body, Event, Failure, FailureKind, Flow, HostPort, InviteId, NameAddr, OutgoingInvite, Transport, Uri,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::fleet::FleetLeg;
use super::speech::Codec;
use crate::demo::signalling::{self, Command};

/// How long a call may take to be answered, and a hang-up to be confirmed.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often a call is placed again that was refused for a while.
const REPEATS: usize = 5;
/// The longest while, in seconds.
const LONGEST_WAIT: u32 = 30;
/// How often a free pair of ports is looked for.
const ATTEMPTS: usize = 64;

/// The caller's side of a trunk. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    commands: mpsc::UnboundedSender<Command>,
    local: SocketAddr,
    bridge: SocketAddr,
    codec: Codec,
    srtp: bool,
    /// For SRTP keys: a cryptographic generator, seeded by the operating system.
    dice: Arc<Mutex<StdRng>>,
}

/// What one call says about itself.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The caller's number and the host behind it.
    pub(super) from: (String, HostPort),
    /// The number that is called, and the host as it was named.
    pub(super) called: (String, HostPort),
    /// Keyed once RTP has flowed for so long.
    pub(super) keys: (String, Duration),
    /// For the o= line.
    pub(super) number: u64,
}

/// A call that was answered.
pub(super) struct Call {
    id: InviteId,
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Open so that the bridge's reports do not bounce; nobody reads it.
    _rtcp: UdpSocket,
    /// From the INVITE to the answer.
    pub(super) setup: Duration,
}

/// Why there is no call.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{}", advice(.0, *.1, *.2))]
    Refused(Failure, SocketAddr, IpAddr),
    #[error("the bridge's SDP cannot be used: {0}; try another --codec")]
    Media(String),
    #[error("no socket for a call's RTP: {0}")]
    Socket(#[from] io::Error),
    #[error("a call came to no end within {} s", PATIENCE.as_secs())]
    Lost,
    #[error("the bridge takes no keys by RTP (telephone-event, RFC 4733): a conference ID cannot be keyed")]
    NoKeys,
}

/// What a refusal means, and what to do about it.
fn advice(failure: &Failure, bridge: SocketAddr, own: IpAddr) -> String {
    let said = format!("{} {}", failure.status, failure.reason);
    match (failure.kind, failure.status) {
        (FailureKind::Response, 401 | 407) => {
            format!("{said}: the bridge asks for a password; let it trust {own} by its address instead")
        }
        (FailureKind::Response, 403) => format!(
            "{said}: the bridge does not know {own} as a trunk. For partyline add to its configuration:\n  \
             [[trunk]]\n  id = \"load\"\n  kind = \"operator\"\n  provider = \"operator:NAME\"   # that owns the number called\n  \
             peers = [{{ address = \"{own}\", transport = \"udp\" }}]\n  sources = [\"{own}\"]\n  send_sip_options = false\n\
             or call from an address that it knows, with --bind"
        ),
        (FailureKind::Response, 404 | 484 | 604) => {
            format!("{said}: the number called is none of the bridge's; name one that is in --to")
        }
        (FailureKind::Response, 415 | 488 | 606) => {
            format!("{said}: the bridge does not speak what was offered; try another --codec")
        }
        (FailureKind::Response, 480 | 486 | 500 | 503 | 600) => {
            let later =
                failure.retry_after.map(|seconds| format!(" (again in {seconds} s)")).unwrap_or_default();
            format!(
                "{said}{later}: the bridge takes no more calls now. Its trunk's limits (partyline: calls_per_second, \
                 max_concurrent_sessions), its ports or its load stand in the way; lower --rate or --legs, or raise them"
            )
        }
        (FailureKind::Response, _) => format!("{said}: the bridge refuses the call; its log may say why"),
        (FailureKind::Transport, _) => {
            format!("{said}: nothing can be sent to {bridge}; is the address right?")
        }
        _ => format!(
            "{said}: no answer from {bridge}; does the bridge run there, and listen for SIP over UDP?"
        ),
    }
}

impl Caller {
    /// Binds the SIP socket on this address.
    pub(super) async fn open(
        own: IpAddr,
        bridge: SocketAddr,
        (codec, srtp): (Codec, bool),
        mut dice: StdRng,
    ) -> io::Result<Self> {
        let socket = tokio::net::UdpSocket::bind((own, 0)).await?;
        let local = socket.local_addr()?;
        let (commands, orders) = mpsc::unbounded_channel();
        // Nobody calls a load generator: what rings is refused as soon as it does.
        let (ring, _) = mpsc::unbounded_channel();
        let endpoint = signalling::endpoint("partyline-load", dice.random());
        tokio::spawn(signalling::run(socket, endpoint, orders, ring, None));
        Ok(Self { commands, local, bridge, codec, srtp, dice: Arc::new(Mutex::new(dice)) })
    }

    /// Where SIP is sent from.
    pub(super) fn address(&self) -> SocketAddr {
        self.local
    }

    /// Calls and waits for the answer: the call, and the leg that is to be driven.
    pub(super) async fn call(&self, wish: Wish) -> Result<(Call, FleetLeg), CallError> {
        let (rtp, rtcp) = pair(self.local.ip())?;
        let port = rtp.local_addr()?.port();
        let local = LocalMedia {
            address: self.local.ip(),
            port,
            rtcp_port: port + 1,
            session_id: wish.number,
            session_version: 1,
            direction: Direction::SendRecv,
            keys: self.fresh_keys(),
        };
        let capabilities = Capabilities {
            codecs: vec![self.codec.sdp()],
            srtp: if self.srtp { sdp::Srtp::Mandatory } else { sdp::Srtp::Off },
            suites: sdp::Suite::ALL.to_vec(),
            ..Capabilities::default()
        };
        let offer = sdp::offer(&local, &capabilities);
        let (taken, id) = oneshot::channel();
        let (news, mut events) = mpsc::unbounded_channel();
        let began = Instant::now();
        let invite = Box::new(self.invite(&wish, offer.clone()));
        let _ = self.commands.send(Command::Invite { invite, taken, news });
        let id = id.await.map_err(|_| CallError::Lost)?;
        let mut calling = Calling(Some((id, &self.commands)));
        let answer = self.until_answered(&mut events).await?;
        calling.0 = None;
        let setup = began.elapsed();
        let call = Call { id, commands: self.commands.clone(), events, _rtcp: rtcp, setup };
        let agreed = sdp::accept_answer(&offer, &answer, &capabilities)
            .map_err(|error| CallError::Media(error.to_string()))?;
        let events = agreed.event_pt.ok_or(CallError::NoKeys)?;
        let leg = FleetLeg::over(rtp)?
            .toward(agreed.remote_rtp)?
            .with_payload_type(agreed.audio_pt)
            .with_keys(&wish.keys.0, (events, agreed.event_clock_rate), wish.keys.1);
        let leg = match &agreed.crypto {
            Some(crypto) => leg.with_srtp(srtp_keys(&crypto.ours)?, srtp_keys(&crypto.theirs)?),
            None => leg,
        };
        Ok((call, leg))
    }

    /// A key for each suite; none where RTP is not encrypted.
    fn fresh_keys(&self) -> Vec<MasterKey> {
        if !self.srtp {
            return Vec::new();
        }
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        sdp::Suite::ALL.map(|suite| MasterKey::generate(suite, |bytes| dice.fill(bytes))).to_vec()
    }

    /// The same, and again after a refusal that says when (503 with Retry-After, RFC 3261 section 21.5.4): a bridge that
    /// protects itself for a moment. The number is how often it was refused.
    pub(super) async fn call_patiently(&self, wish: Wish) -> (Result<(Call, FleetLeg), CallError>, usize) {
        for refusals in 0.. {
            let outcome = self.call(wish.clone()).await;
            let again = match &outcome {
                Err(CallError::Refused(failure, ..)) if failure.status == 503 && refusals < REPEATS => {
                    failure.retry_after.filter(|seconds| *seconds <= LONGEST_WAIT)
                }
                _ => None,
            };
            let Some(seconds) = again else { return (outcome, refusals) };
            sleep(Duration::from_secs(u64::from(seconds))).await;
        }
        (Err(CallError::Lost), REPEATS)
    }

    fn invite(&self, wish: &Wish, offer: Bytes) -> OutgoingInvite {
        let address = |(user, host): &(String, HostPort)| Uri::sip(Some(user), host.clone());
        let request_uri = address(&wish.called);
        OutgoingInvite {
            flow: Flow { transport: Transport::Udp, local: self.local, remote: self.bridge, connection: 0 },
            to: NameAddr::new(request_uri.clone()),
            request_uri,
            from: NameAddr::new(address(&wish.from)),
            contact: NameAddr::new(Uri::sip(Some(&wish.from.0), self.local)),
            extra: Vec::new(),
            body: Some(Body::sdp(offer)),
            credentials: None,
            first_response_within: Duration::from_secs(10),
            provisional_within: Duration::from_secs(20),
            ring_for: PATIENCE,
            terms: sip::Terms::default(),
        }
    }

    async fn until_answered(&self, events: &mut mpsc::UnboundedReceiver<Event>) -> Result<Bytes, CallError> {
        let mut early = None;
        loop {
            let event = timeout(PATIENCE, events.recv()).await.ok().flatten().ok_or(CallError::Lost)?;
            match event {
                Event::Progress { body, .. } => early = body.or(early),
                Event::Answered { body, .. } => {
                    return body.or(early).ok_or_else(|| CallError::Media("there is none".to_owned()));
                }
                Event::Failed { failure, .. } => {
                    return Err(CallError::Refused(failure, self.bridge, self.local.ip()));
                }
                Event::Ended { .. } => return Err(CallError::Lost),
                _ => {}
            }
        }
    }
}

/// A call that is not answered yet. Nobody waits for it any more when this is dropped, and so it is cancelled.
struct Calling<'a>(Option<(InviteId, &'a mpsc::UnboundedSender<Command>)>);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        if let Some((id, commands)) = self.0 {
            // Where it has failed, or nobody takes commands any more, there is nothing to cancel.
            let _ = commands.send(Command::Hangup(id));
        }
    }
}

/// The mixer's form of a key from SDP.
fn srtp_keys(master: &MasterKey) -> Result<Keys, CallError> {
    let refused = |why: String| CallError::Media(why);
    let suite = Suite::from_name(master.suite().name())
        .ok_or_else(|| refused(format!("{} is not known", master.suite())))?;
    let mki = master.mki().map(|mki| Mki::new(u128::from(mki.value), u16::from(mki.length)));
    let mki = mki.transpose().map_err(|error| refused(error.to_string()))?;
    Keys::new(suite, master.bytes(), mki).map_err(|error| refused(error.to_string()))
}

impl Call {
    /// Whether the bridge has hung up.
    pub(super) fn has_ended(&mut self) -> bool {
        while let Ok(event) = self.events.try_recv() {
            if matches!(event, Event::Ended { .. } | Event::Failed { .. }) {
                return true;
            }
        }
        false
    }

    /// BYE.
    pub(super) fn hang_up(&self) {
        // Where nobody takes commands any more there is no call either.
        let _ = self.commands.send(Command::Hangup(self.id));
    }

    /// Waits until the bridge has confirmed; false when it does not. It has been told all the same.
    pub(super) async fn until_ended(&mut self, within: Duration) -> bool {
        let ended = async {
            while let Some(event) = self.events.recv().await {
                if matches!(event, Event::Ended { .. } | Event::Failed { .. }) {
                    return;
                }
            }
        };
        timeout(within, ended).await.is_ok()
    }
}

/// An even port and the odd one above it (RFC 3550 section 11).
fn pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let mut last = io::Error::other("no pair of ports was free");
    for _ in 0..ATTEMPTS {
        let rtp = UdpSocket::bind((address, 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 {
            continue;
        }
        match UdpSocket::bind((address, port + 1)) {
            Ok(rtcp) => return Ok((rtp, rtcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do_next() {
        let own = IpAddr::from([127, 0, 0, 2]);
        let advice = |kind, status| {
            let failure =
                Failure { kind, status, reason: "Words".into(), retry_after: Some(5), response: None };
            advice(&failure, "127.0.0.1:5060".parse().unwrap(), own)
        };
        for (status, word) in [
            (403, "sources = [\"127.0.0.2\"]"),
            (404, "--to"),
            (488, "--codec"),
            (503, "again in 5 s"),
            (407, "password"),
            (699, "its log"),
        ] {
            let said = advice(FailureKind::Response, status);
            assert!(said.contains(word) && said.starts_with(&status.to_string()), "{said}");
        }
        assert!(advice(FailureKind::NoResponse, 408).contains("does the bridge run there"));
        assert!(advice(FailureKind::Transport, 503).contains("is the address right"));
    }

    #[test]
    fn ports_come_in_pairs() {
        let (rtp, rtcp) = pair([127, 0, 0, 1].into()).unwrap();
        let port = rtp.local_addr().unwrap().port();
        assert!(port.is_multiple_of(2));
        assert_eq!(rtcp.local_addr().unwrap().port(), port + 1);
    }
}
