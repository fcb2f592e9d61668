//! The codecs as doors for bytes.

use audiopus::coder::Decoder as LibDecoder;
use audiopus::packet::Packet as LibPacket;
use audiopus::{Channels, MutSignals, SampleRate};

use super::records;
use crate::codec::opus::packet::MAX_PACKET;
use crate::codec::{Codec, Decoder, Encoder, MAX_DECODED, MAX_PAYLOAD, OpusFormat, Undecodable};
use crate::guard;
use crate::units::Rate;

/// Any bytes as the payloads of a stream of every codec: no panic and no allocation; a payload has a duration exactly when it is
/// decoded, and then lasts as long; what is told of it without decoding is true. Any bytes as PCM: what is encoded lasts 20 ms.
pub fn codec(input: &[u8]) {
    for codec in codecs() {
        decode(codec, input);
        encode(codec, input);
    }
    compare(input);
}

fn codecs() -> [Codec; 6] {
    let [narrow, wide, full] = Rate::ALL.map(|rate| Codec::Opus(OpusFormat::speech(rate)));
    [Codec::Pcmu, Codec::Pcma, Codec::G722, narrow, wide, full]
}

fn decode(codec: Codec, input: &[u8]) {
    let mut decoder = Decoder::new(codec);
    let mut pcm = [0; MAX_DECODED];
    for payload in std::iter::once(input).chain(records(input)) {
        let duration = codec.duration(payload);
        guard::armed(|| {
            let steps = usize::from(payload.first().copied().unwrap_or(0)) % 49; // of 2.5 ms, up to 120 ms
            let missing = (steps * codec.rate().frame() / 8).saturating_sub(payload.len() % 2);
            let mended = decoder.decode_fec(payload, &mut pcm[..missing]);
            assert!(mended.is_none_or(|samples| samples == missing && duration.is_some()));
            if payload.len() % 3 == 0 {
                decoder.conceal(&mut pcm[..missing]);
            }
        });
        let decoded = guard::armed(|| decoder.decode(payload, &mut pcm));
        assert_eq!(decoded, duration.ok_or(Undecodable::Malformed(codec.name())));
        let (level, silence) = (codec.level(payload), codec.is_silence(payload));
        assert!(duration.is_some() || (level.is_none() && silence.is_none()));
        if let (Some(level), Some(samples)) = (level, duration) {
            let sum: u32 = pcm[..samples].iter().map(|sample| u32::from(sample.unsigned_abs())).sum();
            assert_eq!(u32::from(level), sum / samples as u32);
        }
    }
}

fn encode(codec: Codec, input: &[u8]) {
    let frame = codec.rate().frame();
    let mut encoder = Encoder::new(codec);
    let mut payload = [0; MAX_PAYLOAD];
    let mut pcm = vec![0; frame];
    for bytes in input.as_chunks::<2>().0.chunks(frame).take(4) {
        pcm.iter_mut().zip(bytes).for_each(|(sample, bytes)| *sample = i16::from_le_bytes(*bytes));
        let length = guard::armed(|| encoder.encode(&pcm, &mut payload));
        assert_eq!(codec.duration(&payload[..length]), Some(frame));
    }
}

/// libopus reads the same framing as we do: it refuses what we refuse, and takes what we take to be as long.
fn compare(input: &[u8]) {
    let mut decoder = LibDecoder::new(SampleRate::Hz48000, Channels::Mono).expect("a documented rate");
    let codec = Codec::Opus(OpusFormat::speech(Rate::Full));
    for payload in std::iter::once(input).chain(records(input)) {
        let Ok(packet) = LibPacket::try_from(payload) else { continue };
        let mut pcm = [0; MAX_DECODED];
        let theirs = decoder.decode(Some(packet), MutSignals::try_from(&mut pcm[..]).expect("short"), false);
        assert!(payload.len() > MAX_PACKET || theirs.ok() == codec.duration(payload), "{payload:02x?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_runs_over_packets_of_every_configuration_and_framing() {
        for toc in 0..=255_u8 {
            let mut stream = Vec::new();
            for (number, tail) in
                [&[][..], &[0], &[0x02, 7, 9], &[0x43, 1, 1, 2, 3, 0], &[0x82, 1, 0xff, 0xfe], &[0xff; 40]]
                    .into_iter()
                    .enumerate()
            {
                let scrambled = tail.iter().enumerate().map(|(n, byte)| byte ^ (n * number * 31) as u8);
                stream.push(tail.len() as u8 + 1);
                stream.push(toc);
                stream.extend(scrambled);
            }
            codec(&stream);
            codec(&stream[1..]);
        }
    }
}
