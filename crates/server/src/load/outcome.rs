//! From what the threads leave to a report.

use super::cost::Cpu;
use super::crew::CrewPlan;
use super::driver::Driven;
use super::ear::Judgement;
use super::leg::{Leg, Line, Part};
use super::report::{Generator, Histograms, LegReport, Mix, Packets, Report, Server};
use super::spread::Spread;

/// Everything that a run leaves, before it is a report.
pub(super) struct Outcome {
    pub(super) driven: Vec<Driven>,
    pub(super) judgement: Judgement,
    pub(super) plan: CrewPlan,
    pub(super) seconds: f64,
    pub(super) own: Cpu,
    pub(super) server: Option<Server>,
}

impl Outcome {
    pub(super) fn report(self) -> Report {
        let mut packets = Packets::default();
        let (mut deviation, mut jitter, mut delay, mut lateness) =
            (Spread::default(), Spread::default(), Spread::default(), Spread::default());
        let mut each = Vec::new();
        let (mut missed, mut skipped, mut unjudged, mut deaf) = (0, 0, 0, 0);
        for driven in &self.driven {
            lateness.merge(&driven.lateness);
            skipped += driven.skipped;
            unjudged += driven.unjudged;
            for Line { leg, .. } in &driven.lines {
                let report = leg_report(leg, &self.judgement);
                packets.add(&report.packets);
                deviation.merge(&leg.arrivals.deviation);
                jitter.add((leg.arrivals.jitter_ms() * 1000.0) as u64);
                deaf += usize::from(report.packets.received == 0);
                if let Part::Listener(listener) = &leg.part {
                    delay.merge(&listener.delays);
                    missed += listener.missed(driven.bursts[leg.place.room]);
                }
                each.push(report);
            }
        }
        each.sort_by_key(|leg| leg.leg);
        let legs = each.len();
        let mix = self.mix(&each, deaf);
        Report {
            legs,
            rooms: self.plan.rooms.len(),
            codec: self.plan.codec.name(),
            talk: self.plan.talk.who,
            seconds: self.seconds,
            interrupted: None,
            calls: None,
            packets,
            deviation_ms: deviation.quantiles(),
            jitter_ms: jitter.quantiles(),
            delay_ms: delay.quantiles(),
            impulses_missed: missed,
            mix,
            generator: Generator {
                cpu_ms_per_leg_second: self.own.total() / (legs as f64 * self.seconds),
                lateness_ms: lateness.quantiles(),
                skipped,
                unjudged,
            },
            server: self.server,
            each,
            histograms: Histograms { deviation: deviation.bars(), delay: delay.bars() },
        }
    }

    fn mix(&self, each: &[LegReport], deaf_legs: usize) -> Mix {
        let judged = || each.iter().filter(|leg| !self.plan.rooms[leg.room].probe);
        let sum = |of: fn(&LegReport) -> u32| judged().map(|leg| u64::from(of(leg))).sum::<u64>();
        let (right, wrong) = (sum(|leg| leg.heard.right), sum(|leg| leg.heard.wrong));
        let wrong_legs = judged().filter(|leg| leg.heard.is_wrong()).count();
        let with_windows = || judged().filter(|leg| leg.heard.right + leg.heard.wrong > 0);
        let unjudged_legs = judged().count() - with_windows().count();
        Mix {
            right: wrong_legs == 0 && unjudged_legs == 0 && deaf_legs == 0,
            windows: right + wrong,
            wrong,
            wrong_legs,
            unjudged_legs,
            deaf_legs,
            fewest: with_windows().map(|leg| leg.heard.fewest).min().unwrap_or(0),
            most: with_windows().map(|leg| leg.heard.most).max().unwrap_or(0),
            faults: self.judgement.faults.clone(),
        }
    }
}

fn leg_report(leg: &Leg, judgement: &Judgement) -> LegReport {
    let (counts, tally) = (leg.arrivals.counts, leg.tally);
    LegReport {
        leg: leg.place.leg,
        room: leg.place.room,
        packets: Packets {
            sent: tally.sent,
            received: counts.received,
            lost: counts.lost,
            duplicated: counts.duplicated,
            reordered: counts.reordered,
            gaps: counts.gaps,
            holes: counts.holes,
            restarts: counts.restarts,
            unreadable: tally.unreadable,
            other_payloads: tally.other_payloads,
            send_errors: tally.send_errors,
        },
        deviation_ms: leg.arrivals.deviation.quantiles(),
        longest_gap_ms: counts.longest_gap as f64 / 1000.0,
        jitter_ms: leg.arrivals.jitter_ms(),
        heard: judgement.heard[leg.place.leg],
    }
}
