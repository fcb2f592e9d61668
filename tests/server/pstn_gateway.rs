//! A Microsoft-like PSTN gateway over TLS: everything that it gets goes through the checklist, and its telephones speak SRTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tests::gateway::Pairing;
use tests::pki::{Authority, Issued};
use tests::srtp::{Keyed, Security, Suite};
use tests::{Codec, Sound, ear::Ear, mouth::Mouth, sdp};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::bridge::House;
use super::raw::answer_with;
use super::secured::{OUR_NAME, paired_house};
use super::tls_line::{Line, Sbc, client};

/// The number of the bridge that Microsoft provides.
pub(crate) const NUMBER: &str = "+14255550100";
/// Sam's meeting, whose dial-out goes through Microsoft.
pub(crate) const MEETING: &str = "205117394";
/// The three places of the gateway, in their order.
pub(crate) const PLACES: [&str; 3] = ["sip.pstn.example", "sip2.pstn.example", "sip3.pstn.example"];
/// The last header of what Microsoft's INVITE has besides.
const X_MS: &str =
    "X-MS-SBC: test/v.1.0\r\nX-MS-TenantID: 8d0d6a5e-6d3f-4bb4-8f8e-3c9d0a1b2c3d\r\nX-MS-FMC: MO\r\n";

/// A bridge whose trunk is the gateway, at these addresses in the order of [`PLACES`].
pub(crate) async fn house(authority: &Authority, peers: &[SocketAddr], lines: &str) -> House {
    let peers: Vec<String> = peers
        .iter()
        .zip(PLACES)
        .map(|(address, host)| format!("{{ address = \"{address}\", host = \"{host}\" }}"))
        .collect();
    paired_house(authority, &peers.join(", "), lines).await
}

/// What the gateway knows of the bridge of this house.
pub(crate) fn pairing(house: &House) -> Pairing<'static> {
    Pairing {
        name: OUR_NAME,
        port: house.tls.port(),
        transport: "tls",
        refer: false,
        srtp: true,
        inactive_only: true,
    }
}

/// One of the gateway's places, waiting for the bridge to connect.
pub(crate) struct Place {
    sbc: Sbc,
}

impl Place {
    pub(crate) async fn open(authority: &Authority, name: &str) -> Self {
        Self { sbc: Sbc::open(authority, &authority.issue_for(name)).await }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sbc.address()
    }

    /// The bridge connects: with a certificate that names it, asking for this place.
    pub(crate) async fn accept(&self, name: &str, pairing: Pairing<'static>) -> Strict {
        let (line, asked_for) = self.sbc.accept().await.expect("a handshake");
        assert_eq!(asked_for.as_deref(), Some(name));
        let certificate = line.certificate();
        let named = certificate.windows(pairing.name.len()).any(|part| part == pairing.name.as_bytes());
        assert!(named, "the bridge's certificate does not carry the name in its Contact");
        Strict { line, pairing }
    }
}

/// A connection of the gateway on which nothing that is forbidden is forgiven.
pub(crate) struct Strict {
    pub(crate) line: Line,
    pairing: Pairing<'static>,
}

impl Strict {
    /// The gateway connects to the bridge as one of its places.
    pub(crate) async fn open(house: &House, authority: &Authority, own: &Issued) -> Self {
        let line = Line::open(house.tls, client(authority, Some(own))).await.expect("a handshake");
        Self { line, pairing: pairing(house) }
    }

    /// The same of a gateway that knows that the bridge takes REFER.
    pub(crate) async fn open_as_referring(house: &House, authority: &Authority, own: &Issued) -> Self {
        let mut gate = Self::open(house, authority, own).await;
        gate.pairing.refer = true;
        gate
    }

    /// The next message, whatever it is.
    pub(crate) async fn any(&mut self) -> String {
        let message = self.line.message().await.expect("a message from the bridge");
        let wrong = self.pairing.complaints(&message);
        assert!(wrong.is_empty(), "the gateway refuses: {wrong:#?}\n{message}");
        message
    }

