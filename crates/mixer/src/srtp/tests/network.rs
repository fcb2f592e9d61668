//! What the network, and those who listen in it, do to packets.

use std::collections::HashMap;

use super::{ends, keys, opened, opened_rtcp, rtcp, rtp, sealed, sealed_rtcp};
use crate::srtp::{Mki, Refused, Rejected, Rejections, Rekeyed, STREAMS, Srtp, Suite};

fn every_kind() -> impl Iterator<Item = (Suite, Option<Mki>)> {
    let mkis = [None, Mki::new(1, 1).ok(), Mki::new(0x0102_0304, 4).ok(), Mki::new(7, 128).ok()];
    Suite::ALL.into_iter().flat_map(move |suite| mkis.map(|mki| (suite, mki)))
}

#[test]
fn a_packet_comes_back_as_it_was_and_is_unreadable_between() {
    for (suite, mki) in every_kind() {
        let (mut sender, mut receiver) = ends(suite, mki);
        for sequence in 0..300 {
            let wire = sealed(&mut sender, &rtp(9, sequence));
            assert_eq!(wire[..12], rtp(9, sequence)[..12], "the header stays readable");
            assert_ne!(wire[12..172], rtp(9, sequence)[12..]);
            assert_eq!(opened(&mut receiver, &wire), Ok(rtp(9, sequence)));
            let wire = sealed_rtcp(&mut sender, &rtcp(9, sequence as u8));
            assert_ne!(wire[8..32], rtcp(9, sequence as u8)[8..]);
            assert_eq!(opened_rtcp(&mut receiver, &wire), Ok(rtcp(9, sequence as u8)));
        }
        assert_eq!(receiver.rejections(), Rejections::default());
    }
}

#[test]
fn the_mki_stands_where_the_rfcs_put_it() {
    let mki = Mki::new(0x0a0b, 2).ok();
    let (mut sender, _) = ends(Suite::AesCm128HmacSha1_32, mki);
    assert_eq!(sealed(&mut sender, &rtp(1, 1))[172..174], [0x0a, 0x0b], "RFC 3711 3.1: before the tag");
    assert_eq!(sealed_rtcp(&mut sender, &rtcp(1, 1))[36..38], [0x0a, 0x0b], "after the index");
    let (mut sender, _) = ends(Suite::AeadAes128Gcm, mki);
    assert_eq!(sealed(&mut sender, &rtp(1, 1))[188..], [0x0a, 0x0b], "RFC 7714 8.2: after the tag");
    assert_eq!(sealed_rtcp(&mut sender, &rtcp(1, 1))[52..], [0x0a, 0x0b], "after the index, at the end");
}

#[test]
fn a_packet_with_another_mki_is_not_ours() {
    for suite in Suite::ALL {
        let mut sender = Srtp::new(keys(suite, 1, Mki::new(2, 1).ok()));
        let mut receiver = Srtp::new(keys(suite, 1, Mki::new(3, 1).ok()));
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(1, 1))), Err(Rejected::Forged));
        assert_eq!(opened_rtcp(&mut receiver, &sealed_rtcp(&mut sender, &rtcp(1, 1))), Err(Rejected::Forged));
    }
}

#[test]
fn one_wrong_bit_anywhere_is_noticed() {
    for (suite, mki) in every_kind() {
        let (mut sender, mut receiver) = ends(suite, mki);
        let (wire, report) = (sealed(&mut sender, &rtp(9, 5)), sealed_rtcp(&mut sender, &rtcp(9, 5)));
        for n in 0..wire.len() * 8 {
            let mut forged = wire.clone();
            forged[n / 8] ^= 1 << (n % 8);
            assert!(opened(&mut receiver, &forged).is_err(), "{suite:?}: bit {n}");
        }
        for n in 0..report.len() * 8 {
            let mut forged = report.clone();
            forged[n / 8] ^= 1 << (n % 8);
            assert!(opened_rtcp(&mut receiver, &forged).is_err(), "{suite:?}: bit {n} of RTCP");
        }
        assert_eq!(opened(&mut receiver, &wire), Ok(rtp(9, 5)), "and none of them did harm");
        assert_eq!(opened_rtcp(&mut receiver, &report), Ok(rtcp(9, 5)));
    }
}

