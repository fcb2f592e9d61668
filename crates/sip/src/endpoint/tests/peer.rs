//! One endpoint and a peer that is played by hand, in raw text.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pair::{ANSWER, OFFER};
use crate::endpoint::*;
use crate::transaction::test_epoch;
use crate::wire::{Framing, Message, NameAddr, Uri};

/// An endpoint at 192.0.2.1 and what it sends to the peer at 192.0.2.9.
pub(super) struct Peer {
    pub(super) now: Instant,
    pub(super) us: Endpoint,
    pub(super) flow: Flow,
    pub(super) events: Vec<Event>,
    /// Where the messages went that `sent` returned last.
    pub(super) flows: Vec<Flow>,
}

impl Peer {
    pub(super) fn udp() -> Self {
        Self::with(Transport::Udp, EndpointConfig::default())
    }

    pub(super) fn with(transport: Transport, config: EndpointConfig) -> Self {
        let now = test_epoch();
        let parse = |text: &str| text.parse().expect("an address");
        let connection = u64::from(transport.is_reliable()) * 7;
        let flow =
            Flow { transport, local: parse("192.0.2.1:5060"), remote: parse("192.0.2.9:5060"), connection };
        let us = Endpoint::new(config, [3; 32]);
        Self { now, us, flow, events: Vec::new(), flows: Vec::new() }
    }

    /// Delivers raw text; its lines may end in a bare LF here.
    pub(super) fn input(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        self.us.handle_input(self.now, self.flow, Bytes::from(text));
        self.take_events();
    }

    /// A request of the peer's. `head` is further header lines; `to` the tag it has learned from us.
    pub(super) fn request(
        &mut self,
        method: &str,
        cseq: u32,
        branch: &str,
        to: &str,
        head: &str,
        body: &[u8],
    ) {
        let number = cseq;
        self.request_as(method, &format!("{number} {method}"), branch, to, head, body);
    }

    pub(super) fn request_as(
        &mut self,
        method: &str,
        cseq: &str,
        branch: &str,
        to: &str,
        head: &str,
        body: &[u8],
    ) {
        let to = if to.is_empty() { String::new() } else { format!(";tag={to}") };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let length = body.len();
        let body = String::from_utf8_lossy(body).into_owned();
        let text = format!(
            "{method} sip:+15550100@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.9:5060;branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: \"Bob\" <sip:bob@192.0.2.9>;tag=bob\r\n\
             To: <sip:+15550100@192.0.2.1>{to}\r\n\
             Call-ID: call@192.0.2.9\r\n\
             CSeq: {cseq}\r\n\
             Contact: <sip:bob@192.0.2.9:5070>\r\n\
             {head}{content}Content-Length: {length}\r\n\r\n{body}"
        );
        self.us.handle_input(self.now, self.flow, Bytes::from(text));
        self.take_events();
    }

    /// The peer's answer to a request of ours. `head` is further header lines.
    pub(super) fn answer(&mut self, request: &Message, status: u16, tag: &str, head: &str, body: &[u8]) {
        let mut response = Message::response_to(request, status, None);
        if status > 100 {
            response.set_to_tag(tag);
        }
        for line in head.lines() {
            let (name, value) = line.split_once(": ").expect("a header line");
            response.headers_mut().push(name, value);
        }
        if !head.contains("Contact") && (101..300).contains(&status) {
            response.headers_mut().push("Contact", "<sip:bob@192.0.2.9:5070>");
        }
        if !body.is_empty() {
            response.set_body("application/sdp", body.to_vec());
        }
        self.us.handle_input(self.now, self.flow, response.to_bytes());
        self.take_events();
    }

