//! RTCP by hand against `rtc-rtcp`, against the words of RFC 3550, and against whatever bytes there are.

use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::SourceDescription;
use rtc_shared::marshal::Unmarshal;

use super::*;

/// What a part means, in a form that both readers can be brought to.
#[derive(Debug, PartialEq)]
enum Meaning {
    Sender(u64, Vec<ReportBlock>),
    Receiver(Vec<ReportBlock>),
    Goodbye(Vec<u32>),
    Other,
}

fn ours(part: Part<'_>) -> Meaning {
    match part {
        Part::SenderReport { ntp, blocks } => Meaning::Sender(ntp, blocks.iter().collect()),
        Part::ReceiverReport { blocks } => Meaning::Receiver(blocks.iter().collect()),
        Part::Goodbye { sources } => Meaning::Goodbye(sources.iter().map(Ssrc::to_wire).collect()),
        Part::Other(_) => Meaning::Other,
    }
}

fn block(report: &ReceptionReport) -> ReportBlock {
    ReportBlock {
        reception: ReceptionBlock {
            ssrc: Ssrc::new(report.ssrc),
            fraction_lost: report.fraction_lost,
            total_lost: report.total_lost,
            highest: report.last_sequence_number,
            jitter: report.jitter,
        },
        last_report: report.last_sender_report,
        delay: report.delay,
    }
}

/// What `rtc-rtcp` makes of one packet; `None` when it refuses it.
fn theirs(packet: &[u8]) -> Option<Meaning> {
    let mut bytes = Bytes::copy_from_slice(packet);
    match packet[1] {
        200 => SenderReport::unmarshal(&mut bytes)
            .ok()
            .map(|report| Meaning::Sender(report.ntp_time, report.reports.iter().map(block).collect())),
        201 => ReceiverReport::unmarshal(&mut bytes)
            .ok()
            .map(|report| Meaning::Receiver(report.reports.iter().map(block).collect())),
        203 => Goodbye::unmarshal(&mut bytes).ok().map(|goodbye| Meaning::Goodbye(goodbye.sources)),
        _ => Some(Meaning::Other),
    }
}

/// Both read a datagram. We refuse it whole where `rtc-rtcp` refuses any of its packets, or where its lengths do not add up; it
/// does not look at padding, so that is left to tests of our own.
fn compare(datagram: &[u8]) {
    let mut expected = Vec::new();
    let mut rest = datagram;
    let mut fits = !datagram.is_empty();
    while fits && !rest.is_empty() {
        let length = rest
            .get(2..4)
            .map_or(usize::MAX, |word| 4 * (usize::from(word[0]) << 8 | usize::from(word[1])) + 4);
        if rest[0] & 0x20 != 0 {
            return;
        }
        let Some((packet, after)) = rest.split_at_checked(length) else {
            fits = false;
            break;
        };
        match theirs(packet).filter(|_| packet[0] >> 6 == 2) {
            Some(meaning) => expected.push(meaning),
            None => fits = false,
        }
        rest = after;
    }
    let read = Compound::parse(datagram);
    assert_eq!(read.is_ok(), fits, "{datagram:02x?}: {read:?}");
    if let Ok(compound) = read {
        assert_eq!(compound.parts().map(ours).collect::<Vec<_>>(), expected, "{datagram:02x?}");
    }
}

fn reports() -> impl Strategy<Value = Vec<ReceptionReport>> {
    let report =
        (any::<[u32; 5]>(), any::<u8>(), 0..1_u32 << 24).prop_map(|(words, fraction_lost, total_lost)| {
            let [ssrc, last_sequence_number, jitter, last_sender_report, delay] = words;
            ReceptionReport {
                ssrc,
                fraction_lost,
                total_lost,
                last_sequence_number,
                jitter,
                last_sender_report,
                delay,
            }
        });
    prop::collection::vec(report, 0..32)
}

