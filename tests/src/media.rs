//! The media threads without threads: rings, phases and ticks as `server::media::thread` has them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use mixer::{Command, PHASES, Phases, Report, Seat, Shard, ShardConfig};

use crate::network::{Datagram, Lane};
use crate::sockets::SimIo;
use crate::world::World;

/// RTCP of a leg is read and sent on this beat, in ticks.
const RTCP_EVERY: u64 = 50;

/// One shard with its rings.
pub struct SimShard {
    /// The mixer.
    pub shard: Shard<SimIo>,
    pub(crate) clock: Phases,
    /// Commands in the ring, and when the shard sees them.
    ring: VecDeque<(Duration, Command<SimIo>)>,
    /// Commands that found the ring full.
    held: VecDeque<Command<SimIo>>,
    /// The most commands that waited for room.
    pub most_held: usize,
    beats: [u64; PHASES],
    /// Until then the thread does not run.
    pub(crate) stalled: Duration,
}

impl SimShard {
    pub(crate) fn new(first: std::time::Instant, sabotage: Option<mixer::Sabotage>) -> Self {
        let mix = mixer::MixConfig { sabotage, ..mixer::MixConfig::default() };
        Self {
            shard: Shard::new(ShardConfig { mix, ..ShardConfig::default() }),
            clock: Phases::new(first, 3),
            ring: VecDeque::new(),
            held: VecDeque::new(),
            most_held: 0,
            beats: [0; PHASES],
            stalled: Duration::ZERO,
        }
    }

    /// Commands that have not reached the shard.
    pub fn waiting(&self) -> usize {
        self.ring.len() + self.held.len()
    }
}

impl World {
    /// The media thread `shard` does not get the processor for so long.
    pub fn stall(&mut self, shard: usize, time: Duration) {
        self.shards[shard].stalled = self.elapsed() + time;
    }

    /// Control's command goes into the ring, or waits before it.
    pub(crate) fn command(&mut self, shard: usize, command: Command<SimIo>) {
        let place = &mut self.shards[shard];
        place.held.push_back(command);
        self.push_held(shard);
        let place = &mut self.shards[shard];
        place.most_held = place.most_held.max(place.held.len());
    }

    fn push_held(&mut self, shard: usize) {
        let visible = self.elapsed() + self.setup.command_delay;
        let place = &mut self.shards[shard];
        while place.ring.len() < self.setup.ring {
            let Some(command) = place.held.pop_front() else { break };
            place.ring.push_back((visible, command));
        }
    }

    /// When the next phase of a shard begins; never while it has nothing to do.
    pub(crate) fn next_phase(&self, shard: usize) -> Option<Duration> {
        let place = &self.shards[shard];
        let idle = place.shard.is_empty() && place.waiting() == 0;
        (!idle).then(|| self.since_start(place.clock.deadline()).max(place.stalled))
    }

    /// The phases that are due: commands, then for each sockets, tick, egress, RTCP; then reports.
    pub(crate) fn phase(&mut self, number: usize) {
        let (now, at, wall) = (self.instant(), self.elapsed(), self.wall());
        let place = &mut self.shards[number];
        while place.ring.front().is_some_and(|(visible, _)| *visible <= at) {
            let (_, command) = place.ring.pop_front().expect("there is a first one");
            place.shard.apply(now, command);
        }
        let mut out: Vec<(SocketAddr, SocketAddr, Vec<u8>)> = Vec::new();
        while let Some((phase, deadline)) = place.clock.due(now) {
            let beat = place.beats[phase] % RTCP_EVERY;
            place.beats[phase] += 1;
            let ingress = |seat: &mut Seat<SimIo>| {
                while let Some(arrived) = seat.io.read_rtp() {
                    seat.leg.ingress_rtp(arrived.at, &arrived.bytes);
                }
                while seat.leg.id().0 % RTCP_EVERY == beat
                    && let Some(arrived) = seat.io.read_rtcp()
                {
                    seat.leg.ingress_rtcp(arrived.at, &arrived.bytes);
                }
            };
            let egress = |seat: &mut Seat<SimIo>| {
                if let (Some(packet), Some(to)) = (seat.leg.egress(), seat.io.rtp_to()) {
                    out.push((seat.io.local, to, packet.to_vec()));
                }
                if seat.leg.id().0 % RTCP_EVERY == beat
                    && let Some((from, to)) = seat.io.rtcp_way()
                    && let Some(packet) = seat.leg.egress_rtcp(now, wall)
                {
                    out.push((from, to, packet.to_vec()));
                }
            };
            place.shard.phase(phase, deadline, ingress, egress);
        }
        let reports: Vec<Report<SimIo>> = std::iter::from_fn(|| place.shard.poll_report()).collect();
        for (from, to, bytes) in out {
            self.net.send(at, Datagram { from, to, lane: Lane::Media, bytes: bytes.into() });
        }
        let due = at + self.setup.report_delay;
        self.reports.extend(reports.into_iter().map(|report| (due, report)));
        self.push_held(number);
    }
}
