//! Speech to test with, and what can be measured of it without an ear.

use std::path::Path;

use mixer::codec::{Codec, Decoder, Encoder, MAX_PAYLOAD};
use mixer::units::Rate;

/// Twenty seconds of sentences at `rate`: the demo's voices at 8 kHz, the prompts at 16 kHz. Other rates have none.
pub(crate) fn speech(rate: Rate) -> Vec<i16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let files: &[&str] = match rate {
        Rate::Narrow => &["demo/voices/alice.wav", "demo/voices/bob.wav", "demo/voices/erin.wav"],
        _ => &[
            "prompts/en-US/ask-organizer-for-number.wav",
            "prompts/en-US/callee-unreachable.wav",
            "prompts/en-US/call-this-number.wav",
        ],
    };
    let times = if rate == Rate::Narrow { 1 } else { 3 };
    let pcm: Vec<i16> = files.iter().flat_map(|file| wav(&root.join(file), rate)).collect();
    pcm.repeat(times)
}

/// The samples of a mono WAV file of 16 bit.
fn wav(path: &Path, rate: Rate) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes[24..28], rate.hz().to_le_bytes(), "{}: another rate", path.display());
    let data = bytes.windows(4).position(|id| id == b"data").expect("a data chunk") + 8;
    bytes[data..].as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// `pcm` in packets of 20 ms.
pub(crate) fn packets(codec: Codec, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec);
    let mut payload = [0; MAX_PAYLOAD];
    pcm.chunks_exact(codec.rate().frame())
        .map(|frame| {
            let length = encoder.encode(frame, &mut payload);
            payload[..length].to_vec()
        })
        .collect()
}

/// What the codec alone makes of its packets.
pub(crate) fn decoded(codec: Codec, packets: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec);
    let mut pcm = vec![0; codec.rate().frame() * 6];
    packets
        .iter()
        .flat_map(|packet| {
            let samples = decoder.decode(packet, &mut pcm).expect("its own packets");
            pcm[..samples].to_vec()
        })
        .collect()
}

/// The largest difference between two samples in a row.
pub(crate) fn largest_step(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// Level in dB of every `piece` samples, not below the noise of a good line.
pub(crate) fn envelope(pcm: &[i16], piece: usize) -> Vec<f64> {
    pcm.chunks_exact(piece)
        .map(|piece| {
            let power: f64 = piece.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / piece.len() as f64;
            10.0 * (power + 400.0).log10()
        })
        .collect()
}

/// How well the rhythm and loudness of `heard` follow `said`, 0..=1: the mean over every second of the best correlation of the two
/// envelopes with `heard` up to 300 ms later.
pub(crate) fn likeness(said: &[i16], heard: &[i16], rate: Rate) -> f64 {
    let piece = rate.frame() / 2;
    let (said, heard) = (envelope(said, piece), envelope(heard, piece));
    let (mut sum, mut seconds) = (0.0, 0.0);
    for second in 1..heard.len() / 100 {
        let heard = &heard[second * 100..][..100];
        let best = (0..30)
            .filter_map(|lag| said.get((second * 100).checked_sub(lag)?..)?.get(..100))
            .map(|said| correlation(said, heard))
            .fold(f64::NAN, f64::max);
        if !best.is_nan() {
            sum += best;
            seconds += 1.0;
        }
    }
    sum / seconds
}

fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a, b) = (mean(left), mean(right));
    let (mut product, mut power, mut other) = (0.0, 1e-9, 1e-9);
    for (x, y) in left.iter().zip(right) {
        product += (x - a) * (y - b);
        power += (x - a).powi(2);
        other += (y - b).powi(2);
    }
    product / (power * other).sqrt()
}

/// Log-spectral distance in dB between two sounds of the same length: the root of the mean square of the differences of their
/// levels in bands of 250 Hz up to 3.5 kHz, over windows of 20 ms every 10 ms, where either can be heard. The windows overlap, so
/// that a step between two frames shows.
pub(crate) fn spectral_distance(left: &[i16], right: &[i16], rate: Rate) -> f64 {
    let frame = rate.frame();
    let (mut sum, mut count) = (0.0, 0.0);
    let pieces = |pcm: &[i16]| -> Vec<Vec<f64>> {
        (0..pcm.len() / (frame / 2) - 1).map(|n| windowed(&pcm[n * frame / 2..][..frame])).collect()
    };
    for (left, right) in pieces(left).iter().zip(&pieces(right)) {
        if left == right {
            count += 14.0;
            continue;
        }
        for band in 1..15 {
            let hertz = 250.0 * f64::from(band);
            let (a, b) = (band_level(left, hertz, rate), band_level(right, hertz, rate));
            if a.max(b) > 30.0 {
                sum += (a - b).powi(2);
                count += 1.0;
            }
        }
    }
    (sum / f64::max(count, 1.0)).sqrt()
}

fn windowed(pcm: &[i16]) -> Vec<f64> {
    let turn = std::f64::consts::TAU / pcm.len() as f64;
    pcm.iter().enumerate().map(|(n, &sample)| f64::from(sample) * (1.0 - (turn * n as f64).cos())).collect()
}

/// Level in dB of a band of 250 Hz around one frequency, not below 20 dB.
fn band_level(pcm: &[f64], hertz: f64, rate: Rate) -> f64 {
    let power: f64 = [-100.0, -50.0, 0.0, 50.0, 100.0]
        .iter()
        .map(|offset| {
            let coefficient = 2.0 * (std::f64::consts::TAU * (hertz + offset) / f64::from(rate.hz())).cos();
            let (mut last, mut before) = (0.0, 0.0);
            for sample in pcm {
                let next = sample + coefficient * last - before;
                before = last;
                last = next;
            }
            (last * last + before * before - coefficient * last * before) * 4.0 / (pcm.len() as f64).powi(2)
        })
        .sum();
    10.0 * power.max(100.0).log10()
}