    /// The next message that begins so; OPTIONS in between are answered, 100 Trying is passed over.
    pub(crate) async fn next(&mut self, begin: &str) -> String {
        loop {
            let message = self.any().await;
            if message.starts_with(begin) {
                return message;
            }
            if message.starts_with("OPTIONS ") {
                self.answer(&message, "200 OK", "", "").await;
                continue;
            }
            assert!(message.starts_with("SIP/2.0 100"), "{begin} was expected, not\n{message}");
        }
    }

    /// Answers a request of the bridge's, with a Contact and a tag of the gateway's; `more` are further header lines.
    pub(crate) async fn answer(&mut self, request: &str, status: &str, more: &str, body: &str) {
        let contact =
            format!("Contact: <sip:{}:{};transport=tls;x-i=1f2e>\r\n", PLACES[0], self.line.own.port());
        let text = answer_with(request, status, "gateway", &format!("{contact}{more}"), body);
        self.line.send(&text).await;
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.line.send(text).await;
    }
}

/// An INVITE of the gateway's, as its documentation and its traces show it.
pub(crate) fn invite(house: &House, own: SocketAddr, call_id: &str, more: &str, body: &str) -> String {
    let (place, tls) = (PLACES[0], house.tls.port());
    format!(
        "INVITE sip:{NUMBER}@{OUR_NAME}:{tls};user=phone;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bK{call_id}1\r\n\
         Record-Route: <sip:{place}:5061;transport=tls;lr>\r\nMax-Forwards: 68\r\n\
         From: <sip:+17168712781@{place};user=phone>;tag=ms\r\nTo: <sip:{NUMBER}@{OUR_NAME}:{tls};user=phone>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:api-du-a.{place}:443;x-i=1b2c;x-c=4f3d>\r\n\
         Allow: INVITE,ACK,CANCEL,BYE,UPDATE,NOTIFY,INFO,OPTIONS,MESSAGE\r\nSupported: timer,histinfo,replaces\r\n\
         Session-Expires: 1800\r\nMin-SE: 90\r\n{more}{X_MS}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The dialog of an INVITE of the gateway's that was answered.
pub(crate) struct Dialog {
    call_id: String,
    from: String,
    to: String,
    target: String,
    cseq: u32,
}

impl Dialog {
    pub(crate) fn of(answer: &str) -> Self {
        let header = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().to_owned()
        };
        let contact = header("Contact:");
        let target = contact.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
        Self { call_id: header("Call-ID:"), from: header("From:"), to: header("To:"), target, cseq: 1 }
    }

    /// The same from the side of the one who was called by the bridge.
    pub(crate) fn called(invite: &str) -> Self {
        let dialog = Self::of(invite);
        Self { from: format!("{};tag=gateway", dialog.to), to: dialog.from, cseq: 100, ..dialog }
    }

    /// A request in it.
    pub(crate) fn request(&mut self, method: &str, more: &str, body: &str, own: SocketAddr) -> String {
        if method != "ACK" {
            self.cseq += 1;
        }
        let Self { call_id, from, to, target, cseq } = self;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bK{call_id}{method}{cseq}\r\nMax-Forwards: 68\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:api-du-a.{}:443;x-i=1b2c>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
            PLACES[0],
            body.len()
        )
    }
}

