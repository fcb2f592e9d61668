//! Clips waiting to be heard, one after the other, and the place in the first one.

use std::collections::VecDeque;

use crate::sound::Clip;
use crate::units::{LegId, Rate};
use crate::waste::Waste;

/// Clips that can wait in one place, for one leg or for one conference.
pub const CLIPS: usize = 32;

/// A queue of clips. Its memory is taken when clips are added, which the tick never does.
#[derive(Debug, Default)]
pub(crate) struct Player {
    queue: VecDeque<Item>,
    next: usize,
}

#[derive(Debug)]
struct Item {
    clip: Clip,
    except: Option<LegId>,
    over: bool,
}

/// 20 ms of a clip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playing<'a> {
    pub(crate) pcm: &'a [i16],
    /// Who is not to hear it.
    pub(crate) except: Option<LegId>,
    /// It is mixed over what is heard otherwise, instead of replacing it.
    pub(crate) over: bool,
}

impl Player {
    /// Adds a clip; gives it back when there is no room.
    pub(crate) fn push(
        &mut self,
        clip: Clip,
        except: Option<LegId>,
        over: bool,
        waste: &mut Waste,
    ) -> Result<(), Clip> {
        if self.queue.len() == CLIPS {
            return Err(clip);
        }
        waste.reserve_queue(&mut self.queue, 1);
        self.queue.push_back(Item { clip, except, over });
        Ok(())
    }

    /// The 20 ms of this tick at `rate`. Take the ended clips first.
    pub(crate) fn playing(&self, rate: Rate) -> Option<Playing<'_>> {
        let item = self.queue.front()?;
        let pcm = item.clip.sound.frame(rate, self.next)?;
        Some(Playing { pcm, except: item.except, over: item.over })
    }

    /// Clips that play or wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// True when nothing is playing or waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The tick is over: the place moves on.
    pub(crate) fn advance(&mut self) {
        self.next += usize::from(!self.queue.is_empty());
    }

    /// The first clip, if it has been played to its end.
    pub(crate) fn take_ended(&mut self) -> Option<Clip> {
        let ended = self.queue.front().is_some_and(|item| self.next >= item.clip.sound.frames());
        if ended { self.take() } else { None }
    }

    /// The first clip, wherever it is.
    pub(crate) fn take(&mut self) -> Option<Clip> {
        self.next = 0;
        self.queue.pop_front().map(|item| item.clip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(token: u64, frames: usize) -> Clip {
        Clip::from_pcm(token, Rate::Narrow, &vec![token as i16; 160 * frames])
    }

    #[test]
    fn clips_are_played_one_after_the_other_and_come_back_when_they_ended() {
        let mut player = Player::default();
        for (token, frames) in [(1, 2), (2, 0), (3, 1)] {
            player.push(clip(token, frames), None, false, &mut Waste::default()).expect("room");
        }
        let mut heard = Vec::new();
        let mut ended = Vec::new();
        for _ in 0..5 {
            while let Some(clip) = player.take_ended() {
                ended.push((heard.len(), clip.token));
            }
            heard.extend(player.playing(Rate::Narrow).map(|playing| playing.pcm[0]));
            player.advance();
        }
        assert_eq!(heard, [1, 1, 3]);
        assert_eq!(ended, [(2, 1), (2, 2), (3, 3)]);
    }

    #[test]
    fn a_clip_without_room_comes_back_at_once() {
        let mut player = Player::default();
        let mut push = |token| player.push(clip(token, 1), None, false, &mut Waste::default());
        assert!((0..CLIPS as u64).all(|token| push(token).is_ok()));
        assert_eq!(push(99).expect_err("full").token, 99);
    }
}
