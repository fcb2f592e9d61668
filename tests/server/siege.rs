//! Connections by the thousand: idle ones, slow ones, and more than there are descriptors.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tests::pki::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::bridge::House;
use super::raw::{Raw, Request, status};
use super::secured::{SBC, house_of};
use super::tls_line::{Line, client};

/// This test needs more descriptors than a process has at first.
fn make_room() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let wanted = 8192.min(hard).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("a soft limit below the hard one");
}

async fn connect(from: [u8; 4], to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("an address of loopback");
    // Where the queue of the listener is full for a moment the kernel tries again.
    timeout(Duration::from_secs(20), socket.connect(to)).await.ok()?.ok()
}

/// Reads until the other side ends it; how long that took. `None`: it is still up.
async fn ended(stream: &mut TcpStream, within: Duration) -> Option<Duration> {
    let (began, mut buffer) = (Instant::now(), [0; 512]);
    loop {
        match timeout(within.saturating_sub(began.elapsed()), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return Some(began.elapsed()),
            Ok(Ok(_)) => {}
            Err(_) => return None,
        }
    }
}

/// The bridge still answers over UDP.
async fn udp_answers(house: &House, what: &str) {
    let raw = Raw::open(house.sip).await;
    let call_id = format!("udp-{what}-{}", raw.address().port());
    let asked = Instant::now();
    let status = raw.status(&Request { call_id: &call_id, ..Request::default() }).await;
    // 403: over UDP nobody speaks for a TLS trunk.
    assert!(matches!(status, 200 | 403), "{what}: {status}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{what}: {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_and_a_thousand_slow_connections_are_closed_and_the_trunk_is_served() {
    make_room();
    let authority = Authority::new("tests");
    let trunk = format!(
        "peers = [{{ address = \"127.0.0.1:9\", transport = \"tls\", host = \"{SBC}\" }}]\nsources = [\"127.0.0.0/24\"]"
    );
    let house = house_of(&authority, "", &trunk).await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let mut line = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");

    // Fifty from each of forty addresses that no trunk lists. What is too much is closed at once.
    let mut idle = Vec::new();
    for number in 0..2000_usize {
        idle.extend(connect([127, 0, 1, (number / 50) as u8], house.sip).await);
    }
    assert_eq!(idle.len(), 2000, "a connection is taken before it is judged");
    let mut open = 0;
    for stream in &mut idle {
        // What is closed is closed long before the last one was opened.
        open += usize::from(ended(stream, Duration::from_millis(1)).await.is_none());
    }
    assert!(open <= 200, "{open} idle connections of strangers are still open");
    udp_answers(&house, "idle").await;

    // A thousand that begin a handshake and do not end it, fifty from each of twenty addresses of the trunk.
    let began = Instant::now();
    let mut slow = Vec::new();
    for number in 0..1000_usize {
        let mut stream =
            connect([127, 0, 0, 10 + (number / 50) as u8], house.tls).await.expect("a connection");
        let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]).await;
        slow.push(stream);
    }
    udp_answers(&house, "slow").await;
    let options = Request { call_id: "while-slow", ..Request::default() };
    let asked = Instant::now();
    assert_eq!(line.ask(&options).await.as_deref().map(status), Ok(200), "the trunk's own connection");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let mut fresh = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("another handshake");
    let options = Request { call_id: "new-while-slow", ..Request::default() };
    assert_eq!(fresh.ask(&options).await.as_deref().map(status), Ok(200), "and a new one");
    for stream in &mut slow {
        let left = Duration::from_secs(15).saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        assert!(ended(stream, left).await.is_some(), "a handshake that does not end is ended");
    }
    udp_answers(&house, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_trickles_in_over_tls_ends_its_connection_after_10_s_and_no_other() {
    let authority = Authority::new("tests");
    let house = super::secured::house(&authority, "127.0.0.1:9".parse().expect("an address"), "").await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let open = async || Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
    let mut good = open().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(open().await);
    }
    let began = Instant::now();
    let text = slow[0].text(&Request::default());
    let mut bytes = text.bytes();
    // A byte now and then buys no time.
    while began.elapsed() < Duration::from_secs(9) {
        let byte = char::from(bytes.next().expect("more of it than is sent")).to_string();
        for line in &mut slow {
            line.send(&byte).await;
        }
        let call_id = format!("good-{}", began.elapsed().as_millis());
        let answer = good.ask(&Request { call_id: &call_id, ..Request::default() }).await;
        assert_eq!(answer.as_deref().map(status), Ok(200));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for line in &mut slow {
        assert!(line.more().await.is_err(), "it is over");
    }
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
    let answer = good.ask(&Request { call_id: "afterwards", ..Request::default() }).await;
    assert_eq!(answer.as_deref().map(status), Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_udp_is_served_and_tcp_comes_back_with_them() {
    make_room();
    let many = ("tcp_connections_per_address = 50", "tcp_connections_per_address = 1000");
    let (house, _doorbell) = House::new(&[many]).await;
    let _bridge = house.start_by(&["prlimit", "--nofile=120:120"]).await;
    let mut held = Vec::new();
    // More than it has descriptors for, and fewer than the kernel keeps for it besides.
    for _ in 0..180 {
        held.extend(connect([127, 0, 0, 1], house.sip).await);
    }
    let mut refused = connect([127, 0, 0, 1], house.sip).await.expect("the kernel takes it");
    let own = refused.local_addr().expect("its address");
    let text = Request { call_id: "no-descriptor", ..Request::default() }.text("TCP", own, house.sip);
    refused.write_all(text.as_bytes()).await.expect("bytes are sent");
    let answer = timeout(Duration::from_secs(1), refused.read(&mut [0; 64])).await;
    assert!(answer.is_err(), "there is no descriptor for it: {answer:?}");
    udp_answers(&house, "none").await;
    house
        .until("the log says why", async || house.log().contains("for too many open files raise LimitNOFILE"))
        .await;
    drop(held);
    let mut buffer = [0; 512];
    let read = timeout(Duration::from_secs(20), refused.read(&mut buffer)).await.expect("an answer at last");
    assert!(buffer[..read.expect("bytes")].starts_with(b"SIP/2.0 200"), "{}", house.log());
}
