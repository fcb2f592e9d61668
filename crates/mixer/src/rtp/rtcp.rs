//! RTCP of one leg, off the hot path but on the same thread: sender and receiver reports with our CNAME at least every five
//! seconds, what the far end reports about us, and the goodbye (RFC 3550 section 6).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::compound::{Blocks, Compound, Part, ReportBlock, RtcpPacket, Sender};
use super::reception::ReceptionBlock;
use crate::units::{RtpTime, Ssrc};

/// When the first report is due after the leg began to exist.
const FIRST: Duration = Duration::from_millis(500);

/// Between two reports: 2.5 s plus up to 1.4 s that differs from leg to leg and from time to time, so that a thousand legs do not
/// report at once (RFC 3550 section 6.2) and that a shell which asks once a second still sends every five.
const INTERVAL: Duration = Duration::from_millis(2_500);
const SPREAD_MILLIS: u32 = 1_400;

/// What we sent so far, for a sender report.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
    /// Our media clock at the time of the report.
    pub timestamp: RtpTime,
}

/// What the far end reports about the stream that we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarEnd {
    /// Loss on the way to it since its last report, in 1/256.
    pub fraction_lost: u8,
    /// Interarrival jitter that it sees (RFC 3550 section 6.4.1), by the clock of what we sent when it said so.
    pub jitter: Duration,
    /// Round trip without its own holding time (RFC 3550 section 6.4.1, DLSR).
    pub round_trip: Option<Duration>,
    /// It said goodbye.
    pub gone: bool,
}

/// RTCP of one leg.
#[derive(Clone, Copy, Debug)]
pub struct Rtcp {
    ssrc: Ssrc,
    due: Option<Instant>,
    spread: u32,
    /// The middle 32 bits of the NTP time in our latest sender reports, and when they left.
    sent: [Option<(u32, Instant)>; 2],
    /// The middle 32 bits of the far end's latest sender report, and when it came.
    heard: Option<(u32, Instant)>,
    far_end: FarEnd,
}

impl Rtcp {
    /// For the stream `ssrc` that we send.
    pub fn new(ssrc: Ssrc) -> Self {
        Self {
            ssrc,
            due: None,
            spread: ssrc.to_wire(),
            sent: [None; 2],
            heard: None,
            far_end: FarEnd::default(),
        }
    }

    /// What the far end reports.
    pub fn far_end(&self) -> FarEnd {
        self.far_end
    }

    /// A compound packet arrived; false when it is malformed, and then nothing in it counts. Whatever it says, it only changes
    /// figures: a forged goodbye ends nothing. It allocates nothing. `clock` is that of the stream that we send, in Hz: jitter is
    /// reported in its ticks.
    pub fn handle_packet(&mut self, arrival: Instant, clock: u32, datagram: &[u8]) -> bool {
        let Ok(compound) = Compound::parse(datagram) else { return false };
        for part in compound.parts() {
            match part {
                Part::SenderReport { ntp, blocks } => {
                    self.heard = Some(((ntp >> 16) as u32, arrival));
                    self.handle_blocks(arrival, clock, blocks);
                }
                Part::ReceiverReport { blocks } => self.handle_blocks(arrival, clock, blocks),
                // One that names nobody is valid and means nothing (section 6.6).
                Part::Goodbye { sources } => self.far_end.gone |= sources.iter().len() > 0,
                Part::Other(_) => {}
            }
        }
        true
    }

    /// True when a report is due at `now`.
    pub fn is_due(&mut self, now: Instant) -> bool {
        now >= *self.due.get_or_insert(now + FIRST)
    }

