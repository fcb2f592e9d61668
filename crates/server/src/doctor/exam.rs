//! The questions, in the order in which one depends on the other.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use sip::{Event, FailureKind, Message, OutgoingOptions};
use trunk::{Kind, Listed, Peer, Profile, Transport};

use super::line::Heard;
use super::report::Report;
use super::{Line, Options, answer, call, certificate, places};
use crate::config::{Config, sip_transport};

/// An answer to OPTIONS must come within this time, as for the keep-alive.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// One exam.
pub(super) struct Exam<'a> {
    pub(super) config: &'a Config,
    pub(super) profile: &'a Profile,
    pub(super) options: &'a Options,
    pub(super) line: Line,
    pub(super) report: Report,
    /// A peer that answered.
    good: Option<Peer>,
}

impl<'a> Exam<'a> {
    pub(super) fn new(config: &'a Config, profile: &'a Profile, options: &'a Options, line: Line) -> Self {
        let report = Report::new(profile.id.as_str());
        Self { config, profile, options, line, report, good: None }
    }

    /// Asks everything.
    pub(super) async fn whole(mut self) -> Report {
        self.configuration();
        for listed in &self.profile.listed {
            self.name(listed).await;
        }
        for peer in self.profile.peers.clone() {
            self.addresses(&peer).await;
        }
        let media = &self.config.media;
        self.report.judge("RTP ports", places::bindable(media.address, media.ports));
        certificate::ours(&mut self);
        for peer in self.profile.peers.clone() {
            if peer.transport == Transport::Tls {
                certificate::theirs(&mut self, &peer).await;
            }
            self.ask(&peer).await;
        }
        self.asked().await;
        match self.options.call.clone() {
            Some(number) => match self.good.take() {
                Some(peer) => call::place(&mut self, &peer, &number).await,
                None => self.report.skip("test call", "no peer answered OPTIONS"),
            },
            None => self.report.skip("test call", "not asked for: --call NUMBER"),
        }
        self.report
    }

    fn configuration(&mut self) {
        if !self.profile.enabled {
            let why = "enabled = false: this trunk is drained, running legs stay and new ones are refused";
            return self.report.fail("configuration", why, "enabled = true, unless that is meant");
        }
        if self.profile.kind == Kind::Microsoft && self.profile.fqdn.is_none() {
            let why = "no fqdn: our Contact is an address, which Microsoft answers with 403";
            return self.report.fail("configuration", why, "fqdn: the name that the gateway is paired with");
        }
        self.report.pass("configuration", "the file is good and the trunk is enabled");
    }

    /// A name leads somewhere: to peers, or to the address that is configured beside it.
    async fn name(&mut self, listed: &Listed) {
        let called = listed.called();
        let check = format!("name {called}");
        let peer = match listed {
            Listed::Name { .. } => return self.located(&check, &called),
            Listed::Address(peer) => peer,
        };
        let Some(host) = peer.host.as_ref().filter(|host| host.ip().is_none()) else {
            return self.report.skip(&check, "the peer is configured by its address alone");
        };
        let ip = peer.address.ip().to_canonical();
        let judged = match places::resolve(host).await {
            Ok(found) if found.contains(&ip) => Ok(format!("{host} is {}", listed_ips(&found))),
            Ok(found) => Err((
                format!("{host} is {}, and not {ip}", listed_ips(&found)),
                "peers: the address that the name has, and sources: all that it has".to_owned(),
            )),
            Err(why) => {
                // Its address is configured, so nothing is looked up for a call.
                return self.report.skip(&check, format!("{host}: {why}; calls go to {ip} all the same"));
            }
        };
        self.report.judge(&check, judged);
    }

