//! G.711 for the phones, from the standard's text and not from the mixer's: the decoder by formula, the encoder by
//! looking for the nearest value that the decoder knows.

use std::sync::OnceLock;

/// The two laws, by their payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// mu-law, payload type 0.
    Mu,
    /// A-law, payload type 8.
    A,
}

impl Law {
    /// The static payload type (RFC 3551).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Mu => 0,
            Self::A => 8,
        }
    }

    /// The law of a static payload type.
    pub fn of(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Mu),
            8 => Some(Self::A),
            _ => None,
        }
    }

    /// The sample of a code.
    pub fn decode(self, code: u8) -> i16 {
        let sample = match self {
            Self::Mu => {
                let code = !code;
                let magnitude = (((i32::from(code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
                if code & 128 == 0 { magnitude } else { -magnitude }
            }
            Self::A => {
                let code = code ^ 0x55;
                let (segment, step) = (i32::from((code >> 4) & 7), i32::from(code & 15));
                let magnitude = if segment == 0 { step * 16 + 8 } else { (step * 16 + 264) << (segment - 1) };
                if code & 128 == 0 { -magnitude } else { magnitude }
            }
        };
        sample as i16
    }

    /// The code whose sample is nearest.
    pub fn encode(self, sample: i16) -> u8 {
        static TABLES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
        let tables = TABLES.get_or_init(|| [table(Self::Mu), table(Self::A)]);
        let table = &tables[usize::from(self == Self::A)];
        table[usize::from((sample as u16 ^ 0x8000) >> 3)]
    }
}

/// For every eighth sample the nearest code.
fn table(law: Law) -> Vec<u8> {
    let mut known: Vec<(i32, u8)> = (0..=255).map(|code| (i32::from(law.decode(code)), code)).collect();
    known.sort_unstable();
    let mut nearest = 0;
    (0..8192)
        .map(|index| {
            let sample = index * 8 + 4 - 32_768;
            let distance = |at: usize| (known[at].0 - sample).abs();
            while nearest + 1 < known.len() && distance(nearest + 1) <= distance(nearest) {
                nearest += 1;
            }
            known[nearest].1
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_are_known_samples() {
        // ITU-T G.711 tables 1a and 2a, scaled to 16 bits.
        assert_eq!((Law::Mu.decode(0xFF), Law::Mu.decode(0x80), Law::Mu.decode(0x00)), (0, 32_124, -32_124));
        assert_eq!((Law::A.decode(0xD5), Law::A.decode(0xAA), Law::A.decode(0x2A)), (8, 32_256, -32_256));
    }

    #[test]
    fn a_sample_survives_within_the_step_of_its_segment() {
        for law in [Law::Mu, Law::A] {
            for sample in (-32_000..32_000_i16).step_by(37) {
                let back = law.decode(law.encode(sample));
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 24, "{law:?} {sample} became {back}");
            }
        }
    }
}
