//! SIP over TCP: framing, keep-alive, and connections that are no good.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE};
use super::raw::{Dialog, Raw, Request, offer, status};

/// A connection that speaks SIP by hand.
struct Line {
    stream: TcpStream,
    own: SocketAddr,
    bridge: SocketAddr,
    read: Vec<u8>,
}

impl Line {
    async fn open(bridge: SocketAddr) -> Self {
        let stream = TcpStream::connect(bridge).await.expect("a connection");
        let own = stream.local_addr().expect("its address");
        Self { stream, own, bridge, read: Vec::new() }
    }

    fn text(&self, request: &Request<'_>) -> String {
        request.text("TCP", self.own, self.bridge)
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("bytes are sent");
    }

    /// More bytes; `false` when the bridge has closed.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("bytes from the bridge");
        // A reset is an end as well.
        let length = read.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// The next message that is no 1xx.
    async fn answer(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
                let length: usize =
                    length.and_then(|length| length.trim().parse().ok()).expect("Content-Length");
                if rest.len() >= length {
                    let message = format!("{head}\r\n\r\n{}", &rest[..length]);
                    self.read.drain(..message.len());
                    if !message.starts_with("SIP/2.0 1") {
                        return message;
                    }
                    continue;
                }
            }
            assert!(self.more().await, "the bridge closed the connection after {text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_tcp_is_answered_also_when_its_messages_come_in_one_piece_or_byte_by_byte() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let mut line = Line::open(house.sip).await;
    let body = offer(40_000);
    let options = line.text(&Request { call_id: "piped", ..Request::default() });
    let invite = line.text(&Request { method: "INVITE", call_id: "call", body: &body, ..Request::default() });
    line.send(&format!("{options}{invite}")).await;
    // Both are answered; which first is the bridge's business.
    let (first, second) = (line.answer().await, line.answer().await);
    assert_eq!((status(&first), status(&second)), (200, 200), "{first}\n{second}");
    let answer = if first.contains("INVITE\r\n") { first } else { second };
    let dialog = Dialog::of(&answer);
    let ack = dialog.request("ACK", 1, "TCP", line.own);
    let bye = dialog.request("BYE", 2, "TCP", line.own);
    for byte in format!("{ack}\r\n\r\n{bye}").bytes() {
        line.stream.write_all(&[byte]).await.expect("a byte is sent");
    }
    // The keep-alive between them gets its CRLF (RFC 5626 section 3.5.1), the BYE its 200.
    let answer = line.answer().await;
    assert!(answer.trim_start().starts_with("SIP/2.0 200 ") && answer.contains("BYE\r\n"), "{answer}");
    house.until("the leg is over", async || house.records("final").len() == 1).await;
    assert_eq!(house.records("final")[0]["end"]["result"], "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keep_alive_is_answered_with_one_crlf() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let mut line = Line::open(house.sip).await;
    line.send("\r\n\r\n").await;
    while line.read.len() < 2 {
        assert!(line.more().await);
    }
    assert_eq!(line.read, b"\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_something_else_is_cut_off_and_others_are_served() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let mut good = Line::open(house.sip).await;
    for bad in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}hello".repeat(20_000),
        format!("OPTIONS sip:x SIP/2.0\r\nX: {}\r\n\r\n", "y".repeat(200_000)),
        "OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
    ] {
        let mut line = Line::open(house.sip).await;
        // The bridge may close while this is being written.
        let _ = line.stream.write_all(bad.as_bytes()).await;
        while line.more().await {}
    }
    let request = good.text(&Request::default());
    good.send(&request).await;
    assert_eq!(status(&good.answer().await), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_holds_so_many_connections_and_gets_a_new_one_when_one_closes() {
    let (house, _doorbell) =
        House::new(&[("tcp_connections_per_address = 50", "tcp_connections_per_address = 3")]).await;
    let _bridge = house.start().await;
    let mut lines = Vec::new();
    for _ in 0..3 {
        let mut line = Line::open(house.sip).await;
        let request = line.text(&Request::default());
        line.send(&request).await;
        assert_eq!(status(&line.answer().await), 200);
        lines.push(line);
    }
    let mut fourth = Line::open(house.sip).await;
    assert!(!fourth.more().await, "one too many");
    assert_eq!(Raw::open(house.sip).await.status(&Request::default()).await, 200, "UDP is not concerned");
    drop(lines.pop());
    house
        .until("there is room again", async || {
            let mut line = Line::open(house.sip).await;
            let request = line.text(&Request::default());
            let _ = line.stream.write_all(request.as_bytes()).await;
            line.more().await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_finishes_a_message_is_cut_off_after_10_s_and_harms_nobody() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let mut slow = Line::open(house.sip).await;
    let began = Instant::now();
    slow.send("OPTIONS sip:").await;
    // A byte now and then does not buy more time: the whole message must come within 10 s.
    let trickle = async {
        while slow.stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut good = Line::open(house.sip).await;
    let others = async {
        for n in 0..10 {
            let call_id = format!("good{n}");
            let request = good.text(&Request { call_id: &call_id, ..Request::default() });
            let asked = Instant::now();
            good.send(&request).await;
            assert_eq!(status(&good.answer().await), 200);
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        }
    };
    let ((), cut) = tokio::join!(others, timeout(PATIENCE, trickle));
    assert!(cut.is_ok(), "it is never cut off");
    let took = began.elapsed();
    assert!((9..16).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_no_trunk_lists_share_200_connections_and_a_peer_still_gets_in() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let stranger = async |number: usize| {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let own = SocketAddr::from(([127, 0, 1, (number / 50) as u8], 0));
        socket.bind(own).expect("an address of loopback");
        let stream = socket.connect(house.sip).await.expect("a connection");
        let own = stream.local_addr().expect("its address");
        Line { stream, own, bridge: house.sip, read: Vec::new() }
    };
    let mut lines = Vec::new();
    for number in 0..200 {
        lines.push(stranger(number).await);
    }
    let last = lines.last_mut().expect("200 connections");
    let request = last.text(&Request::default());
    last.send(&request).await;
    assert_eq!(status(&last.answer().await), 200, "whoever got in is served");
    assert!(!stranger(200).await.more().await, "one too many");
    let mut peer = Line::open(house.sip).await;
    let request = peer.text(&Request::default());
    peer.send(&request).await;
    assert_eq!(status(&peer.answer().await), 200);
}
