//! G.711, both laws (ITU-T G.711, 11/88). Decoding is a table of 256; encoding is arithmetic that vectorises: the float
//! conversion of the CPU finds the segment, its exponent and the top four bits of its mantissa are the code.

/// Which of the two companding laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum G711 {
    /// mu-law, RTP payload type 0 (North America, Japan).
    Pcmu,
    /// A-law, RTP payload type 8 (the rest of the world).
    Pcma,
}

impl G711 {
    /// Both laws, in the order of [`G711::index`].
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// 0 for mu-law, 1 for A-law: for arrays with an element per law.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The code of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// Decodes as many samples as the shorter of the two slices holds.
    pub fn decode(self, codes: &[u8], pcm: &mut [i16]) {
        let table = match self {
            Self::Pcmu => &MU_LAW,
            Self::Pcma => &A_LAW,
        };
        for (sample, code) in pcm.iter_mut().zip(codes) {
            *sample = table[usize::from(*code)];
        }
    }

    /// Mean absolute sample value of what `codes` decode to, 0..=32768, rounded down; 0 for no codes.
    pub fn level(self, codes: &[u8]) -> u16 {
        let sum = match self {
            Self::Pcmu => sum_of(codes, mu_law_magnitude),
            Self::Pcma => sum_of(codes, a_law_magnitude),
        };
        (sum / codes.len().max(1) as u32) as u16
    }

    /// Encodes as many samples as the shorter of the two slices holds.
    pub fn encode(self, pcm: &[i16], codes: &mut [u8]) {
        match self {
            Self::Pcmu => pcm.iter().zip(codes).for_each(|(sample, code)| *code = mu_law(*sample)),
            Self::Pcma => pcm.iter().zip(codes).for_each(|(sample, code)| *code = a_law(*sample)),
        }
    }
}

/// One sample to mu-law (G.711 tables 2a and 2b). All but the conversion itself is in 16 bits: twice as many in a register.
#[inline]
fn mu_law(sample: i16) -> u8 {
    // The law works on 14 bits and biases the magnitude by 33 (132 in 16 bits), so that every segment starts at a power of two:
    // 132..=255 is segment 0, 256..=511 segment 1, ... and the four bits after the leading one are the step.
    let sign = sample >> 15; // 0 or -1
    let magnitude = (sample ^ sign).min(CLIP_MU) + BIAS;
    let code = leading_five_bits(magnitude) - ((127 + 7) << 4);
    (!(code | (sign & 0x80))) as u8
}

/// One sample to A-law (G.711 tables 1a and 1b).
#[inline]
fn a_law(sample: i16) -> u8 {
    // The law works on 12 bits; segment 0 is linear, from 16 (of 2048) on each segment starts at a power of two.
    let sign = sample >> 15;
    let magnitude = (sample ^ sign) >> 4;
    let high = leading_five_bits(magnitude) - ((127 + 3) << 4);
    let code = if magnitude < 16 { magnitude } else { high };
    ((code | (!sign & 0x80)) ^ 0x55) as u8
}

/// The biased exponent and the top four bits of the mantissa of `magnitude`, which is not negative, as a float; exact below 2^24.
/// Unsigned on purpose: extending the sign costs a register that every round of the loop waits for, half the speed.
#[inline]
fn leading_five_bits(magnitude: i16) -> i16 {
    (f32::from(magnitude.cast_unsigned()).to_bits() >> 19) as i16
}

const BIAS: i16 = 132;
const CLIP_MU: i16 = i16::MAX - BIAS;

static MU_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let inverted = !(code as u8) as i32;
        let magnitude = (((inverted & 0x0f) << 3) + BIAS as i32) << ((inverted & 0x70) >> 4);
        let unbiased = magnitude - BIAS as i32;
        table[code] = (if inverted & 0x80 == 0 { unbiased } else { -unbiased }) as i16;
        code += 1;
    }
    table
};

static A_LAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let even = (code as u8 ^ 0x55) as i32;
        let step = (even & 0x0f) << 4;
        let magnitude = match (even & 0x70) >> 4 {
            0 => step + 8,
            segment => (step + 0x108) << (segment - 1),
        };
        table[code] = (if even & 0x80 == 0 { -magnitude } else { magnitude }) as i16;
        code += 1;
    }
    table
};

/// The sum of what `magnitude` makes of each, in sixteen sums at once so that it vectorizes: a third of the instructions of a table.
#[inline]
fn sum_of(codes: &[u8], magnitude: impl Fn(u8) -> f32) -> u32 {
    let (groups, rest) = codes.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for group in groups {
        for (sum, code) in sums.iter_mut().zip(group) {
            *sum += magnitude(*code);
        }
    }
    // A float holds each sum exactly, for 8,000 codes and more; all of them together perhaps not.
    let whole = |sum: f32| sum as u32;
    rest.iter().map(|code| whole(magnitude(*code))).sum::<u32>() + sums.into_iter().map(whole).sum::<u32>()
}

