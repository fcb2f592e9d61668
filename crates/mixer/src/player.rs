//! Clips waiting to be heard, one after the other; memory for them is fixed.

use std::collections::VecDeque;

use crate::frame::{Clip, Frame};

/// Clips that can wait in one place. A prompt of digits is one clip per digit.
pub const CLIPS: usize = 32;

/// A queue of clips and the place in the first one.
#[derive(Debug)]
pub(crate) struct Player {
    queue: VecDeque<Clip>,
    next: usize,
}

impl Default for Player {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(CLIPS), next: 0 }
    }
}

impl Player {
    /// Adds a clip; gives it back when there is no room.
    pub(crate) fn push(&mut self, clip: Clip) -> Result<(), Clip> {
        if self.queue.len() == CLIPS {
            return Err(clip);
        }
        self.queue.push_back(clip);
        Ok(())
    }

    /// The frame of this tick, and the place moves on. Call [`Player::take_ended`] until `None` first.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let frame = *self.queue.front()?.frames.get(self.next)?;
        self.next += 1;
        Some(frame)
    }

    /// The first clip, if it has been played to its end.
    pub(crate) fn take_ended(&mut self) -> Option<Clip> {
        let ended = self.queue.front().is_some_and(|clip| self.next >= clip.frames.len());
        if ended { self.take() } else { None }
    }

    /// The first clip, wherever it is.
    pub(crate) fn take(&mut self) -> Option<Clip> {
        self.next = 0;
        self.queue.pop_front()
    }
}
