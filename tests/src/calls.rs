//! Phones: each is one dialog of a site's endpoint with a mouth and an ear.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sip::{Body, End, Event, Flow, InviteId, Message, NameAddr, OutgoingInvite, Terms, Transport, Uri};

use crate::codec::Codec;
use crate::ear::Ear;
use crate::fixture::BRIDGE;
use crate::mouth::{Mouth, Sound};
use crate::people::{Callee, SiteId};
use crate::sdp;
use crate::srtp::{Keyed, Security};
use crate::world::World;

/// One phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneId(pub usize);

/// What becomes of a phone's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The INVITE is out, or has come and is not answered.
    Calling,
    /// It rings.
    Ringing,
    /// Answered.
    Up,
    /// Over before it was answered.
    Failed {
        /// The final status.
        status: u16,
        /// The reason phrase and the Reason header.
        reason: String,
    },
    /// Over after it was answered.
    Over {
        /// Whether the bridge sent the BYE.
        by_bridge: bool,
        /// The Reason header of the bridge's BYE.
        reason: String,
    },
}

/// How somebody calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where.
    pub site: SiteId,
    /// Which number.
    pub number: String,
    /// What he says.
    pub sound: Sound,
    /// The codecs he offers.
    pub codecs: Vec<Codec>,
    /// What he wants of Opus, as in fmtp.
    pub opus: &'static str,
    /// Milliseconds in his packets, and in those that he wants: 20, 40 or 60.
    pub ptime: u32,
    /// How he encrypts, if he does.
    pub security: Option<Security>,
    /// INVITE without SDP: the bridge offers, the ACK answers.
    pub late_offer: bool,
    /// The number he shows; one of his own if `None`.
    pub from: Option<String>,
    /// Nobody listens to what he hears.
    pub deaf: bool,
    /// Over TCP.
    pub tcp: bool,
    /// Session timers, PRACK.
    pub terms: Terms,
}

impl Caller {
    /// Calls a number from a site and says nothing, in packets.
    pub fn to(site: SiteId, number: &str) -> Self {
        Self {
            site,
            number: number.to_owned(),
            sound: Sound::Silence,
            codecs: vec![Codec::A, Codec::Mu],
            opus: "",
            ptime: 20,
            security: None,
            late_offer: false,
            from: None,
            deaf: false,
            tcp: false,
            terms: Terms::default(),
        }
    }

    /// The same with a tone.
    #[must_use]
    pub fn tone(self, frequency: u32) -> Self {
        Self { sound: Sound::Tone(frequency), ..self }
    }
}

/// One phone.
pub struct Phone {
    /// Its site.
    pub site: SiteId,
    /// Its dialog.
    pub invite: InviteId,
    /// What becomes of its call.
    pub line: Line,
    /// Where it receives RTP.
    pub rtp: SocketAddr,
    /// Where it sends RTP.
    pub remote: Option<SocketAddr>,
    /// What it sends.
    pub mouth: Mouth,
    /// What it hears.
    pub ear: Ear,
    /// The bridge's descriptions, the latest last.
    pub heard: Vec<sdp::Heard>,
    /// The INVITE it was called with.
    pub request: Option<Arc<Message>>,
    /// The version of its own description.
    pub version: u32,
    /// When the call was answered.
    pub answered: Option<Duration>,
    /// The codecs it offers.
    pub codecs: Vec<Codec>,
    /// What it wants of Opus, as in fmtp.
    pub opus: &'static str,
    /// Milliseconds in the packets that it wants.
    pub ptime: u32,
    /// How it encrypts, if it does.
    pub security: Option<Security>,
    /// The keys in use.
    pub keyed: Option<Keyed>,
}

impl Phone {
    /// Whether its call is over, one way or the other.
    pub fn is_over(&self) -> bool {
        matches!(self.line, Line::Failed { .. } | Line::Over { .. })
    }

    /// Its description.
    pub fn sdp(&self, direction: &str) -> String {
        sdp::Description {
            rtp: self.rtp,
            protocol: self.security.as_ref().map_or("RTP/AVP", Security::protocol),
            codecs: &self.codecs,
            event_type: 101,
            opus: self.opus,
            ptime: self.ptime,
            lines: &self.security.as_ref().map(Security::lines).unwrap_or_default(),
            direction,
            version: self.version,
        }
        .write()
    }

