//! A carrier's registrar, by hand: what the real binary sends, shows, and takes back.

use nix::sys::signal::Signal;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE, PEERS, run};
use super::ctl::SOCKET;
use super::raw::answer;

/// The next REGISTER and its headers.
async fn register(registrar: &UdpSocket) -> (String, std::net::SocketAddr) {
    let mut buffer = vec![0; 8192];
    loop {
        let (length, from) = timeout(PATIENCE, registrar.recv_from(&mut buffer))
            .await
            .expect("a REGISTER")
            .expect("a datagram");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("REGISTER ") {
            return (text, from);
        }
    }
}

fn line<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_registers_with_its_password_says_so_and_takes_it_back_before_it_ends() {
    let registrar = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let port = registrar.local_addr().expect("its address").port();
    let trunk = format!(
        "peers = [{{ address = \"127.0.0.1:{port}\" }}]\nregister = {{ domain = \"carrier.example\" }}\n\
         credentials = {{ username = \"4930123\", password = \"5ecret\" }}"
    );
    let changes = [SOCKET, (PEERS, trunk.as_str())];
    let (house, _doorbell) = House::new(&changes).await;
    let mut bridge = house.start().await;
    let shown = async || {
        let output = run(&["ctl", "trunk", "show", "rhein-telecom"], &house.path("")).await;
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (first, from) = register(&registrar).await;
    assert!(first.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n"), "{first}");
    assert_eq!(line(&first, "Contact:"), format!("<sip:4930123@{}>", house.sip));
    assert!(shown().await.contains("registered  no, 0 failures"), "{}", shown().await);
    let challenge =
        "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\r\n";
    registrar
        .send_to(answer(&first, "401 Unauthorized", "r", challenge).as_bytes(), from)
        .await
        .expect("sent");
    let (second, from) = register(&registrar).await;
    assert!(line(&second, "Authorization:").contains("username=\"4930123\""), "{second}");
    let granted = format!("Contact: <sip:4930123@{}>;expires=120\r\n", house.sip);
    registrar.send_to(answer(&second, "200 OK", "r", &granted).as_bytes(), from).await.expect("sent");
    house
        .until("it is registered", async || {
            house.count("partyline_trunk_registered{trunk=\"rhein-telecom\"}").await == 1
        })
        .await;
    let said = shown().await;
    assert!(said.contains(&format!("registered  at 127.0.0.1:{port}, for 1")), "{said}");
    assert!(!house.log().contains("5ecret"), "{}", house.log());

    bridge.signal(Signal::SIGTERM);
    let (last, from) = register(&registrar).await;
    assert_eq!(line(&last, "Expires:"), "0");
    assert!(line(&last, "Authorization:").contains("nc=00000002"), "signed at once: {last}");
    registrar.send_to(answer(&last, "200 OK", "r", "").as_bytes(), from).await.expect("sent");
    assert!(bridge.ended().await.success(), "{}", house.log());
    assert!(house.log().contains("it was taken back"), "{}", house.log());
}
