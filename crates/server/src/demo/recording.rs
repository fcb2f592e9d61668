//! The listening half of a simulated telephone: everything that arrived, when, and the sound it makes.
//!
//! There is no jitter buffer: the sound is laid out by RTP timestamp, so that what is measured is what the bridge sent and not
//! how well a telephone would have played it.

use std::time::{Duration, Instant};

use super::{g711::Law, listening::RATE, rtp::Packet};

/// A frame louder than this counts as sound (full scale 32768; about -46 dBFS).
const SOUND: f64 = 164.0;
/// A timestamp that is off by more than this starts a new count (a sender that restarted its clock).
const SLIP: Duration = Duration::from_millis(500);

/// One audio packet as it came.
#[derive(Clone, Debug)]
struct Arrived {
    at: Instant,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    law: Law,
    octets: Vec<u8>,
}

/// What the last packets amounted to; cheap to copy, for those who wait for something to be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Audio packets so far.
    pub packets: u64,
    /// Audio so far that was louder than silence.
    pub sounding: Duration,
    /// When the last such audio came.
    pub last_sound: Option<Instant>,
}

/// Counts over a whole recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Audio packets received.
    pub packets: u64,
    /// Sequence numbers that never came.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Datagrams that were not RTP, or of a payload type that was not agreed.
    pub strange: u64,
    /// Streams (SSRC) seen.
    pub streams: u32,
    /// Longest time between two packets.
    pub longest_gap_ms: u64,
}

/// Everything that arrived at one telephone.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    packets: Vec<Arrived>,
    meter: Meter,
    strange: u64,
}

impl Recording {
    /// Takes down one datagram.
    pub fn arrive(&mut self, at: Instant, datagram: &[u8]) {
        let packet = Packet::parse(datagram);
        let law = packet.and_then(|packet| match packet.payload_type {
            0 => Some(Law::Mu),
            8 => Some(Law::A),
            _ => None,
        });
        let (Some(packet), Some(law)) = (packet, law) else {
            self.strange += 1;
            return;
        };
        self.meter.packets += 1;
        let energy: f64 = packet.payload.iter().map(|octet| f64::from(law.decode(*octet)).powi(2)).sum();
        if energy > SOUND * SOUND * packet.payload.len() as f64 {
            self.meter.sounding += Duration::from_secs_f64(packet.payload.len() as f64 / RATE as f64);
            self.meter.last_sound = Some(at);
        }
        self.packets.push(Arrived {
            at,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            law,
            octets: packet.payload.to_vec(),
        });
    }

    /// Where the recording stands.
    pub fn meter(&self) -> Meter {
        self.meter
    }

    /// What came and what did not.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { packets: self.meter.packets, strange: self.strange, ..Tally::default() };
        for run in self.runs() {
            tally.streams += 1;
            let mut highest = i64::from(run[0].sequence);
            let first = highest;
            for packet in run {
                let ahead = i64::from(packet.sequence.wrapping_sub(highest as u16) as i16);
                if ahead < 0 {
                    tally.reordered += 1;
                }
                highest += ahead.max(0);
            }
            tally.lost += (highest - first + 1 - run.len() as i64).max(0) as u64;
        }
        let gaps = self.packets.windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
        tally.longest_gap_ms = gaps.max().unwrap_or_default().as_millis() as u64;
        tally
    }

    /// The sound, full scale 1.0, one sample for every sample time since `epoch`; what is missing is zero.
    pub fn track(&self, epoch: Instant) -> Vec<f32> {
        let mut track = Vec::new();
        for run in self.runs() {
            lay_out(run, epoch, &mut track);
        }
        track
    }

    /// The streams: stretches of packets with one SSRC and no jump in their timestamps.
    fn runs(&self) -> impl Iterator<Item = &[Arrived]> {
        self.packets.chunk_by(|a, b| {
            let samples = b.timestamp.wrapping_sub(a.timestamp) as i32;
            let clock = f64::from(samples) / RATE as f64;
            let passed = b.at.saturating_duration_since(a.at).as_secs_f64();
            a.ssrc == b.ssrc && (clock - passed).abs() < SLIP.as_secs_f64()
        })
    }
}

/// A stream's clock is set by its most punctual packet: all others were late.
fn lay_out(run: &[Arrived], epoch: Instant, track: &mut Vec<f32>) {
    let first = run[0].timestamp;
    let offset = |packet: &Arrived| i64::from(packet.timestamp.wrapping_sub(first) as i32);
    let position = |at: Instant| (at.saturating_duration_since(epoch).as_secs_f64() * RATE as f64) as i64;
    let start = run.iter().map(|packet| position(packet.at) - offset(packet)).min().unwrap_or(0);
    for packet in run {
        let from = start + offset(packet);
        for (index, octet) in packet.octets.iter().enumerate() {
            let Ok(at) = usize::try_from(from + index as i64) else { continue };
            if track.len() <= at {
                track.resize(at + 1, 0.0);
            }
            track[at] = f32::from(packet.law.decode(*octet)) / 32768.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32, octet: u8) -> Vec<u8> {
        Packet { ssrc, sequence, timestamp, payload_type: 8, marker: false, payload: &[octet; 160] }
            .to_bytes()
    }

    const LOUD: u8 = 0x2a ^ 0x80;

    #[test]
    fn sound_lies_where_its_timestamp_says_however_late_it_came() {
        let epoch = Instant::now();
        let mut recording = Recording::default();
        let late = [0, 35, 5, 12];
        for (n, late) in late.into_iter().enumerate() {
            let at = epoch + Duration::from_millis(1000 + 20 * n as u64 + late);
            recording.arrive(at, &packet(1, n as u16, (160 * n as u32).wrapping_sub(160), LOUD));
        }
        let track = recording.track(epoch);
        assert_eq!(track.len(), 8000 + 640);
        assert!(track[..8000].iter().all(|sample| *sample == 0.0));
        assert!(track[8000..].iter().all(|sample| *sample > 0.9));
        assert_eq!(recording.meter().sounding, Duration::from_millis(80));
    }

    #[test]
    fn loss_and_reordering_are_counted_and_leave_silence() {
        let epoch = Instant::now();
        let mut recording = Recording::default();
        for (n, sequence) in [65534_u16, 65535, 1, 0, 3].into_iter().enumerate() {
            let index = sequence.wrapping_sub(65534);
            let at = epoch + Duration::from_millis(20 * n as u64);
            recording.arrive(at, &packet(1, sequence, 160 * u32::from(index), LOUD));
        }
        recording.arrive(epoch, b"not RTP at all");
        let tally = recording.tally();
        assert_eq!((tally.packets, tally.lost, tally.reordered, tally.strange), (5, 1, 1, 1));
        assert_eq!(recording.track(epoch).iter().filter(|sample| **sample == 0.0).count(), 160);
    }

    #[test]
    fn a_new_stream_is_laid_out_by_its_own_clock() {
        let epoch = Instant::now();
        let mut recording = Recording::default();
        recording.arrive(epoch, &packet(1, 9, 77_777, LOUD));
        recording.arrive(epoch + Duration::from_secs(1), &packet(2, 500, 5, LOUD));
        recording.arrive(epoch + Duration::from_secs(2), &packet(2, 501, 3_000_000, LOUD));
        let track = recording.track(epoch);
        for (from, to, loud) in [
            (0, 160, true),
            (160, 8000, false),
            (8000, 8160, true),
            (8160, 16000, false),
            (16000, 16160, true),
        ] {
            assert!(track[from..to].iter().all(|sample| (*sample > 0.5) == loud), "{from}..{to}");
        }
        assert_eq!(recording.tally().lost, 0);
    }
}
