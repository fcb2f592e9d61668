//! Parsing and writing a message of the usual size: an operator's INVITE with SDP, about 1 kB.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip::{
    Framing, HeaderName, Message,
    sdp::{self, Capabilities, Direction, LocalMedia},
};
use std::hint::black_box;

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
    let local = LocalMedia {
        address: [192, 0, 2, 9].into(),
        port: 40_000,
        rtcp_port: 40_001,
        session_id: 1,
        session_version: 1,
        direction: Direction::SendRecv,
        keys: Vec::new(),
    };
    c.bench_function("sip/sdp answer", |b| {
        b.iter(|| sdp::answer(black_box(&offer), &local, &caps).expect("acceptable"));
    });
}

criterion_group!(benches, message, description);
criterion_main!(benches);
