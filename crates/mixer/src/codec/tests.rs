//! What holds for every codec.

use super::*;
use crate::guard;

const CODECS: [Codec; 6] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Opus(OpusFormat::speech(Rate::Narrow)),
    Codec::Opus(OpusFormat::speech(Rate::Wide)),
    Codec::Opus(OpusFormat::speech(Rate::Full)),
];

/// 20 ms of a tone of 437 Hz with the given amplitude.
fn tone(rate: Rate, frame: usize, amplitude: f64) -> Vec<i16> {
    (0..rate.frame())
        .map(|n| {
            let seconds = (frame * rate.frame() + n) as f64 / f64::from(rate.hz());
            (amplitude * (std::f64::consts::TAU * 437.0 * seconds).sin()) as i16
        })
        .collect()
}

#[test]
fn a_frame_goes_through_every_codec_without_allocation_and_lasts_20_ms() {
    for codec in CODECS {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
        let (mut payload, mut pcm) = ([0; MAX_PAYLOAD], [0; MAX_DECODED]);
        let frames: Vec<_> = (0..50).map(|frame| tone(codec.rate(), frame, 9_000.0)).collect();
        for frame in &frames {
            let decoded = guard::armed(|| {
                let length = encoder.encode(frame, &mut payload);
                assert_eq!(codec.duration(&payload[..length]), Some(codec.rate().frame()));
                decoder.decode(&payload[..length], &mut pcm)
            });
            assert_eq!(decoded, Ok(codec.rate().frame()), "{codec:?}");
        }
    }
    assert!(guard::installed());
}

#[test]
fn a_payload_that_is_empty_or_too_long_is_refused_by_every_codec() {
    for codec in CODECS {
        let mut decoder = Decoder::new(codec);
        let mut pcm = [0; MAX_DECODED];
        let long = vec![0xff; MAX_FRAMES * codec.rate().frame() + 1];
        for payload in [&[][..], &long] {
            assert_eq!(codec.duration(payload), None);
            assert_eq!(codec.level(payload), None);
            assert_eq!(codec.is_silence(payload), None);
            assert_eq!(decoder.decode(payload, &mut pcm), Err(Undecodable::Malformed(codec.name())));
        }
    }
}

#[test]
fn a_payload_without_room_for_its_samples_is_refused_and_says_how_much_it_needs() {
    let mut decoder = Decoder::new(Codec::Pcmu);
    let refused = decoder.decode(&[0xff; 160], &mut [0; 100]);
    assert_eq!(refused, Err(Undecodable::NoRoom { samples: 160, room: 100 }));
}

#[test]
fn silence_and_level_of_g711_are_told_without_decoding() {
    for (codec, silence) in [(Codec::Pcmu, 0xff), (Codec::Pcma, 0xd5)] {
        assert_eq!(codec.is_silence(&[silence; 160]), Some(true));
        let mut payload = [0; MAX_PAYLOAD];
        let length = Encoder::new(codec).encode(&tone(codec.rate(), 0, 1_000.0), &mut payload);
        assert_eq!(codec.is_silence(&payload[..length]), Some(false));
        let level = codec.level(&payload[..length]).expect("G.711 has a level");
        // The mean of a rectified sine is 2/pi of its amplitude; the tone does not fill whole periods.
        assert!((600..680).contains(&level), "{level}");
    }
}

#[test]
fn the_state_of_another_codec_is_not_taken_over() {
    let mut encoder = Encoder::new(Codec::Pcmu);
    assert!(!encoder.copy_state_from(&Encoder::new(Codec::Pcma)));
    assert!(encoder.copy_state_from(&Encoder::new(Codec::Pcmu)));
}
