//! The other side of a trunk: an SBC with an address, an endpoint, and callees who behave as they were told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip::{Endpoint, EndpointConfig, Framing, InviteId, Message};

use crate::calls::PhoneId;
use crate::gateway::Pairing;
use crate::registrar::Registrar;
use crate::srtp::Security;

/// One SBC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub usize);

/// What a callee does with an INVITE.
#[derive(Clone, Debug, PartialEq)]
pub enum Callee {
    /// Rings if it says so, then answers.
    Answers {
        /// Whether a 180 is sent at once.
        ring: bool,
        /// From the INVITE to the answer.
        after: Duration,
    },
    /// 183 with the SDP answer, then a 200 without a body, as some carriers do.
    AnswersEarly {
        /// From the INVITE to the answer.
        after: Duration,
    },
    /// 183 with the SDP answer and a ring-back tone as media, then a 200 with the same answer.
    PlaysRingback {
        /// The tone.
        tone: u32,
        /// From the INVITE to the answer.
        after: Duration,
    },
    /// Answers with a final status.
    Refuses {
        /// Whether a 180 is sent first.
        ring: bool,
        /// From the INVITE to the refusal.
        after: Duration,
        /// The status.
        status: u16,
        /// Further headers of the refusal.
        headers: Vec<(String, String)>,
    },
    /// Rings until somebody gives up.
    Rings,
    /// 100 Trying, and nothing more.
    TryingOnly,
    /// Wants credentials first.
    Challenges(Box<Callee>),
}

impl Callee {
    /// Rings, and answers after so many seconds.
    pub fn after(seconds: u64) -> Self {
        Self::Answers { ring: true, after: Duration::from_secs(seconds) }
    }

    /// Refuses with this status after half a second.
    pub fn refuses(status: u16) -> Self {
        Self::Refuses { ring: false, after: Duration::from_millis(500), status, headers: Vec::new() }
    }
}

/// A message that a site received.
#[derive(Clone, Debug)]
pub struct Received {
    /// When, since the beginning of the world.
    pub at: Duration,
    /// The message.
    pub bytes: Bytes,
}

impl Received {
    /// The message, read.
    pub fn message(&self) -> Message {
        Message::parse(self.bytes.clone(), Framing::Datagram)
            .expect("the bridge writes messages that can be read")
    }

    /// The first line.
    pub fn first_line(&self) -> String {
        first_line(&self.bytes)
    }
}

/// The first line of a message.
pub fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned()
}

/// The other side of a trunk.
pub struct Site {
    /// For the ladder.
    pub name: &'static str,
    /// Its SIP address.
    pub address: SocketAddr,
    /// Its signalling; `None` where a scenario writes every message by hand.
    pub endpoint: Option<Endpoint>,
    /// Swallows everything that comes while false.
    pub alive: bool,
    /// Nobody listens there over TCP.
    pub refuses_tcp: bool,
    /// What it does with an INVITE for a number.
    pub callees: HashMap<String, Callee>,
    /// What it does with any other INVITE.
    pub callee: Callee,
    /// How its callees encrypt, if they do.
    pub security: Option<Security>,
    /// Everything that came.
    pub inbox: Vec<Received>,
    /// What its endpoint could not make sense of.
    pub discarded: Vec<String>,
    /// Where the bridge registers, if it can there.
    pub registrar: Option<Registrar>,
    /// What it knows of the bridge, if it is strict about it.
    pub pairing: Option<Pairing<'static>>,
    /// What it would have refused.
    pub complaints: Vec<String>,
    pub(crate) calls: HashMap<InviteId, PhoneId>,
}

impl Site {
    pub(crate) fn new(name: &'static str, ip: [u8; 4], seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        key[8..12].copy_from_slice(&ip);
        let config = EndpointConfig { user_agent: format!("{name}-sbc"), ..EndpointConfig::default() };
        Self {
            name,
            address: SocketAddr::from((ip, 5060)),
            endpoint: Some(Endpoint::new(config, key)),
            alive: true,
            refuses_tcp: false,
            callees: HashMap::new(),
            callee: Callee::after(2),
            security: None,
            inbox: Vec::new(),
            discarded: Vec::new(),
            registrar: None,
            pairing: None,
            complaints: Vec::new(),
            calls: HashMap::new(),
        }
    }

    /// Requests of a method and responses of a status line that came, `"INVITE"` or `"SIP/2.0 200"`.
    pub fn got(&self, begin: &str) -> Vec<&Received> {
        self.inbox.iter().filter(|received| received.bytes.starts_with(begin.as_bytes())).collect()
    }
}
