//! Codecs against vectors that other implementations made, and codec state across a switch. `tests/vectors/g722/make.py` tells
//! how the vectors came to be; `ffmpeg` and `libg722` agree on every bit of them.

use mixer::codec::{Codec, Decoder, Encoder, MAX_DECODED, MAX_PAYLOAD};

const SIGNAL: &[u8] = include_bytes!("../vectors/g722/signal.s16");
const SIGNAL_CODES: &[u8] = include_bytes!("../vectors/g722/signal.g722");
const SIGNAL_DECODED: &[u8] = include_bytes!("../vectors/g722/signal.decoded.s16");
const RANDOM_CODES: &[u8] = include_bytes!("../vectors/g722/random.g722");
const RANDOM_DECODED: &[u8] = include_bytes!("../vectors/g722/random.decoded.s16");

#[test]
fn g722_encodes_bit_by_bit_what_other_implementations_encode() {
    assert!(encode(&mut Encoder::new(Codec::G722), &pcm(SIGNAL)) == SIGNAL_CODES);
}

#[test]
fn g722_decodes_bit_by_bit_what_other_implementations_decode() {
    for (codes, decoded) in [(SIGNAL_CODES, SIGNAL_DECODED), (RANDOM_CODES, RANDOM_DECODED)] {
        // 20 ms, less and more of it in a packet decode to the same samples.
        for packet in [160, 80, 240, 7] {
            assert!(decode(Codec::G722, codes, packet) == pcm(decoded), "{packet} bytes a packet");
        }
    }
}

#[test]
fn a_g722_stream_continues_bit_exactly_in_another_encoder_that_took_over_its_state() {
    let pcm = pcm(SIGNAL);
    let (before, after) = pcm.split_at(320 * 7);
    let (mut first, mut second) = (Encoder::new(Codec::G722), Encoder::new(Codec::G722));
    encode(&mut first, before);
    encode(&mut second, &pcm[320 * 40..]); // it has a past of its own
    assert!(second.copy_state_from(&first));
    assert!(encode(&mut second, after) == SIGNAL_CODES[160 * 7..]);
    assert!(encode(&mut first, after) == SIGNAL_CODES[160 * 7..], "the first one is not disturbed");
}

fn encode(encoder: &mut Encoder, pcm: &[i16]) -> Vec<u8> {
    let mut payload = [0; MAX_PAYLOAD];
    let frames = pcm.chunks_exact(encoder.codec().rate().frame());
    frames
        .flat_map(|frame| {
            let length = encoder.encode(frame, &mut payload);
            payload[..length].to_vec()
        })
        .collect()
}

fn decode(codec: Codec, codes: &[u8], packet: usize) -> Vec<i16> {
    let mut decoder = Decoder::new(codec);
    let mut pcm = [0; MAX_DECODED];
    let packets = codes.chunks(packet);
    packets
        .flat_map(|payload| {
            let samples = decoder.decode(payload, &mut pcm).expect("every byte is a code");
            pcm[..samples].to_vec()
        })
        .collect()
}

fn pcm(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}
