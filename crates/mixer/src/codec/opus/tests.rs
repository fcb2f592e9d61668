//! libopus as we use it, and what we read from its packets.

use super::super::{Codec, Decoder, Encoder, MAX_DECODED, MAX_PAYLOAD};
use super::*;
use crate::guard;

#[test]
fn libopus_is_the_one_we_chose() {
    assert_eq!(audiopus::version(), "libopus 1.6.1");
}

/// The frames in which a syllable of [`voice`] is loudest, in its first two seconds.
const LOUD: [usize; 6] = [8, 25, 41, 58, 75, 91];

/// A voice: a pitch with harmonics under a syllable's envelope, three a second, and no sound from frame `stop` on. The loudest
/// frames are those of [`LOUD`].
fn voice(rate: Rate, frames: usize, stop: usize) -> Vec<Vec<i16>> {
    let frame = |number: usize| {
        let sample = move |n: usize| {
            let time = (number * rate.frame() + n) as f64 / f64::from(rate.hz());
            let envelope = (std::f64::consts::TAU * 1.5 * time).sin().abs();
            let harmonics =
                (1..20).map(|k| (std::f64::consts::TAU * 130.0 * f64::from(k) * time).sin() / f64::from(k));
            if number >= stop { 0 } else { (6_000.0 * envelope * harmonics.sum::<f64>()) as i16 }
        };
        (0..rate.frame()).map(sample).collect()
    };
    (0..frames).map(frame).collect()
}

fn encode(format: OpusFormat, frames: &[Vec<i16>]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Codec::Opus(format));
    let mut payload = [0; MAX_PAYLOAD];
    let mut one = |frame: &Vec<i16>| {
        let length = guard::armed(|| encoder.encode(frame, &mut payload));
        payload[..length].to_vec()
    };
    frames.iter().map(&mut one).collect()
}

