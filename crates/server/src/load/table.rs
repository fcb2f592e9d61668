//! A report as people read it.

use std::fmt::Write as _;

use super::plan::Who;
use super::report::{Calls, Generator, Mix, Packets, Report, Server};
use super::spread::Quantiles;

/// The table, and the verdict below it.
pub(super) fn table(report: &Report) -> String {
    let mut lines = Lines::default();
    lines.load(report);
    lines.mix(&report.mix);
    lines.packets(&report.packets);
    lines.times(report);
    if let Some(server) = &report.server {
        lines.server(server);
    }
    lines.generator(&report.generator);
    for fault in report.mix.faults.iter().take(10) {
        lines.add("  fault", format!("leg {} in room {}: {}", fault.leg, fault.room, fault.why));
    }
    lines.0.push_str(verdict(report));
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "  {name:<27} {value}");
    }

    fn load(&mut self, report: &Report) {
        let talk = match report.talk {
            Who::All => "all talking".to_owned(),
            Who::Percent(share) => format!("{share} % talking"),
            Who::Talkers(count) => format!("{count} talking in each"),
        };
        let Report { legs, rooms, codec, seconds, .. } = report;
        self.add("load", format!("{legs} legs in {rooms} rooms, {codec}, {talk}, {seconds:.0} s"));
        if let Some(by) = report.interrupted {
            self.add("interrupted", format!("by {by}: this is what was measured until then"));
        }
        if let Some(calls) = &report.calls {
            let Calls { placed, refusals, dropped, setup_ms } = calls;
            self.add(
                "calls",
                format!(
                    "{placed} answered, {refusals} refused for a while before, {dropped} ended by the bridge before their time"
                ),
            );
            self.add("  answered after", quantiles(setup_ms));
        }
    }

    fn mix(&mut self, mix: &Mix) {
        self.add("mix", format!("{} windows judged, {} wrong", mix.windows, mix.wrong));
        self.add("  talkers heard at once", format!("{} to {}", mix.fewest, mix.most));
        let Mix { wrong_legs, unjudged_legs, deaf_legs, .. } = mix;
        if wrong_legs + unjudged_legs + deaf_legs > 0 {
            self.add(
                "  legs",
                format!(
                    "{wrong_legs} hear wrongly, {unjudged_legs} could not be judged, {deaf_legs} received nothing"
                ),
            );
        }
    }

    fn packets(&mut self, packets: &Packets) {
        let share = 100.0 * packets.lost as f64 / (packets.received + packets.lost).max(1) as f64;
        self.add("packets", format!("{} sent, {} received", packets.sent, packets.received));
        self.add("  lost on the way back", format!("{} ({share:.3} %)", packets.lost));
        self.add("  duplicated, reordered", format!("{}, {}", packets.duplicated, packets.reordered));
        let pauses = format!("{}; holes over 40 ms in the stream {}", packets.gaps, packets.holes);
        self.add("  pauses over 40 ms", pauses);
        let Packets { send_errors, unreadable, other_payloads, restarts, .. } = packets;
        if send_errors + unreadable + other_payloads + restarts > 0 {
            self.add(
                "  odd",
                format!(
                    "{send_errors} sends refused, {unreadable} datagrams not RTP, {other_payloads} of another payload type, {restarts} streams begun anew"
                ),
            );
        }
    }

    fn times(&mut self, report: &Report) {
        self.add("deviation from 20 ms", quantiles(&report.deviation_ms));
        self.add("jitter (RFC 3550), by leg", quantiles(&report.jitter_ms));
        let (delay, missed) = (&report.delay_ms, report.impulses_missed);
        if delay.count > 0 || missed > 0 {
            let all = missed + delay.count;
            self.add(
                "delay through the bridge",
                format!("{}; {missed} of {all} impulses missed", quantiles(delay)),
            );
        }
    }

    fn server(&mut self, server: &Server) {
        let cost = server.cpu_ms_per_leg_second;
        let peak = server.cpu_percent.iter().copied().fold(0.0, f64::max);
        let legs = 1000.0 / cost.max(1e-3);
        self.add(
            "bridge's CPU",
            format!("{cost:.3} ms per leg and second ({legs:.0} legs a core), at most {peak:.0} % of a core"),
        );
        let [before, after] = [server.rss_kib_before, server.rss_kib_after].map(|kib| kib as f64 / 1024.0);
        self.add("bridge's memory", format!("{before:.1} MiB, {after:.1} MiB at the end"));
    }

    fn generator(&mut self, generator: &Generator) {
        let late = quantiles(&generator.lateness_ms);
        let cost = generator.cpu_ms_per_leg_second;
        self.add("generator", format!("{cost:.3} CPU-ms per leg and second; late by {late}"));
        let Generator { skipped, unjudged, .. } = generator;
        if skipped + unjudged > 0 {
            self.add(
                "  OVERLOADED",
                format!(
                    "{skipped} ms were skipped, {unjudged} windows not judged: more --threads, a quieter machine, or fewer --legs"
                ),
            );
        }
    }
}

fn verdict(report: &Report) -> &'static str {
    if report.interrupted.is_some() {
        "INTERRUPTED: a part of a run has no verdict"
    } else if report.passes() {
        "PASS: everyone heard exactly whom they should"
    } else if !report.mix.right {
        "FAIL: the mix is wrong, see the faults above"
    } else {
        "FAIL: the bridge hung up on legs"
    }
}

fn quantiles(of: &Quantiles) -> String {
    let Quantiles { p50, p99, p999, max, .. } = of;
    format!("p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}, max {max:.2} ms")
}