    fn agree(&mut self, text: &[u8]) {
        let heard = sdp::read(text).expect("the bridge writes SDP that a phone can read");
        self.remote = Some(heard.rtp);
        if let Some(codec) = heard.codecs.iter().find(|codec| self.codecs.contains(codec)) {
            self.mouth.codec = *codec;
        }
        if let Some(event_type) = heard.event_type {
            self.mouth.event_type = event_type;
        }
        let offered = self.request.is_some() || heard.crypto.len() > 1;
        if let (Some(security), true) = (&mut self.security, offered) {
            security.choose(&heard.crypto);
        }
        self.keyed = self.security.as_ref().and_then(|security| {
            let tag = security.answers.map(|(tag, _)| format!("{tag} "));
            let fits = |line: &&String| tag.as_ref().is_none_or(|tag| line.starts_with(tag.as_str()));
            let line = heard.crypto.iter().find(fits)?;
            Some(Keyed::agree(self.keyed.take(), security, line))
        });
        self.heard.push(heard);
    }
}

impl World {
    /// A phone.
    pub fn phone(&self, id: PhoneId) -> &Phone {
        &self.phones[id.0]
    }

    /// A phone, to change it.
    pub fn phone_mut(&mut self, id: PhoneId) -> &mut Phone {
        &mut self.phones[id.0]
    }

    /// Somebody calls.
    pub fn call(&mut self, caller: &Caller) -> PhoneId {
        let id = self.add_phone(caller.site, caller.sound);
        let phone = &mut self.phones[id.0];
        phone.codecs.clone_from(&caller.codecs);
        phone.opus = caller.opus;
        phone.ptime = caller.ptime;
        phone.mouth.frames = caller.ptime as usize / 20;
        phone.security.clone_from(&caller.security);
        phone.ear.deaf = caller.deaf;
        let body = (!caller.late_offer).then(|| Body::sdp(phone.sdp("sendrecv")));
        let (transport, connection) = if caller.tcp { (Transport::Tcp, 1) } else { (Transport::Udp, 0) };
        let now = self.instant();
        let site = &mut self.sites[caller.site.0];
        let from = caller.from.clone().unwrap_or_else(|| format!("+4930555{:04}", id.0));
        let flow = Flow { transport, local: site.address, remote: BRIDGE, connection };
        let uri = |text: String| Uri::parse(&text).expect("a URI of ours");
        let outgoing = OutgoingInvite {
            flow,
            request_uri: uri(format!("sip:{}@{BRIDGE}", caller.number)),
            from: NameAddr::new(uri(format!("sip:{from}@{}", site.address))),
            to: NameAddr::new(uri(format!("sip:{}@{BRIDGE}", caller.number))),
            contact: NameAddr::new(uri(format!("sip:p{}@{}", id.0, site.address))),
            extra: Vec::new(),
            body,
            credentials: None,
            first_response_within: Duration::from_secs(32),
            provisional_within: Duration::from_mins(5),
            ring_for: Duration::from_mins(5),
            terms: caller.terms,
        };
        let invite = site.endpoint.as_mut().expect("this site has an endpoint").invite(now, outgoing);
        site.calls.insert(invite, id);
        self.phones[id.0].invite = invite;
        if caller.late_offer {
            self.late.insert(id);
        }
        self.flush(caller.site);
        id
    }

    fn add_phone(&mut self, site: SiteId, sound: Sound) -> PhoneId {
        let id = PhoneId(self.phones.len());
        let ip = self.sites[site.0].address.ip();
        let rtp = SocketAddr::new(ip, 10_000 + 2 * id.0 as u16);
        self.phones.push(Phone {
            site,
            invite: InviteId(0),
            line: Line::Calling,
            rtp,
            remote: None,
            mouth: Mouth::new(self.seed() as u32 ^ (id.0 as u32 + 1), sound),
            ear: Ear::default(),
            heard: Vec::new(),
            request: None,
            version: 1,
            answered: None,
            codecs: vec![Codec::A, Codec::Mu],
            opus: "",
            ptime: 20,
            security: None,
            keyed: None,
        });
        self.by_rtp.insert(rtp, id);
        id
    }

    /// Keys, one after the other.
    pub fn press(&mut self, phone: PhoneId, keys: &str) {
        self.phones[phone.0].mouth.press(keys);
    }

    /// The person hangs up, in whatever state the call is.
    pub fn hang_up(&mut self, phone: PhoneId) {
        self.hang_up_saying(phone, "Q.850;cause=16");
    }