#[test]
fn a_thousand_bad_tags_disturb_nothing() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = ends(suite, None);
        let mut stranger = Srtp::new(keys(suite, 2, None));
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, 0xfff0))), Ok(rtp(9, 0xfff0)));
        for n in 0..1_000_u32 {
            // Of the same stream, far ahead of it, and of ever new streams.
            let ssrc = if n % 2 == 0 { 9 } else { n };
            let forged = {
                let mut fresh = Srtp::new(keys(suite, 2, None));
                sealed(&mut fresh, &rtp(ssrc, (n * 63) as u16))
            };
            assert!(opened(&mut receiver, &forged).is_err());
            assert_eq!(
                opened_rtcp(&mut receiver, &sealed_rtcp(&mut stranger, &rtcp(9, 1))),
                Err(Rejected::Forged)
            );
        }
        assert_eq!(receiver.rejections().total(), 2_000);
        for sequence in (0xfff1..=0xffff).chain(0..20) {
            assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, sequence))), Ok(rtp(9, sequence)));
        }
    }
}

#[test]
fn nothing_is_taken_twice() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = ends(suite, None);
        let wires: Vec<_> = (0..400).map(|n| sealed(&mut sender, &rtp(9, n))).collect();
        let reports: Vec<_> = (0..200).map(|n| sealed_rtcp(&mut sender, &rtcp(9, n))).collect();
        assert!(wires.iter().all(|wire| opened(&mut receiver, wire).is_ok()));
        assert!(wires.iter().all(|wire| opened(&mut receiver, wire) == Err(Rejected::Replayed)));
        assert!(reports.iter().all(|report| opened_rtcp(&mut receiver, report).is_ok()));
        assert!(reports.iter().all(|report| opened_rtcp(&mut receiver, report) == Err(Rejected::Replayed)));
        assert_eq!(receiver.rejections().replayed, 600);
    }
}

#[test]
fn what_is_127_packets_late_is_taken_and_what_is_128_late_is_not() {
    let (mut sender, mut receiver) = ends(Suite::AesCm128HmacSha1_80, None);
    let wires: Vec<_> = (0..=128).map(|n| sealed(&mut sender, &rtp(9, n))).collect();
    assert!(opened(&mut receiver, &wires[128]).is_ok());
    assert_eq!(opened(&mut receiver, &wires[0]), Err(Rejected::Replayed));
    assert!(opened(&mut receiver, &wires[1]).is_ok());
}

#[test]
fn the_rollover_counter_survives_loss_and_reordering_at_the_wrap() {
    for suite in Suite::ALL {
        for lost in [0_usize, 1, 10, 1_000, 30_000] {
            let (mut sender, mut receiver) = ends(suite, None);
            let start = 0xffff_u32 - lost as u32 / 2 - 3;
            let wires: Vec<_> =
                (start..start + lost as u32 + 10).map(|n| sealed(&mut sender, &rtp(9, n as u16))).collect();
            let arrive = |receiver: &mut Srtp, n: usize| {
                assert_eq!(
                    opened(receiver, &wires[n]),
                    Ok(rtp(9, (start + n as u32) as u16)),
                    "{lost} lost, packet {n}"
                );
            };
            // `lost` packets around the wrap never come; two behind it change places, and an older one comes late.
            for n in [0, 1, 2, lost + 5, lost + 4, lost + 6] {
                arrive(&mut receiver, n);
            }
            if lost <= 100 {
                arrive(&mut receiver, 3);
            }
            assert_eq!(receiver.rejections(), Rejections::default());
        }
    }
}

#[test]
fn many_wraps_are_counted() {
    let (mut sender, mut receiver) = ends(Suite::AeadAes128Gcm, None);
    let mut sequence = 0_u16;
    for _ in 0..100 {
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, sequence))), Ok(rtp(9, sequence)));
        sequence = sequence.wrapping_add(30_000);
    }
}

#[test]
fn a_stream_whose_beginning_was_missed_is_read_although_it_wrapped() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = ends(suite, None);
        for sequence in 0xfff0..=0xffff {
            drop(sealed(&mut sender, &rtp(9, sequence)));
        }
        for sequence in 0..5 {
            assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, sequence))), Ok(rtp(9, sequence)));
        }
    }
}

