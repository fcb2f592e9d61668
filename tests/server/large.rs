//! Requests that are too large for a datagram, over real sockets.

use std::time::{Duration, Instant};

use tests::ports::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use super::bridge::{House, PATIENCE, PEERS};
use super::raw::answer;

/// A bridge whose operator takes UDP at this port, with an INVITE of more than 1300 bytes.
async fn house(port: u16) -> House {
    let peers = format!(
        "peers = [{{ address = \"127.0.0.1:{port}\" }}]\nsrtp = \"optional\"\ncodecs = [\"opus\", \"g722\", \"pcma\", \"pcmu\"]"
    );
    let changes = [(PEERS, peers.as_str())];
    let (house, _doorbell) = House::new(&changes).await;
    house
}

/// A busy line.
fn busy(invite: &str) -> String {
    answer(invite, "486 Busy Here", "b", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_invite_reaches_the_peer_over_tcp_at_the_port_of_its_udp() {
    let udp = UdpSocket::bind(("127.0.0.1", free_port())).await.expect("a socket");
    let tcp = TcpListener::bind(udp.local_addr().expect("its address")).await.expect("the same port");
    let house = house(tcp.local_addr().expect("its address").port()).await;
    let _bridge = house.start().await;
    house.dial_out("+4930901820").await;
    let (mut stream, _) = timeout(PATIENCE, tcp.accept()).await.expect("a connection").expect("a connection");
    let mut text = String::new();
    let mut buffer = [0; 8192];
    while !text.contains("\r\n\r\nv=0") {
        let length = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("bytes").expect("bytes");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(text.starts_with("INVITE sip:+4930901820@") && text.len() > 1300, "{} bytes\n{text}", text.len());
    assert!(text.contains(&format!("Via: SIP/2.0/TCP {};branch=", house.sip)), "{text}");
    stream.write_all(busy(&text).as_bytes()).await.expect("an answer");
    house.until("the call is over", async || house.records("final").len() == 1).await;
    assert_eq!(house.records("final")[0]["end"]["result"], "busy", "{}", house.log());
    let silent = timeout(Duration::from_millis(200), udp.recv(&mut buffer)).await;
    assert!(silent.is_err(), "a datagram beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tcp_is_refused_it_reaches_the_peer_as_a_datagram_at_once() {
    let udp = UdpSocket::bind(("127.0.0.1", free_port())).await.expect("a socket");
    let house = house(udp.local_addr().expect("its address").port()).await;
    let _bridge = house.start().await;
    let began = Instant::now();
    house.dial_out("+4930901820").await;
    let mut buffer = vec![0; 65_536];
    let (length, from) =
        timeout(PATIENCE, udp.recv_from(&mut buffer)).await.expect("a datagram").expect("one");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(text.starts_with("INVITE ") && length > 1300, "{length} bytes\n{text}");
    assert!(text.contains(&format!("Via: SIP/2.0/UDP {};branch=", house.sip)), "{text}");
    udp.send_to(busy(&text).as_bytes(), from).await.expect("an answer");
    house.until("the call is over", async || house.records("final").len() == 1).await;
    assert_eq!(house.records("final")[0]["end"]["result"], "busy", "{}", house.log());
}
