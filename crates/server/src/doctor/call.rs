//! The test call: a tone goes out, what comes back is judged.

use std::f32::consts::TAU;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use routing::{E164, Owner, Provider};
use sip::sdp::{Codec, Direction, LocalMedia, Negotiated, Srtp, accept_answer, offer};
use sip::{Body, Event, OutgoingInvite};
use trunk::Peer;

use super::answer;
use super::exam::Exam;
use crate::config::sip_transport;
use crate::demo::g711::Law;
use crate::demo::media::{Media, MediaPorts};
use crate::demo::speaker::Stream;

/// What is played, in Hz: away from dial tones and their harmonics.
const TONE: f32 = 1004.0;
/// For how long.
const PLAYED: Duration = Duration::from_secs(3);
/// How long the echo may take to come back after the tone.
const AFTER: Duration = Duration::from_millis(1500);
const RATE: f32 = 8000.0;
/// So much sound is heard on purpose.
const SOUND: Duration = Duration::from_millis(500);
/// Samples that are judged together: 50 ms.
const WINDOW: usize = 400;
/// The share of the energy in a window that is the tone's when it is an echo of ours.
const SHARE: f32 = 0.5;

/// Calls the number over this peer and reports every step.
pub(super) async fn place(exam: &mut Exam<'_>, peer: &Peer, number: &E164) {
    let check = "test call";
    if exam.profile.srtp == Srtp::Mandatory {
        return exam.report.skip(
            check,
            "srtp = \"mandatory\", and the test call speaks plain RTP only: call with the bridge",
        );
    }
    let mut capabilities = exam.profile.capabilities();
    capabilities.codecs.retain(|codec| matches!(codec, Codec::Pcma | Codec::Pcmu));
    capabilities.srtp = Srtp::Off;
    if capabilities.codecs.is_empty() {
        return exam
            .report
            .skip(check, "the trunk has neither PCMA nor PCMU, and the test call speaks nothing else");
    }
    let Some(caller) = exam.options.caller.clone().or_else(|| own_number(exam)) else {
        let change = "--caller NUMBER: one that the peer lets us show";
        return exam.report.fail(check, "no number of this trunk's provider to call from", change);
    };
    let media = &exam.config.media;
    let ports = match MediaPorts::bind(media.address).await {
        Ok(ports) => ports,
        Err(error) => {
            return exam.report.fail(
                check,
                format!("no RTP port on {}: {error}", media.address),
                "media.address",
            );
        }
    };
    let local = LocalMedia {
        address: media.advertise,
        port: ports.address().port(),
        rtcp_port: ports.address().port() + 1,
        session_id: rand::random::<u32>().into(),
        session_version: 1,
        direction: Direction::SendRecv,
        keys: Vec::new(),
    };
    let offered = offer(&local, &capabilities);
    let Some((id, answered)) = dial(exam, peer, number, caller, &offered).await else { return };
    let negotiated = match answered {
        Some(body) => {
            if let Some(judged) = answer::media(&body, exam.profile) {
                exam.report.judge("codecs of the test call", judged);
            }
            accept_answer(&offered, &body, &capabilities).map_err(|why| why.to_string())
        }
        None => Err("the 200 has no SDP".to_owned()),
    };
    match negotiated {
        Ok(agreed) => listen(exam, ports, &agreed).await,
        Err(why) => exam.report.fail(
            "audio",
            format!("their answer cannot be used: {why}"),
            "their SBC: the answer's SDP",
        ),
    }
    let now = Instant::now();
    // Gone where they have hung up meanwhile.
    let _ = exam.line.endpoint().hangup(now, id, None);
    let until = now + Duration::from_secs(2);
    while exam.line.next(until).await.is_some() {}
}

/// The first number of the configuration that this trunk's provider owns.
fn own_number(exam: &Exam<'_>) -> Option<E164> {
    let owned = |owner: &Owner| match (owner, &exam.profile.provider) {
        (Owner::Microsoft, Provider::Microsoft) => true,
        (Owner::Operator(owner), Provider::Operator(provider)) => owner == provider,
        _ => false,
    };
    let numbers = exam.config.table.numbers();
    numbers.iter().find(|number| owned(&number.owner)).map(|number| number.number.clone())
}

/// INVITE, until it is answered or is not.
async fn dial(
    exam: &mut Exam<'_>,
    peer: &Peer,
    number: &E164,
    caller: E164,
    offered: &bytes::Bytes,
) -> Option<(sip::InviteId, Option<bytes::Bytes>)> {
    let check = "test call";
    let flow = exam.line.flow_to(sip_transport(peer.transport), peer.address).ok()?;
    let wanted = trunk::DialOut {
        dialed: number.clone(),
        caller_id: caller,
        display: None,
        withheld: false,
        local: exam.line.contact(&flow),
    };
    let shaped = trunk::shape_invite(exam.profile, peer, &wanted);
    let began = Instant::now();
    let ring_for = exam.profile.ring_for;
    let id = exam.line.endpoint().invite(
        began,
        OutgoingInvite {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            body: Some(Body::sdp(offered.clone())),
            credentials: exam.profile.credentials.clone(),
            first_response_within: exam.profile.first_response_within,
            provisional_within: exam.profile.failover_time,
            ring_for,
            terms: exam.profile.terms,
        },
    );
    let call_id = exam.line.call_id(id);
    let until = began + exam.profile.failover_time + ring_for + Duration::from_secs(5);
    loop {
        match exam.line.next(until).await {
            Some(Event::Answered { id: answered, body, .. }) if answered == id => {
                let why = format!(
                    "{number} answered after {:.1} s, Call-ID {call_id}",
                    began.elapsed().as_secs_f64()
                );
                exam.report.pass(check, why);
                return Some((id, body));
            }
            Some(Event::Failed { id: failed, failure }) if failed == id => {
                let change = match failure.status {
                    401 | 407 => "credentials of this trunk",
                    403 => "their SBC: may we call this number, with this caller ID?",
                    404 | 484 => "the number, and number_format of this trunk",
                    488 => "codecs and srtp of this trunk, against theirs",
                    _ => "their SBC's log, by the Call-ID",
                };
                exam.report.fail(check, format!("{failure}, Call-ID {call_id}"), change);
                return None;
            }
            Some(_) => {}
            None => {
                let _ = exam.line.endpoint().hangup(Instant::now(), id, None);
                exam.line.next(Instant::now() + Duration::from_secs(1)).await;
                exam.report.fail(check, format!("not answered, Call-ID {call_id}"), "another number");
                return None;
            }
        }
    }
}

