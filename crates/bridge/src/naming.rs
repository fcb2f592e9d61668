//! "After the tone, please say your name": a caller on the way into a meeting that announces names. A pure machine.
//!
//! ```text
//!    start ----> Asking ----the question and its tone have ended----> Listening ----a key, or 5 s----> (kept) ----> in
//!                   | a key                                                                                          ^
//!                   +------------------------------ he says none -----------------------------------------------------+
//! ```
//! What he says never comes here: whoever drives the machine records between [`Step::Listen`] and [`Step::Keep`].

use crate::command::{Tone, Word};
use crate::digit::Digit;
use crate::prompt::PromptId;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest name.
pub const LONGEST_NAME: Duration = Duration::from_secs(5);

/// A name as it was said: sound that only the shell can play. It is kept in memory only, and silent in debug output.
#[derive(Clone)]
pub struct SpokenName {
    sound: Arc<dyn Any + Send + Sync>,
    length: Duration,
}

impl SpokenName {
    /// What the shell plays, and how long that takes.
    pub fn new(sound: Arc<dyn Any + Send + Sync>, length: Duration) -> Self {
        Self { sound, length }
    }

    /// What the shell plays.
    pub fn sound(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.sound
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }
}

impl PartialEq for SpokenName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sound, &other.sound)
    }
}

impl Eq for SpokenName {}

impl fmt::Debug for SpokenName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SpokenName(_)")
    }
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Say these.
    Say(Vec<Word>),
    /// Stop what plays.
    Stop,
    /// Record from now on.
    Listen,
    /// Keep what was recorded.
    Keep,
    /// He goes in.
    Over,
}

#[derive(Debug)]
enum State {
    Asking { due: Instant },
    Listening { due: Instant },
    Over,
}

/// One caller's name being asked.
#[derive(Debug)]
pub(crate) struct Naming {
    state: State,
    /// A `#` that comes until then belongs to what was keyed before.
    spare_pound: Option<Instant>,
}

impl Naming {
    /// Begins with the question, after `first`. A `#` until `spare_pound` is the end of what was keyed before.
    pub(crate) fn start(
        now: Instant,
        longest_prompt: Duration,
        spare_pound: Option<Instant>,
        first: Vec<PromptId>,
    ) -> (Self, Step) {
        let question = first.into_iter().chain([PromptId::SayName]).map(Word::Prompt);
        let words = question.chain([Word::Tone(Tone::Name)]).collect();
        (Self { state: State::Asking { due: now + longest_prompt }, spare_pound }, Step::Say(words))
    }

    /// The next deadline, and whether it is for the end of the question.
    pub(crate) fn deadline(&self) -> Option<(Instant, bool)> {
        match self.state {
            State::Asking { due } => Some((due, true)),
            State::Listening { due } => Some((due, false)),
            State::Over => None,
        }
    }

    /// A key was pressed: before the tone he says no name, after it he has said it.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit) -> Vec<Step> {
        let spare = self.spare_pound.take().is_some_and(|until| now < until);
        if spare && digit.key() == '#' {
            return Vec::new();
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asking { .. } => vec![Step::Stop, Step::Over],
            State::Listening { .. } => vec![Step::Keep, Step::Over],
            State::Over => Vec::new(),
        }
    }

    /// The question, with its tone, ran to its end.
    pub(crate) fn prompt_ended(&mut self, now: Instant) -> Option<Step> {
        let State::Asking { .. } = self.state else { return None };
        self.state = State::Listening { due: now + LONGEST_NAME };
        // From here on it is the end of a name.
        self.spare_pound = None;
        Some(Step::Listen)
    }

    /// The deadline may have come.
    pub(crate) fn timeout(&mut self, now: Instant) -> Vec<Step> {
        match self.deadline() {
            Some((due, true)) if due <= now => self.prompt_ended(now).into_iter().collect(),
            Some((due, false)) if due <= now => {
                self.state = State::Over;
                vec![Step::Keep, Step::Over]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_NAME, Naming, SpokenName, Step};
    use crate::bridge::tests::{epoch, key};
    use crate::command::{Tone, Word};
    use crate::prompt::PromptId::{JoinAsParticipant, SayName};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const PROMPT: Duration = Duration::from_secs(30);

    fn begun() -> (Naming, Instant) {
        let now = epoch();
        let (machine, step) =
            Naming::start(now, PROMPT, Some(now + Duration::from_secs(5)), vec![JoinAsParticipant]);
        let words = [Word::Prompt(JoinAsParticipant), Word::Prompt(SayName), Word::Tone(Tone::Name)];
        assert_eq!(step, Step::Say(words.to_vec()));
        (machine, now)
    }

    #[test]
    fn a_name_is_what_is_said_between_the_tone_and_a_key() {
        let (mut machine, now) = begun();
        assert_eq!(machine.digit(now, key('#')), [], "it is the end of the ID");
        assert_eq!(machine.prompt_ended(now), Some(Step::Listen));
        assert_eq!(machine.prompt_ended(now), None);
        assert_eq!(machine.digit(now, key('#')), [Step::Keep, Step::Over]);
        assert_eq!((machine.digit(now, key('#')), machine.deadline()), (Vec::new(), None));
    }

    #[test]
    fn a_name_ends_after_five_seconds_and_a_question_whose_end_nobody_reports_as_well() {
        let (mut machine, now) = begun();
        assert_eq!(machine.timeout(now + PROMPT / 2), []);
        let late = now + PROMPT;
        assert_eq!(machine.timeout(late), [Step::Listen]);
        assert_eq!(machine.timeout(late + LONGEST_NAME / 2), []);
        assert_eq!(machine.timeout(late + LONGEST_NAME), [Step::Keep, Step::Over]);
    }

    #[test]
    fn a_key_before_the_tone_means_no_name() {
        let (mut machine, now) = begun();
        assert_eq!(machine.digit(now, key('1')), [Step::Stop, Step::Over]);
    }

    #[test]
    fn a_name_does_not_show_itself() {
        let name = SpokenName::new(Arc::new(*b"Eve"), Duration::from_secs(1));
        assert_eq!(format!("{name:?}"), "SpokenName(_)");
    }
}
