//! Opus in Ogg (RFC 7845), mono. After a pause a new logical stream begins behind the last one: the file is chained, as RFC 3533 has
//! it for sounds one after the other, and the comments of the new stream say when it went on.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use mixer::units::Rate;
use mixer::{Codec, Encoder, OpusFormat};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};

/// What is encoded.
pub(super) const RATE: Rate = Rate::Wide;
/// Granule positions count samples at 48 kHz, whatever was encoded (RFC 7845 section 4).
const FRAME: u64 = 960;
/// A page ends after so many packets, a second, so that a crash costs no more.
const PACKETS_PER_PAGE: u64 = 50;
/// More than speech over the telephone needs at 16 kHz; nothing is lost on the way to a disk.
const FORMAT: OpusFormat =
    OpusFormat { bitrate: 32_000, fec: false, loss_percent: 0, ..OpusFormat::speech(RATE) };

pub(super) struct Opus {
    ogg: PacketWriter<'static, BufWriter<File>>,
    encoder: Encoder,
    serial: u32,
    /// Packets of this stream so far, with the one that is held.
    packets: u64,
    /// The last packet: whether it ends the stream is known when the next one comes, or none.
    held: Option<Vec<u8>>,
}

impl Opus {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let ogg = PacketWriter::new(BufWriter::new(file));
        let encoder = Encoder::new(Codec::Opus(FORMAT));
        let mut opus = Self { ogg, encoder, serial: 1, packets: 0, held: None };
        opus.begin(&[])?;
        Ok(opus)
    }

    /// The two headers of a stream, each on a page of its own (RFC 7845 section 3).
    fn begin(&mut self, comments: &[String]) -> io::Result<()> {
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend((self.pre_skip() as u16).to_le_bytes());
        head.extend(RATE.hz().to_le_bytes());
        // No gain; one stream of one channel.
        head.extend([0; 3]);
        self.page(head)?;
        let mut tags = b"OpusTags".to_vec();
        let vendor = concat!("partyline ", env!("CARGO_PKG_VERSION"));
        tags.extend((vendor.len() as u32).to_le_bytes());
        tags.extend(vendor.as_bytes());
        tags.extend((comments.len() as u32).to_le_bytes());
        for comment in comments {
            tags.extend((comment.len() as u32).to_le_bytes());
            tags.extend(comment.as_bytes());
        }
        self.page(tags)
    }

    fn page(&mut self, packet: Vec<u8>) -> io::Result<()> {
        self.ogg.write_packet(Cow::Owned(packet), self.serial, PacketWriteEndInfo::EndPage, 0)
    }

    /// What a decoder leaves out at the beginning: the encoder's delay.
    fn pre_skip(&self) -> u64 {
        self.encoder.lookahead() as u64 * 48_000 / u64::from(RATE.hz())
    }

    /// 20 ms.
    pub(super) fn put(&mut self, pcm: &[i16]) -> io::Result<()> {
        let mut packet = vec![0; mixer::codec::MAX_PAYLOAD];
        let length = self.encoder.encode(pcm, &mut packet);
        packet.truncate(length);
        if let Some(last) = self.held.replace(packet) {
            let ends = if self.packets.is_multiple_of(PACKETS_PER_PAGE) {
                PacketWriteEndInfo::EndPage
            } else {
                PacketWriteEndInfo::NormalPacket
            };
            self.ogg.write_packet(Cow::Owned(last), self.serial, ends, self.packets * FRAME)?;
        }
        self.packets += 1;
        Ok(())
    }

    /// The stream ends: one frame more for what the encoder still holds, and a granule position that cuts the rest of it off
    /// (RFC 7845 section 4.4).
    fn end(&mut self) -> io::Result<()> {
        let end = self.packets * FRAME + self.pre_skip();
        self.put(&[0; RATE.frame()])?;
        if let Some(last) = self.held.take() {
            self.ogg.write_packet(Cow::Owned(last), self.serial, PacketWriteEndInfo::EndStream, end)?;
        }
        Ok(())
    }

    /// A pause was here.
    pub(super) fn mark(&mut self, label: &str) -> io::Result<()> {
        self.end()?;
        self.serial += 1;
        self.packets = 0;
        self.encoder = Encoder::new(Codec::Opus(FORMAT));
        self.begin(&[format!("DESCRIPTION={label}")])
    }

    /// What has a whole page is in the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.ogg.inner_mut().flush()
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end()?;
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use ogg::reading::PacketReader;

    use super::*;

    /// Writes the parts, one after the other with a pause between them; then what any reader of Ogg finds: serial, begin and end of
    /// its stream, granule position of the page, and the bytes.
    fn written(parts: &[usize]) -> Vec<(u32, bool, bool, u64, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.opus");
        let mut opus = Opus::new(File::create(&path).unwrap()).unwrap();
        for (part, frames) in parts.iter().enumerate() {
            if part > 0 {
                opus.mark("a pause").unwrap();
            }
            for _ in 0..*frames {
                opus.put(&[100; RATE.frame()]).unwrap();
            }
        }
        opus.finish().unwrap();
        let mut reader = PacketReader::new(File::open(&path).unwrap());
        let mut packets = Vec::new();
        while let Some(packet) = reader.read_packet().unwrap() {
            let (serial, granule) = (packet.stream_serial(), packet.absgp_page());
            let (first, last) = (packet.first_in_stream(), packet.last_in_stream());
            packets.push((serial, first, last, granule, packet.data));
        }
        packets
    }

    #[test]
    fn a_stream_has_its_two_headers_and_ends_to_the_sample() {
        let packets = written(&[120]);
        let (serial, first, _, granule, head) = &packets[0];
        assert_eq!((*serial, *first, *granule), (1, true, 0));
        let pre_skip = u64::from(u16::from_le_bytes([head[10], head[11]]));
        assert!((100..960).contains(&pre_skip), "{pre_skip}");
        assert_eq!(&head[..10], b"OpusHead\x01\x01");
        assert_eq!(head[12..], [0x80, 0x3e, 0, 0, 0, 0, 0]);
        assert!(packets[1].4.starts_with(b"OpusTags"));
        // One packet for each frame and one for the encoder's delay; a page a second.
        assert_eq!(packets.len(), 2 + 121);
        assert_eq!(packets[2].3, 50 * 960);
        let (.., last, granule, _) = packets.last().unwrap();
        assert!(*last);
        assert_eq!(*granule, 120 * 960 + pre_skip);
    }

    #[test]
    fn after_a_pause_there_is_another_stream_that_says_so() {
        let packets = written(&[60, 70]);
        let ends: Vec<_> = packets.iter().filter(|packet| packet.2).map(|packet| packet.0).collect();
        assert_eq!(ends, [1, 2]);
        let second: Vec<_> = packets.iter().filter(|packet| packet.0 == 2).collect();
        assert_eq!(second.len(), 2 + 71);
        assert!(second[0].1 && second[1].4.ends_with(b"DESCRIPTION=a pause"));
    }
}