fn energy(pcm: &[i16]) -> f64 {
    pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

#[test]
fn the_activity_flags_of_real_packets_follow_the_voice() {
    for rate in Rate::ALL {
        let codec = Codec::Opus(OpusFormat::speech(rate));
        let packets = encode(OpusFormat::speech(rate), &voice(rate, 150, 100));
        let told: Vec<_> = packets.iter().map(|packet| codec.is_silence(packet)).collect();
        for loud in LOUD {
            // Between the syllables no voice is found for a moment, but never where one is loud.
            assert!(told[loud - 4..loud + 4].iter().all(|told| *told == Some(false)), "{rate:?}: {told:?}");
        }
        let silent = told[110..].iter().filter(|told| **told == Some(true)).count();
        assert_eq!(
            silent, 40,
            "{rate:?}: every frame of silence is told so, 200 ms after the voice: {told:?}"
        );
    }
}

#[test]
fn silence_is_not_sent_with_dtx_and_what_is_sent_meanwhile_decodes_to_silence() {
    let format = OpusFormat { dtx: true, ..OpusFormat::speech(Rate::Wide) };
    let packets = encode(format, &voice(Rate::Wide, 200, 100));
    assert!(packets[..100].iter().all(|packet| !packet.is_empty()), "voice is sent");
    let sent = packets[120..].iter().filter(|packet| !packet.is_empty()).count();
    assert!(
        (1..=6).contains(&sent),
        "one packet in 400 ms keeps the stream alive, {sent} were sent in 1.6 s"
    );
    let mut decoder = Decoder::new(Codec::Opus(format));
    let mut pcm = [0; MAX_DECODED];
    for packet in packets.iter().filter(|packet| !packet.is_empty()) {
        assert_eq!(decoder.decode(packet, &mut pcm), Ok(320));
    }
    assert!(energy(&pcm[..320]) < 320.0, "less than one step of 16 bits");
}

#[test]
fn a_lost_frame_comes_back_from_the_copy_in_the_next_packet() {
    for rate in Rate::ALL {
        let format = OpusFormat { loss_percent: 20, bitrate: 40_000, ..OpusFormat::speech(rate) };
        let frames = voice(rate, 100, 100);
        let packets = encode(format, &frames);
        let codec = Codec::Opus(format);
        let (mut whole, mut mended, mut concealed) =
            (Decoder::new(codec), Decoder::new(codec), Decoder::new(codec));
        let mut error = [0.0, 0.0];
        let (mut expected, mut with_copy, mut without) = ([0; 960], [0; 960], [0; 960]);
        for (number, packet) in packets.iter().enumerate() {
            let samples = whole.decode(packet, &mut expected).expect("a packet of ours");
            if LOUD.contains(&number) {
                guard::armed(|| {
                    let copy = mended.decode_fec(&packets[number + 1], &mut with_copy[..samples]);
                    assert_eq!(copy, Some(samples), "{rate:?}: frame {number}");
                    assert!(concealed.conceal(&mut without[..samples]));
                });
                for (error, got) in error.iter_mut().zip([&with_copy, &without]) {
                    let difference = expected.iter().zip(got).take(samples);
                    *error += difference
                        .map(|(a, b)| f64::from(i32::from(*a) - i32::from(*b)).powi(2))
                        .sum::<f64>();
                }
            } else {
                mended.decode(packet, &mut with_copy).expect("a packet of ours");
                concealed.decode(packet, &mut without).expect("a packet of ours");
            }
        }
        assert!(error[0] < error[1] / 2.0, "{rate:?}: {error:?} with and without the copy");
    }
}

#[test]
fn without_fec_there_is_no_copy_and_the_stream_goes_on_as_if_it_had_not_been_asked() {
    let format = OpusFormat { fec: false, ..OpusFormat::speech(Rate::Wide) };
    let packets = encode(format, &voice(Rate::Wide, 20, 20));
    let (mut asked, mut other) = (Decoder::new(Codec::Opus(format)), Decoder::new(Codec::Opus(format)));
    let (mut pcm, mut expected) = ([0; MAX_DECODED], [0; MAX_DECODED]);
    for packet in &packets {
        assert_eq!(asked.decode_fec(packet, &mut pcm[..320]), None);
        assert!(!asked.conceal(&mut pcm[..321]), "libopus makes up multiples of 2.5 ms");
        assert_eq!(asked.decode(packet, &mut pcm), other.decode(packet, &mut expected));
        assert_eq!(pcm, expected);
    }
}

#[test]
fn every_packet_of_a_constant_bitrate_has_one_size_and_no_packet_exceeds_the_payload() {
    let constant = OpusFormat { cbr: true, bitrate: 32_000, fec: false, ..OpusFormat::speech(Rate::Wide) };
    assert!(encode(constant, &voice(Rate::Wide, 50, 40)).iter().all(|packet| packet.len() == 80));
    for (bitrate, complexity, loss_percent) in [(u32::MAX, u8::MAX, u8::MAX), (0, 0, 0)] {
        let extreme = OpusFormat { bitrate, complexity, loss_percent, ..OpusFormat::speech(Rate::Full) };
        for packet in encode(extreme, &voice(Rate::Full, 20, 20)) {
            assert_eq!(Codec::Opus(extreme).duration(&packet), Some(960));
        }
    }
}

#[test]
fn a_stereo_packet_and_one_of_120_ms_are_decoded_to_mono() {
    let stereo = LibEncoder::new(SampleRate::Hz48000, Channels::Stereo, Application::Voip).expect(WORKS);
    let mut packet = [0; 1_500];
    let length = stereo.encode(&[1_000; 2 * 960], &mut packet).expect("20 ms");
    let codec = Codec::Opus(OpusFormat::speech(Rate::Wide));
    let mut pcm = [0; MAX_DECODED];
    assert_eq!(Decoder::new(codec).decode(&packet[..length], &mut pcm), Ok(320));

    let mono = LibEncoder::new(SampleRate::Hz48000, Channels::Mono, Application::Voip).expect(WORKS);
    let length = mono.encode(&[1_000; 6 * 960], &mut packet).expect("120 ms");
    assert_eq!(codec.duration(&packet[..length]), Some(1_920));
    assert_eq!(Decoder::new(codec).decode(&packet[..length], &mut pcm), Ok(1_920));
}
