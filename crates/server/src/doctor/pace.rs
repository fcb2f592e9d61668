//! How fast they answer an INVITE, beside how long we wait before we leave a peer for the next one.

use std::time::{Duration, Instant};

use super::call::TestCall;
use super::exam::Exam;

/// Reports on the first answer and on the first sign of ringing.
pub(super) fn examine(exam: &mut Exam<'_>, call: &TestCall) {
    let mut answers = exam.line.heard().filter(|heard| {
        heard.at >= call.dialed.began
            && heard.message.call_id() == Some(&*call.dialed.call_id)
            && heard.message.cseq().is_some_and(|cseq| cseq.method.as_str() == "INVITE")
    });
    let first = answers.next().map(|heard| (heard.at, status(&heard.message)));
    let Some(first) = first else {
        return exam.report.skip("failover timing", "no answer to the INVITE was kept");
    };
    let rings = if first.1 > 100 {
        Some(first)
    } else {
        answers.find(|heard| status(&heard.message) > 100).map(|heard| (heard.at, status(&heard.message)))
    };
    let after = |(at, status): (Instant, u16)| (at.saturating_duration_since(call.dialed.began), status);
    let profile = exam.profile;
    let limits = Limits { silent: profile.first_response_within, unrung: profile.failover_time };
    let judged = judge(limits, after(first), rings.map(after), profile.peers.len());
    exam.report.judge("failover timing", judged);
}

fn status(message: &sip::Message) -> u16 {
    message.status().map_or(0, sip::StatusCode::code)
}

/// When we leave a peer.
#[derive(Clone, Copy)]
struct Limits {
    /// Without any answer.
    silent: Duration,
    /// Without ringing.
    unrung: Duration,
}

/// A peer that uses up more than half of a limit on a good day is left on a busy one.
fn judge(
    limits: Limits,
    first: (Duration, u16),
    rings: Option<(Duration, u16)>,
    peers: usize,
) -> Result<String, (String, String)> {
    let said = |(after, status): (Duration, u16)| format!("{status} after {} ms", after.as_millis());
    let seconds = |time: Duration| format!("{} s", time.as_secs_f32());
    if first.0 > limits.silent / 2 {
        let why =
            format!("{}: we leave a peer that says nothing for {}", said(first), seconds(limits.silent));
        return Err((why, "their SBC: 100 at once; or a larger first_response_ms".to_owned()));
    }
    if let Some(rings) = rings.filter(|rings| rings.0 > limits.unrung / 2) {
        let why =
            format!("{}: we leave a peer that does not ring within {}", said(rings), seconds(limits.unrung));
        return Err((
            why,
            "a larger failover_time_seconds, or calls are placed twice on a busy day".to_owned(),
        ));
    }
    let rings =
        rings.filter(|rings| *rings != first).map(|rings| format!(", {}", said(rings))).unwrap_or_default();
    let next = match peers {
        0 | 1 => "the trunk has no other peer to go to".to_owned(),
        more => format!("then the next of its {more} peers is tried"),
    };
    let (silent, unrung) = (seconds(limits.silent), seconds(limits.unrung));
    Ok(format!(
        "{}{rings}; a peer is left after {silent} of silence, or {unrung} without ringing: {next}",
        said(first)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_nearly_too_slow_fails_with_the_key_to_change() {
        let limits = Limits { silent: Duration::from_millis(3500), unrung: Duration::from_secs(10) };
        let ms = Duration::from_millis;
        let good = judge(limits, (ms(3), 100), Some((ms(900), 180)), 2).unwrap();
        assert_eq!(
            good,
            "100 after 3 ms, 180 after 900 ms; a peer is left after 3.5 s of silence, or 10 s without ringing: then the next \
             of its 2 peers is tried"
        );
        assert!(
            judge(limits, (ms(40), 200), Some((ms(40), 200)), 1).unwrap().ends_with("no other peer to go to")
        );
        let (_, change) = judge(limits, (ms(1800), 100), None, 2).unwrap_err();
        assert!(change.contains("first_response_ms"), "{change}");
        let (why, change) = judge(limits, (ms(3), 100), Some((ms(6000), 183)), 2).unwrap_err();
        assert!(
            why.contains("183 after 6000 ms") && change.contains("failover_time_seconds"),
            "{why} {change}"
        );
    }
}
