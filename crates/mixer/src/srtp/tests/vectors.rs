//! RFC 7714 sections 16 and 17. They give session keys, so key derivation has its own vectors (RFC 3711 appendix B.3).

use super::{hex, opened, opened_rtcp, sealed, sealed_rtcp};
use crate::srtp::{Srtp, Suite};

const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 \
                   73207472 6573";
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef \
                    deadbeef deadbeef";
const INDEX: u64 = 0x5d4;

/// "Quid pro quo", as the RFC has it.
fn end(suite: Suite) -> Srtp {
    let key: Vec<u8> = (0..suite.key_len() as u8).collect();
    let mut end = Srtp::of_session(suite, &key, &hex("51756964 2070726f 2071756f"));
    end.rtcp_sent = INDEX;
    end
}

#[test]
fn section_16_rtp() {
    for (suite, wire) in [
        (
            Suite::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b \
             36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce",
        ),
        (
            Suite::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f \
             1ba63799 b87b 7aa3db36 dfffd6b0 f9bb7878 d7a76c13",
        ),
    ] {
        assert_eq!(sealed(&mut end(suite), &hex(RTP)), hex(wire), "{suite:?}");
        assert_eq!(opened(&mut end(suite), &hex(wire)), Ok(hex(RTP)), "{suite:?}");
    }
}

#[test]
fn section_17_rtcp_encrypted() {
    for (suite, wire) in [
        (
            Suite::AeadAes128Gcm,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 \
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 \
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        assert_eq!(sealed_rtcp(&mut end(suite), &hex(RTCP)), hex(wire), "{suite:?}");
        assert_eq!(opened_rtcp(&mut end(suite), &hex(wire)), Ok(hex(RTCP)), "{suite:?}");
    }
}

#[test]
fn section_17_rtcp_with_a_tag_only() {
    for (suite, tag) in [
        (Suite::AeadAes128Gcm, "841dd968 3dd78ec9 2ae58790 125f62b3"),
        (Suite::AeadAes256Gcm, "91db4afb feee5a97 8fab4393 ed2615fe"),
    ] {
        let mut wire = hex(RTCP);
        wire.extend(hex(tag));
        wire.extend(hex("000005d4"));
        assert_eq!(opened_rtcp(&mut end(suite), &wire), Ok(hex(RTCP)), "{suite:?}");
        for n in 0..wire.len() {
            let mut forged = wire.clone();
            forged[n] ^= 1;
            assert!(opened_rtcp(&mut end(suite), &forged).is_err(), "{suite:?}: byte {n}");
        }
    }
}