    /// The same, with these words as the Reason.
    pub fn hang_up_saying(&mut self, phone: PhoneId, reason: &str) {
        let (now, site, invite) = (self.instant(), self.phones[phone.0].site, self.phones[phone.0].invite);
        if let Some(endpoint) = &mut self.sites[site.0].endpoint {
            // It may have ended a moment ago.
            let _ = endpoint.hangup(now, invite, Some(reason));
        }
        self.flush(site);
    }

    /// The phone offers other media: `sendonly` holds, `sendrecv` resumes. `None` leaves the offer to the bridge. False
    /// when that cannot be now.
    pub fn reinvite(&mut self, phone: PhoneId, direction: Option<&str>) -> bool {
        let (now, id) = (self.instant(), phone);
        let phone = &mut self.phones[id.0];
        phone.version += 1;
        let text = direction.map(|direction| phone.sdp(direction)).unwrap_or_default();
        let (site, invite) = (phone.site, phone.invite);
        let endpoint = self.sites[site.0].endpoint.as_mut().expect("this site has an endpoint");
        let sent = endpoint.reinvite(now, invite, Body::sdp(text)).is_ok();
        self.flush(site);
        sent
    }

    /// The phone receives RTP elsewhere from now on, and still at the old port; tell the bridge with [`World::reinvite`].
    pub fn move_phone(&mut self, id: PhoneId, port: u16) {
        let phone = &mut self.phones[id.0];
        phone.rtp.set_port(port);
        self.by_rtp.insert(phone.rtp, id);
    }

    /// Hands over what a site's endpoint wants sent and has to tell.
    pub(crate) fn flush(&mut self, site: SiteId) {
        loop {
            let here = &mut self.sites[site.0];
            let Some(endpoint) = &mut here.endpoint else { return };
            if let Some(transmit) = endpoint.poll_transmit() {
                self.send_sip(
                    transmit.flow.transport,
                    transmit.flow.local,
                    transmit.flow.remote,
                    transmit.bytes,
                );
            } else if let Some(event) = endpoint.poll_event() {
                self.site_event(site, event);
            } else {
                return;
            }
        }
    }

    fn site_event(&mut self, site: SiteId, event: Event) {
        let at = self.elapsed();
        let phone_of = |world: &Self, id: &InviteId| world.sites[site.0].calls.get(id).copied();
        match event {
            Event::InviteReceived { id, request, offer, .. } => self.callee_called(site, id, request, offer),
            Event::Progress { id, .. } => {
                if let Some(phone) = phone_of(self, &id) {
                    self.phones[phone.0].line = Line::Ringing;
                }
            }
            Event::Answered { id, body, .. } => {
                let Some(id_of) = phone_of(self, &id) else { return };
                let phone = &mut self.phones[id_of.0];
                phone.line = Line::Up;
                phone.answered = Some(at);
                let offered = body.expect("the bridge's 200 has SDP");
                let late = self.late.remove(&id_of);
                phone.agree(&offered);
                let answer = late.then(|| Body::sdp(phone.sdp("sendrecv")));
                if let Some(answer) = answer {
                    let now = self.instant();
                    let endpoint = self.sites[site.0].endpoint.as_mut().expect("it told the event");
                    endpoint.acknowledge(now, id, Some(answer)).expect("the ACK is awaited");
                }
            }
            Event::Failed { id, failure } => {
                let header = failure.response.as_ref().and_then(|response| response.headers().get("Reason"));
                let reason = format!("{} {}", failure.reason, header.unwrap_or_default());
                self.over(site, id, Line::Failed { status: failure.status, reason });
            }
            Event::Ended { id, end } => {
                let line = match end {
                    End::Bye { reason } => Line::Over { by_bridge: true, reason: reason.unwrap_or_default() },
                    other => Line::Over { by_bridge: false, reason: format!("{other:?}") },
                };
                self.over(site, id, line);
            }
            Event::ReinviteAnswered { id, body } => {
                if let (Some(phone), Some(body)) = (phone_of(self, &id), body) {
                    self.phones[phone.0].agree(&body);
                }
            }
            Event::ReinviteFailed { status, .. } => self.note(format!("re-INVITE refused with {status}")),
            Event::Discarded { why, .. } => self.sites[site.0].discarded.push(why),
            Event::Established { .. }
            | Event::ReinviteReceived { .. }
            | Event::ReferReceived { .. }
            | Event::OptionsAnswered { .. }
            | Event::RegisterAnswered { .. } => {}
        }
    }

