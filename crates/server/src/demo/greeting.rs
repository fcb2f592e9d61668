//! Whether a caller was greeted with the recording that the bridge was given.

use std::path::Path;

use super::listening::{Heard, RATE, listen, rms};

/// So much of the greeting is compared; a caller may cut it short by keying.
const COMPARED: usize = RATE * 12 / 10;
/// A frame that is louder than this is sound (full scale 1.0).
const SOUND: f32 = 0.005;
/// The recording is expected so much before what was heard.
const LEAD: usize = RATE * 80 / 1000;

/// Reads a recording of 8 or 16 kHz, mono, 16 bit as 8 kHz, full scale 1.0; `None` when it is something else.
pub fn recording(path: &Path) -> Option<Vec<f32>> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let spec = reader.spec();
    if (spec.channels, spec.bits_per_sample) != (1, 16) {
        return None;
    }
    let samples: Vec<f32> = reader
        .samples::<i16>()
        .map(|sample| sample.map(|sample| f32::from(sample) / 32768.0))
        .collect::<Result<_, _>>()
        .ok()?;
    match spec.sample_rate as usize {
        RATE => Some(samples),
        rate if rate == 2 * RATE => Some(halve(&samples)),
        _ => None,
    }
}

/// How much of `prompt` is in the first sound of `heard`; both 8 kHz, full scale 1.0.
pub fn recognize(heard: &[f32], prompt: &[f32]) -> Heard {
    let (Some(begins), Some(speaks)) = (first_sound(heard), first_sound(prompt)) else {
        return Heard::default();
    };
    let place = begins.saturating_sub(LEAD);
    let mut voice = vec![0.0; place];
    voice.extend(&prompt[speaks..]);
    let ears = listen(&[&voice], &[heard], begins..begins + COMPARED);
    ears.first().and_then(|ear| ear.voices.first()).copied().unwrap_or_default()
}

fn first_sound(samples: &[f32]) -> Option<usize> {
    let frame = RATE / 50;
    samples.chunks(frame).position(|chunk| rms(chunk) > SOUND).map(|index| index * frame)
}

/// Half the rate, through a windowed sinc that ends at a quarter of the old one.
fn halve(samples: &[f32]) -> Vec<f32> {
    const REACH: isize = 24;
    let tap = |n: isize| {
        let x = n as f32 / 2.0 * std::f32::consts::PI;
        let sinc = if n == 0 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (n as f32 / (REACH + 1) as f32 * std::f32::consts::PI).cos();
        0.5 * sinc * window
    };
    let taps: Vec<f32> = (-REACH..=REACH).map(tap).collect();
    let at = |index: isize| {
        usize::try_from(index).ok().and_then(|index| samples.get(index)).copied().unwrap_or(0.0)
    };
    let filtered = |center: usize| {
        taps.iter().zip(-REACH..=REACH).map(|(tap, offset)| tap * at(2 * center as isize + offset)).sum()
    };
    (0..samples.len() / 2).map(filtered).collect()
}

#[cfg(test)]
mod tests {
    use super::super::speech::speech;
    use super::*;

    #[test]
    fn the_greeting_is_recognized_and_another_is_not() {
        let greeting = speech(5, 2.5);
        let mut heard = vec![0.0; 3 * RATE];
        heard.extend(&greeting[..RATE * 3 / 2]);
        heard.extend(std::iter::repeat_n(0.0, RATE));
        assert!(recognize(&heard, &greeting).is_there());
        assert!(recognize(&heard, &speech(6, 2.5)).is_absent());
        assert_eq!(recognize(&[], &greeting), Heard::default());
    }

    #[test]
    fn halving_keeps_what_the_lower_rate_can_hold() {
        let tone = |hertz: f32, rate: usize| -> Vec<f32> {
            (0..rate / 2)
                .map(|n| (2.0 * std::f32::consts::PI * hertz * n as f32 / rate as f32).sin())
                .collect()
        };
        let halved = halve(&tone(1000.0, 16_000));
        let direct = tone(1000.0, 8000);
        for (a, b) in halved[40..3900].iter().zip(&direct[40..]) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
        assert!(rms(&halve(&tone(6500.0, 16_000))[40..3900]) < 0.01, "above the new limit nothing is left");
    }
}
