use super::super::arrival::bind_any;
use super::*;

fn pair(source: Source) -> (LegSockets, UdpSocket) {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let mut leg = LegSockets::of(bind_any(ip), bind_any(ip));
    let peer = UdpSocket::bind((ip, 0)).unwrap();
    let address = peer.local_addr().unwrap();
    leg.set_peer(address, address, false, source);
    (leg, peer)
}

fn read(leg: &mut LegSockets) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    let mut buffer = [0; DATAGRAM];
    leg.read_rtp(&StampClock::now(), &mut buffer, |Arrived { bytes, unproven, .. }| {
        if !unproven {
            got.push(bytes.to_vec());
        }
        bytes.last() != Some(&FORGED)
    });
    got
}

#[test]
fn a_datagram_that_was_queued_before_the_peer_was_known_is_refused_when_it_is_a_strangers() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, peer) = pair(Source::Exact);
    // Forget the peer, as before the answer.
    let fresh = bind_any(ip);
    leg.rtp = fresh;
    let stranger = UdpSocket::bind((ip, 0)).unwrap();
    let port = leg.rtp_port().unwrap();
    stranger.send_to(b"stranger", (ip, port)).unwrap();
    let address = peer.local_addr().unwrap();
    leg.set_peer(address, address, false, Source::Exact);
    peer.send_to(b"peer", (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
    assert_eq!(leg.counters().strangers, 1);
}

#[test]
fn once_the_peer_is_heard_the_kernel_drops_strangers_until_it_falls_silent() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, peer) = pair(Source::Exact);
    let port = leg.rtp_port().unwrap();
    let stranger = UdpSocket::bind((ip, 0)).unwrap();
    let address = stranger.local_addr().unwrap();
    stranger.send_to(b"before", (ip, port)).unwrap();
    peer.send_to(b"peer", (ip, port)).unwrap();
    // In the socket before it is connected: still a stranger's, and seen as such.
    stranger.send_to(b"queued", (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
    assert_eq!((leg.counters().strangers, leg.counters().last_stranger), (2, Some(address)));
    assert_eq!(leg.link, Link::Connected);
    // Refused by the kernel, which the stranger may see as an error.
    let _ = stranger.send_to(b"unseen", (ip, port));
    assert!(read(&mut leg).is_empty());
    assert_eq!(leg.counters().strangers, 2);
    leg.watch(Instant::now());
    assert_eq!(leg.link, Link::Connected);
    // The peer has restarted and sends from another port: that must show.
    leg.watch(Instant::now() + QUIET + TICK);
    let _ = stranger.send_to(b"error", (ip, port));
    let _ = stranger.send_to(b"seen", (ip, port));
    assert!(read(&mut leg).is_empty());
    assert!(leg.counters().strangers > 2);
    peer.send_to(b"again", (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![b"again".to_vec()]);
    assert_eq!(leg.link, Link::Connected);
}

#[test]
fn a_peer_that_moves_is_heard_at_its_new_address_and_the_old_one_is_a_stranger() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, old) = pair(Source::Exact);
    let port = leg.rtp_port().unwrap();
    old.send_to(b"old", (ip, port)).unwrap();
    assert_eq!(read(&mut leg).len(), 1);
    let new = UdpSocket::bind((ip, 0)).unwrap();
    let address = new.local_addr().unwrap();
    leg.set_peer(address, address, false, Source::Exact);
    leg.send_rtp(b"hello");
    let mut buffer = [0; 16];
    assert_eq!(new.recv(&mut buffer).unwrap(), 5);
    old.send_to(b"old", (ip, port)).unwrap();
    new.send_to(b"new", (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![b"new".to_vec()]);
    assert_eq!(leg.counters().strangers, 1);
    leg.send_rtp(b"connected");
    assert_eq!(new.recv(&mut buffer).unwrap(), 9);
}

#[test]
fn rtcp_is_taken_from_the_peer_s_address_only_however_short_it_is() {
    let (mut leg, peer) = pair(Source::Exact);
    let to = leg.rtcp.local_addr().unwrap();
    let stranger = UdpSocket::bind(("127.0.0.9", 0)).unwrap();
    // A report of four bytes once switched another bridge's check of the source off.
    for length in 0..=8 {
        stranger.send_to(&vec![0x80; length], to).unwrap();
    }
    peer.send_to(b"report", to).unwrap();
    let (mut got, mut buffer) = (Vec::new(), [0; DATAGRAM]);
    leg.read_rtcp(&StampClock::now(), &mut buffer, |Arrived { bytes, .. }| got.push(bytes.to_vec()));
    assert_eq!(got, vec![b"report".to_vec()]);
    assert_eq!(leg.counters().strangers, 9);
}

#[test]
fn a_datagram_one_packet_time_after_the_last_one_is_most_likely_the_only_one() {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    // Arrivals and reads of a steady stream.
    assert!(is_regular(Some(at(5)), at(25), Some(at(20))));
    // The one before it was delayed: this one, or the next, may follow at once.
    assert!(!is_regular(Some(at(5)), at(35), Some(at(20))), "it is late, and the next one is near");
    assert!(!is_regular(Some(at(35)), at(45), Some(at(40))), "it came soon after the last one");
    // The sender's clock is fast and two came between two reads: the second one is not fresh at the next read.
    assert!(!is_regular(Some(at(21)), at(40), Some(at(41))));
    assert!(!is_regular(None, at(25), Some(at(20))), "the first one");
    assert!(!is_regular(Some(at(5)), at(25), None), "the first read");
}

#[test]
fn strangers_are_counted_until_they_are_a_flood_and_then_the_kernel_drops_them() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, peer) = pair(Source::Exact);
    let port = leg.rtp_port().unwrap();
    let stranger = UdpSocket::bind((ip, 0)).unwrap();
    for _ in 0..2 * COUNTED_STRANGERS {
        // Refused by the kernel at last, which the stranger may see as an error.
        let _ = stranger.send_to(b"stranger", (ip, port));
        assert!(read(&mut leg).is_empty());
    }
    assert_eq!(leg.counters().strangers, COUNTED_STRANGERS);
    peer.send_to(b"peer", (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
}

/// The end of a packet that fails authentication in these tests.
const FORGED: u8 = 0xee;

#[test]
fn symmetric_never_learns_from_a_packet_that_fails_authentication() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, _peer) = pair(Source::Symmetric);
    let port = leg.rtp_port().unwrap();
    let forger = UdpSocket::bind((ip, 0)).unwrap();
    let genuine = UdpSocket::bind((ip, 0)).unwrap();
    let forged = |sequence| {
        let mut packet = rtp(1, sequence);
        packet[12] = FORGED;
        packet
    };
    for sequence in 0..20 {
        forger.send_to(&forged(sequence), (ip, port)).unwrap();
    }
    assert!(read(&mut leg).is_empty());
    assert_eq!(leg.counters().strangers, 20);
    // A forged packet does not disturb the probation of the peer either.
    genuine.send_to(&rtp(1, 1), (ip, port)).unwrap();
    forger.send_to(&forged(2), (ip, port)).unwrap();
    genuine.send_to(&rtp(1, 2), (ip, port)).unwrap();
    assert_eq!(read(&mut leg), vec![rtp(1, 2).to_vec()]);
    leg.send_rtp(b"back");
    let mut buffer = [0; 16];
    assert_eq!(genuine.recv(&mut buffer).unwrap(), 4);
}

