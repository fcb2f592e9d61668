//! What is asked while the test call is up: keys, hold in its forms, a refresh.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::sdp::{Direction, LocalMedia, accept_answer, reoffer};
use sip::{Body, CommandError, Event, HeaderName, Message};
use trunk::Kind;

use super::call::TestCall;
use super::exam::Exam;
use super::report::Judged;
use crate::control::srtp_keys;

/// A re-INVITE or UPDATE is answered within this time, or the trunk has a problem.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// For how long a hold lasts, and how long the sound may take to come back after it.
const HELD: Duration = Duration::from_millis(500);
const RESUMED: Duration = Duration::from_secs(2);
/// How long a key may take to come back.
const KEYED: Duration = Duration::from_millis(1200);
/// How often we look whether an answer has come that no event tells of.
const LOOK: Duration = Duration::from_millis(50);

/// Asks everything; once the call has ended, the rest is skipped.
pub(super) async fn examine(exam: &mut Exam<'_>, call: &mut TestCall) {
    keys(exam, call).await;
    refresh(exam, call).await;
    holds(exam, call).await;
}

/// Whether the call is over, so that the question is skipped.
fn is_over(exam: &mut Exam<'_>, call: &TestCall, check: &str) -> bool {
    if let Some(why) = &call.over {
        exam.report.skip(check, format!("the call has ended before: {why}"));
    }
    call.over.is_some()
}

/// Two keys, one with the marker bit that begins an event (RFC 4733 section 2.5.1.2) and one without: who sends back what it
/// hears sends them back too.
async fn keys(exam: &mut Exam<'_>, call: &mut TestCall) {
    let check = "digits";
    if is_over(exam, call, check) {
        return;
    }
    let Some(payload_type) = call.agreed.event_pt else {
        let change = "their SBC: telephone-event (RFC 4733) in its SDP; who cannot key gets into no meeting";
        return exam.report.fail(check, "no telephone-event in their answer", change);
    };
    let mut came = [false; 2];
    for (came, (key, code, marked)) in came.iter_mut().zip([("5", 5, true), ("7", 7, false)]) {
        call.media.begin_to_key(key, marked);
        let until = Instant::now() + KEYED;
        while !*came && Instant::now() < until && call.over.is_none() {
            call.wait(exam, LOOK).await;
            *came = call.media.tape().keys.contains(&code);
        }
    }
    exam.report.note(check, judge_keys(came, payload_type));
}

/// What came of the key with the marker bit, and of the one without.
fn judge_keys(came: [bool; 2], payload_type: u8) -> Judged {
    let change =
        "their SBC, or what stands behind it: an event is known by its timestamp, not by the marker bit";
    match came {
        [true, true] => Judged::pass(format!(
            "a key with and one without the marker bit came back, as payload type {payload_type}"
        )),
        [true, false] => {
            Judged::fail("the key without the marker bit did not come back, the other did", change)
        }
        [false, true] => Judged::fail("the key with the marker bit did not come back, the other did", change),
        [false, false] => Judged::skip(format!(
            "agreed as payload type {payload_type}; the far end sends no keys back that could prove more"
        )),
    }
}

