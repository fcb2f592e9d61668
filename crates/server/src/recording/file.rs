//! One recording: mono at 16 kHz, whatever rate the meeting is mixed at, as WAV or as Opus in Ogg.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bridge::Stamp;
use mixer::Tapped;
use mixer::frame::Frame;
use mixer::resample::Resampler;
use mixer::units::Rate;

use super::Format;
use super::opus::{self, Opus};
use super::wav::Wav;

/// What is written: wideband, which narrowband speech fits into and full band loses little by.
const RATE: Rate = opus::RATE;
/// The file is made whole on disk after so many frames: five seconds.
const FLUSH_EVERY: u64 = 250;
/// The longest gap that is written as silence: one hour. Longer ones are a clock's mistake.
const LONGEST_GAP: u64 = 50 * 3600;

/// A file that is being written.
pub(super) struct RecordingFile {
    path: PathBuf,
    sink: Sink,
    resampler: Resampler,
    /// The number of the frame that is due.
    next: u64,
    /// How many pauses there were.
    part: u32,
    flushed: u64,
}

enum Sink {
    Wav(Wav),
    Opus(Box<Opus>),
}

impl RecordingFile {
    /// A new file, which only we may read (mode 0600); one of this name must not be there.
    pub(super) fn create(path: &Path, format: Format) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let sink = match format {
            Format::Wav => Sink::Wav(Wav::new(file, path, RATE.hz())?),
            Format::Opus => Sink::Opus(Box::new(Opus::new(file)?)),
        };
        let resampler = Resampler::new(Rate::Narrow, RATE);
        Ok(Self { path: path.to_owned(), sink, resampler, next: 0, part: 0, flushed: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whole seconds so far.
    pub(super) fn seconds(&self) -> u64 {
        self.next / 50
    }

    /// Writes one frame in its place in time, after silence for those that are missing; gives how many were. Of a pause there is no
    /// silence, but a mark.
    pub(super) fn write(&mut self, wall: SystemTime, tapped: &Tapped) -> io::Result<u64> {
        let missing = tapped.number.saturating_sub(self.next).min(LONGEST_GAP);
        for _ in 0..missing {
            self.put(&Frame::silence(RATE))?;
        }
        if tapped.part != self.part {
            self.part = tapped.part;
            let label = format!("pause; goes on at {}", Stamp(wall));
            match &mut self.sink {
                Sink::Wav(wav) => wav.mark(&label),
                Sink::Opus(opus) => opus.mark(&label)?,
            }
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
        match &mut self.sink {
            Sink::Wav(wav) => wav.put(&out),
            Sink::Opus(opus) => opus.put(&out),
        }
    }

    /// Makes the file whole every few seconds, so that a crash costs no more than those.
    pub(super) fn flush_when_due(&mut self) -> io::Result<()> {
        if self.next.saturating_sub(self.flushed) < FLUSH_EVERY {
            return Ok(());
        }
        self.flushed = self.next;
        match &mut self.sink {
            Sink::Wav(wav) => wav.flush(),
            Sink::Opus(opus) => opus.flush(),
        }
    }

    /// The last flush.
    pub(super) fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Wav(wav) => wav.finish(),
            Sink::Opus(opus) => opus.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

    fn tapped(number: u64, rate: Rate, value: i16) -> Tapped {
        let mut frame = Frame::silence(rate);
        frame.samples_mut().fill(value);
        Tapped { number, part: u32::from(number > 5), frame }
    }

    #[test]
    fn what_was_said_is_for_nobody_else_on_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for format in [Format::Wav, Format::Opus] {
            let path = path.with_extension(format.extension());
            RecordingFile::create(&path, format).unwrap().finish().unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn missing_frames_are_silence_and_every_rate_becomes_the_files_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut file = RecordingFile::create(&path, Format::Wav).unwrap();
        assert_eq!(file.write(EPOCH, &tapped(0, Rate::Narrow, 1000)).unwrap(), 0);
        assert_eq!(file.write(EPOCH, &tapped(5, Rate::Wide, 1000)).unwrap(), 4);
        assert_eq!(file.write(EPOCH, &tapped(6, Rate::Full, 1000)).unwrap(), 0);
        file.finish().unwrap();
        let mut wav = hound::WavReader::open(&path).unwrap();
        assert_eq!((wav.spec().sample_rate, wav.duration()), (16_000, 7 * 320));
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        // Away from the edges, where the filters settle.
        let middle = |frame: usize| i32::from(samples[frame * 320 + 200]);
        let heard: Vec<_> = (0..7).map(|frame| (middle(frame) + 50) / 100 * 100).collect();
        assert_eq!(heard, [1000, 0, 0, 0, 0, 1000, 1000]);
        let bytes = std::fs::read(&path).unwrap();
        let label = b"pause; goes on at 1970-01-01T00:00:00.000Z\0";
        assert!(bytes.windows(label.len()).any(|found| found == label), "before the last frame");
        assert!(RecordingFile::create(&path, Format::Wav).is_err(), "a recording is never overwritten");
    }
}