/// The magnitude of a mu-law code: segment and step are exponent and mantissa of the biased magnitude as a float, as in encoding.
#[inline]
fn mu_law_magnitude(code: u8) -> f32 {
    as_float(u32::from(!code & 0x7f), 4) - f32::from(BIAS)
}

/// The magnitude of an A-law code: the same, but segment 0 is linear.
#[inline]
fn a_law_magnitude(code: u8) -> f32 {
    let even = u32::from((code ^ 0x55) & 0x7f);
    let value = as_float(even, 4);
    if even < 16 { 2.0 * value - 256.0 } else { value }
}

/// 2^(7 + segment) times 1 + step / 16 + half a step, which is `half` / 128.
#[inline]
fn as_float(segment_and_step: u32, half: u32) -> f32 {
    f32::from_bits(((127 + 7) << 23) + (segment_and_step << 19) + (half << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ITU-T G.191 `ulaw_compress`, one sample, written out as its flow chart.
    fn reference_mu_law(sample: i16) -> u8 {
        let absolute = if sample < 0 { ((!sample) >> 2) + 33 } else { (sample >> 2) + 33 }.min(0x1fff);
        let mut segment = 1;
        let mut rest = absolute >> 6;
        while rest != 0 {
            segment += 1;
            rest >>= 1;
        }
        let high = 0x08 - segment;
        let low = 0x0f - ((absolute >> segment) & 0x0f);
        let code = (high << 4) | low;
        (if sample >= 0 { code | 0x80 } else { code }) as u8
    }

    /// ITU-T G.191 `alaw_compress`, one sample.
    fn reference_a_law(sample: i16) -> u8 {
        let mut value = if sample < 0 { (!sample) >> 4 } else { sample >> 4 };
        if value > 15 {
            let mut exponent = 1;
            while value > 16 + 15 {
                value >>= 1;
                exponent += 1;
            }
            value -= 16;
            value += exponent << 4;
        }
        if sample >= 0 {
            value |= 0x80;
        }
        (value ^ 0x55) as u8
    }

    #[test]
    fn encoding_equals_the_itu_reference_for_all_65536_samples() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(mu_law(sample), reference_mu_law(sample), "mu-law of {sample}");
            assert_eq!(a_law(sample), reference_a_law(sample), "A-law of {sample}");
        }
    }

    #[test]
    fn decoded_values_are_those_of_the_itu_tables() {
        for (law, code, sample) in [
            (G711::Pcmu, 0xff, 0),
            (G711::Pcmu, 0x7f, 0),
            (G711::Pcmu, 0x80, 32_124),
            (G711::Pcmu, 0x00, -32_124),
            (G711::Pcmu, 0xfe, 8),
            (G711::Pcmu, 0x8f, 16_764),
            (G711::Pcma, 0xd5, 8),
            (G711::Pcma, 0x55, -8),
            (G711::Pcma, 0xaa, 32_256),
            (G711::Pcma, 0x2a, -32_256),
        ] {
            let mut out = [1];
            law.decode(&[code], &mut out);
            assert_eq!(out[0], sample, "{law:?} {code:#04x}");
        }
    }

    #[test]
    fn every_code_survives_decode_and_encode_except_negative_zero_of_mu_law() {
        for law in G711::ALL {
            for code in 0..=255_u8 {
                let (mut pcm, mut back) = ([0], [0]);
                law.decode(&[code], &mut pcm);
                law.encode(&pcm, &mut back);
                let expected = if law == G711::Pcmu && code == 0x7f { 0xff } else { code };
                assert_eq!(back[0], expected, "{law:?} {code:#04x}");
            }
        }
    }

    #[test]
    fn the_level_of_the_codes_is_the_mean_absolute_value_of_their_samples() {
        let codes: Vec<u8> = (0..=255).collect();
        for law in G711::ALL {
            for codes in [&codes[..], &codes[..160], &codes[100..117], &codes[..0]] {
                let mut pcm = vec![0; codes.len()];
                law.decode(codes, &mut pcm);
                let sum: u32 = pcm.iter().map(|sample| u32::from(sample.unsigned_abs())).sum();
                assert_eq!(u32::from(law.level(codes)), sum / codes.len().max(1) as u32, "{law:?}");
            }
            assert_eq!(law.level(&[0x80; 480]), law.level(&[0x80]), "the loudest packet does not overflow");
        }
    }

    #[test]
    fn silence_decodes_to_the_smallest_value() {
        for law in G711::ALL {
            let mut pcm = [99];
            law.decode(&[law.silence()], &mut pcm);
            assert!(pcm[0].abs() <= 8);
        }
    }
}
