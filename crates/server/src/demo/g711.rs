//! G.711 for the witnesses: written from ITU-T G.711 (11/88) and independent of the bridge's own codec, so that a mistake
//! in one cannot hide behind the same mistake in the other.

/// Which of the two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// Static payload type 0 (RFC 3551 section 6).
    Mu,
    /// Static payload type 8.
    A,
}

impl Law {
    /// One 16-bit linear sample as one octet.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => encode_mu(sample),
            Self::A => encode_a(sample),
        }
    }

    /// One octet as a 16-bit linear sample.
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Self::Mu => decode_mu(octet),
            Self::A => decode_a(octet),
        }
    }
}

// G.711 table 2: 14-bit magnitudes, decision values offset by 33, eight segments of sixteen steps, all bits inverted.
fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs() >> 2).min(8158) + 33;
    let segment = 26 - magnitude.leading_zeros() as i32; // 33..=8191 has its top bit at 5..=12
    let step = (magnitude >> (segment + 1)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

fn decode_mu(octet: u8) -> i16 {
    let code = !octet;
    let segment = u32::from(code >> 4 & 7);
    let magnitude = (((i32::from(code & 0x0f) << 1) + 33) << segment) - 33;
    let linear = (magnitude << 2) as i16;
    if code & 0x80 == 0 { linear } else { -linear }
}

// G.711 table 1: 12-bit magnitudes, the two lowest segments share one step size, even bits inverted.
fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) =
        if sample >= 0 { (0x80, i32::from(sample) >> 4) } else { (0, (-1 - i32::from(sample)) >> 4) };
    let segment = (28 - magnitude.leading_zeros() as i32).max(0); // 16..=2047 has its top bit at 4..=10
    let step = (magnitude >> (segment - 1).max(0)) & 0x0f;
    (sign | (segment as u8) << 4 | step as u8) ^ 0x55
}

fn decode_a(octet: u8) -> i16 {
    let code = octet ^ 0x55;
    let segment = u32::from(code >> 4 & 7);
    let step = i32::from(code & 0x0f) << 1 | 1;
    let magnitude = if segment == 0 { step } else { (step + 32) << (segment - 1) };
    let linear = (magnitude << 3) as i16;
    if code & 0x80 == 0 { -linear } else { linear }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives_decoding_and_encoding() {
        for octet in 0..=255u8 {
            let again = Law::A.encode(Law::A.decode(octet));
            assert_eq!(again, octet, "A-law {octet:#04x}");
            let again = Law::Mu.encode(Law::Mu.decode(octet));
            // 0x7f is "minus zero": it decodes to 0, and 0 is encoded as plus zero.
            assert_eq!(again, if octet == 0x7f { 0xff } else { octet }, "mu-law {octet:#04x}");
        }
    }

    #[test]
    fn the_known_points_of_the_tables_hold() {
        assert_eq!(Law::Mu.encode(0), 0xff);
        assert_eq!(Law::Mu.decode(0x80), 32124);
        assert_eq!(Law::Mu.decode(0x00), -32124);
        assert_eq!(Law::A.encode(0), 0xd5);
        assert_eq!(Law::A.decode(0xaa), 32256);
        assert_eq!(Law::A.decode(0x2a), -32256);
    }

    #[test]
    fn the_error_stays_within_half_a_step_of_its_segment() {
        for law in [Law::Mu, Law::A] {
            for sample in (i16::MIN..=i16::MAX).step_by(7) {
                let error = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                let bound = (i32::from(sample).abs() / 16).max(16) + 8;
                assert!(error <= bound, "{law:?}: {sample} is off by {error}");
            }
        }
    }
}