/// Plays the tone and judges what comes back.
async fn listen(exam: &mut Exam<'_>, ports: MediaPorts, agreed: &Negotiated) {
    let own: SocketAddr = ports.address();
    let law = if agreed.codec == Codec::Pcmu { Law::Mu } else { Law::A };
    let stream = Stream {
        law,
        audio: agreed.audio_pt,
        events: agreed.event_pt,
        ssrc: rand::random(),
        sequence: rand::random(),
        timestamp: rand::random(),
    };
    let media = ports.start(stream, agreed.remote_rtp);
    let played = tone(PLAYED);
    // The dialog is served meanwhile: re-INVITEs are refused, a BYE is answered.
    let until = Instant::now() + PLAYED + AFTER;
    let saying = media.say(Arc::clone(&played));
    let serving = async {
        while let Some(event) = exam.line.next(until).await {
            if let Event::ReinviteReceived { id, .. } = event {
                let _ = exam.line.endpoint().reject_reinvite(Instant::now(), id, 488, &[]);
            }
        }
    };
    tokio::join!(saying, serving);
    judge(exam, &media, own, agreed.remote_rtp);
}

fn judge(exam: &mut Exam<'_>, media: &Media, own: SocketAddr, remote: SocketAddr) {
    let meter = media.meter();
    let tape = media.tape();
    let (from_them, to_them) = ("audio from them", "audio to them");
    if meter.packets == 0 {
        let strange = tape.strangers;
        let (why, change) = if strange > 0 {
            let why =
                format!("{strange} packets came to {own}, none of them from {remote} as their SDP says");
            (why, "media_source = \"same-ip\" or \"symmetric\", or their SBC's media address")
        } else {
            (format!("no RTP came to {own} from {remote}"), "a firewall, media.advertise, or the route back")
        };
        exam.report.fail(from_them, why, change);
        return exam.report.skip(to_them, "nothing comes back that could prove it");
    }
    let sounding = meter.sounding;
    if sounding < SOUND {
        let why = format!("{} packets with {:.1} s of sound", meter.packets, sounding.as_secs_f64());
        exam.report.fail(from_them, why, "call a number that sends back what it hears, or speaks");
        return exam.report.skip(to_them, "nothing is heard that could prove it");
    }
    exam.report
        .pass(from_them, format!("{} packets, {:.1} s of sound", meter.packets, sounding.as_secs_f64()));
    let heard = tape.heard.track(tape.started);
    match echo(&heard) {
        Some(after) => {
            let within = (after + WINDOW as f32 / RATE) * 1000.0;
            exam.report.pass(to_them, format!("our tone came back within {within:.0} ms"));
        }
        None => exam
            .report
            .skip(to_them, "the far end has a sound of its own: ask there, or call a number with an echo"),
    }
}

fn tone(length: Duration) -> Arc<[i16]> {
    let samples = (length.as_secs_f32() * RATE) as usize;
    (0..samples).map(|n| ((TAU * TONE * n as f32 / RATE).sin() * 8000.0) as i16).collect()
}

/// When our tone came back, in seconds after it began: the first of five windows in a row that are mostly tone.
fn echo(heard: &[f32]) -> Option<f32> {
    const IN_A_ROW: usize = 5;
    let is_tone = |window: &[f32]| {
        let (mut cosine, mut sine, mut energy) = (0.0, 0.0, 0.0);
        for (n, sample) in window.iter().enumerate() {
            let phase = TAU * TONE * n as f32 / RATE;
            cosine += sample * phase.cos();
            sine += sample * phase.sin();
            energy += sample * sample;
        }
        let share =
            2.0 * (cosine * cosine + sine * sine) / (window.len() as f32 * energy.max(f32::MIN_POSITIVE));
        energy > 0.0 && share > SHARE
    };
    let tones: Vec<bool> = heard.chunks_exact(WINDOW).map(is_tone).collect();
    let found = tones.windows(IN_A_ROW).position(|row| row.iter().all(|is| *is))?;
    Some((found * WINDOW) as f32 / RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tone_is_told_from_other_sound_and_from_silence() {
        let played: Vec<f32> =
            tone(Duration::from_secs(1)).iter().map(|&sample| f32::from(sample) / 32768.0).collect();
        let late = [vec![0.0; 1600], played.clone()].concat();
        assert!(echo(&late).is_some_and(|after| (0.15..0.3).contains(&after)), "{:?}", echo(&late));
        assert_eq!(echo(&vec![0.0; 16_000]), None);
        let other: Vec<f32> = (0..8000).map(|n| (TAU * 440.0 * n as f32 / RATE).sin()).collect();
        assert_eq!(echo(&other), None);
        let mixed: Vec<f32> = played.iter().zip(&other).map(|(tone, other)| tone + other * 0.05).collect();
        assert!(echo(&mixed).is_some());
    }
}
