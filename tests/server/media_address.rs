//! A trunk whose media comes to another address than that of all others.

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE};
use super::raw::{Raw, Request, offer, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_s_media_may_be_ipv6_while_its_signalling_and_all_others_are_ipv4() {
    let (house, _doorbell) =
        House::new(&[("send_sip_options = false", "send_sip_options = false\nmedia_address = \"::1\"")])
            .await;
    let _bridge = house.start().await;
    let phone = UdpSocket::bind("[::1]:0").await.expect("a socket");
    let port = phone.local_addr().expect("its address").port();
    let body = offer(port).replace("IN IP4 127.0.0.1", "IN IP6 ::1");
    let raw = Raw::open(house.sip).await;
    let request = Request { method: "INVITE", call_id: "six", body: &body, ..Request::default() };
    let answer = raw.ask(&request).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("c=IN IP6 ::1\r\n"), "{answer}");
    let dialog = super::raw::Dialog::of(&answer);
    raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
    let mut buffer = [0; 2048];
    let (length, from) =
        timeout(PATIENCE, phone.recv_from(&mut buffer)).await.expect("RTP over IPv6").expect("a packet");
    assert_eq!((from.ip().to_string().as_str(), from.port()), ("::1", dialog.media.port()));
    assert!(length > 12 && buffer[0] >> 6 == 2, "RTP");
    raw.send(dialog.request("BYE", 2, "UDP", raw.address()).as_bytes()).await;
    house.until_empty().await;
}
