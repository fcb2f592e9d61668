//! One trunk: who the peer is, how it wants to be spoken to, and how much it takes.
//!
//! A [`Profile`] is made from a [`crate::ProfileSource`] and cannot be wrong: every value was checked, every default of
//! its kind filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use routing::{Provider, TrunkId, TrunkRef};
use schemars::JsonSchema;
use serde::Deserialize;
use sip::sdp::{Capabilities, Codec, OpusParameters, Srtp, Suite};
use sip::{Credentials, Host, InboundCredentials, Terms};

use crate::locate::{MOST_TARGETS, Name, Place};
use crate::numbers::NumberPlan;
use crate::tls::TlsSettings;

/// The dialect a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An operator's (or a customer's own) session border controller.
    Operator,
    /// The Microsoft PSTN gateway.
    Microsoft,
}

/// What carries SIP to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A stream.
    Tcp,
    /// A stream, encrypted.
    Tls,
}

impl Transport {
    /// RFC 3261 section 19.1.2: 5060, or 5061 over TLS.
    pub fn default_port(self) -> u16 {
        if self == Self::Tls { 5061 } else { 5060 }
    }

    /// As in a URI's transport parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// One address of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Where requests are sent.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// The name of the peer in Request-URI and To; without one its address is written.
    pub host: Option<Host>,
    /// When it is tried.
    pub turn: Turn,
}

/// When the peers of one entry of `peers` are tried, compared with the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The entry, counted from 0.
    pub entry: usize,
    /// Lower comes first.
    pub priority: u16,
    /// The share of the calls among entries of one priority.
    pub weight: u16,
}

/// One entry of `peers`, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// By its address.
    Address(Peer),
    /// By a name, which the DNS turns into addresses (RFC 3263).
    Name {
        /// What to look for.
        name: Name,
        /// The name of the peer in Request-URI and To, and in its certificate; without one `name.host`.
        host: Option<Host>,
        /// When its places are tried.
        turn: Turn,
    },
}

/// As it is written: `203.0.113.10:5060`, `sbc.example.net`.
impl fmt::Display for Listed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(peer) => peer.address.fmt(out),
            Self::Name { name, .. } => name.fmt(out),
        }
    }
}

impl Listed {
    /// Over what it is reached; `None` while the DNS decides.
    pub fn transport(&self) -> Option<Transport> {
        match self {
            Self::Address(peer) => Some(peer.transport),
            Self::Name { name, .. } => name.transport,
        }
    }

    /// What it is called: its `host`, else what is written for its address.
    pub fn called(&self) -> String {
        match self {
            Self::Address(Peer { host: Some(host), .. }) | Self::Name { host: Some(host), .. } => {
                host.to_string().to_ascii_lowercase()
            }
            Self::Address(peer) => peer.address.ip().to_canonical().to_string(),
            Self::Name { name, .. } => name.host.clone(),
        }
    }
}

/// Where a trunk's media comes to, when it is not the address of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaAddress {
    /// The sockets are bound there.
    pub bind: IpAddr,
    /// SDP says this.
    pub told: IpAddr,
}

/// From where a leg's media is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaSource {
    /// Only from the address and port of the peer's SDP.
    #[default]
    Exact,
    /// From the address of the peer's SDP, any port.
    SameIp,
    /// Learned once from the first packets (RFC 4961 for peers behind NAT), then fixed.
    Symmetric,
}

/// Which header names the bridge number that was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CalledFrom {
    /// The Request-URI, and To when the Request-URI carries no number.
    #[default]
    RequestUri,
    /// The To header, and the Request-URI when To carries no number.
    To,
    /// The number first diverted from (the last Diversion entry, RFC 5806), else as `request-uri`.
    Diversion,
    /// The number first called (the first History-Info entry, RFC 7044), else as `request-uri`.
    HistoryInfo,
}

