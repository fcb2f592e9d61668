//! Which of the streams that arrive is the leg's audio: probation, restarts and a changed SSRC (RFC 3550 appendix A.1 and 8.2).

use std::time::{Duration, Instant};

use crate::units::{SeqNo, Ssrc};

/// What to do with an audio packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the stream that we play.
    Current,
    /// It begins the stream that we play from now on.
    Switched,
    /// It may begin a new stream, but one packet is not enough to say so: drop it.
    Probation,
}

/// The stream that is played, and the one that may take over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    current: Option<Current>,
    candidate: Option<Candidate>,
    switches: u64,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    ssrc: Ssrc,
    highest: SeqNo,
    heard: Instant,
    since: Instant,
    packet: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    ssrc: Ssrc,
    next: SeqNo,
    run: u32,
}

/// A sequence number this far ahead is a gap, further ahead a restart (RFC 3550 appendix A.1, MAX_DROPOUT).
const MAX_DROPOUT: i16 = 3000;

/// A sequence number this far behind is reordered, further behind a restart (RFC 3550 appendix A.1, MAX_MISORDER).
const MAX_MISORDER: i16 = 100;

/// Packets in a row that are all behind: not reordering, but a sender that started over by a little (a recording played again).
const BEHIND: u32 = 8;

/// After a switch another SSRC must prove itself, so that two senders at once do not take turns.
const SETTLE: Duration = Duration::from_millis(200);

impl Source {
    /// The stream that is played.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.current.map(|current| current.ssrc)
    }

    /// How often another stream took over.
    pub fn switches(&self) -> u64 {
        self.switches
    }

    /// An audio packet of `packet` playing time arrived.
    pub fn handle_audio(
        &mut self,
        ssrc: Ssrc,
        sequence: SeqNo,
        arrival: Instant,
        packet: Duration,
    ) -> Verdict {
        let Some(current) = &mut self.current else {
            return self.switch(ssrc, sequence, arrival, packet);
        };
        if current.ssrc == ssrc {
            let ahead = sequence.ahead_of(current.highest);
            if (1..MAX_DROPOUT).contains(&ahead) {
                *current = Current { highest: sequence, heard: arrival, packet, ..*current };
                self.candidate = None;
                return Verdict::Current;
            }
            let (enough, otherwise) = if (-MAX_MISORDER..=0).contains(&ahead) {
                (BEHIND, Verdict::Current)
            } else {
                (2, Verdict::Probation)
            };
            return if self.run(ssrc, sequence) >= enough {
                self.switch(ssrc, sequence, arrival, packet)
            } else {
                otherwise
            };
        }
        // Another SSRC in the place of an overdue packet takes over at once, so that the gap is short; beside packets that still
        // come it has to show two in a row.
        let overdue = arrival.saturating_duration_since(current.heard) >= current.packet * 3 / 4;
        let settled = arrival.saturating_duration_since(current.since) >= SETTLE;
        if overdue && settled || self.run(ssrc, sequence) >= 2 {
            return self.switch(ssrc, sequence, arrival, packet);
        }
        Verdict::Probation
    }

    /// A packet that is not audio (an event, comfort noise) took a sequence number.
    pub fn handle_other(&mut self, ssrc: Ssrc, sequence: SeqNo, arrival: Instant) {
        let current = self.current.as_mut().filter(|current| current.ssrc == ssrc);
        if let Some(current) =
            current.filter(|current| (1..MAX_DROPOUT).contains(&sequence.ahead_of(current.highest)))
        {
            current.highest = sequence;
            current.heard = arrival;
        }
    }

    fn run(&mut self, ssrc: Ssrc, sequence: SeqNo) -> u32 {
        let run = match self.candidate {
            Some(candidate) if candidate.ssrc == ssrc && candidate.next == sequence => candidate.run + 1,
            _ => 1,
        };
        self.candidate = Some(Candidate { ssrc, next: sequence.next(), run });
        run
    }

    fn switch(&mut self, ssrc: Ssrc, sequence: SeqNo, arrival: Instant, packet: Duration) -> Verdict {
        self.switches += u64::from(self.current.is_some());
        self.current = Some(Current { ssrc, highest: sequence, heard: arrival, since: arrival, packet });
        self.candidate = None;
        Verdict::Switched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: Duration = Duration::from_millis(20);

    /// Feeds (milliseconds, SSRC, sequence number) and returns the verdicts as letters: C, S, P.
    fn verdicts(packets: &[(u64, u32, u16)]) -> String {
        let start = crate::testing::epoch();
        let mut source = Source::default();
        packets
            .iter()
            .map(|&(at, ssrc, sequence)| {
                let arrival = start + Duration::from_millis(at);
                match source.handle_audio(Ssrc::new(ssrc), SeqNo::new(sequence), arrival, PACKET) {
                    Verdict::Current => 'C',
                    Verdict::Switched => 'S',
                    Verdict::Probation => 'P',
                }
            })
            .collect()
    }

    #[test]
    fn which_stream_is_played() {
        let restart: Vec<_> =
            (0..10).map(|n| (n * 20, 1, 500 + n as u16)).chain([(200, 1, 9), (220, 1, 10)]).collect();
        let replay: Vec<_> = (0..20)
            .map(|n| (n * 20, 1, n as u16))
            .chain((0..9).map(|n| (400 + n * 20, 1, n as u16)))
            .collect();
        let both: Vec<_> = (0..16).map(|n| (n * 10, 1 + (n % 2) as u32, (n / 2) as u16)).collect();
        for (name, packets, expected) in [
            ("the first packet begins", vec![(0, 1, 7), (20, 1, 8)], "SC"),
            ("reordering and a wrap", vec![(0, 1, 65_534), (20, 1, 0), (21, 1, 65_535)], "SCC"),
            ("a gap", vec![(0, 1, 1), (900, 1, 46)], "SC"),
            (
                "a changed SSRC in place of the next packet",
                vec![(0, 1, 1), (300, 1, 16), (320, 2, 900)],
                "SCS",
            ),
            (
                "a stray packet of another SSRC",
                vec![(0, 1, 1), (300, 1, 16), (301, 2, 900), (320, 1, 17)],
                "SCPC",
            ),
            ("another SSRC soon after the first", vec![(0, 1, 1), (20, 2, 5), (40, 2, 6)], "SPS"),
            ("a restart of the sequence needs two", restart, "SCCCCCCCCCPS"),
            ("a recording played again", replay, "SCCCCCCCCCCCCCCCCCCCCCCCCCCSC"),
            ("two senders at once do not take turns", both, "SPCPCPCPCPCPCPCP"),
        ] {
            assert_eq!(verdicts(&packets), expected, "{name}");
        }
    }
}
