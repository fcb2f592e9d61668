//! Names in one conference: who is called what, and what is said of who comes and goes.

use super::{Participant, Roster};
use crate::announcing::{Sentence, Who};
use crate::command::Word;
use crate::id::LegId;
use crate::naming::SpokenName;
use crate::policy::{Announcements, Masking, Role};
use crate::prompt::PromptId;
use crate::returning::REMEMBERED;
use crate::spoken;
use routing::E164;
use std::time::Instant;

/// The most names of people who have gone; past it the one who left first is forgotten.
const ABSENT: usize = 64;
/// The most names in a roll call.
const NAMED: usize = 10;
/// The most words in it: ten names, or three numbers.
const WORDS: usize = 50;

impl Roster {
    /// Whether names are said here of who comes and goes.
    pub(crate) fn announces_names(&self) -> bool {
        self.meeting.policy.announcements == Announcements::Names
    }

    /// What can be said of somebody here.
    pub(crate) fn who(&self, leg: LegId) -> Who {
        let number = || self.participants.get(&leg).and_then(|one| one.number.clone());
        match self.names.get(&leg) {
            Some(name) => Who::Name(name.clone()),
            None => number().map_or(Who::Nobody, Who::Number),
        }
    }

    /// Somebody here, or in the lobby, has said his name.
    pub(crate) fn name(&mut self, leg: LegId, name: SpokenName) {
        if self.has(leg) {
            self.names.insert(leg, name);
        }
    }

    /// Who is back has the name that he said before.
    pub(crate) fn name_again(&mut self, now: Instant, leg: LegId, number: &E164) {
        self.fade(now);
        if let Some(place) = self.absent.iter().position(|(_, of, _)| of == number)
            && let Some((_, _, name)) = self.absent.remove(place)
        {
            self.names.insert(leg, name);
        }
    }

    /// Forgets the names of those who have been gone for long.
    pub(crate) fn fade(&mut self, now: Instant) {
        self.absent.retain(|(until, _, _)| *until > now);
    }

    /// When a name is to be forgotten; they are in the order in which that comes.
    pub(super) fn fades(&self) -> Option<Instant> {
        self.absent.front().map(|(until, _, _)| *until)
    }

    /// Somebody has come whom others are to hear of.
    pub(crate) fn note_come(&mut self, now: Instant, leg: LegId) {
        if self.announcements && self.announces_names() && self.participants.len() > 1 {
            self.announcing.came(now, leg);
        }
    }

    /// Somebody has gone: others are to hear of it, and his name waits for him while the meeting goes on.
    pub(super) fn note_gone(&mut self, now: Instant, gone: &Participant, who: Who, name: Option<SpokenName>) {
        if self.participants.is_empty() {
            self.absent.clear();
            self.announcing.forget();
            return;
        }
        if self.announcements && self.announces_names() {
            self.announcing.went(now, gone.leg, who);
        }
        self.fade(now);
        if let (Some(name), Some(number)) = (name, &gone.number) {
            if self.absent.len() == ABSENT {
                self.absent.pop_front();
            }
            self.absent.push_back((now + REMEMBERED, number.clone(), name));
        }
    }

    /// What is to be said now of who has come and gone.
    pub(crate) fn announce(&mut self, now: Instant, english: bool) -> Sentence {
        let mut announcing = std::mem::take(&mut self.announcing);
        let sentence = announcing.say(now, self.meeting.policy.masking, english, |leg| self.who(leg));
        self.announcing = announcing;
        sentence
    }

    /// How many are here, and where names are said, who: as this listener may know them.
    pub(crate) fn roll_call(&self, listener: LegId, english: bool) -> Vec<Word> {
        let people = self.participants.len();
        if people <= 1 {
            return vec![Word::Prompt(PromptId::OnlyYou)];
        }
        let count = spoken::count_in(english, people);
        let count = [PromptId::ThereAre].into_iter().chain(count).chain([PromptId::PeopleHere]);
        let mut words: Vec<Word> = count.map(Word::Prompt).collect();
        if !self.announces_names() {
            return words;
        }
        let sees_numbers = match self.meeting.policy.masking {
            Masking::None => true,
            Masking::External => self.role(listener) == Role::Organizer,
            Masking::All => false,
        };
        let (mut named, mut left_out) = (0, false);
        for leg in self.participants.keys().filter(|leg| **leg != listener) {
            let said: Vec<Word> = match self.who(*leg) {
                Who::Name(name) => vec![Word::Name(name)],
                Who::Number(number) if sees_numbers => {
                    PromptId::spell(number.as_str()).map(Word::Prompt).collect()
                }
                Who::Number(_) | Who::Nobody => Vec::new(),
            };
            if said.is_empty() || named == NAMED || words.len() + said.len() > WORDS {
                left_out = true;
                continue;
            }
            named += 1;
            words.extend(said);
        }
        words.extend((named > 0 && left_out).then_some(Word::Prompt(PromptId::AndOthers)));
        words
    }
}
