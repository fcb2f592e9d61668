//! Instructions of the inner loops, counted by Valgrind: the same on a busy machine as on a quiet one. `./x bench --instructions`
//! compares them with benches/instructions.json.
#![allow(missing_docs, clippy::wildcard_imports)] // gungraun's macros generate undocumented items

use std::hint::black_box;

use benches::Room;
use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use mixer::codec::{MAX_DECODED, MAX_PAYLOAD};
use mixer::srtp::{Keys, Srtp, Suite};
use mixer::{Codec, Decoder, Encoder, OpusFormat, Rate};
use routing::{Initiator, LegRequest, OrganizerId, Table, TableSource, TrunkId, TrunkRef};
use sip::{Framing, Message};

// --- the mixer: one period of a room ---

fn room(legs: usize, one_in: usize) -> Room {
    Room::new(legs, one_in)
}

// The room comes back, so that its end is not counted.
#[library_benchmark]
#[bench::three(args = (3, 1), setup = room)]
#[bench::ten(args = (10, 1), setup = room)]
#[bench::hundred(args = (100, 1), setup = room)]
#[bench::hundred_fifth_talking(args = (100, 5), setup = room)]
fn period(mut room: Room) -> Room {
    black_box(room.period());
    room
}

library_benchmark_group!(name = rooms; benchmarks = period);

// --- codecs: one frame ---

const OPUS: Codec = Codec::Opus(OpusFormat::speech(Rate::Wide));

fn speech(codec: Codec) -> Vec<i16> {
    (0..codec.rate().frame()).map(|i| ((i * 977) % 8_000) as i16 - 4_000).collect()
}

/// An encoder that has said something.
fn encoder(codec: Codec) -> (Encoder, Vec<i16>, Vec<u8>) {
    let (mut encoder, pcm, mut payload) = (Encoder::new(codec), speech(codec), vec![0; MAX_PAYLOAD]);
    for _ in 0..20 {
        encoder.encode(&pcm, &mut payload);
    }
    (encoder, pcm, payload)
}

/// A decoder that has heard something, and the next payload.
fn decoder(codec: Codec) -> (Decoder, Vec<u8>, Vec<i16>) {
    let (mut encoder, pcm, mut payload) = encoder(codec);
    let (mut decoder, mut heard) = (Decoder::new(codec), vec![0; MAX_DECODED]);
    let length = encoder.encode(&pcm, &mut payload);
    payload.truncate(length);
    for _ in 0..20 {
        let _ = decoder.decode(&payload, &mut heard);
    }
    (decoder, payload, heard)
}

#[library_benchmark]
#[bench::pcmu(args = (Codec::Pcmu), setup = encoder)]
#[bench::pcma(args = (Codec::Pcma), setup = encoder)]
#[bench::g722(args = (Codec::G722), setup = encoder)]
#[bench::opus16(args = (OPUS), setup = encoder)]
fn encode((mut encoder, pcm, mut payload): (Encoder, Vec<i16>, Vec<u8>)) -> (Encoder, Vec<i16>, Vec<u8>) {
    black_box(encoder.encode(black_box(&pcm), &mut payload));
    (encoder, pcm, payload)
}

#[library_benchmark]
#[bench::pcmu(args = (Codec::Pcmu), setup = decoder)]
#[bench::pcma(args = (Codec::Pcma), setup = decoder)]
#[bench::g722(args = (Codec::G722), setup = decoder)]
#[bench::opus16(args = (OPUS), setup = decoder)]
fn decode((mut decoder, payload, mut pcm): (Decoder, Vec<u8>, Vec<i16>)) -> (Decoder, Vec<u8>, Vec<i16>) {
    let _ = black_box(decoder.decode(black_box(&payload), &mut pcm));
    (decoder, payload, pcm)
}

library_benchmark_group!(name = codecs; benchmarks = encode, decode);

// --- SRTP: one packet of 172 bytes ---

fn srtp(suite: Suite) -> Srtp {
    let master: Vec<u8> = (0..(suite.key_len() + suite.salt_len()) as u8).collect();
    Srtp::new(Keys::new(suite, &master, None).expect("a key of the right length"))
}

fn packet() -> Vec<u8> {
    let mut packet = vec![0x55; 172 + 32];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 9, 0, 0, 0, 160, 0, 0, 0, 7]);
    packet
}

