//! How a meeting ends by itself: everybody hears it, and a little later everybody goes.

use super::{At, Bridge};
use crate::command::{Command, HangupCause, Sound};
use crate::id::ConferenceId;
use crate::prompt::PromptId;
use crate::roster::{Due, Roster};
use crate::usage::EndingParty;
use std::time::Duration;

/// Long enough for the last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Bridge {
    /// Sets the meeting's own timer anew.
    pub(super) fn schedule_end(&mut self, conference: ConferenceId) {
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        let due = roster.deadline().map(|(due, _)| due);
        let before = std::mem::replace(&mut roster.scheduled, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.curfews.remove(&(before, conference));
        }
        if let Some(due) = due {
            self.curfews.insert((due, conference));
        }
    }

    /// The meetings whose time has come.
    pub(super) fn curfew(&mut self, at: At) {
        let due = self.curfews.iter().take_while(|(due, _)| *due <= at.now);
        let due: Vec<ConferenceId> = due.map(|(_, conference)| *conference).collect();
        for conference in due {
            match self.conferences.get(&conference).and_then(Roster::deadline) {
                // What was due is not any more.
                Some((due, _)) if due > at.now => self.schedule_end(conference),
                Some((_, Due::Announce)) => self.announce(at, conference),
                Some((_, Due::Tell(cause))) => self.announce_end(at, conference, cause),
                Some((_, Due::Close(cause))) => {
                    self.end_conference(at, conference, EndingParty::Bridge, cause);
                }
                Some((_, Due::Fade)) => {
                    if let Some(roster) = self.conferences.get_mut(&conference) {
                        roster.fade(at.now);
                    }
                    self.schedule_end(conference);
                }
                None => self.schedule_end(conference),
            }
        }
    }

    /// Tells everybody that it ends.
    pub(super) fn announce_end(&mut self, at: At, conference: ConferenceId, cause: HangupCause) {
        let Some(roster) = self.conferences.get_mut(&conference).filter(|roster| !roster.is_closing()) else {
            return;
        };
        roster.close_at(at.now + LAST_WORDS, cause);
        let sound = Sound::Prompts(vec![PromptId::MeetingEnds]);
        self.command(Command::PlayAll { conference, sound, except: None });
        self.schedule_end(conference);
    }
}