/// The dialog is refreshed as in a long call (RFC 4028), and its session timer is shown.
async fn refresh(exam: &mut Exam<'_>, call: &mut TestCall) {
    let check = "session refresh";
    if is_over(exam, call, check) {
        return;
    }
    let began = Instant::now();
    if exam.line.endpoint().refresh_dialog(began, call.dialed.id).is_err() {
        return exam.report.skip(check, "the call is not up any more");
    }
    let answer = loop {
        let found = refreshed(exam, call, began).cloned();
        if found.is_some() || call.over.is_some() || began.elapsed() > ANSWER_WITHIN {
            break found;
        }
        call.wait(exam, LOOK).await;
    };
    let Some(answer) = answer else {
        let why =
            call.over.clone().unwrap_or_else(|| format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
        let change = "their SBC: UPDATE or re-INVITE in a dialog must be answered, or calls end at half of their interval";
        return exam.report.fail(check, why, change);
    };
    let status = answer.status().map_or(0, sip::StatusCode::code);
    let method = answer.cseq().map_or_else(String::new, |cseq| cseq.method.to_string());
    let timer = |message: &Message| message.headers().get(HeaderName::SessionExpires).map(str::to_owned);
    let why = match (timer(&answer).or_else(|| timer(&call.dialed.answer)), status) {
        (Some(timer), 200..=299) => format!("{method} answered {status}; Session-Expires: {timer}"),
        (None, 200..=299) => format!("{method} answered {status}; they want no session timer"),
        _ => {
            let change = "their SBC: a refresh changes nothing and is to be taken; session_timer of this trunk decides whether we send any";
            return exam.report.fail(check, format!("{method} answered {status}"), change);
        }
    };
    exam.report.pass(check, why);
}

/// The final answer to our UPDATE or re-INVITE since then.
fn refreshed<'a>(exam: &'a Exam<'_>, call: &TestCall, since: Instant) -> Option<&'a Message> {
    let mut later = exam.line.heard().rev().take_while(|heard| heard.at >= since);
    let is_final = |message: &Message| message.status().is_some_and(sip::StatusCode::is_final);
    let is_refresh = |message: &Message| {
        message.cseq().is_some_and(|cseq| matches!(cseq.method.as_str(), "UPDATE" | "INVITE"))
    };
    let found = later.find(|heard| {
        let message = &heard.message;
        message.call_id() == Some(&*call.dialed.call_id) && is_final(message) && is_refresh(message)
    });
    found.map(|heard| &heard.message)
}

/// Hold in every form that may come up, and the resume after it.
async fn holds(exam: &mut Exam<'_>, call: &mut TestCall) {
    let home = call.local.clone();
    // Microsoft knows `inactive` only.
    let all = exam.profile.kind != Kind::Microsoft;
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let forms = [
        ("hold by a=inactive", Some(LocalMedia { direction: Direction::Inactive, ..home.clone() })),
        ("hold by a=sendonly", all.then(|| LocalMedia { direction: Direction::SendOnly, ..home.clone() })),
        (
            "hold by c=0.0.0.0",
            (all && home.address.is_ipv4()).then(|| LocalMedia { address: nowhere, ..home.clone() }),
        ),
    ];
    for (check, held) in forms {
        let Some(held) = held else { continue };
        if is_over(exam, call, check) {
            continue;
        }
        let answered = reinvite(exam, call, &held).await;
        let judged = answered.and_then(|answer| judge_hold(check, held.direction, &answer));
        call.media.hold(true);
        call.wait(exam, HELD).await;
        let resumed = reinvite(exam, call, &home).await;
        call.media.hold(false);
        match (judged, resumed) {
            (Err((why, change)), _) => exam.report.fail(check, why, change),
            (Ok(_), Err((why, change))) => exam.report.fail(check, format!("the resume: {why}"), change),
            (Ok(how), Ok(_)) => {
                let (before, since) = (call.media.meter().packets, Instant::now());
                while call.media.meter().packets == before && since.elapsed() < RESUMED && call.over.is_none()
                {
                    call.wait(exam, LOOK).await;
                }
                let after = since.elapsed().as_millis();
                if call.media.meter().packets == before {
                    let forged = call.media.tape().forged;
                    let why = format!(
                        "{how}; after the resume no RTP came for {} s that could be read ({forged} packets in this call could not be \
                         decrypted)",
                        RESUMED.as_secs()
                    );
                    exam.report.fail(check, why, "their SBC: a re-INVITE with a=sendrecv ends the hold");
                } else {
                    exam.report.pass(check, format!("{how}; RTP came again within {after} ms of the resume"));
                }
            }
        }
    }
}

type Refused = (String, String);

/// A re-INVITE with this description of ours; their answer to it.
async fn reinvite(exam: &mut Exam<'_>, call: &mut TestCall, wanted: &LocalMedia) -> Result<Bytes, Refused> {
    let fail =
        |why: String| (why, "their SBC: re-INVITE with hold and resume (RFC 3264 section 8.4)".to_owned());
    call.local.session_version += 1;
    let local = LocalMedia { session_version: call.local.session_version, ..wanted.clone() };
    let sdp = reoffer(&call.offered, &local).map_err(|why| fail(why.to_string()))?;
    let began = Instant::now();
    // A refresh that is still under way goes first.
    loop {
        match exam.line.endpoint().reinvite(Instant::now(), call.dialed.id, Body::sdp(sdp.clone())) {
            Err(CommandError::OfferPending) if began.elapsed() < ANSWER_WITHIN => call.wait(exam, LOOK).await,
            Err(why) => return Err(fail(call.over.clone().unwrap_or_else(|| why.to_string()))),
            Ok(()) => break,
        }
    }
    let answer = call.serve(exam, began + ANSWER_WITHIN, |event| match event {
        Event::ReinviteAnswered { body, .. } => Some(Ok(body.clone())),
        Event::ReinviteFailed { status, .. } => Some(Err(*status)),
        _ => None,
    });
    let answer = answer.await;
    let nothing =
        || call.over.clone().unwrap_or_else(|| format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
    let body = answer.ok_or_else(|| fail(nothing()))?.map_err(|status| fail(format!("answered {status}")))?;
    let body = body.ok_or_else(|| fail("the 200 has no SDP".to_owned()))?;
    let read = accept_answer(&sdp, &body, &call.capabilities);
    let agreed = read.map_err(|why| fail(format!("the SDP of the 200 cannot be used: {why}")))?;
    if let Some(crypto) = &agreed.crypto {
        call.media.rekey(&srtp_keys(&crypto.ours), &srtp_keys(&crypto.theirs));
    }
    Ok(body)
}

/// Whether their answer goes with the hold (RFC 3264 section 6.1); how it does.
fn judge_hold(check: &str, wanted: Direction, answer: &[u8]) -> Result<String, Refused> {
    let theirs = direction_of(answer);
    let fits = match wanted {
        Direction::Inactive => theirs == "inactive",
        Direction::SendOnly => matches!(theirs, "recvonly" | "inactive"),
        // c=0.0.0.0 says nothing of directions.
        Direction::SendRecv | Direction::RecvOnly => true,
    };
    if fits {
        return Ok(format!("answered a={theirs}"));
    }
    let change =
        format!("their SBC: the answer to {check} is a direction that goes with it (RFC 3264 section 6.1)");
    Err((format!("answered a={theirs}: they take no hold"), change))
}

/// The direction of a description with one stream: that of the media, else that of the session.
fn direction_of(description: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(description);
    let known = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let last = text.lines().rev().filter_map(|line| line.trim().strip_prefix("a="));
    let mut found = last.filter_map(|word| known.into_iter().find(|known| *known == word));
    found.next().unwrap_or("sendrecv")
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_key_that_does_not_come_back_fails_only_when_the_other_does() {
        let lost = |which: &str| format!("the key {which} the marker bit did not come back, the other did");
        let both = "a key with and one without the marker bit came back, as payload type 101".to_owned();
        let none =
            "agreed as payload type 101; the far end sends no keys back that could prove more".to_owned();
        // (with the marker, without it, how it came out, and why)
        for (marked, unmarked, verdict, why) in [
            (true, true, Verdict::Pass, both),
            (true, false, Verdict::Fail, lost("without")),
            (false, true, Verdict::Fail, lost("with")),
            (false, false, Verdict::Skip, none),
        ] {
            let judged = judge_keys([marked, unmarked], 101);
            assert_eq!((judged.verdict, judged.why), (verdict, why));
            let advises = judged.change.is_some_and(|change| change.contains("by its timestamp"));
            assert_eq!(advises, verdict == Verdict::Fail, "what to change, where something is to be changed");
        }
    }

    #[test]
    fn a_hold_is_answered_by_a_direction_that_goes_with_it() {
        // (what we say, what they say, whether that is a hold)
        for (wanted, theirs, good) in [
            (Direction::Inactive, "a=inactive", true),
            (Direction::Inactive, "a=recvonly", false),
            (Direction::Inactive, "", false),
            (Direction::SendOnly, "a=recvonly", true),
            (Direction::SendOnly, "a=inactive", true),
            (Direction::SendOnly, "a=sendrecv", false),
            (Direction::SendRecv, "a=sendrecv", true),
        ] {
            let answer = format!("v=0\r\na=sendrecv\r\nm=audio 4000 RTP/AVP 8\r\n{theirs}\r\n");
            let judged = judge_hold("hold", wanted, answer.as_bytes());
            assert_eq!(judged.is_ok(), good, "{wanted:?} {theirs}: {judged:?}");
        }
    }
}
