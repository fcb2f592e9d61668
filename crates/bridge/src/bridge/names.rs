//! Names: asked for at the door, said in the meeting.

use super::{At, Bridge};
use crate::call::{Call, State};
use crate::command::{Command, Sound, Word};
use crate::id::ConferenceId;
use crate::meeting::Meeting;
use crate::naming::{Naming, SpokenName, Step};
use crate::policy::Role;
use crate::prompt::PromptId;
use std::sync::Arc;

impl Bridge {
    /// "After the tone, please say your name", after `first`; then he goes in.
    pub(super) fn ask_name(
        &mut self,
        at: At,
        mut call: Call,
        meeting: &Arc<Meeting>,
        role: Role,
        first: Vec<PromptId>,
    ) -> Option<Call> {
        let Some(room) = call.room() else { return Some(call) };
        let spare_pound = match &call.state {
            State::Attended { attendant, .. } => attendant.spare_pound(),
            _ => None,
        };
        let longest = self.config.attendant.longest_prompt;
        let (naming, step) = Naming::start(at.now, longest, spare_pound, first);
        call.state = State::Naming { room, meeting: Arc::clone(meeting), role, naming };
        self.naming_step(at, call, step)
    }

    /// Carries out what the question for the name wants.
    pub(super) fn naming_step(&mut self, at: At, mut call: Call, step: Step) -> Option<Call> {
        let State::Naming { room, meeting, role, .. } = &call.state else { return Some(call) };
        let (leg, room) = (call.leg, *room);
        match step {
            Step::Say(words) => self.speak(&mut call, words),
            Step::Stop => self.stop(&mut call),
            Step::Listen => self.command(Command::RecordName { leg, room }),
            Step::Keep => self.command(Command::KeepName { leg, room }),
            Step::Over => {
                let (meeting, role) = (Arc::clone(meeting), *role);
                return self.come_in(at, call, &meeting, role, Vec::new());
            }
        }
        Some(call)
    }

    pub(super) fn naming_steps(&mut self, at: At, mut call: Call, steps: Vec<Step>) -> Option<Call> {
        for step in steps {
            call = self.naming_step(at, call, step)?;
        }
        Some(call)
    }

    /// What he said as his name has been looked at. By now he is in the meeting, in its lobby, or nowhere.
    pub(super) fn named(&mut self, call: Call, name: Option<SpokenName>) -> Call {
        let roster = call.conference().and_then(|conference| self.conferences.get_mut(&conference));
        if let (Some(roster), Some(name)) = (roster, name) {
            roster.name(call.leg, name);
        }
        call
    }

    /// Says who has come and gone: to everybody, and to organizers what is not for everybody's ears.
    pub(super) fn announce(&mut self, at: At, conference: ConferenceId) {
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        let sentence = roster.announce(at.now, self.config.english);
        let organizers = roster.organizers();
        if !sentence.all.is_empty() {
            let sound = Sound::Words(sentence.all);
            self.command(Command::PlayAll { conference, sound, except: sentence.except });
        }
        if !sentence.inside.is_empty() {
            for leg in organizers.into_iter().filter(|leg| Some(*leg) != sentence.except) {
                let Some(call) = self.calls.get(&leg) else { continue };
                let (words, language) = (sentence.inside.clone(), call.language.clone());
                self.command(Command::Whisper { leg, words, language });
            }
        }
        self.schedule_end(conference);
    }

    /// Plays to this leg alone, also what is no recording.
    pub(super) fn speak(&mut self, call: &mut Call, words: Vec<Word>) {
        let prompt = |word: &Word| if let Word::Prompt(prompt) = word { Some(*prompt) } else { None };
        if let Some(prompts) = words.iter().map(prompt).collect() {
            return self.play(call, prompts);
        }
        self.last_token += 1;
        call.clip = Some(self.last_token);
        let language = call.language.clone();
        self.command(Command::Speak { leg: call.leg, token: self.last_token, words, language });
    }
}