    /// What we have sent since the last look.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        self.flows.clear();
        let mut sent = Vec::new();
        while let Some(transmit) = self.us.poll_transmit() {
            self.flows.push(transmit.flow);
            sent.push(Message::parse(transmit.bytes, Framing::Stream).expect("what we write we can read"));
        }
        sent
    }

    /// The one message that we have sent since the last look.
    pub(super) fn sent_one(&mut self) -> Message {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The first words of what we have sent: methods and statuses.
    pub(super) fn sent_words(&mut self) -> Vec<String> {
        self.sent().iter().map(word).collect()
    }

    /// Lets time pass; returns what was sent by timers, with the milliseconds since the start of the wait.
    pub(super) fn wait_ms(&mut self, ms: u64) -> Vec<(u64, String)> {
        let (from, until) = (self.now, self.now + Duration::from_millis(ms));
        let mut sent: Vec<(u64, String)> = Vec::new();
        while let Some((at, _)) = self.us.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.us.handle_timeout(self.now);
            self.take_events();
            let since = (self.now - from).as_millis() as u64;
            sent.extend(self.sent_words().into_iter().map(|word| (since, word)));
        }
        self.now = until;
        sent
    }

    /// Lets everything run out and checks that nothing is left.
    pub(super) fn drain(&mut self) {
        self.wait_ms(3_600_000);
        assert_eq!(self.us.leftovers(), [""; 0]);
    }

    pub(super) fn take_events(&mut self) {
        while let Some(event) = self.us.poll_event() {
            self.events.push(event);
        }
    }

    pub(super) fn outgoing(&self) -> OutgoingInvite {
        OutgoingInvite {
            flow: self.flow,
            request_uri: Uri::parse("sip:+15550123@192.0.2.9;user=phone").expect("a URI"),
            from: NameAddr::parse("<sip:+15550100@bridge.example>").expect("a name-addr"),
            to: NameAddr::parse("<sip:+15550123@192.0.2.9;user=phone>").expect("a name-addr"),
            contact: NameAddr::parse("<sip:bridge@192.0.2.1:5060>").expect("a name-addr"),
            extra: vec![("P-Asserted-Identity".to_owned(), "<sip:+15550100@bridge.example>".to_owned())],
            body: Some(Body::sdp(OFFER)),
            credentials: None,
            first_response_within: Duration::from_millis(3500),
            provisional_within: Duration::from_secs(10),
            ring_for: Duration::from_mins(1),
            terms: Terms::default(),
        }
    }

    /// Sends an INVITE; returns it as the peer sees it.
    pub(super) fn invite(&mut self) -> (InviteId, Message) {
        let outgoing = self.outgoing();
        let id = self.us.invite(self.now, outgoing);
        (id, self.sent_one())
    }

    /// A call of ours that the peer has answered with the tag "bob".
    pub(super) fn called_out(&mut self) -> (InviteId, Message) {
        let (id, invite) = self.invite();
        self.answer(&invite, 200, "bob", "", ANSWER);
        assert_eq!(self.sent_words(), ["ACK"]);
        (id, invite)
    }

    /// An INVITE of the peer's that waits for our answer.
    pub(super) fn offered(&mut self) -> InviteId {
        self.request("INVITE", 1, "z9hG4bKinvite", "", "", OFFER);
        match self.events.last() {
            Some(Event::InviteReceived { id, .. }) => *id,
            other => panic!("{other:?}"),
        }
    }

    /// Accepts an INVITE of the peer's; returns our tag. Not yet acknowledged.
    pub(super) fn accept(&mut self, id: InviteId) -> String {
        self.sent();
        self.us.accept(self.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
        tag_of(&self.sent_one())
    }

    /// A call of the peer's that is up; returns our tag.
    pub(super) fn called_in(&mut self) -> (InviteId, String) {
        let id = self.offered();
        let tag = self.accept(id);
        self.ack(1, &tag, b"");
        (id, tag)
    }

    pub(super) fn ack(&mut self, cseq: u32, tag: &str, body: &[u8]) {
        self.request("ACK", cseq, &format!("z9hG4bKack{cseq}"), tag, "", body);
    }

    pub(super) fn last(&self) -> &Event {
        self.events.last().expect("an event")
    }

    /// The last event, which must say that the leg ended.
    pub(super) fn end(&self) -> &End {
        match self.last() {
            Event::Ended { end, .. } => end,
            other => panic!("{other:?}"),
        }
    }

    /// The last event, which must say that the INVITE failed.
    pub(super) fn failure(&self) -> &Failure {
        match self.last() {
            Event::Failed { failure, .. } => failure,
            other => panic!("{other:?}"),
        }
    }
}

/// The method or the status of a message.
pub(super) fn word(message: &Message) -> String {
    match message.status() {
        Some(status) => status.code().to_string(),
        None => message.method().to_string(),
    }
}

pub(super) fn tag_of(message: &Message) -> String {
    message.to().and_then(|to| to.tag().map(str::to_owned)).expect("a To tag")
}

pub(super) fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers().get(name).unwrap_or_default()
}
