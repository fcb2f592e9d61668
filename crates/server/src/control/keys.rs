//! The SRTP keys that we make, and when a stream gets new ones.
//!
//! They come from a ChaCha12 stream of their own, which is a cryptographic generator (`rand`'s `StdRng`): who knows any part
//! of its output cannot tell any other. Its seed is 32 bytes of the operating system's randomness, drawn through control's
//! source when the process starts; nothing else is drawn from it, so that no identifier that crosses the network is its
//! neighbour. In the simulation the seed is the world's, and every key can be told again.

use std::net::SocketAddr;

use rand::Rng as _;
use rand::rngs::StdRng;
use sip::sdp::{MasterKey, Negotiated, Srtp};
use trunk::Profile;

/// A key for each suite that the trunk may use; none where it has no SRTP.
pub(super) fn fresh(source: &mut StdRng, profile: &Profile) -> Vec<MasterKey> {
    if profile.srtp == Srtp::Off {
        return Vec::new();
    }
    let suites = profile.srtp_suites.iter();
    suites.map(|&suite| MasterKey::generate(suite, |bytes| source.fill_bytes(bytes))).collect()
}

/// What our key of a leg is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    /// The peer's key.
    theirs: MasterKey,
    /// Where RTP goes; unspecified while the peer has named nobody.
    address: SocketAddr,
}

impl Keyed {
    /// After an offer and its answer.
    pub(super) fn after(before: Option<Self>, negotiated: &Negotiated) -> Option<Self> {
        let Some(crypto) = &negotiated.crypto else { return before };
        // A hold with c=0.0.0.0 names nobody; the address before it is still the one that counts.
        let kept = before.filter(|_| negotiated.remote_rtp.ip().is_unspecified());
        let address = kept.map_or(negotiated.remote_rtp, |before| before.address);
        Some(Self { theirs: crypto.theirs, address })
    }
}

/// Whether a re-INVITE ends the life of our key.
///
/// RFC 4568 section 7.1.4: a new key, or another address or port, is a new cryptographic context whose rollover counter begins
/// at 0, for both directions. With the key that was used before it would send the same key stream again. All else (a refresh,
/// a hold, another codec) keeps the key, and with it the counter: who renews it then is heard by nobody who keeps his.
pub(super) fn must_renew(before: Option<&Keyed>, after: &Negotiated) -> bool {
    let (Some(before), Some(crypto)) = (before, &after.crypto) else { return false };
    let (old, new) = (before.address, after.remote_rtp);
    let moved = old != new && !old.ip().is_unspecified() && !new.ip().is_unspecified();
    moved || before.theirs != crypto.theirs
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use sip::sdp::{Capabilities, LocalMedia, Suite};

    use super::*;

    const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

    fn agreed(address: &str, port: u16, line: &str) -> Negotiated {
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n{line}"
        );
        let local = LocalMedia {
            address: [192, 0, 2, 9].into(),
            port: 40_000,
            rtcp_port: 40_001,
            session_id: 1,
            session_version: 1,
            direction: sip::sdp::Direction::SendRecv,
            keys: vec![MasterKey::generate(Suite::AesCm128HmacSha1_80, |key| key.fill(1))],
        };
        let caps = Capabilities {
            srtp: Srtp::Optional,
            suites: vec![Suite::AesCm128HmacSha1_80],
            ..Capabilities::default()
        };
        sip::sdp::answer(offer.as_bytes(), &local, &caps).expect("acceptable").1
    }

    fn line(key: &str) -> String {
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")
    }

    #[test]
    fn a_key_is_renewed_when_theirs_or_their_address_is_new_and_only_then() {
        let before = agreed("192.0.2.1", 5000, &line(KEY));
        let other = line(&KEY.replace("PS1u", "NzB4"));
        // (after, whether ours is renewed, why)
        let table = [
            (agreed("192.0.2.1", 5000, &line(KEY)), false, "a refresh"),
            (agreed("192.0.2.1", 5000, &format!("{}a=sendonly\r\n", line(KEY))), false, "a hold"),
            (agreed("0.0.0.0", 5000, &line(KEY)), false, "a hold in the old way"),
            (agreed("192.0.2.1", 5000, &other), true, "a new key"),
            (agreed("192.0.2.1", 5002, &line(KEY)), true, "another port"),
            (agreed("192.0.2.2", 5000, &line(KEY)), true, "another address"),
            (agreed("192.0.2.1", 5000, ""), false, "plain from now on: there is no key"),
        ];
        let keyed = Keyed::after(None, &before);
        for (after, renewed, why) in &table {
            assert_eq!(must_renew(keyed.as_ref(), after), *renewed, "{why}");
        }
        let held = Keyed::after(keyed, &agreed("0.0.0.0", 5000, &line(KEY)));
        assert_eq!(held, keyed, "a hold forgets nothing");
        assert_eq!(Keyed::after(keyed, &agreed("192.0.2.1", 5000, "")), keyed, "nor does a plain answer");
        let began_held = Keyed::after(None, &agreed("0.0.0.0", 5000, &line(KEY)));
        assert!(!must_renew(began_held.as_ref(), &before), "nothing was sent anywhere");
        assert!(!must_renew(None, &before), "the first keys of a leg");
    }

    #[test]
    fn every_suite_of_a_trunk_gets_a_key_and_no_key_comes_twice() {
        let text =
            "id = \"a\"\nkind = \"operator\"\npeers = [{ address = \"127.0.0.2\" }]\nsrtp = \"optional\"\n";
        let profile = toml::from_str::<trunk::ProfileSource>(text).unwrap().build().unwrap();
        let mut source = StdRng::from_seed([7; 32]);
        let keys: Vec<MasterKey> = (0..100).flat_map(|_| fresh(&mut source, &profile)).collect();
        assert_eq!(keys.len(), 400);
        let distinct: std::collections::HashSet<&[u8]> = keys.iter().map(|key| &key.bytes()[..16]).collect();
        assert_eq!(distinct.len(), 400);
        let off = Profile { srtp: Srtp::Off, ..profile };
        assert!(fresh(&mut source, &off).is_empty());
    }
}