#[test]
fn each_stream_has_its_own_rollover_counter() {
    let (mut sender, mut receiver) = ends(Suite::AesCm128HmacSha1_80, None);
    for (ssrc, sequence) in [(1, 0xffff), (2, 10), (1, 0), (2, 11), (3, 0xffff), (1, 1), (3, 0), (2, 12)] {
        assert_eq!(
            opened(&mut receiver, &sealed(&mut sender, &rtp(ssrc, sequence))),
            Ok(rtp(ssrc, sequence))
        );
    }
}

#[test]
fn short_datagrams_and_garbage_are_refused_without_harm() {
    for (suite, mki) in every_kind() {
        let (mut sender, mut receiver) = ends(suite, mki);
        let (wire, report) = (sealed(&mut sender, &rtp(9, 5)), sealed_rtcp(&mut sender, &rtcp(9, 5)));
        for length in 0..=64 {
            for byte in [0, 0x80, 0x90, 0x9f, 0xb0, 0xff] {
                assert!(opened(&mut receiver, &vec![byte; length]).is_err());
                assert!(opened_rtcp(&mut receiver, &vec![byte; length]).is_err());
            }
            assert!(opened(&mut receiver, &wire[..length]).is_err());
            assert!(opened_rtcp(&mut receiver, &report[..length.min(report.len() - 1)]).is_err());
        }
        assert!(opened(&mut receiver, &rtp(9, 5)).is_err(), "in the clear");
        assert!(opened_rtcp(&mut receiver, &rtcp(9, 5)).is_err(), "in the clear");
        assert!(opened(&mut receiver, &wire).is_ok());
        assert!(opened_rtcp(&mut receiver, &report).is_ok());
    }
}

#[test]
fn no_key_stream_is_used_twice() {
    for suite in Suite::ALL {
        let (mut sender, _) = ends(suite, None);
        let mut sent = HashMap::new();
        let mut refused = 0;
        // Forwards, backwards, the same again, across the wrap and with the key "changed" to itself in between.
        let steps = [1_i32, 1, 0, 5, -3, 700, 1, -700, 30_000, 1, 30_000, 1, 10_000, 0, 1, -1];
        let mut place = 0_i32;
        for round in 0..200 {
            place += steps[round % steps.len()];
            if round % 7 == 0 {
                let same = keys(suite, 1, if round % 2 == 0 { None } else { Mki::new(1, 1).ok() });
                assert_eq!(sender.rekey(&same), Rekeyed::Kept);
            }
            // Zeros show the key stream itself.
            let mut buffer = rtp(9, place as u16);
            buffer[12..].fill(0);
            let length = buffer.len();
            buffer.resize(length + sender.keys().overhead(), 0);
            match sender.protect(&mut buffer, length) {
                Ok(_) => {
                    assert_eq!(sent.insert(buffer[12..172].to_vec(), round), None, "{suite:?} round {round}");
                }
                Err(error) => {
                    assert_eq!(error, Refused::Reused);
                    refused += 1;
                }
            }
        }
        assert!(refused > 0 && !sent.is_empty());
        let reports: Vec<_> = (0..100).map(|_| sealed_rtcp(&mut sender, &rtcp(9, 0))).collect();
        assert!(reports.iter().enumerate().all(|(n, report)| !reports[..n].contains(report)));
    }
}

#[test]
fn a_key_protects_four_streams_and_forgets_none() {
    let (mut sender, _) = ends(Suite::AeadAes256Gcm, None);
    for ssrc in 0..STREAMS as u32 {
        drop(sealed(&mut sender, &rtp(ssrc, 1)));
    }
    let mut buffer = [rtp(99, 1), vec![0; 16]].concat();
    assert_eq!(sender.protect(&mut buffer, 172), Err(Refused::TooManyStreams));
    let mut again = [rtp(0, 1), vec![0; 16]].concat();
    assert_eq!(sender.protect(&mut again, 172), Err(Refused::Reused));
}

