//! A tone goes out, what comes back is judged.

use std::f32::consts::TAU;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::call::TestCall;
use super::exam::Exam;
use super::report::Judged;

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

/// Plays the tone and judges what comes back.
pub(super) async fn examine(exam: &mut Exam<'_>, call: &mut TestCall) {
    call.media.begin_to_say(tone(PLAYED));
    call.wait(exam, PLAYED + AFTER).await;
    judge(exam, call);
}

fn judge(exam: &mut Exam<'_>, call: &TestCall) {
    let (own, remote) = (call.own, call.agreed.remote_rtp);
    let meter = call.media.meter();
    let tape = call.media.tape();
    let (from_them, to_them) = ("audio from them", "audio to them");
    if meter.packets == 0 {
        exam.report.note(from_them, judge_silence(own, remote, tape.forged, tape.strangers));
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

/// Why nothing could be heard at `own` from `remote`: so many packets were not opened by the key, and so many came from
/// elsewhere.
fn judge_silence(own: SocketAddr, remote: SocketAddr, forged: u64, strangers: u64) -> Judged {
    let (why, change) = if forged > 0 {
        let why = format!("{forged} packets came that the key of their SDP does not open");
        (why, "their SBC: it encrypts with another key or suite than its a=crypto says")
    } else if strangers > 0 {
        let why = format!("{strangers} packets came to {own}, none of them from {remote} as their SDP says");
        (why, "media_source = \"same-ip\" or \"symmetric\", or their SBC's media address")
    } else {
        (format!("no RTP came to {own} from {remote}"), "a firewall, media.advertise, or the route back")
    };
    Judged::fail(why, change)
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
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn silence_has_a_reason_and_a_wrong_key_explains_more_than_a_wrong_address() {
        let at = |text: &str| text.parse().expect("an address");
        // (packets that the key does not open, packets from elsewhere, why, what to change)
        for (forged, strangers, why, change) in [
            (3, 0, "3 packets came that the key of their SDP does not open", "a=crypto"),
            (3, 9, "3 packets came that the key of their SDP does not open", "a=crypto"),
            (
                0,
                9,
                "9 packets came to 192.0.2.1:4000, none of them from 192.0.2.2:5000 as their SDP says",
                "media_source",
            ),
            (0, 0, "no RTP came to 192.0.2.1:4000 from 192.0.2.2:5000", "a firewall"),
        ] {
            let judged = judge_silence(at("192.0.2.1:4000"), at("192.0.2.2:5000"), forged, strangers);
            assert_eq!((judged.verdict, judged.why.as_str()), (Verdict::Fail, why));
            assert!(judged.change.as_ref().is_some_and(|text| text.contains(change)), "{judged:?}");
        }
    }

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
