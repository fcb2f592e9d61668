//! Peers that the configuration gives by name, and a real name server.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tests::pki::Authority;
use tests::ports::free_port;
use tests::programs::have;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::bridge::{House, PATIENCE, PEERS};
use super::raw::{Request, answer, offer, status};
use super::secured::{SBC, house_of};
use super::tls_line::{Line, client};

/// dnsmasq with a zone for `acme.test`: an SBC at `peer`, which has the name of a certificate too.
async fn name_server(port: u16, peer: SocketAddr) -> Child {
    let child = Command::new("/usr/sbin/dnsmasq")
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
            "--user=",
        ])
        .args([
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "--local=/test/example/",
            "--local-ttl=1",
            "--log-facility=-",
        ])
        .arg(format!("--port={port}"))
        .arg("--naptr-record=acme.test,10,10,s,SIP+D2U,,_sip._udp.acme.test")
        .arg(format!("--srv-host=_sip._udp.acme.test,sbc.acme.test,{},1,1", peer.port()))
        .arg(format!("--host-record=sbc.acme.test,{SBC},{}", peer.ip()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("dnsmasq starts");
    // It answers once its TCP port is open.
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return child;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("dnsmasq does not answer at port {port}");
}

/// The next OPTIONS; it is answered.
async fn pinged(sbc: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let (length, from) =
        timeout(PATIENCE, sbc.recv_from(&mut buffer)).await.expect("an OPTIONS").expect("a datagram");
    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
    sbc.send_to(answer(&request, "200 OK", "sbc", "").as_bytes(), from).await.expect("an answer");
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_by_name_is_where_naptr_and_srv_say_moves_with_them_and_stays_while_the_dns_is_away() {
    if !have("dnsmasq", "dnsmasq-base") {
        return;
    }
    let first = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let second = UdpSocket::bind("127.0.0.2:0").await.expect("a socket");
    let port = free_port();
    let dns = name_server(port, first.local_addr().expect("its address")).await;
    let zone = format!("tcp_connections_per_address = 50\ndns = [\"127.0.0.1:{port}\"]");
    let changes = [
        ("tcp_connections_per_address = 50", zone.as_str()),
        (PEERS, "peers = [{ address = \"acme.test\" }]\noptions_interval_seconds = 1"),
        ("send_sip_options = false", "send_sip_options = true"),
    ];
    let (house, _doorbell) = House::new(&changes).await;
    let _bridge = house.start().await;
    let request = pinged(&first).await;
    assert!(request.starts_with("OPTIONS sip:acme.test"), "the name stays in the request: {request}");
    house
        .until("the trunk is up", async || {
            house.metric("partyline_trunk_up{trunk=\"rhein-telecom\"}").await > 0.0
        })
        .await;

    drop(dns);
    let moved = second.local_addr().expect("its address");
    // The port must be free before another name server takes it.
    let dns = loop {
        sleep(Duration::from_millis(50)).await;
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            break name_server(port, moved).await;
        }
    };
    pinged(&second).await;
    assert!(house.log().contains(&format!("udp:{moved}")), "{}", house.log());

    drop(dns);
    house
        .until("the loss of the DNS is said", async || house.log().contains("the last answer counts on"))
        .await;
    pinged(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_peer_that_only_the_dns_locates_is_believed_by_its_certificate() {
    if !have("dnsmasq", "dnsmasq-base") {
        return;
    }
    let authority = Authority::new("tests");
    let port = free_port();
    let _dns = name_server(port, SocketAddr::from(([127, 0, 0, 1], 9))).await;
    let trunk = format!("peers = [{{ address = \"{SBC}:9\", transport = \"tls\" }}]");
    let house = house_of(&authority, &format!("dns = [\"127.0.0.1:{port}\"]"), &trunk).await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let mut line = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
    let body = offer(40_000);
    let request = Request { method: "INVITE", call_id: "named", body: &body, ..Request::default() };
    let answer = line.ask(&request).await;
    assert_eq!(answer.as_deref().map(status), Ok(200), "{answer:?}\n{}", house.log());
}