    fn over(&mut self, site: SiteId, id: InviteId, line: Line) {
        if let Some(phone) = self.sites[site.0].calls.remove(&id) {
            self.phones[phone.0].line = line;
            self.phones[phone.0].remote = None;
        }
    }

    fn callee_called(&mut self, site: SiteId, id: InviteId, request: Arc<Message>, offer: Option<Bytes>) {
        let phone = self.add_phone(site, Sound::Tone(1500));
        let user = request.uri().and_then(|uri| uri.user().map(|user| user.to_string())).unwrap_or_default();
        self.sites[site.0].calls.insert(id, phone);
        let here = &self.sites[site.0];
        let mut callee = here.callees.get(&user).unwrap_or(&here.callee).clone();
        if let Callee::Challenges(then) = callee {
            callee = if request.headers().get("Proxy-Authorization").is_some() {
                *then
            } else {
                let challenge =
                    "Digest realm=\"rhein\", nonce=\"n0nce\", algorithm=MD5, qop=\"auth\"".to_owned();
                let headers = vec![("Proxy-Authenticate".to_owned(), challenge)];
                Callee::Refuses { ring: false, after: Duration::from_millis(10), status: 407, headers }
            };
        }
        let entry = &mut self.phones[phone.0];
        entry.invite = id;
        entry.request = Some(request);
        entry.security.clone_from(&self.sites[site.0].security);
        entry.agree(&offer.expect("the bridge's INVITE has an offer"));
        entry.remote = None;
        self.callee_acts(phone, callee);
    }

    fn callee_acts(&mut self, phone: PhoneId, callee: Callee) {
        match callee {
            Callee::Answers { ring, after } => {
                if ring {
                    self.ring(phone, 180, false);
                }
                self.after(after, move |world| world.pick_up(phone, true));
            }
            Callee::AnswersEarly { after } => {
                self.ring(phone, 183, true);
                self.after(after, move |world| world.pick_up(phone, false));
            }
            Callee::PlaysRingback { tone, after } => {
                self.ring(phone, 183, true);
                let entry = &mut self.phones[phone.0];
                let sound = std::mem::replace(&mut entry.mouth.sound, Sound::Tone(tone));
                entry.remote = entry.heard.last().map(|heard| heard.rtp);
                self.after(after, move |world| {
                    world.phones[phone.0].mouth.sound = sound;
                    world.pick_up(phone, true);
                });
            }
            Callee::Refuses { ring, after, status, headers } => {
                if ring {
                    self.ring(phone, 180, false);
                }
                self.after(after, move |world| world.decline(phone, status, &headers));
            }
            Callee::Rings => self.ring(phone, 180, false),
            Callee::TryingOnly | Callee::Challenges(_) => {}
        }
    }

    fn ring(&mut self, id: PhoneId, status: u16, early_media: bool) {
        let now = self.instant();
        let phone = &mut self.phones[id.0];
        phone.line = Line::Ringing;
        let body = early_media.then(|| Body::sdp(phone.sdp("sendrecv")));
        let (site, invite) = (phone.site, phone.invite);
        if let Some(endpoint) = &mut self.sites[site.0].endpoint {
            let _ = endpoint.progress(now, invite, status, body);
        }
        self.flush(site);
    }

    /// The called person picks up; `with_sdp` is false where a 183 has answered the offer.
    pub fn pick_up(&mut self, id: PhoneId, with_sdp: bool) {
        let (now, at) = (self.instant(), self.elapsed());
        let phone = &mut self.phones[id.0];
        let body = if with_sdp {
            Body::sdp(phone.sdp("sendrecv"))
        } else {
            Body { content_type: String::new(), bytes: Bytes::new() }
        };
        let (site, invite) = (phone.site, phone.invite);
        let endpoint = self.sites[site.0].endpoint.as_mut().expect("the callee's site has an endpoint");
        // The bridge may have given up.
        if endpoint.accept(now, invite, body, &[]).is_ok() {
            phone.line = Line::Up;
            phone.answered = Some(at);
            phone.remote = phone.heard.last().map(|heard| heard.rtp);
        }
        self.flush(site);
    }

    fn decline(&mut self, id: PhoneId, status: u16, headers: &[(String, String)]) {
        let now = self.instant();
        let (site, invite) = (self.phones[id.0].site, self.phones[id.0].invite);
        let endpoint = self.sites[site.0].endpoint.as_mut().expect("the callee's site has an endpoint");
        let _ = endpoint.reject(now, invite, status, None, headers);
        self.flush(site);
    }
}