    /// What the DNS said of a peer that is configured by its name (RFC 3263).
    fn located(&mut self, check: &str, called: &str) {
        let is_its = |peer: &&Peer| {
            peer.host.as_ref().is_some_and(|known| known.to_string().eq_ignore_ascii_case(called))
        };
        let found: Vec<String> = self
            .profile
            .peers
            .iter()
            .filter(is_its)
            .map(|peer| format!("{}:{}", peer.transport.as_str(), peer.address))
            .collect();
        if found.is_empty() {
            let change = "the name in peers, its NAPTR, SRV or address records, or sip.dns; and sip.listen: a listener of \
                          the transport and family that it has";
            return self.report.fail(check, "the DNS leads to no address that we can use", change);
        }
        self.report.pass(check, found.join(", "));
    }

    /// What we tell the peer of ourselves can be reached from there.
    async fn addresses(&mut self, peer: &Peer) {
        let check = format!("our SIP address for {}", peer.address.ip());
        let flow = match self.line.flow_to(sip_transport(peer.transport), peer.address) {
            Ok(flow) => flow,
            Err(why) => return self.report.fail(&check, why, "sip.listen: an entry for it"),
        };
        let contact = self.line.contact(&flow);
        let (host, key) = match &self.profile.fqdn {
            Some(name) => (name.clone(), format!("the DNS record of {name}")),
            None if self.config.advertise.is_some() => (contact.host, "sip.advertise".to_owned()),
            None => (contact.host, "sip.listen or sip.advertise".to_owned()),
        };
        let judged = match places::resolve(&host).await {
            Ok(found) => {
                let all = found.iter().map(|ip| places::reachable(*ip, peer.address.ip(), &key));
                // One that can be reached is enough: a name may have addresses of both families.
                all.reduce(Result::or).unwrap_or_else(|| Err(("no address".to_owned(), key)))
            }
            Err(why) => Err((format!("{host}: {why}"), format!("{key}: a name that can be resolved"))),
        };
        self.report.judge(&check, judged);
        let check = format!("our RTP address for {}", peer.address.ip());
        let judged = places::reachable(self.config.media.advertise, peer.address.ip(), "media.advertise");
        self.report.judge(&check, judged);
    }

    /// OPTIONS from us to them, and what the answer says.
    async fn ask(&mut self, peer: &Peer) {
        let check = format!("OPTIONS to {}:{}", peer.transport.as_str(), peer.address);
        let Ok(flow) = self.line.flow_to(sip_transport(peer.transport), peer.address) else {
            return self.report.skip(&check, "there is no listener for it");
        };
        let shaped = trunk::shape_options(self.profile, peer, &self.line.contact(&flow));
        let outgoing = OutgoingOptions {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            terms: self.profile.terms,
        };
        let asked = self.line.endpoint().options(Instant::now(), outgoing);
        let until = Instant::now() + ANSWER_WITHIN;
        let (outcome, rtt) = loop {
            match self.line.next(until).await {
                Some(Event::OptionsAnswered { id, outcome, rtt }) if id == asked => {
                    break (Some(outcome), rtt);
                }
                Some(_) => {}
                None => break (None, ANSWER_WITHIN),
            }
        };
        let took = format!("after {:.1} ms", rtt.as_secs_f64() * 1000.0);
        match outcome {
            Some(Ok(status)) if self.profile.options.accepted.contains(status) => {
                self.good.get_or_insert_with(|| peer.clone());
                self.report.pass(&check, format!("answered {status} {took}"));
            }
            Some(Ok(status)) => {
                let change = advice(status, flow.local);
                self.report.fail(&check, format!("answered {status} {took}"), change);
            }
            Some(Err(failure)) if failure.kind == FailureKind::Transport => {
                let change = "the peer's address and port, a firewall, and for TLS the certificates";
                self.report.fail(&check, format!("cannot be sent: {}", failure.reason), change);
            }
            _ => {
                let why =
                    format!("no answer within {} s, asked from {}", ANSWER_WITHIN.as_secs(), flow.local);
                let change = "the peer's address and port, a firewall, and whether it answers an address it knows only";
                self.report.fail(&check, why, change);
            }
        }
        let is_answer = |heard: &&Heard| {
            let options = heard.message.cseq().is_some_and(|cseq| cseq.method.as_str() == "OPTIONS");
            let last = heard.message.status().is_some_and(sip::StatusCode::is_final);
            heard.flow.remote == peer.address && options && last
        };
        let answer = self.line.heard().rev().find(is_answer).map(|heard| heard.message.clone());
        if let Some(answer) = answer {
            self.look_at(&answer, peer);
        }
    }