    /// The report for `now`, a compound packet. It is a sender report once we have sent anything (RFC 3550 section 6.4). Of
    /// `cname` at most 255 bytes are sent. It allocates nothing.
    pub fn report(
        &mut self,
        now: Instant,
        wall: SystemTime,
        cname: &str,
        sent: Sent,
        block: Option<ReceptionBlock>,
    ) -> RtcpPacket {
        self.spread = self.spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); // Numerical Recipes' generator
        let spread = Duration::from_millis(u64::from((self.spread >> 16) % SPREAD_MILLIS));
        self.due = Some(now + INTERVAL + spread);
        let sender = (sent.packets > 0).then(|| {
            let ntp = ntp_time(wall);
            self.sent = [Some(((ntp >> 16) as u32, now)), self.sent[0]];
            Sender {
                ntp,
                timestamp: sent.timestamp.to_wire(),
                packets: sent.packets as u32,
                octets: sent.octets as u32,
            }
        });
        let block = block.map(|block| self.report_block(now, block));
        RtcpPacket::report(self.ssrc, sender, block, cname)
    }

    /// The goodbye, a compound packet (RFC 3550 section 6.6). It allocates nothing.
    pub fn goodbye(&self, cname: &str) -> RtcpPacket {
        RtcpPacket::goodbye(self.ssrc, cname)
    }

    fn handle_blocks(&mut self, arrival: Instant, clock: u32, blocks: Blocks<'_>) {
        let Some(block) = blocks.iter().find(|block| block.reception.ssrc == self.ssrc) else { return };
        self.far_end.fraction_lost = block.reception.fraction_lost;
        // As much as fits is more than anyone waits for: 2^32 ticks are half a day.
        let nanos = u64::from(block.reception.jitter) * 1_000_000_000 / u64::from(clock.max(1));
        self.far_end.jitter = Duration::from_nanos(nanos);
        let answered = self.sent.iter().flatten().find(|(ntp, _)| *ntp == block.last_report);
        if let Some((_, left)) = answered {
            let held = Duration::from_nanos((u64::from(block.delay) * 1_000_000_000) >> 16);
            self.far_end.round_trip = arrival.saturating_duration_since(*left).checked_sub(held);
        }
    }

    fn report_block(&self, now: Instant, reception: ReceptionBlock) -> ReportBlock {
        let (last_report, delay) = self.heard.map_or((0, 0), |(ntp, at)| {
            let since = now.saturating_duration_since(at).as_nanos();
            (ntp, u32::try_from((since << 16) / 1_000_000_000).unwrap_or(u32::MAX))
        });
        ReportBlock { reception, last_report, delay }
    }
}