fn to_protect(suite: Suite) -> (Srtp, Vec<u8>) {
    let (mut srtp, mut first) = (srtp(suite), packet());
    first[3] = 8;
    srtp.protect(&mut first, 172).expect("room");
    (srtp, packet())
}

fn to_unprotect(suite: Suite) -> (Srtp, Vec<u8>) {
    let (mut sender, mut packet) = to_protect(suite);
    let length = sender.protect(&mut packet, 172).expect("room");
    packet.truncate(length);
    (srtp(suite), packet)
}

#[library_benchmark]
#[bench::aes_cm_80(args = (Suite::AesCm128HmacSha1_80), setup = to_protect)]
#[bench::aes_gcm_128(args = (Suite::AeadAes128Gcm), setup = to_protect)]
fn protect((mut srtp, mut packet): (Srtp, Vec<u8>)) -> (Srtp, Vec<u8>) {
    black_box(srtp.protect(&mut packet, 172).expect("room"));
    (srtp, packet)
}

#[library_benchmark]
#[bench::aes_cm_80(args = (Suite::AesCm128HmacSha1_80), setup = to_unprotect)]
#[bench::aes_gcm_128(args = (Suite::AeadAes128Gcm), setup = to_unprotect)]
fn unprotect((mut srtp, mut packet): (Srtp, Vec<u8>)) -> (Srtp, Vec<u8>) {
    black_box(srtp.unprotect(&mut packet).expect("authentic"));
    (srtp, packet)
}

library_benchmark_group!(name = crypto; benchmarks = protect, unprotect);

// --- SIP: an operator's INVITE ---

fn invite() -> Bytes {
    Bytes::from_static(include_bytes!("invite.sip"))
}

#[library_benchmark]
#[bench::invite(args = (), setup = invite)]
fn parse(bytes: Bytes) -> Message {
    Message::parse(black_box(bytes), Framing::Datagram).expect("well formed")
}

library_benchmark_group!(name = signalling; benchmarks = parse);

// --- routing: a decision in a table of 100 policies and 1,000 routes ---

fn routes() -> (Table, OrganizerId) {
    use std::fmt::Write as _;
    let mut text =
        "[[bridge]]\ntenant = \"t\"\ncountry_code = \"49\"\ndefault_service_number = \"+4930000000\"\n\
         [[number]]\nnumber = \"+4930000000\"\nowner = \"microsoft\"\n\
         [[number]]\nnumber = \"+4930000001\"\nowner = \"operator:o\"\n"
            .to_owned();
    for route in 0..1_000 {
        let pattern =
            if route % 10 == 9 { r"\d+".to_owned() } else { format!(r"^\+1{}(\d{{6}})$", 2_000 + route) };
        let _ = writeln!(
            text,
            "[[route]]\nname = \"route {route}\"\nnumber_pattern = '{pattern}'\npriority = {route}\n\
             pstn_usages = [\"usage {}\"]\nbridge_source_phone_number = \"+4930000001\"",
            route / 10
        );
    }
    for policy in 0..100 {
        let _ = writeln!(
            text,
            "[[policy]]\nname = \"policy {policy}\"\npstn_usages = [\"usage {policy}\", \"usage {}\"]\n\
             [[organizer]]\nid = \"organizer {policy}\"\ntenant = \"t\"\nlicense = \"audio-conferencing-standard\"\n\
             policy = \"policy {policy}\"",
            (policy + 1) % 100
        );
    }
    let source = TableSource::from_toml(&text).expect("TOML");
    let trunk = |id: &str, provider: &str| TrunkRef {
        id: TrunkId::new(id),
        provider: provider.parse().expect("a provider"),
    };
    let trunks = [trunk("ms", "microsoft"), trunk("o", "operator:o")];
    (Table::build(&source, &trunks).expect("a table"), OrganizerId::new("organizer 50"))
}

fn up(_: &TrunkId) -> bool {
    false
}

#[library_benchmark]
#[bench::dial_out(args = (), setup = routes)]
fn decide((table, organizer): (Table, OrganizerId)) -> (Table, OrganizerId) {
    let request = LegRequest::DialOut {
        organizer: &organizer,
        dialed: "+43 1 1234567",
        initiator: Initiator::Member,
        down: &up,
    };
    black_box(routing::decide(&table, black_box(&request)));
    (table, organizer)
}

library_benchmark_group!(name = decisions; benchmarks = decide);

main!(library_benchmark_groups = rooms, codecs, crypto, signalling, decisions);
