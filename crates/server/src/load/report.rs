//! What a run came to.

use serde::Serialize;

use super::cost::Cpu;
use super::ear::Fault;
pub use super::ear::Heard;
use super::plan::Who;
use super::spread::Quantiles;

/// Everything measured. Times in milliseconds unless they say otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many legs.
    pub legs: usize,
    /// In how many rooms.
    pub rooms: usize,
    /// The codec's name in SDP.
    pub codec: &'static str,
    /// Who talked.
    pub talk: Who,
    /// Seconds that were measured, by the clock.
    pub seconds: f64,
    /// The signal that ended the run before its time.
    pub interrupted: Option<&'static str>,
    /// The calls, where legs are calls by SIP.
    pub calls: Option<Calls>,
    /// All legs' packets.
    pub packets: Packets,
    /// By how much the pause between two arrivals of a stream differs from 20 ms.
    pub deviation_ms: Quantiles,
    /// Jitter as RFC 3550 estimates it at each receiver, over the legs.
    pub jitter_ms: Quantiles,
    /// From an impulse into the bridge to the impulse out; empty without a probe room.
    pub delay_ms: Quantiles,
    /// Impulses that went in and did not come out.
    pub impulses_missed: u64,
    /// Who heard whom.
    pub mix: Mix,
    /// What the generator itself cost, and whether it was in time.
    pub generator: Generator,
    /// What the bridge cost, where its process was named.
    pub server: Option<Server>,
    /// Leg by leg.
    pub each: Vec<LegReport>,
    /// For a picture: upper edges in milliseconds and counts.
    pub histograms: Histograms,
}

impl Report {
    /// Whether the mix is right and nobody was hung up on.
    pub fn passes(&self) -> bool {
        self.mix.right && self.calls.is_none_or(|calls| calls.dropped == 0)
    }
}

/// Calls by SIP.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calls {
    /// That were answered.
    pub placed: usize,
    /// Refusals that named a time (503 with Retry-After) and were overcome by calling again then.
    pub refusals: usize,
    /// That the bridge ended before their time.
    pub dropped: usize,
    /// From the INVITE to the answer.
    pub setup_ms: Quantiles,
}

/// What is counted of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// Sent to the bridge.
    pub sent: u64,
    /// Received from it.
    pub received: u64,
    /// Numbers of the bridge's streams that never came.
    pub lost: u64,
    /// That came twice.
    pub duplicated: u64,
    /// That came after a later one.
    pub reordered: u64,
    /// Pauses of more than 40 ms between two arrivals.
    pub gaps: u64,
    /// Holes of more than 40 ms in a stream's own time.
    pub holes: u64,
    /// Streams that began anew.
    pub restarts: u64,
    /// Datagrams that are not RTP, or not authentic where it is encrypted.
    pub unreadable: u64,
    /// RTP of another payload type than agreed.
    pub other_payloads: u64,
    /// Sends that the kernel refused.
    pub send_errors: u64,
}

impl Packets {
    /// Both together.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.gaps += other.gaps;
        self.holes += other.holes;
        self.restarts += other.restarts;
        self.unreadable += other.unreadable;
        self.other_payloads += other.other_payloads;
        self.send_errors += other.send_errors;
    }
}

/// Who heard whom, over all legs.
#[derive(Clone, Debug, Serialize)]
pub struct Mix {
    /// Whether everyone heard whom they must, nobody himself and nobody another room.
    pub right: bool,
    /// Stretches of sound that were judged.
    pub windows: u64,
    /// Of them wrong.
    pub wrong: u64,
    /// Legs that heard wrongly twice in a row, or never rightly.
    pub wrong_legs: usize,
    /// Legs of which no stretch could be judged: nothing came, or only with holes.
    pub unjudged_legs: usize,
    /// Legs that received nothing.
    pub deaf_legs: usize,
    /// The fewest talkers heard at once by a leg that should have heard somebody.
    pub fewest: u16,
    /// The most talkers heard at once.
    pub most: u16,
    /// The first few faults.
    pub faults: Vec<Fault>,
}

/// The generator's own figures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Generator {
    /// CPU time of this process per leg and second.
    pub cpu_ms_per_leg_second: f64,
    /// How late its slots of one millisecond began: what a bridge's jitter buffer sees is at least this.
    pub lateness_ms: Quantiles,
    /// Slots that were skipped because the generator was more than 200 ms behind: the run is not worth much.
    pub skipped: u64,
    /// Stretches of sound for whose judgement there was no time.
    pub unjudged: u64,
}

/// The bridge's process.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Its number.
    pub pid: u32,
    /// CPU time, in all.
    pub cpu_ms: Cpu,
    /// CPU time per leg and second.
    pub cpu_ms_per_leg_second: f64,
    /// Share of one core in percent, second by second.
    pub cpu_percent: Vec<f64>,
    /// Resident memory when the measuring began, in KiB.
    pub rss_kib_before: u64,
    /// And when it ended.
    pub rss_kib_after: u64,
}

/// One leg.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LegReport {
    /// Its number.
    pub leg: usize,
    /// Its room's number.
    pub room: usize,
    /// Its packets.
    pub packets: Packets,
    /// See [`Report::deviation_ms`].
    pub deviation_ms: Quantiles,
    /// The longest pause between two arrivals.
    pub longest_gap_ms: f64,
    /// See [`Report::jitter_ms`].
    pub jitter_ms: f64,
    /// What it heard.
    pub heard: Heard,
}

/// Upper edges in milliseconds and counts, for pictures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Histograms {
    /// Of [`Report::deviation_ms`].
    pub deviation: Vec<(f64, u32)>,
    /// Of [`Report::delay_ms`].
    pub delay: Vec<(f64, u32)>,
}