    fn look_at(&mut self, answer: &Message, peer: &Peer) {
        let named = |what: &str| format!("{what} of {}", peer.address.ip());
        let report = &mut self.report;
        match answer::contact(answer, peer.address.ip()) {
            Some(judged) => report.judge(&named("Contact"), judged),
            None => report.skip(&named("Contact"), "none in the answer, which is allowed"),
        }
        match answer::allow(answer) {
            Some(judged) => report.judge(&named("Allow"), judged),
            None => report.skip(&named("Allow"), "none in the answer"),
        }
        match answer::media(answer.body(), self.profile) {
            Some(judged) => report.judge(&named("codecs"), judged),
            None => report.skip(&named("codecs"), "no SDP in the answer to OPTIONS; a test call tells"),
        }
        match answer::clock(answer, SystemTime::now()) {
            Some(judged) => report.judge("clock", judged),
            None => report.skip("clock", "no Date in the answer to compare with; see `timedatectl`"),
        }
    }

    /// OPTIONS from them to us: what the running bridge has seen, or what comes here while we wait.
    async fn asked(&mut self) {
        let check = "OPTIONS from them";
        if let Some(seen) = seen_by_the_bridge(self.config, self.profile.id.as_str()).await {
            return match seen {
                Some(at) => self.report.pass(check, format!("the running bridge got one at {at}")),
                None => self.report.skip(
                    check,
                    "the running bridge has none in its memory; a peer need not ask, and Microsoft does only after we did",
                ),
            };
        }
        let until = Instant::now() + Duration::from_secs(self.options.wait);
        while self.line.next(until).await.is_some() {}
        let profile = self.profile;
        let is_theirs = |ip: IpAddr| {
            let ip = ip.to_canonical();
            profile.sources.iter().any(|net| net.contains(&ip))
                || profile.peers.iter().any(|peer| peer.address.ip().to_canonical() == ip)
        };
        let asked = |message: &Message| message.is_request() && message.method().as_str() == "OPTIONS";
        let found =
            self.line.heard().find(|heard| asked(&heard.message) && is_theirs(heard.flow.remote.ip()));
        match found.map(|heard| heard.flow.remote) {
            Some(from) => self.report.pass(check, format!("one came from {from}, and was answered")),
            None => self.report.skip(
                check,
                format!(
                    "none within {} s; no running bridge to ask (ctl.socket), and their SBC does not know the port of this \
                     exam: stop the bridge and use --own-port 5060 --wait 60",
                    self.options.wait
                ),
            ),
        }
    }
}

fn listed_ips(all: &[IpAddr]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What an answer that is not accepted asks for.
fn advice(status: u16, own: SocketAddr) -> String {
    match status {
        401 | 407 => "credentials of this trunk: the peer asks who we are, even for OPTIONS".to_owned(),
        403 => format!(
            "their SBC: our address {} as a peer of theirs; for Microsoft: fqdn, and its certificate",
            own.ip()
        ),
        503 => "their SBC: it says that it takes no calls now".to_owned(),
        other => format!("options_accepted_codes = [\"2xx\", {other}], if the peer answers so on purpose"),
    }
}

/// When the running bridge last got an OPTIONS on this trunk; `None` where there is none to ask.
async fn seen_by_the_bridge(config: &Config, trunk: &str) -> Option<Option<String>> {
    let socket = config.ctl_socket.as_ref()?;
    let reply = crate::ctl::ask(socket, &crate::ctl::Question::Calls { all: true }).await.ok()?;
    let calls = reply.body["calls"].as_array()?.clone();
    let theirs = calls.iter().find(|call| {
        let first = call["first"].as_str().unwrap_or_default();
        call["trunk"] == trunk && call["direction"] == "in" && first.starts_with("OPTIONS ")
    });
    Some(theirs.map(|call| call["began"].as_str().unwrap_or_default().to_owned()))
}
