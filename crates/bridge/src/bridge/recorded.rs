//! Those in a meeting hear that it is recorded.

use super::Bridge;
use crate::call::{Call, Notice};
use crate::command::{Command, Sound, Word};
use crate::event::RecordingChange;
use crate::id::ConferenceId;
use crate::policy::RecordingNotice;
use crate::prompt::PromptId;

impl Bridge {
    /// A recording has begun, pauses, goes on or is over: everybody hears it, also who is being told something else at this moment.
    pub(super) fn recording_changed(&mut self, conference: ConferenceId, change: RecordingChange) {
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        roster.recorded = matches!(change, RecordingChange::Started | RecordingChange::Resumed);
        if roster.meeting().policy.recording_notice == RecordingNotice::Off {
            return;
        }
        let prompt = match change {
            RecordingChange::Started => PromptId::RecordingOn,
            RecordingChange::Paused => PromptId::RecordingPaused,
            RecordingChange::Resumed => PromptId::RecordingResumed,
            RecordingChange::Ended => PromptId::RecordingEnded,
        };
        let seated = roster.seated();
        let sound = Sound::Prompts(vec![prompt]);
        self.command(Command::PlayAll { conference, sound, except: None });
        for leg in seated {
            // What plays to a leg alone takes the place of all else.
            let Some(mut call) = self.calls.remove(&leg) else { continue };
            if call.clip.is_some() {
                self.tell_notice(&mut call, prompt);
            }
            self.calls.insert(leg, call);
        }
    }

    /// The notice plays to this leg alone, after what plays to it now, and again after a key that stopped both.
    pub(super) fn tell_notice(&mut self, call: &mut Call, prompt: PromptId) {
        call.notice = Some(Notice::Behind(prompt));
        let language = call.language.clone();
        self.command(Command::Whisper { leg: call.leg, words: vec![Word::Prompt(prompt)], language });
    }
}
