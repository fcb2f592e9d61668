//! The jitter buffer of one leg.

use std::time::Instant;

use crate::frame::{FRAME, Frame};
use crate::g711::G711;
use crate::units::{RtpTime, SeqNo};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It waits for its time.
    Stored,
    /// No room.
    Late,
}

/// What a tick gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// 20 ms of sound.
    Frame,
    /// Nothing arrived in time.
    Missing,
}

/// Wire codes in order of arrival.
#[derive(Debug)]
pub struct Buffer {
    samples: [i16; 4096],
    read: usize,
    write: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { samples: [0; 4096], read: 0, write: 0 }
    }
}

impl Buffer {
    /// Takes one audio packet.
    pub fn push(&mut self, _seq: SeqNo, _ts: RtpTime, law: G711, payload: &[u8], _arrival: Instant) -> Push {
        if self.write - self.read + payload.len() > 4096 {
            return Push::Late;
        }
        for code in payload {
            let mut one = [0];
            law.decode(&[*code], &mut one);
            self.samples[self.write % 4096] = one[0];
            self.write += 1;
        }
        Push::Stored
    }

    /// Gives the next 20 ms.
    pub fn pull(&mut self, _now: Instant, frame: &mut Frame) -> Pull {
        if self.write - self.read < FRAME {
            return Pull::Missing;
        }
        for sample in &mut frame.0 {
            *sample = self.samples[self.read % 4096];
            self.read += 1;
        }
        Pull::Frame
    }
}
