//! A report as people read it.

use std::fmt::Write as _;

use super::plan::Who;
use super::report::Report;
use super::spread::Quantiles;

/// The table, and the verdict below it.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<27} {value}");
    };
    let talk = match report.talk {
        Who::All => "all talking".to_owned(),
        Who::Percent(share) => format!("{share} % talking"),
        Who::Talkers(count) => format!("{count} talking in each"),
    };
    line(
        "load",
        format!(
            "{} legs in {} rooms, {}, {talk}, {:.0} s",
            report.legs, report.rooms, report.codec, report.seconds
        ),
    );
    if let Some(by) = report.interrupted {
        line("interrupted", format!("by {by}: this is what was measured until then"));
    }
    if let Some(calls) = &report.calls {
        line(
            "calls",
            format!(
                "{} answered, {} refused for a while before, {} ended by the bridge before their time",
                calls.placed, calls.refusals, calls.dropped
            ),
        );
        line("  answered after", quantiles(&calls.setup_ms));
    }
    let mix = &report.mix;
    line("mix", format!("{} windows judged, {} wrong", mix.windows, mix.wrong));
    line("  talkers heard at once", format!("{} to {}", mix.fewest, mix.most));
    if mix.wrong_legs + mix.unjudged_legs + mix.deaf_legs > 0 {
        line(
            "  legs",
            format!(
                "{} hear wrongly, {} could not be judged, {} received nothing",
                mix.wrong_legs, mix.unjudged_legs, mix.deaf_legs
            ),
        );
    }
    let packets = &report.packets;
    line("packets", format!("{} sent, {} received", packets.sent, packets.received));
    let share = 100.0 * packets.lost as f64 / (packets.received + packets.lost).max(1) as f64;
    line("  lost on the way back", format!("{} ({share:.3} %)", packets.lost));
    line("  duplicated, reordered", format!("{}, {}", packets.duplicated, packets.reordered));
    line(
        "  pauses over 40 ms",
        format!("{}; holes over 40 ms in the stream {}", packets.gaps, packets.holes),
    );
    if packets.send_errors + packets.unreadable + packets.other_payloads + packets.restarts > 0 {
        line(
            "  odd",
            format!(
                "{} sends refused, {} datagrams not RTP, {} of another payload type, {} streams begun anew",
                packets.send_errors, packets.unreadable, packets.other_payloads, packets.restarts
            ),
        );
    }
    line("deviation from 20 ms", quantiles(&report.deviation_ms));
    line("jitter (RFC 3550), by leg", quantiles(&report.jitter_ms));
    if report.delay_ms.count > 0 || report.impulses_missed > 0 {
        line(
            "delay through the bridge",
            format!(
                "{}; {} of {} impulses missed",
                quantiles(&report.delay_ms),
                report.impulses_missed,
                report.impulses_missed + report.delay_ms.count
            ),
        );
    }
    if let Some(server) = &report.server {
        let peak = server.cpu_percent.iter().copied().fold(0.0, f64::max);
        line(
            "bridge's CPU",
            format!(
                "{:.3} ms per leg and second ({:.0} legs a core), at most {peak:.0} % of a core",
                server.cpu_ms_per_leg_second,
                1000.0 / server.cpu_ms_per_leg_second.max(1e-3)
            ),
        );
        let [before, after] = [server.rss_kib_before, server.rss_kib_after].map(|kib| kib as f64 / 1024.0);
        line("bridge's memory", format!("{before:.1} MiB, {after:.1} MiB at the end"));
    }
    let generator = &report.generator;
    line(
        "generator",
        format!(
            "{:.3} CPU-ms per leg and second; late by {}",
            generator.cpu_ms_per_leg_second,
            quantiles(&generator.lateness_ms)
        ),
    );
    if generator.skipped + generator.unjudged > 0 {
        line(
            "  OVERLOADED",
            format!(
                "{} ms were skipped, {} windows not judged: more --threads, a quieter machine, or fewer --legs",
                generator.skipped, generator.unjudged
            ),
        );
    }
    for fault in mix.faults.iter().take(10) {
        line("  fault", format!("leg {} in room {}: {}", fault.leg, fault.room, fault.why));
    }
    text.push_str(verdict(report));
    text
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