/// A telephone behind the gateway: SRTP over a UDP socket.
pub(crate) struct Phone {
    inner: Arc<Mutex<Inner>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Inner {
    mouth: Mouth,
    ear: Ear,
    security: Security,
    keyed: Option<Keyed>,
    remote: Option<SocketAddr>,
    began: Instant,
    version: u32,
}

impl Phone {
    /// A telephone that says a tone.
    pub(crate) async fn open(tone: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("its address");
        let mut mouth = Mouth::new(tone, Sound::Tone(tone));
        mouth.codec = Codec::Mu;
        let inner = Inner {
            mouth,
            ear: Ear::default(),
            security: Security::mandatory(&[Suite::Cm80]),
            keyed: None,
            remote: None,
            began: Instant::now(),
            version: 1,
        };
        let inner = Arc::new(Mutex::new(inner));
        let task = tokio::spawn(speak(socket, Arc::clone(&inner)));
        Self { inner, address, task }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its description: what the gateway offers, with codecs that we do not have and with two keys; or its answer.
    pub(crate) fn sdp(&self, direction: &str) -> String {
        let mut inner = self.lock();
        let version = inner.version;
        inner.version += 1;
        let mut lines: Vec<String> =
            inner.security.lines().iter().map(|line| format!("{line}|2^31")).collect();
        let answers = inner.security.answers.is_some();
        if !answers {
            let other =
                "a=crypto:0 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^31";
            lines.insert(0, other.to_owned());
            lines.extend(
                ["a=rtpmap:104 SILK/16000", "a=rtpmap:103 SILK/8000", "a=rtpmap:13 CN/8000"]
                    .map(str::to_owned),
            );
            lines.push(format!("a=rtcp:{}", self.address.port()));
            lines.push("a=rtcp-mux".to_owned());
        }
        let text = sdp::Description {
            rtp: self.address,
            protocol: "RTP/SAVP",
            codecs: &[Codec::Mu, Codec::A],
            event_type: 101,
            opus: "",
            ptime: 20,
            lines: &lines,
            direction,
            version,
        }
        .write();
        if answers { text } else { text.replace("RTP/SAVP 0 8 101", "RTP/SAVP 104 103 0 8 13 101") }
    }

    /// Takes what the bridge says; the keys that are meant are found in it.
    pub(crate) fn agree(&self, message: &str) {
        let (_, body) = message.split_once("\r\n\r\n").expect("a body");
        let heard = sdp::read(body.as_bytes()).expect("a description");
        let offered = message.starts_with("INVITE ");
        let mut inner = self.lock();
        if offered {
            inner.security.choose(&heard.crypto);
        }
        let line = heard.crypto.first().expect("a key");
        let keyed = Keyed::agree(inner.keyed.take(), &inner.security, line);
        inner.keyed = Some(keyed);
        inner.remote = Some(heard.rtp);
    }

    /// Other keys from the next description on.
    pub(crate) fn renew(&self) {
        self.lock().security.generation += 1;
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        self.lock().mouth.press(keys);
    }

    /// Says nothing, or goes on.
    pub(crate) fn say(&self, sound: Sound) {
        self.lock().mouth.sound = sound;
    }

    /// How loud a tone was during the last half second.
    pub(crate) fn hears(&self, tone: u32) -> f64 {
        let inner = self.lock();
        let now = inner.began.elapsed();
        inner.ear.level(tone, &(now.saturating_sub(Duration::from_millis(500))..now))
    }

    /// Whether anything with sound in it has come.
    pub(crate) fn has_heard(&self) -> bool {
        self.lock().ear.first_sound().is_some()
    }

    /// Packets that were not authentic, and keys of the bridge's so far.
    pub(crate) fn rejected_and_keys(&self) -> (u64, usize) {
        let inner = self.lock();
        inner.keyed.as_ref().map_or((0, 0), |keyed| (keyed.rejected, keyed.bridge_keys))
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn speak(socket: UdpSocket, inner: Arc<Mutex<Inner>>) {
    let mut beat = interval(Duration::from_millis(20));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut buffer = [0; 2048];
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let (packets, to) = {
                    let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(to) = inner.remote else { continue };
                    let plain = inner.mouth.beat();
                    let Some(keyed) = inner.keyed.as_mut() else { continue };
                    (plain.iter().map(|packet| keyed.seal(packet)).collect::<Vec<_>>(), to)
                };
                for packet in packets {
                    let _ = socket.send_to(&packet, to).await;
                }
            }
            received = socket.recv(&mut buffer) => {
                let Ok(length) = received else { continue };
                let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
                let at = inner.began.elapsed();
                // With rtcp-mux, reports come to the same port: payload types 72 to 76 with the marker are none of audio's.
                let is_report = (192..=223).contains(&buffer[1]);
                let opened = match inner.keyed.as_mut() {
                    Some(keyed) if is_report => keyed.open_rtcp(&buffer[..length]).map(|_| None),
                    Some(keyed) => keyed.open(&buffer[..length]).map(Some),
                    None => None,
                };
                if let Some(Some(plain)) = opened {
                    inner.ear.take_rtp(at, &plain);
                }
            }
        }
    }
}
