//! Parsing and writing a message of the usual size: an operator's INVITE with SDP, about 1 kB.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip::{
    Body, Endpoint, EndpointConfig, Event, Flow, Framing, HeaderName, Message, Shed, Transport,
    sdp::{self, Capabilities, Direction, LocalMedia},
};
use std::hint::black_box;
use std::time::{Duration, Instant};

const INVITE: &str = "INVITE sip:+442071838750@bridge.example.net:5060;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK0g4ve620d8h1hc4fk6f1.1;rport\r\n\
    Max-Forwards: 68\r\n\
    From: \"Ann Caller\" <sip:+441632960101@sbc1.operator.example;user=phone>;tag=SDq8s2a01-1c747237679\r\n\
    To: <sip:+442071838750@bridge.example.net;user=phone>\r\n\
    Call-ID: SDq8s2a01-7b1ce5d4a1f0f7d1f9fca1b5a0c0e7ea-v3000i1@192.0.2.10\r\n\
    CSeq: 20131 INVITE\r\n\
    Contact: <sip:+441632960101@192.0.2.10:5060;transport=udp>\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY\r\n\
    Supported: timer,100rel\r\n\
    Session-Expires: 1800;refresher=uac\r\n\
    Min-SE: 90\r\n\
    P-Asserted-Identity: <sip:+441632960101@sbc1.operator.example;user=phone>\r\n\
    User-Agent: Operator SBC 9.3\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 251\r\n\
    \r\n\
    v=0\r\n\
    o=- 1763870400 1 IN IP4 192.0.2.20\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.20\r\n\
    t=0 0\r\n\
    m=audio 31224 RTP/AVP 8 0 18 101\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:18 G729/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=sendrecv\r\n";

fn parse(bytes: &Bytes) -> Message {
    Message::parse(bytes.clone(), Framing::Datagram).expect("well formed")
}

/// What the layers above read of an INVITE.
fn typed(message: &Message) {
    black_box((message.from(), message.to(), message.via_top(), message.cseq()));
    black_box((message.contacts().is_ok(), message.record_routes().is_ok()));
    black_box((message.call_id(), message.headers().get(HeaderName::SessionExpires)));
}

fn message(c: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE.as_bytes());
    let parsed = parse(&bytes);
    let mut group = c.benchmark_group("sip/invite");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse", |b| b.iter(|| parse(black_box(&bytes))));
    group.bench_function("parse and typed headers", |b| b.iter(|| typed(&parse(black_box(&bytes)))));
    group.bench_function("write", |b| b.iter(|| black_box(&parsed).to_bytes()));
    group.bench_function("respond", |b| {
        b.iter(|| Message::response_to(black_box(&parsed), 180, None).to_bytes());
    });
    group.finish();
}

fn description(c: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE.as_bytes());
    let offer = parse(&bytes).body().clone();
    let caps = Capabilities::default();
    let local = local_media();
    c.bench_function("sip/sdp answer", |b| {
        b.iter(|| sdp::answer(black_box(&offer), &local, &caps).expect("acceptable"));
    });
}

fn local_media() -> LocalMedia {
    LocalMedia {
        address: [192, 0, 2, 9].into(),
        port: 40_000,
        rtcp_port: 40_001,
        session_id: 1,
        session_version: 1,
        direction: Direction::SendRecv,
        keys: Vec::new(),
    }
}

/// One bridge's endpoint, and the calls that come to it.
struct Door {
    endpoint: Endpoint,
    flow: Flow,
    now: Instant,
    calls: u64,
}

impl Door {
    fn new(shedding: bool) -> Self {
        let mut endpoint = Endpoint::new(EndpointConfig::default(), [7; 32]);
        let why = "trunk acme takes no dial-in leg now: more than 5 calls per second".to_owned();
        let reason = Some(format!("SIP;cause=503;text=\"{why}\""));
        endpoint.set_shedding(shedding.then_some(Shed { retry_after: 1, reason, why }));
        let flow = Flow {
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            remote: ([192, 0, 2, 10], 5060).into(),
            connection: 0,
        };
        Self { endpoint, flow, now: Instant::now(), calls: 0 }
    }

