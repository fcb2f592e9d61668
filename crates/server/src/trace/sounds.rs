//! The memory of what was heard and sent, where the configuration asks for it: the last packets of all calls together, within
//! a bound in bytes. The oldest packet goes first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use mixer::LegId;

use crate::media::capture::Packet;

/// What one packet costs beside its bytes, roughly.
const OVERHEAD: usize = 128;

/// One RTP packet in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// Towards us, or away from us.
    pub ingress: bool,
    /// Our RTP address.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// How long it was.
    pub length: usize,
    /// As much of it as is kept.
    pub bytes: Box<[u8]>,
}

/// What is kept of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSounds {
    /// Its packets, in the order in which they were noted.
    pub sounds: Vec<Sound>,
    /// Packets of all calls, since the start, that never came here because the media threads' rings were full.
    pub dropped: u64,
}

/// Which call a leg is, and how many of its packets are kept.
#[derive(Debug)]
struct Call {
    call_id: Vec<u8>,
    packets: usize,
}

/// One owner; nothing here waits or fails.
#[derive(Debug)]
pub struct Sounds {
    limit: usize,
    bytes: usize,
    dropped: u64,
    packets: VecDeque<(LegId, Sound)>,
    calls: HashMap<LegId, Call>,
}

impl Sounds {
    /// An empty memory of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, dropped: 0, packets: VecDeque::new(), calls: HashMap::new() }
    }

    /// Notes a packet. `call_id` is asked once for each leg; a leg that nobody knows any more is passed over. `now` is this
    /// moment by both clocks.
    pub fn note(
        &mut self,
        now: (Instant, SystemTime),
        packet: &Packet,
        call_id: impl FnOnce() -> Option<String>,
    ) {
        let leg = packet.leg;
        let call = match self.calls.entry(leg) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let Some(call_id) = call_id() else { return };
                new.insert(Call { call_id: call_id.into_bytes(), packets: 0 })
            }
        };
        call.packets += 1;
        let sound = Sound {
            at: now.1.checked_sub(now.0.saturating_duration_since(packet.at)).unwrap_or(now.1),
            ingress: packet.ingress,
            local: packet.local,
            remote: packet.remote,
            length: packet.length,
            bytes: packet.bytes().into(),
        };
        self.bytes += sound.bytes.len() + OVERHEAD;
        self.packets.push_back((leg, sound));
        while self.bytes > self.limit
            && let Some((leg, sound)) = self.packets.pop_front()
        {
            self.forget(leg, &sound);
        }
    }

    /// So many packets of all calls, since the start, never came here. How many more that are than before.
    pub fn note_dropped(&mut self, dropped: u64) -> u64 {
        let more = dropped.saturating_sub(self.dropped);
        self.dropped += more;
        more
    }

    /// What is kept of a call.
    pub fn of(&self, call_id: &[u8]) -> KeptSounds {
        let is_its = |leg: &LegId| self.calls.get(leg).is_some_and(|call| call.call_id == call_id);
        let its = self.packets.iter().filter(|(leg, _)| is_its(leg));
        KeptSounds { sounds: its.map(|(_, sound)| sound.clone()).collect(), dropped: self.dropped }
    }

    fn forget(&mut self, leg: LegId, sound: &Sound) {
        self.bytes -= sound.bytes.len() + OVERHEAD;
        if let Some(call) = self.calls.get_mut(&leg) {
            call.packets -= 1;
            if call.packets == 0 {
                self.calls.remove(&leg);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::media::capture::{About, capture};

    use super::*;

    fn packet(leg: u64, filling: u8) -> Packet {
        let (mut into, mut out) = capture();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ends = Some((address(20_000), address(30_000)));
        let about = About { leg: LegId(leg), at: Instant::now(), ingress: true, ends, keys: None };
        let mut rtp = [filling; 172];
        rtp[0] = 0x80;
        into.note(about, &rtp);
        out.poll().expect("a packet")
    }

    #[test]
    fn memory_is_bounded_the_oldest_goes_first_and_nothing_is_left_of_a_call_without_packets() {
        let mut sounds = Sounds::new(10 * (172 + OVERHEAD));
        let now = (Instant::now(), SystemTime::now());
        for n in 0..25_u8 {
            let leg = u64::from(n) / 10;
            sounds.note(now, &packet(leg, n), || Some(format!("call-{leg}")));
        }
        assert_eq!(sounds.packets.len(), 10);
        assert_eq!(sounds.calls.len(), 2);
        assert!(sounds.of(b"call-0").sounds.is_empty());
        let fillings =
            |call: &[u8]| sounds.of(call).sounds.iter().map(|sound| sound.bytes[171]).collect::<Vec<_>>();
        assert_eq!((fillings(b"call-1"), fillings(b"call-2")), ((15..20).collect(), (20..25).collect()));
    }

    #[test]
    fn what_never_came_here_is_told_with_every_call_and_its_rise_once() {
        let mut sounds = Sounds::new(100_000);
        sounds.note((Instant::now(), SystemTime::now()), &packet(1, 1), || Some("call".to_owned()));
        assert_eq!(sounds.of(b"call").dropped, 0);
        assert_eq!([0, 3, 3, 5].map(|dropped| sounds.note_dropped(dropped)), [0, 3, 0, 2]);
        let kept = sounds.of(b"call");
        assert_eq!((kept.sounds.len(), kept.dropped), (1, 5));
    }

    #[test]
    fn what_belongs_to_no_call_is_not_kept() {
        let mut sounds = Sounds::new(100_000);
        sounds.note((Instant::now(), SystemTime::now()), &packet(1, 1), || None);
        assert!(sounds.packets.is_empty() && sounds.calls.is_empty());
    }
}
