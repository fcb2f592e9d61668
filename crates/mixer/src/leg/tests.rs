//! A leg by itself.

use super::*;
use crate::{Codec, PayloadType, Ptime, SeqNo};

#[test]
fn a_leg_is_small() {
    // 24 KiB per leg are allowed for everything, signaling and records included; this is what the mixer takes for it.
    let leg = Leg::new(config());
    let events = leg.events.capacity() * size_of::<LegEvent>();
    let all = size_of::<Leg>() + leg.incoming.playout.memory() + events + 4 * Digits::MAX;
    assert!(all <= 10 * 1024, "{all}, {} of them in one piece", size_of::<Leg>());
}

fn config() -> LegConfig {
    LegConfig {
        id: LegId(1),
        media: MediaConfig {
            codec: Codec::Pcmu,
            audio_pt: PayloadType::PCMU,
            event_pt: None,
            event_clock_rate: 8_000,
            ptime: Ptime::default(),
            audio_level: None,
        },
        direction: Direction::SendRecv,
        ssrc: Ssrc::new(1),
        first_sequence: SeqNo::new(1),
        first_timestamp: RtpTime::new(1),
        cname: "leg".into(),
        csrc: true,
        silent_after: Duration::from_mins(1),
    }
}

#[test]
fn what_is_dropped_because_nobody_collects_it_is_counted_as_what_it_is() {
    let mut leg = Leg::new(config());
    leg.config.media.event_pt = Some(PayloadType::new(101));
    let start = crate::testing::epoch();
    // The first packet is told too, so that one press of as many as there is room for finds none.
    for n in 0..EVENTS as u8 {
        let press = [0x80, 0x80 | 0x65, 0, n, 0, 0, n, 0, 0, 0, 0, 7, 5, 10, 0, 160]; // each at a time of its own
        leg.ingress_rtp(start + Duration::from_millis(400) * u32::from(n), &press);
    }
    assert_eq!((leg.stats().dropped_digits, leg.stats().dropped_events), (1, 0));
    leg.begin_tick(start + Duration::from_mins(10), 0);
    assert_eq!((leg.stats().dropped_digits, leg.stats().dropped_events), (1, 1), "its silence");
    let told: Vec<_> = std::iter::from_fn(|| leg.poll_event()).collect();
    assert!(matches!(told[..], [LegEvent::MediaStarted, LegEvent::Digit('5'), ..]) && told.len() == EVENTS);
}