/// How Opus is spoken with a peer that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpusSettings {
    /// Bit rate of what we send and ask for, in bit/s, 6000 to 128000.
    pub bitrate: u32,
    /// How hard the encoder tries, 0 to 10.
    pub complexity: u8,
    /// In-band forward error correction, where the peer uses it.
    pub fec: bool,
    /// Send nothing for silence, where the peer wants that.
    pub dtx: bool,
    /// The highest sampling rate, in Hz: 8000, 16000 or 48000.
    pub max_rate: u32,
}

impl Default for OpusSettings {
    /// Full-band speech (RFC 7587 section 3.1.1 recommends 28 to 40 kbit/s) with protection against loss.
    fn default() -> Self {
        Self { bitrate: 40_000, complexity: 6, fec: true, dtx: false, max_rate: 48_000 }
    }
}

/// What we register at a trunk (RFC 3261 section 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The user part of the address that is registered, and of our Contact.
    pub username: String,
    /// The domain of that address, and of the Request-URI.
    pub domain: Host,
    /// For how many seconds we ask.
    pub expires: u32,
}

/// The OPTIONS keep-alive of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `SendSipOptions`: whether we ping at all.
    pub send: bool,
    /// Time between two pings of one peer.
    pub interval: Duration,
    /// The answers that mean "healthy".
    pub accepted: AcceptedCodes,
    /// User part of From in OPTIONS, for peers that want one.
    pub user: Option<String>,
}

/// A set of final status codes: single codes and whole classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedCodes(pub(crate) Vec<RangeInclusive<u16>>);

