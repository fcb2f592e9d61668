//! Mono 16-bit WAV. A pause is a cue point with a label, after the sound: players that know none play on.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

/// Samples that are written at most: sizes in a WAV file have 32 bits, of bytes, and marks must fit behind the sound. At 16 kHz
/// 37 hours.
const MOST: u32 = u32::MAX / 2 - 64 * 1024;
/// Marks that are written; what is paused more often has its first ones.
const MARKS: usize = 1000;

pub(super) struct Wav {
    path: PathBuf,
    writer: WavWriter<BufWriter<File>>,
    samples: u32,
    /// Where a pause was, in samples, and what the label says.
    marks: Vec<(u32, String)>,
}

impl Wav {
    pub(super) fn new(file: File, path: &Path, hertz: u32) -> io::Result<Self> {
        let sample_format = SampleFormat::Int;
        let spec = WavSpec { channels: 1, sample_rate: hertz, bits_per_sample: 16, sample_format };
        let mut writer = WavWriter::new(BufWriter::new(file), spec).map_err(to_io)?;
        writer.flush().map_err(to_io)?;
        Ok(Self { path: path.to_owned(), writer, samples: 0, marks: Vec::new() })
    }

    pub(super) fn put(&mut self, pcm: &[i16]) -> io::Result<()> {
        self.samples = self.samples.saturating_add(pcm.len() as u32);
        if self.samples > MOST {
            let why = "a WAV file holds no more: begin another recording, or use the format opus";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        pcm.iter().try_for_each(|&sample| self.writer.write_sample(sample).map_err(to_io))
    }

    pub(super) fn mark(&mut self, label: &str) {
        if self.marks.len() < MARKS {
            self.marks.push((self.samples, label.to_owned()));
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(to_io)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(to_io)?;
        if self.marks.is_empty() {
            return Ok(());
        }
        let mut file = File::options().read(true).write(true).open(&self.path)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&chunks(&self.marks))?;
        // The chunk RIFF is all but its own name and size.
        let riff = u32::try_from(file.metadata()?.len() - 8).map_err(io::Error::other)?;
        file.seek(SeekFrom::Start(4))?;
        file.write_all(&riff.to_le_bytes())
    }
}

/// The chunks `cue ` and `LIST` of type `adtl` ("Multimedia Programming Interface and Data Specifications 1.0", chapter 3).
fn chunks(marks: &[(u32, String)]) -> Vec<u8> {
    let mut cue = (marks.len() as u32).to_le_bytes().to_vec();
    let mut labels = b"adtl".to_vec();
    for ((at, label), name) in marks.iter().zip(1_u32..) {
        for field in [name.to_le_bytes(), at.to_le_bytes(), *b"data", [0; 4], [0; 4], at.to_le_bytes()] {
            cue.extend(field);
        }
        let text = [&name.to_le_bytes()[..], label.as_bytes(), &[0]].concat();
        labels.extend(chunk(*b"labl", &text));
    }
    [chunk(*b"cue ", &cue), chunk(*b"LIST", &labels)].concat()
}

fn chunk(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &(content.len() as u32).to_le_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn to_io(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_wav_can_hold_is_an_error_and_not_a_file_that_says_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = Wav::new(File::create(&path).unwrap(), &path, 16_000).unwrap();
        wav.put(&[7; 320]).unwrap();
        // 37 hours later.
        wav.samples = u32::MAX / 2 - 320;
        let error = wav.put(&[8; 320]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        wav.finish().unwrap();
        assert_eq!(hound::WavReader::open(&path).unwrap().duration(), 320, "what was there is whole");
    }

    #[test]
    fn a_pause_is_a_cue_point_with_a_label_and_the_sound_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = Wav::new(File::create(&path).unwrap(), &path, 16_000).unwrap();
        wav.put(&[7; 320]).unwrap();
        wav.mark("pause");
        wav.put(&[8; 320]).unwrap();
        wav.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize, bytes.len() - 8);
        let at = bytes.windows(4).position(|name| name == b"cue ").unwrap();
        assert_eq!(at, 44 + 4 * 320, "behind the sound");
        let words: Vec<u32> =
            bytes[at + 4..at + 36].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        assert_eq!(words, [28, 1, 1, 320, u32::from_le_bytes(*b"data"), 0, 0, 320]);
        assert!(bytes.ends_with(b"LIST\x16\0\0\0adtllabl\x0a\0\0\0\x01\0\0\0pause\0"));
        let reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.duration(), 640);
    }
}
