//! One recording: mono 16-bit WAV at 16 kHz, whatever rate the meeting is mixed at.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};
use mixer::Tapped;
use mixer::frame::Frame;
use mixer::resample::Resampler;
use mixer::units::Rate;

/// What is written: wideband, which narrowband speech fits into and full band loses little by.
const RATE: Rate = Rate::Wide;
/// The file is made whole on disk after so many frames: five seconds.
const FLUSH_EVERY: u64 = 250;
/// The longest gap that is written as silence: one hour. Longer ones are a clock's mistake.
const LONGEST_GAP: u64 = 50 * 3600;

/// A file that is being written.
pub(super) struct RecordingFile {
    path: PathBuf,
    wav: WavWriter<BufWriter<File>>,
    resampler: Resampler,
    /// The number of the frame that is due.
    next: u64,
    flushed: u64,
}

impl RecordingFile {
    /// A new file, which only we may read (mode 0600); one of this name must not be there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let spec = WavSpec {
            channels: 1,
            sample_rate: RATE.hz(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut wav = WavWriter::new(BufWriter::new(file), spec).map_err(to_io)?;
        wav.flush().map_err(to_io)?;
        let resampler = Resampler::new(Rate::Narrow, RATE);
        Ok(Self { path: path.to_owned(), wav, resampler, next: 0, flushed: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whole seconds so far.
    pub(super) fn seconds(&self) -> u64 {
        self.next / 50
    }

    /// Writes one frame in its place in time, after silence for those that are missing; gives how many were.
    pub(super) fn write(&mut self, tapped: &Tapped) -> io::Result<u64> {
        let missing = tapped.number.saturating_sub(self.next).min(LONGEST_GAP);
        for _ in 0..missing {
            self.put(&Frame::silence(RATE))?;
        }
        self.put(&tapped.frame)?;
        self.next = tapped.number + 1;
        Ok(missing)
    }

    fn put(&mut self, frame: &Frame) -> io::Result<()> {
        if self.resampler.from() != frame.rate() {
            self.resampler = Resampler::new(frame.rate(), RATE);
        }
        let mut out = [0; RATE.frame()];
        self.resampler.frame(frame.samples(), &mut out);
        for sample in out {
            self.wav.write_sample(sample).map_err(to_io)?;
        }
        Ok(())
    }

    /// Makes the file whole every few seconds, so that a crash costs no more than those.
    pub(super) fn flush_when_due(&mut self) -> io::Result<()> {
        if self.next.saturating_sub(self.flushed) >= FLUSH_EVERY {
            self.flushed = self.next;
            self.wav.flush().map_err(to_io)?;
        }
        Ok(())
    }

    /// The last flush.
    pub(super) fn finish(self) -> io::Result<()> {
        self.wav.finalize().map_err(to_io)
    }
}

fn to_io(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tapped(number: u64, rate: Rate, value: i16) -> Tapped {
        let mut frame = Frame::silence(rate);
        frame.samples_mut().fill(value);
        Tapped { number, frame }
    }

    #[test]
    fn what_was_said_is_for_nobody_else_on_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        RecordingFile::create(&path).unwrap().finish().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn missing_frames_are_silence_and_every_rate_becomes_the_files_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut file = RecordingFile::create(&path).unwrap();
        assert_eq!(file.write(&tapped(0, Rate::Narrow, 1000)).unwrap(), 0);
        assert_eq!(file.write(&tapped(5, Rate::Wide, 1000)).unwrap(), 4);
        assert_eq!(file.write(&tapped(6, Rate::Full, 1000)).unwrap(), 0);
        file.finish().unwrap();
        let mut wav = hound::WavReader::open(&path).unwrap();
        assert_eq!((wav.spec().sample_rate, wav.duration()), (16_000, 7 * 320));
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        // Away from the edges, where the filters settle.
        let middle = |frame: usize| i32::from(samples[frame * 320 + 200]);
        let heard: Vec<_> = (0..7).map(|frame| (middle(frame) + 50) / 100 * 100).collect();
        assert_eq!(heard, [1000, 0, 0, 0, 0, 1000, 1000]);
        assert!(RecordingFile::create(&path).is_err(), "a recording is never overwritten");
    }
}