impl AcceptedCodes {
    /// Whether this answer is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// A trunk, complete and checked. Times are durations, numbers are what the peer agreed to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the configuration")]
pub struct Profile {
    /// Its name everywhere: configuration, metrics, log, routing table.
    pub id: TrunkId,
    /// The dialect.
    pub kind: Kind,
    /// Who stands behind it.
    pub provider: Provider,
    /// `false` drains: running legs stay, new ones are refused.
    pub enabled: bool,
    /// Our name towards this peer, in Contact and From; our address when absent.
    pub fqdn: Option<Host>,
    /// Where our requests go, in order of preference, as written; at least one.
    pub listed: Vec<Listed>,
    /// The same as addresses. Names contribute what the DNS said last ([`Profile::settle`]), at first nothing.
    pub peers: Vec<Peer>,
    /// `sources` was left out: they are the addresses of `peers`.
    pub sources_are_peers: bool,
    /// The networks its requests come from.
    pub sources: Vec<IpNet>,
    /// Names of its TLS certificates, lower case; `*.` stands for one label. A TLS connection without one of these names is
    /// not this trunk.
    pub tls_names: Vec<String>,
    /// Certificates towards this trunk, and what is expected of its own.
    pub tls: TlsSettings,
    /// Audio codecs, in order of preference; at least one.
    pub codecs: Vec<Codec>,
    /// How Opus is spoken, where it is one of them.
    pub opus: OpusSettings,
    /// Whether audio levels are exchanged in RTP header extensions (RFC 6464).
    pub audio_level: bool,
    /// Whether media is encrypted, with keys in SDP (RFC 4568).
    pub srtp: Srtp,
    /// The suites of SRTP, in order of preference; at least one.
    pub srtp_suites: Vec<Suite>,
    /// Whether the keys we write have base64's padding.
    pub srtp_pad_keys: bool,
    /// Where its media comes to; `None`: where that of all others does.
    pub media_address: Option<MediaAddress>,
    /// From where media is accepted.
    pub media_source: MediaSource,
    /// How it writes numbers.
    pub numbers: NumberPlan,
    /// Which header names the called number.
    pub called_from: CalledFrom,
    /// Whether its P-Asserted-Identity is believed (RFC 3325 section 5: only inside the trust domain).
    pub trust_pai: bool,
    /// `ForwardPai`: whether we assert the caller ID to it in P-Asserted-Identity.
    pub forward_pai: bool,
    /// Whether numbers in our URIs carry `;user=phone`.
    pub user_phone: bool,
    /// The domain of From and P-Asserted-Identity when it is not our own name.
    pub from_domain: Option<Host>,
    /// The keep-alive.
    pub options: Options,
    /// `FailoverResponseCodes`: final answers after which the next peer or trunk is tried.
    pub failover_response_codes: BTreeSet<u16>,
    /// `FailoverTimeSeconds`: how long to wait for the first 101 to 199.
    pub failover_time: Duration,
    /// How long to wait for the first response of any kind.
    pub first_response_within: Duration,
    /// How long it may ring.
    pub ring_for: Duration,
    /// How its dialogs are kept: session timers, reliable provisional responses.
    pub terms: Terms,
    /// `MaxConcurrentSessions`: channels, both directions together; `None` is no limit.
    pub max_concurrent_sessions: Option<u32>,
    /// New legs per second, both directions together; `None` is no limit.
    pub calls_per_second: Option<u32>,
    /// What is registered there; `None`: nothing.
    pub registration: Option<Registration>,
    /// Digest credentials for our requests.
    pub credentials: Option<Credentials>,
    /// What its calls must prove that they know (digest); `None` asks for nothing.
    pub inbound_credentials: Option<InboundCredentials>,
}

/// Addresses of one trunk; what the DNS says beyond that is left out.
const MOST_PEERS: usize = 64;

impl Profile {
    /// Takes what the DNS says about its names. A name that is not in `places` has no address.
    pub fn settle(&mut self, places: &BTreeMap<Name, Vec<Place>>) {
        self.peers.clear();
        for listed in &self.listed {
            match listed {
                Listed::Address(peer) => self.peers.push(peer.clone()),
                Listed::Name { name, host, turn } => {
                    let host = host.clone().or_else(|| Host::parse(&name.host).ok());
                    let found = places.get(name).into_iter().flatten();
                    self.peers.extend(found.map(|place| Peer {
                        address: place.address,
                        transport: place.transport,
                        host: host.clone(),
                        turn: *turn,
                    }));
                }
            }
        }
        let mut seen = BTreeSet::new();
        self.peers.retain(|peer| seen.insert((peer.address, peer.transport)));
        self.peers.truncate(MOST_PEERS);
        if self.sources_are_peers {
            self.sources = self.peers.iter().map(|peer| IpNet::from(peer.address.ip())).collect();
            self.sources.sort();
            self.sources.dedup();
        }
    }

    /// The most addresses that it may ever have, whatever the DNS says.
    pub fn most_peers(&self) -> usize {
        let named = self.names().count();
        (self.listed.len() - named + named * MOST_TARGETS).min(MOST_PEERS)
    }

    /// The names among its peers.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.listed.iter().filter_map(|listed| match listed {
            Listed::Name { name, .. } => Some(name),
            Listed::Address(_) => None,
        })
    }

    /// What the routing table needs to know of it.
    pub fn trunk_ref(&self) -> TrunkRef {
        TrunkRef { id: self.id.clone(), provider: self.provider.clone() }
    }

    /// What is offered to and accepted from this peer in SDP: its codecs, keys by telephone-event (RFC 4733), 20 ms.
    pub fn capabilities(&self) -> Capabilities {
        let opus = OpusParameters {
            max_playback_rate: self.opus.max_rate,
            max_capture_rate: self.opus.max_rate,
            max_average_bitrate: Some(self.opus.bitrate),
            in_band_fec: self.opus.fec,
            dtx: self.opus.dtx,
            ..OpusParameters::default()
        };
        Capabilities {
            codecs: self.codecs.clone(),
            opus,
            audio_level: self.audio_level,
            srtp: self.srtp,
            suites: self.srtp_suites.clone(),
            pad_keys: self.srtp_pad_keys,
            ..Capabilities::default()
        }
    }
}
