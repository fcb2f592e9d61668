//! RTP from somebody else: refused, and nothing is sent there; counted while the peer itself is not heard.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE};
use super::raw::{Dialog, Raw, Request, offer, status};

#[tokio::test(flavor = "multi_thread")]
async fn rtp_from_a_stranger_is_refused_and_never_answered() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let alice = house.join("+493023125001").await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    bob.media().falls_quiet(Duration::from_millis(300), Duration::from_secs(10)).await;
    let before = bob.media().meter().sounding;
    // A loud tone to every media port there is, for a second.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    packet.extend((0..160).map(|n| if n / 5 % 2 == 0 { 0x2a } else { 0xaa }));
    for sequence in 0..50_u8 {
        packet[3] = sequence;
        packet[6] = (u16::from(sequence) * 160 / 256) as u8;
        packet[7] = (u16::from(sequence) * 160 % 256) as u8;
        for port in (house.media..house.media + 64).step_by(2) {
            // A port without a leg refuses, which shows here.
            let _ = stranger.send_to(&packet, ("127.0.0.1", port)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut buffer = [0; 2048];
    let answer = timeout(Duration::from_millis(200), async {
        loop {
            if let Ok((length, from)) = stranger.recv_from(&mut buffer).await {
                return (length, from);
            }
        }
    })
    .await;
    assert!(answer.is_err(), "{answer:?}");
    let heard = bob.media().meter().sounding.saturating_sub(before);
    assert_eq!(heard, Duration::ZERO, "the stranger is heard");
    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_sends_from_another_port_than_its_sdp_says_is_counted_and_named_in_the_log() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    // Its SDP names this socket, and it sends from the other one.
    let (named, other) = (udp().await, udp().await);
    let body = offer(named.local_addr().expect("its address").port());
    let answer = raw.ask(&Request { method: "INVITE", body: &body, ..Request::default() }).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let dialog = Dialog::of(&answer);
    raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
    let mut packet = [0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xd5];
    for sequence in 0..20 {
        packet[3] = sequence;
        other.send_to(&packet, dialog.media).await.expect("a datagram is sent");
    }
    // Our audio goes where the SDP says, and not where a stranger would have it.
    let mut buffer = [0; 2048];
    let heard =
        timeout(PATIENCE, named.recv_from(&mut buffer)).await.expect("our audio").expect("a datagram");
    assert_eq!(heard.1, dialog.media);
    raw.send(dialog.request("BYE", 2, "UDP", raw.address()).as_bytes()).await;
    let counted = async || house.count("partyline_rtp_packets_stranger_total").await;
    house.until("refused datagrams are counted", async || counted().await == 20).await;
    let from = format!("from={}", other.local_addr().expect("its address"));
    house.until("the log names the address", async || house.log().contains(&from)).await;
    assert!(house.log().contains("media_source of the trunk"), "{}", house.log());
}

async fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a socket")
}
