//! What callers say as their names: tapped in their own rooms, kept in memory only.

use bridge::{ConferenceId, LegId, Word};
use mixer::{Sound, Tap};
use routing::Language;
use std::sync::Arc;

use super::seating::to_mixer;
use super::{Control, Door, Output};

/// Frames that are kept of a name: a little more than the five seconds that the bridge gives.
const MOST: usize = 275;

/// Callers who say their names at once: each may take half a megabyte meanwhile. Of others nothing is kept.
const AT_ONCE: usize = 200;

impl<D: Door> Control<D> {
    /// From now on what the leg says is kept.
    pub(super) fn record_name(&mut self, leg: LegId, room: ConferenceId) {
        let Some(shard) = self.seating.shard_of(room).filter(|_| self.namings.len() < AT_ONCE) else {
            return;
        };
        let (tap, frames) = Tap::new(MOST);
        self.namings.insert(leg, frames);
        self.media_out([(shard, mixer::Command::Tap { conference: to_mixer(room), tap })]);
    }

    /// He has said it.
    pub(super) fn keep_name(&mut self, leg: LegId, room: ConferenceId) {
        let Some(frames) = self.namings.remove(&leg) else { return };
        if let Some(shard) = self.seating.shard_of(room) {
            self.media_out([(shard, mixer::Command::Untap { conference: to_mixer(room) })]);
            self.outputs.push_back(Output::TrimName { leg, frames });
        }
    }

    /// What is said with these words.
    pub(super) fn sound_of(&self, words: &[Word], language: Option<&Language>) -> Arc<Sound> {
        let prompt = |prompt| self.prompts.sequence(&[prompt], language);
        let parts: Vec<Sound> = words
            .iter()
            .filter_map(|word| match word {
                Word::Prompt(one) => Some(Sound::clone(&prompt(*one))),
                Word::Tone(tone) => Some(Sound::clone(&self.prompts.tone(*tone))),
                Word::Name(name) => crate::names::sound_of(name).cloned(),
            })
            .collect();
        Arc::new(Sound::sequence(&parts))
    }
}
