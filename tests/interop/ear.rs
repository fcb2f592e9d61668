//! Is this voice in that recording? Found by its waveform, wherever it is, and nothing else: the peers' clocks are their own.

use std::fs;
use std::path::Path;

use server::demo::{fourier::Fourier, listening::RATE};

/// One look: so much of a voice.
const SNIPPET: usize = RATE * 8 / 10;
/// A look that correlates better than this is a find. Measured on calls with real telephones: 0.9 to 1 for a voice alone, 0.4 and
/// more under another, up to 0.25 for one that is not there.
const FOUND: f32 = 0.3;
/// The share of a voice from which on it was heard.
pub(crate) const HEARD: f32 = 0.7;

/// Share of a voice's looks (0 to 1) that are in the recording, each at any time.
pub(crate) fn share_heard(voice: &[f32], recording: &[f32]) -> f32 {
    let looks = likeness(voice, recording);
    looks.iter().filter(|look| **look > FOUND).count() as f32 / looks.len().max(1) as f32
}

/// The same without the looks that are in `announcements` too: one speaker's sentences are a little like each other, and what the
/// bridge said is no sign of the voice.
pub(crate) fn share_heard_beside(announcements: &[f32], voice: &[f32], recording: &[f32]) -> f32 {
    let said = likeness(voice, announcements);
    let looks = likeness(voice, recording);
    let own: Vec<f32> =
        looks.into_iter().zip(said).filter(|(_, said)| *said <= FOUND).map(|(look, _)| look).collect();
    assert!(own.len() > 3, "nearly all of this voice is like an announcement");
    own.iter().filter(|look| **look > FOUND).count() as f32 / own.len() as f32
}

/// For each loud snippet of the voice: its best normalized correlation with the recording, at any time.
pub(crate) fn likeness(voice: &[f32], recording: &[f32]) -> Vec<f32> {
    let recording = flat(recording);
    let fourier = Fourier::new((recording.len() + SNIPPET).next_power_of_two());
    let spectrum = fourier.spectrum(&recording);
    let energy = running_energy(&recording);
    let loudest = flat(voice).chunks_exact(SNIPPET).map(power).fold(0.0, f32::max);
    flat(voice)
        .chunks_exact(SNIPPET)
        .filter(|snippet| power(snippet) > loudest / 10.0)
        .map(|snippet| {
            let own = power(snippet).sqrt();
            let cross = fourier
                .spectrum(snippet)
                .iter()
                .zip(&spectrum)
                .map(|(s, r)| (r.0 * s.0 + r.1 * s.1, r.1 * s.0 - r.0 * s.1))
                .collect();
            let correlation = fourier.signal(cross);
            energy
                .iter()
                .zip(&correlation)
                .map(|(there, together)| together.abs() / (own * there.max(own * own * 0.05).sqrt()))
                .fold(0.0, f32::max)
        })
        .collect()
}

/// For every start: the energy of the snippet's length from there.
fn running_energy(samples: &[f32]) -> Vec<f32> {
    let mut sum = 0.0_f64;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(samples.iter().map(|sample| {
            sum += f64::from(*sample).powi(2);
            sum
        }))
        .collect();
    sums.windows(SNIPPET + 1).map(|window| (window[SNIPPET] - window[0]) as f32).collect()
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum()
}

/// The first difference: speech has its energy at the bottom, where all voices look alike.
fn flat(samples: &[f32]) -> Vec<f32> {
    let mut last = 0.0;
    samples.iter().map(|&sample| sample - 0.95 * std::mem::replace(&mut last, sample)).collect()
}

/// A 16-bit WAV at a multiple of 8 kHz, brought to mono at 8 kHz, full scale 1.0. A file that is still written, or whose writer
/// was stopped, has a header that says nothing of its length or promises too much.
pub(crate) fn read_wav(path: &Path) -> Vec<f32> {
    let wrong = |why: &dyn std::fmt::Display| -> ! { panic!("{}: {why}", path.display()) };
    let bytes = fs::read(path).unwrap_or_else(|why| wrong(&why));
    let Some(data) = bytes.windows(4).position(|four| four == b"data") else {
        // Not even its header is there yet.
        return Vec::new();
    };
    let spec = hound::WavReader::new(&*bytes).unwrap_or_else(|why| wrong(&why)).spec();
    let (rate, channels) = (spec.sample_rate as usize, usize::from(spec.channels));
    assert!(rate.is_multiple_of(RATE) && spec.bits_per_sample == 16, "{}: {spec:?}", path.display());
    let (_, rest) = bytes.split_at(data + 4);
    let (length, rest) = rest.split_first_chunk().unwrap_or_else(|| wrong(&"it ends in its header"));
    let promised = u32::from_le_bytes(*length) as usize;
    let samples = &rest[..if promised == 0 { rest.len() } else { promised.min(rest.len()) }];
    let samples: Vec<f32> =
        samples.as_chunks().0.iter().map(|two| f32::from(i16::from_le_bytes(*two)) / 32768.0).collect();
    // The mean of neighbors keeps the bottom of the band, where a voice is told from another.
    let together = channels * rate / RATE;
    samples.chunks_exact(together).map(|group| group.iter().sum::<f32>() / together as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::root;

    #[test]
    fn a_voice_is_found_under_two_others_and_only_where_it_is() {
        let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"]
            .map(|name| read_wav(&root().join(format!("config/demo/voices/{name}.wav"))));
        let length = 6 * RATE;
        let mix: Vec<f32> = (0..2 * length)
            .map(|at| match at.checked_sub(3333) {
                Some(at) if at < length => 0.9 * (alice[at] + bob[at] + carol[at]),
                _ => 0.0,
            })
            .collect();
        for there in [&alice, &bob, &carol] {
            let looks = likeness(&there[..length], &mix);
            assert!(looks.iter().all(|look| *look > 0.3), "{looks:?}");
        }
        let looks = likeness(&dave, &mix);
        assert!(looks.iter().all(|look| *look < 0.25), "{looks:?}");
        assert_eq!((share_heard(&carol[..5 * RATE], &mix), share_heard(&dave, &mix)), (1.0, 0.0));
    }
}
