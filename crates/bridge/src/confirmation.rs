//! "To join, press 1": keeps a voicemail out of the meeting. A pure machine.

use crate::digit::Digit;
use crate::prompt::PromptId;
use std::time::{Duration, Instant};

/// How often the question is put.
const ASKED_AT_MOST: u32 = 2;
/// Longer than the question takes to say; then we go on without its end being reported.
const QUESTION: Duration = Duration::from_secs(15);

/// What the confirmation wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Play this.
    Play(PromptId),
    /// Let the callee in.
    Join,
    /// Hang up: nobody pressed 1.
    HangUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// For the first packet, so that the first word is heard.
    AwaitingMedia,
    Asking,
    Listening,
}

/// One callee's decision.
#[derive(Debug)]
pub(crate) struct Confirmation {
    state: State,
    asked: u32,
    due: Instant,
    patience: Duration,
}

impl Confirmation {
    /// The callee has just answered. The question is put when media starts, or after `no_media`.
    pub(crate) fn start(now: Instant, no_media: Duration, patience: Duration) -> Self {
        Self { state: State::AwaitingMedia, asked: 0, due: now + no_media, patience }
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Instant {
        self.due
    }

    /// The first packet came.
    pub(crate) fn media_started(&mut self, now: Instant) -> Option<Step> {
        (self.state == State::AwaitingMedia).then(|| self.ask(now))
    }

    /// A key was pressed: only 1 means yes, also before the question has been heard to its end.
    pub(crate) fn digit(digit: Digit) -> Option<Step> {
        (digit.key() == '1').then_some(Step::Join)
    }

    /// The question has been said.
    pub(crate) fn prompt_ended(&mut self, now: Instant) {
        if self.state == State::Asking {
            self.state = State::Listening;
            self.due = now + self.patience;
        }
    }

    /// The deadline may have come.
    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Step> {
        if now < self.due {
            return None;
        }
        match self.state {
            State::Asking => {
                self.prompt_ended(now);
                None
            }
            State::AwaitingMedia => Some(self.ask(now)),
            State::Listening if self.asked < ASKED_AT_MOST => Some(self.ask(now)),
            State::Listening => Some(Step::HangUp),
        }
    }

    fn ask(&mut self, now: Instant) -> Step {
        self.asked += 1;
        self.state = State::Asking;
        self.due = now + QUESTION;
        Step::Play(PromptId::PressOneToJoin)
    }
}