#[test]
fn a_key_ends_after_two_to_the_48_packets_and_two_to_the_31_reports() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = ends(suite, None);
        for end in [&mut sender, &mut receiver] {
            end.rtp_streams.take(9, (1 << 48) - 3);
            end.rtcp_sent = (1 << 31) - 2;
        }
        for sequence in [0xfffe, 0xffff] {
            assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, sequence))), Ok(rtp(9, sequence)));
        }
        for n in 0..2 {
            assert_eq!(opened_rtcp(&mut receiver, &sealed_rtcp(&mut sender, &rtcp(9, n))), Ok(rtcp(9, n)));
        }
        let mut buffer = [rtp(9, 0), vec![0; 16]].concat();
        assert_eq!(sender.protect(&mut buffer, 172), Err(Refused::Exhausted));
        assert_eq!(buffer[..172], rtp(9, 0), "and is not touched");
        let mut buffer = [rtcp(9, 0), vec![0; 20]].concat();
        assert_eq!(sender.protect_rtcp(&mut buffer, 32), Err(Refused::Exhausted));
        assert_eq!(sender.rekey(&keys(suite, 2, None)), Rekeyed::Renewed, "until there is a new key");
        assert_eq!(receiver.rekey(&keys(suite, 2, None)), Rekeyed::Renewed);
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, 0))), Ok(rtp(9, 0)));
        assert_eq!(opened_rtcp(&mut receiver, &sealed_rtcp(&mut sender, &rtcp(9, 0))), Ok(rtcp(9, 0)));
    }
}

#[test]
fn the_same_key_goes_on_counting_and_a_new_key_starts_at_zero() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = ends(suite, None);
        let old = sealed(&mut sender, &rtp(9, 0xffff));
        assert!(opened(&mut receiver, &old).is_ok());
        let report = sealed_rtcp(&mut sender, &rtcp(9, 1));
        assert!(opened_rtcp(&mut receiver, &report).is_ok());
        // A session refresh repeats the keys. Only one side does anything about it, and nobody notices.
        assert_eq!(receiver.rekey(&keys(suite, 1, None)), Rekeyed::Kept);
        assert_eq!(opened(&mut receiver, &old), Err(Rejected::Replayed));
        assert_eq!(opened_rtcp(&mut receiver, &report), Err(Rejected::Replayed));
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, 0))), Ok(rtp(9, 0)));
        assert_eq!(sender.rekey(&keys(suite, 1, None)), Rekeyed::Kept);
        assert_eq!(opened(&mut receiver, &sealed(&mut sender, &rtp(9, 1))), Ok(rtp(9, 1)));
        // New keys: the peer starts at rollover counter zero, with whatever sequence number it has reached.
        let mut peer = Srtp::new(keys(suite, 2, None));
        assert_eq!(receiver.rekey(&keys(suite, 2, None)), Rekeyed::Renewed);
        assert_eq!(
            opened(&mut receiver, &sealed(&mut sender, &rtp(9, 2))),
            Err(Rejected::Forged),
            "the old key is gone"
        );
        assert_eq!(opened(&mut receiver, &sealed(&mut peer, &rtp(9, 2))), Ok(rtp(9, 2)));
        assert_eq!(
            receiver.rejections(),
            Rejections { malformed: 0, forged: 1, replayed: 2 },
            "figures go on"
        );
    }
}

#[test]
fn another_suite_with_the_same_key_goes_on_counting_too() {
    let mut sender = Srtp::new(keys(Suite::AesCm128HmacSha1_80, 1, None));
    drop(sealed(&mut sender, &rtp(9, 7)));
    assert_eq!(sender.rekey(&keys(Suite::AesCm128HmacSha1_32, 1, None)), Rekeyed::Kept);
    let mut buffer = [rtp(9, 7), vec![0; 4]].concat();
    assert_eq!(sender.protect(&mut buffer, 172), Err(Refused::Reused), "it would be the same key stream");
}

#[test]
fn mistakes_of_the_caller_are_refused_by_name() {
    for (suite, mki) in every_kind() {
        let (mut sender, _) = ends(suite, mki);
        let mut packet = rtp(1, 1);
        assert_eq!(sender.protect(&mut packet, 172), Err(Refused::NoRoom));
        assert_eq!(sender.protect(&mut packet, 173), Err(Refused::Malformed));
        assert_eq!(sender.protect(&mut packet, 11), Err(Refused::Malformed));
        assert_eq!(packet, rtp(1, 1), "and nothing is touched");
        let mut report = rtcp(1, 1);
        assert_eq!(sender.protect_rtcp(&mut report, 32), Err(Refused::NoRoom));
        assert_eq!(sender.protect_rtcp(&mut report, 7), Err(Refused::Malformed));
    }
}