/// A packet of each kind that we read, or of any other, as `rtc-rtcp` or nobody in particular writes it.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let marshal = |packet: &dyn Packet| packet.marshal().expect("a valid packet").to_vec();
    prop_oneof![
        (any::<[u32; 4]>(), any::<u64>(), reports(), 0..4_usize).prop_map(
            move |(words, ntp_time, reports, extension)| {
                let [ssrc, rtp_time, packet_count, octet_count] = words;
                let profile_extensions = Bytes::from(vec![7; 4 * extension]);
                marshal(&SenderReport {
                    ssrc,
                    ntp_time,
                    rtp_time,
                    packet_count,
                    octet_count,
                    reports,
                    profile_extensions,
                })
            }
        ),
        (any::<u32>(), reports()).prop_map(move |(ssrc, reports)| {
            marshal(&ReceiverReport { ssrc, reports, profile_extensions: Bytes::new() })
        }),
        // The reason in whole words: rtc-rtcp marks the rest of a word as padding, which it need not be.
        (prop::collection::vec(any::<u32>(), 0..32), 0..64_usize).prop_map(move |(sources, words)| {
            marshal(&Goodbye { sources, reason: Bytes::from(vec![b'x'; 4 * words + 3]) })
        }),
        (192..224_u8, 0..32_u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(
            |(kind, count, mut body)| {
                body.resize(body.len().next_multiple_of(4), 0);
                let mut packet = vec![0x80 | count, kind, 0, (body.len() / 4) as u8];
                packet.append(&mut body);
                packet
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_rtc_rtcp_reads_we_read_and_it_means_the_same(packets in prop::collection::vec(packet(), 0..6)) {
        compare(&packets.concat());
    }

    #[test]
    fn where_it_is_cut_off_or_bent_both_refuse_or_both_read_the_same(
        packets in prop::collection::vec(packet(), 1..4),
        cut in any::<prop::sample::Index>(),
        bent in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut datagram = packets.concat();
        compare(&datagram[..cut.index(datagram.len())]);
        let place = bent.index(datagram.len());
        datagram[place] = byte;
        compare(&datagram);
    }

    #[test]
    fn arbitrary_bytes_are_read_the_same(first in 0x80..0x9f_u8, kind in 200..204_u8, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let words = (rest.len() / 4) as u8;
        compare(&[&[first, kind, 0, words][..], &rest[..usize::from(words) * 4]].concat());
        compare(&[&[first, kind][..], &rest[..]].concat());
        compare(&rest);
    }

    #[test]
    fn what_we_write_both_can_read(ssrc in any::<u32>(), sends in any::<bool>(), ntp in any::<u64>(), name in 0..300_usize, words in any::<[u32; 6]>(), receives in any::<bool>()) {
        let cname = "n".repeat(name);
        let [other, lost, highest, jitter, last_report, delay] = words;
        let reception = ReceptionBlock {
            ssrc: Ssrc::new(other), fraction_lost: (lost >> 24) as u8, total_lost: lost & 0xff_ffff, highest, jitter,
        };
        let block = receives.then_some(ReportBlock { reception, last_report, delay });
        let sender = sends.then_some(Sender { ntp, timestamp: 1, packets: 2, octets: 3 });
        let report = RtcpPacket::report(Ssrc::new(ssrc), sender, block, &cname);
        let blocks: Vec<ReportBlock> = block.into_iter().collect();
        let first = if sends { Meaning::Sender(ntp, blocks) } else { Meaning::Receiver(blocks) };
        let parts: Vec<Meaning> = Compound::parse(&report).expect("ours").parts().map(ours).collect();
        prop_assert_eq!(parts, [first, Meaning::Other]);
        compare(&report);
        check_description(&report, ssrc, &cname);
        let goodbye = RtcpPacket::goodbye(Ssrc::new(ssrc), &cname);
        compare(&goodbye);
        check_description(&goodbye, ssrc, &cname);
        prop_assert_eq!(&goodbye[goodbye.len() - 8..goodbye.len() - 4], [0x81, 203, 0, 1]);
    }
}

/// The second packet is our description, as another implementation reads it.
fn check_description(datagram: &[u8], ssrc: u32, cname: &str) {
    let first = 4 * usize::from(datagram[3]) + 4;
    let length = 4 * (usize::from(datagram[first + 2]) << 8 | usize::from(datagram[first + 3])) + 4;
    let packet = &datagram[first..][..length];
    let read = SourceDescription::unmarshal(&mut Bytes::copy_from_slice(packet)).expect("a description");
    assert_eq!((read.chunks.len(), read.chunks[0].source, read.chunks[0].items.len()), (1, ssrc, 1));
    assert_eq!(read.chunks[0].items[0].text, cname.as_bytes()[..cname.len().min(255)]);
    assert_eq!(packet[0], 0x81, "it is not padded: the zeros are the end of its chunk (section 6.5)");
}

#[test]
fn a_report_and_a_goodbye_are_as_rfc_3550_draws_them() {
    let sender = Sender { ntp: 0x0102_0304_0506_0708, timestamp: 9, packets: 10, octets: 1_600 };
    let reception = ReceptionBlock {
        ssrc: Ssrc::new(0xbb),
        fraction_lost: 0x40,
        total_lost: 5,
        highest: 0x0001_0002,
        jitter: 6,
    };
    let block = ReportBlock { reception, last_report: 0x0304_0506, delay: 0x0001_8000 };
    let report = RtcpPacket::report(Ssrc::new(0xaa), Some(sender), Some(block), "a@b");
    #[rustfmt::skip]
    let expected = [
        0x81, 200, 0, 12, 0, 0, 0, 0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 6, 0x40,
        0, 0, 0, 0xbb, 0x40, 0, 0, 5, 0, 1, 0, 2, 0, 0, 0, 6, 3, 4, 5, 6, 0, 1, 0x80, 0,
        0x81, 202, 0, 3, 0, 0, 0, 0xaa, 1, 3, b'a', b'@', b'b', 0, 0, 0,
    ];
    assert_eq!(report[..], expected);
    let goodbye = RtcpPacket::goodbye(Ssrc::new(0xaa), "a@bc");
    #[rustfmt::skip]
    let expected = [
        0x80, 201, 0, 1, 0, 0, 0, 0xaa,
        0x81, 202, 0, 3, 0, 0, 0, 0xaa, 1, 4, b'a', b'@', b'b', b'c', 0, 0,
        0x81, 203, 0, 1, 0, 0, 0, 0xaa,
    ];
    assert_eq!(goodbye[..], expected);
}

#[test]
fn the_longest_of_ours_has_room_to_be_protected() {
    let sender = Sender { ntp: 1, timestamp: 1, packets: 1, octets: 1 };
    let reception =
        ReceptionBlock { ssrc: Ssrc::new(1), fraction_lost: 0, total_lost: 0, highest: 0, jitter: 0 };
    let block = ReportBlock { reception, last_report: 0, delay: 0 };
    let mut longest = RtcpPacket::report(Ssrc::new(1), Some(sender), Some(block), &"n".repeat(400));
    let plain = longest.len();
    assert!(longest.protect(|room, length| {
        assert_eq!((length, room.len()), (plain, plain + MAX_RTCP_OVERHEAD));
        Ok::<_, ()>(room.len())
    }));
    assert!(!longest.protect(|_, _| Err::<usize, _>(())) && longest.is_empty());
}

#[test]
fn what_breaks_a_rule_is_refused_whole_and_the_rule_is_named() {
    const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let after = |bytes: &[u8]| [&REPORT[..], bytes].concat();
    let table = [
        (vec![], MalformedRtcp::Empty),
        (vec![0x80], MalformedRtcp::Length),
        (after(&[0x80, 201, 0]), MalformedRtcp::Length),
        (after(&[0x80, 204, 0, 1]), MalformedRtcp::Length),
        (after(&[0x80, 204, 0xff, 0xff, 0, 0, 0, 0]), MalformedRtcp::Length),
        (after(&[0x40, 204, 0, 0]), MalformedRtcp::Version(1)),
        (after(&[0x80, 201, 0, 0]), MalformedRtcp::Short(201)),
        (after(&[0x81, 201, 0, 1, 0, 0, 0, 1]), MalformedRtcp::Short(201)),
        (
            after(&[0x80, 200, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            MalformedRtcp::Short(200),
        ),
        (after(&[0x82, 203, 0, 1, 0, 0, 0, 1]), MalformedRtcp::Short(203)),
        (after(&[0x81, 203, 0, 2, 0, 0, 0, 1, 4, b'b', b'y', b'e']), MalformedRtcp::Short(203)),
        // Padding of length zero, longer than the packet, on a packet without a byte, and before the last packet.
        (after(&[0xa0, 204, 0, 1, 0, 0, 0, 0]), MalformedRtcp::Padding),
        (after(&[0xa0, 204, 0, 1, 0, 0, 0, 5]), MalformedRtcp::Padding),
        (after(&[0xa0, 204, 0, 0]), MalformedRtcp::Padding),
        ([&[0xa0, 204, 0, 1, 0, 0, 0, 4][..], &REPORT].concat(), MalformedRtcp::Padding),
        // Where the padding is taken off, there is no block any more.
        (after(&[&[0xa1, 201, 0, 7, 0, 0, 0, 1][..], &[0; 23], &[24]].concat()), MalformedRtcp::Short(201)),
    ];
    for (datagram, rule) in table {
        assert_eq!(Compound::parse(&datagram).err(), Some(rule), "{datagram:02x?}");
    }
}

#[test]
fn padding_at_the_end_is_not_read_as_anything() {
    // A goodbye whose padding would be a reason of 200 bytes.
    let datagram = [0xa1, 203, 0, 2, 0, 0, 0, 7, 200, 0, 0, 4];
    let parts: Vec<Meaning> = Compound::parse(&datagram).expect("valid").parts().map(ours).collect();
    assert_eq!(parts, [Meaning::Goodbye(vec![7])]);
    // As some write it: three bytes behind an empty reason.
    let datagram = [0xa1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 3];
    assert!(Compound::parse(&datagram).is_ok());
    let everything = [0xa0, 204, 0, 1, 0, 0, 0, 4];
    assert!(Compound::parse(&everything).is_ok());
}

#[test]
fn the_largest_datagram_is_read_to_its_end() {
    // As many packets as fit: headers alone, and one report with 31 blocks.
    let mut datagram = [0x80, 204, 0, 0].repeat(16_000);
    datagram.extend([0x9f, 201, 0, 187]);
    datagram.extend([0; 4 + 31 * BLOCK]);
    let compound = Compound::parse(&datagram).expect("valid");
    assert_eq!(compound.parts().count(), 16_001);
    assert!(
        compound
            .parts()
            .any(|part| matches!(part, Part::ReceiverReport { blocks } if blocks.iter().len() == 31))
    );
}
