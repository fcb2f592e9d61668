//! RTP from somebody else: refused, counted, and nothing is sent there.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bridge::House;

#[tokio::test(flavor = "multi_thread")]
async fn rtp_from_a_stranger_is_refused_counted_and_never_answered() {
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
    house
        .until("refused datagrams are counted", async || {
            house.metric("partyline_rtp_packets_stranger_total").await >= 50.0
        })
        .await;
}