/// NTP time: seconds since 1900 in 32.32 fixed point (RFC 3550 section 4).
fn ntp_time(wall: SystemTime) -> u64 {
    let since_1970 = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_1970.as_secs().wrapping_add(2_208_988_800);
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rtc_rtcp::sender_report::SenderReport;
    use rtc_shared::marshal::Unmarshal as _;

    use super::*;

    fn block() -> ReceptionBlock {
        ReceptionBlock { ssrc: Ssrc::new(9), fraction_lost: 12, total_lost: 34, highest: 70_000, jitter: 5 }
    }

    fn sent(packets: u64) -> Sent {
        Sent { packets, octets: packets * 160, timestamp: RtpTime::new(8_000) }
    }

    #[test]
    fn a_report_comes_at_least_every_five_seconds_with_our_cname() {
        let start = crate::testing::epoch();
        for ssrc in [1, 77, 0xffff_ffff] {
            let mut rtcp = Rtcp::new(Ssrc::new(ssrc));
            let mut last = start;
            // Asked once a second, as the shell does.
            for second in 0..120 {
                let now = start + Duration::from_secs(second);
                if rtcp.is_due(now) {
                    let packet = rtcp.report(now, UNIX_EPOCH, "bridge@example.org", sent(second), None);
                    assert!(packet.windows(18).any(|text| text == b"bridge@example.org"));
                    assert!(now - last <= Duration::from_secs(5));
                    last = now;
                }
            }
            assert!(last > start + Duration::from_secs(110));
        }
    }

    #[test]
    fn a_listener_sends_receiver_reports_and_a_sender_sender_reports() {
        let now = crate::testing::epoch();
        let mut rtcp = Rtcp::new(Ssrc::new(5));
        assert_eq!(rtcp.report(now, UNIX_EPOCH, "c", sent(0), Some(block()))[1], 201);
        let wall = UNIX_EPOCH + Duration::from_millis(1_500);
        let bytes = rtcp.report(now, wall, "c", sent(50), Some(block()));
        let report =
            SenderReport::unmarshal(&mut Bytes::copy_from_slice(&bytes)).expect("a sender report first");
        assert_eq!(
            (report.ssrc, report.packet_count, report.octet_count, report.rtp_time),
            (5, 50, 8_000, 8_000)
        );
        assert_eq!(report.ntp_time, (2_208_988_801 << 32) | (1 << 31));
        assert_eq!((report.reports[0].ssrc, report.reports[0].total_lost), (9, 34));
        assert_eq!(report.reports[0].last_sequence_number, 70_000);
    }

    #[test]
    fn the_round_trip_is_measured_between_two_legs() {
        let start = crate::testing::epoch();
        let (mut ours, mut theirs) = (Rtcp::new(Ssrc::new(5)), Rtcp::new(Ssrc::new(9)));
        let report = ours.report(start, UNIX_EPOCH + Duration::from_secs(7), "a", sent(1), Some(block()));
        assert!(theirs.handle_packet(start + Duration::from_millis(40), 8_000, &report));
        let about_us = ReceptionBlock { ssrc: Ssrc::new(5), ..block() };
        let answer =
            theirs.report(start + Duration::from_millis(1_040), UNIX_EPOCH, "b", sent(1), Some(about_us));
        assert!(ours.handle_packet(start + Duration::from_millis(1_070), 8_000, &answer));
        let far_end = ours.far_end();
        let round_trip = far_end.round_trip.expect("measured");
        assert!(round_trip.abs_diff(Duration::from_millis(70)) < Duration::from_millis(1), "{round_trip:?}");
        assert_eq!((far_end.fraction_lost, far_end.gone), (12, false));
        // Five ticks.
        assert_eq!(far_end.jitter, Duration::from_micros(625));
        assert!(ours.handle_packet(start, 48_000, &answer));
        assert_eq!(ours.far_end().jitter, Duration::from_nanos(104_166));
    }

    #[test]
    fn a_goodbye_is_heard_and_garbage_is_not_understood() {
        let now = crate::testing::epoch();
        let (mut ours, theirs) = (Rtcp::new(Ssrc::new(5)), Rtcp::new(Ssrc::new(9)));
        assert!(ours.handle_packet(now, 8_000, &theirs.goodbye("b")));
        assert!(ours.far_end().gone);
        for garbage in
            [&[][..], &[0x80], &[0x80, 200, 0, 0], &[0x80, 200, 0xff, 0xff, 1], &[0, 201, 0, 1, 0, 0, 0, 0]]
        {
            assert!(!Rtcp::new(Ssrc::new(1)).handle_packet(now, 8_000, garbage), "{garbage:?}");
        }
    }

    #[test]
    fn of_a_packet_that_breaks_off_nothing_counts() {
        let start = crate::testing::epoch();
        let (mut ours, mut theirs) = (Rtcp::new(Ssrc::new(5)), Rtcp::new(Ssrc::new(9)));
        let about_us = ReceptionBlock { ssrc: Ssrc::new(5), ..block() };
        let report = theirs.report(start, UNIX_EPOCH, "b", sent(1), Some(about_us));
        for length in 0..report.len() {
            let whole = length == 0x34; // the sender report alone, which some send
            assert_eq!(ours.handle_packet(start, 8_000, &report[..length]), whole, "{length} bytes");
            if whole {
                assert_eq!(ours.far_end().fraction_lost, 12);
                ours = Rtcp::new(Ssrc::new(5));
            }
            assert_eq!(ours.far_end(), FarEnd::default(), "{length} bytes");
        }
    }

    #[test]
    fn a_goodbye_of_nobody_is_none() {
        let mut ours = Rtcp::new(Ssrc::new(5));
        assert!(ours.handle_packet(
            crate::testing::epoch(),
            8_000,
            &[0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 203, 0, 0]
        ));
        assert!(!ours.far_end().gone);
    }
}
