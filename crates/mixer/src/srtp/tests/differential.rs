//! The same packets through another implementation of the same RFCs.

use proptest::prelude::*;
use rtc_crypto::providers::AwsLcRsCrypto;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::{keys, opened, opened_rtcp, rtcp, sealed, sealed_rtcp};
use crate::srtp::{Srtp, Suite};

fn other(suite: Suite, seed: u8) -> Context {
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let keys = keys(suite, seed, None);
    let (key, salt) = keys.master().split_at(suite.key_len());
    Context::new(key, salt, profile, None, None, &AwsLcRsCrypto).expect("valid keys")
}

/// An RTP packet with any header: contributing sources, an extension, any payload.
fn packet(csrcs: u8, extension: Option<u8>, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let first = 0x80 | csrcs | if extension.is_some() { 0x10 } else { 0 };
    let mut packet = vec![first, 0xef]; // marker, payload type 111
    packet.extend(sequence.to_be_bytes());
    packet.extend([1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd]);
    packet.extend((0..csrcs).flat_map(|n| [n, 7, 7, 7]));
    if let Some(words) = extension {
        packet.extend([0xbe, 0xde, 0, words]);
        packet.extend((0..words).flat_map(|_| [0x10, 0x55, 0, 0]));
    }
    packet.extend(payload);
    packet
}

fn suites() -> impl Strategy<Value = Suite> {
    prop::sample::select(Suite::ALL.to_vec())
}

proptest! {
    #[test]
    fn we_write_what_another_implementation_writes_and_read_it(
        suite in suites(), seed: u8, csrcs in 0..16_u8, extension in prop::option::of(0..5_u8),
        first in 0..=u16::MAX, gaps in prop::collection::vec(1..3_000_u16, 1..60),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut ours, mut theirs) = (Srtp::new(keys(suite, seed, None)), other(suite, seed));
        let (mut our_ear, mut their_ear) = (Srtp::new(keys(suite, seed, None)), other(suite, seed));
        let mut sequence = first;
        for gap in gaps {
            let plain = packet(csrcs, extension, sequence, &payload);
            let wire = sealed(&mut ours, &plain);
            prop_assert_eq!(&theirs.encrypt_rtp(&plain).expect("valid")[..], &wire[..]);
            prop_assert_eq!(opened(&mut our_ear, &wire), Ok(plain.clone()));
            prop_assert_eq!(&their_ear.decrypt_rtp(&wire).expect("authentic")[..], &plain[..]);
            sequence = sequence.wrapping_add(gap);
        }
    }

    #[test]
    fn rtcp_of_another_implementation_is_read_and_ours_by_it(suite in suites(), seed: u8, ssrc: u32, count in 1..20_u8) {
        let (mut ours, mut theirs) = (Srtp::new(keys(suite, seed, None)), other(suite, seed));
        let (mut our_ear, mut their_ear) = (Srtp::new(keys(suite, seed, None)), other(suite, seed));
        for n in 0..count {
            let plain = rtcp(ssrc, n);
            let wire = sealed_rtcp(&mut ours, &plain);
            prop_assert_eq!(&their_ear.decrypt_rtcp(&wire).expect("authentic")[..], &plain[..]);
            let wire = theirs.encrypt_rtcp(&plain).expect("valid");
            prop_assert_eq!(opened_rtcp(&mut our_ear, &wire), Ok(plain));
        }
    }
}