    /// The next caller's INVITE.
    fn next(&mut self) -> Bytes {
        self.calls += 1;
        let text = INVITE.replace("20131", &self.calls.to_string());
        let text = text.replace("z9hG4bK0g4ve620d8h1hc4fk6f1.1", &format!("z9hG4bKcall{:022}", self.calls));
        text.replace("7b1ce5d4a1f0f7d1f9fca1b5a0c0e7ea", &format!("{:032x}", self.calls)).into()
    }

    /// What leaves for a message that comes.
    fn take(&mut self, bytes: Bytes) -> Vec<Bytes> {
        self.endpoint.handle_input(self.now, self.flow, bytes);
        self.sent()
    }

    fn sent(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).map(|transmit| transmit.bytes).collect()
    }

    /// From the INVITE to its 200.
    fn answer(&mut self, invite: Bytes) -> Bytes {
        self.take(invite);
        let mut offered = None;
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::InviteReceived { id, offer: Some(offer), .. } = event {
                offered = Some((id, offer));
            }
        }
        let (id, offer) = offered.expect("an INVITE with SDP");
        let local = local_media();
        let (answer, _) = sdp::answer(&offer, &local, &Capabilities::default()).expect("acceptable");
        self.endpoint.accept(self.now, id, Body::sdp(answer), &[]).expect("it waits for an answer");
        self.sent().pop().expect("the 200")
    }

    /// ACK and BYE; then all of the call is forgotten.
    fn end(&mut self, invite: &Bytes, answer: &Bytes) {
        let answer = parse(answer);
        let tag = answer.to().and_then(|to| to.tag().map(str::to_owned)).expect("a tag");
        for (method, number) in [("ACK", self.calls), ("BYE", self.calls + 1)] {
            let mut request = String::from_utf8(invite.to_vec()).expect("text");
            request.truncate(request.find("Contact:").expect("a Contact"));
            let request = request.replace("INVITE ", &format!("{method} "));
            let sequence = format!("CSeq: {} INVITE", self.calls);
            let request = request.replace(&sequence, &format!("CSeq: {number} {method}"));
            let request = request.replace("branch=z9hG4bKcall", &format!("branch=z9hG4bK{method}"));
            let request =
                request.replace("user=phone>\r\nCall-ID", &format!("user=phone>;tag={tag}\r\nCall-ID"));
            self.take((request + "Content-Length: 0\r\n\r\n").into());
        }
        self.now += Duration::from_secs(40);
        self.endpoint.handle_timeout(self.now);
        while self.endpoint.poll_event().is_some() {}
        self.sent();
        assert_eq!(self.endpoint.transactions() + self.endpoint.invites(), 0, "the call is over");
    }
}

/// What an overloaded bridge pays for a call: a 503 at once, beside the 200 that it would otherwise have given. The engine alone:
/// with the 200 there is a dialog, a leg, two ports and a usage record to come.
fn overload(c: &mut Criterion) {
    let mut group = c.benchmark_group("sip/invite answered");
    let mut door = Door::new(true);
    let refused = door.next();
    assert!(door.take(refused).iter().all(|answer| answer.starts_with(b"SIP/2.0 503")));
    group.bench_function("503, shed", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let invite = door.next();
                let began = Instant::now();
                black_box(door.take(invite));
                spent += began.elapsed();
                while door.endpoint.poll_event().is_some() {}
            }
            spent
        });
    });
    let mut door = Door::new(false);
    group.bench_function("200", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let invite = door.next();
                let began = Instant::now();
                let answer = black_box(door.answer(invite.clone()));
                spent += began.elapsed();
                door.end(&invite, &answer);
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, message, description, overload);
criterion_main!(benches);