fn rtp(ssrc: u8, sequence: u8) -> [u8; 13] {
    [0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0, ssrc, 0xff]
}

#[test]
fn symmetric_learns_who_sends_two_rtp_packets_in_a_row_and_never_again() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let (mut leg, _peer) = pair(Source::Symmetric);
    let port = leg.rtp_port().unwrap();
    let send = |socket: &UdpSocket, bytes: &[u8]| socket.send_to(bytes, (ip, port)).unwrap();
    let scanner = UdpSocket::bind((ip, 0)).unwrap();
    let first = UdpSocket::bind((ip, 0)).unwrap();
    let second = UdpSocket::bind((ip, 0)).unwrap();
    send(&scanner, b"hello");
    send(&scanner, &rtp(9, 1));
    send(&scanner, &rtp(9, 7));
    send(&first, &rtp(1, 1));
    send(&first, &rtp(1, 2));
    send(&second, &rtp(2, 1));
    send(&second, &rtp(2, 2));
    send(&first, &rtp(1, 3));
    assert_eq!(read(&mut leg), vec![rtp(1, 2).to_vec(), rtp(1, 3).to_vec()]);
    leg.send_rtp(b"back");
    let mut buffer = [0; 16];
    assert_eq!(first.recv(&mut buffer).unwrap(), 4);
}
