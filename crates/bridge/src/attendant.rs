//! The dial-in dialogue: welcome, ask for the conference ID, explain what went wrong, say goodbye.
//!
//! A pure machine. Digits, the end of a prompt, verdicts and the time go in; [`Step`]s come out. It knows no leg, no
//! directory and no license: whoever drives it looks the digits up and tells it the [`Verdict`].
//!
//! ```text
//!            start            digits           # or full length
//!   (media) -------> Asking ---------> Keying -------------------> (looked up)
//!                      ^  nothing came   |  next digit late              |
//!                      |  in 10 s        +------------------------------>|
//!                      +---------- wrong, tries left --------------------+---- join
//!                                                                        |
//!                                  third wrong, full, locked, ... -> Leaving -> (hung up)
//! ```

use crate::digit::Digit;
use crate::meeting::MAX_ID_LENGTH;
use crate::prompt::PromptId;
use std::time::{Duration, Instant};

/// The dialogue's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttendantConfig {
    /// How many digits a conference ID has; with the last of them it is complete even without `#`.
    pub id_length: usize,
    /// How often a caller may try.
    pub attempts: u32,
    /// From the end of the question to the first digit.
    pub first_digit: Duration,
    /// From one digit to the next.
    pub next_digit: Duration,
    /// From the first word to the end, whatever happens.
    pub overall: Duration,
    /// How long a prompt may take before we go on without its end being reported.
    pub longest_prompt: Duration,
}

impl Default for AttendantConfig {
    /// 9 digits, 3 attempts, 10 s for the first digit, 5 s for the next, 3 minutes in all.
    fn default() -> Self {
        Self {
            id_length: 9,
            attempts: 3,
            first_digit: Duration::from_secs(10),
            next_digit: Duration::from_secs(5),
            overall: Duration::from_mins(3),
            longest_prompt: Duration::from_secs(30),
        }
    }
}

/// What became of the digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wrong, unknown, barred, another tenant's: all alike.
    NotRecognized,
    /// Known, and expired a short while ago.
    Expired,
    /// The license does not include the number that was dialed; this one would do, if there is one.
    NumberNotIncluded(Option<String>),
    /// The organizer's rules do not let this call in.
    CannotJoin,
    /// The conference is at its capacity.
    Full,
    /// The conference is locked.
    Locked,
}

/// What the attendant wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Play these, replacing what plays.
    Play(Vec<PromptId>),
    /// Stop what plays.
    Stop,
    /// The entry is complete: look it up and join the leg or answer with [`Attendant::tell`]; or let the caller wait
    /// first, with [`Attendant::ponder`].
    Look(Entry),
    /// The wait is over: look these digits up.
    LookNow(Entry),
    /// Hang up: the goodbye has been said.
    HangUp,
    /// Hang up: it took too long.
    GiveUp,
}

/// Keyed digits: bounded, and silent in debug output.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Entry(String);

impl Entry {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a slip of the finger makes the other out of this one: one digit wrong, left out or too many, or two neighbors in the
    /// wrong order. So few are so near an ID that nothing is gained by trying them.
    pub(crate) fn slips_to(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.as_bytes(), other.0.as_bytes());
        while let ([first, ours_left @ ..], [same, theirs_left @ ..]) = (ours, theirs) {
            if first != same {
                break;
            }
            (ours, theirs) = (ours_left, theirs_left);
        }
        while let ([ours_left @ .., last], [theirs_left @ .., same]) = (ours, theirs) {
            if last != same {
                break;
            }
            (ours, theirs) = (ours_left, theirs_left);
        }
        match (ours, theirs) {
            ([_], [] | [_]) | ([], [_]) => true,
            ([first, second], [other_first, other_second]) => first == other_second && second == other_first,
            _ => false,
        }
    }

    fn push(&mut self, key: char) {
        if self.0.len() < MAX_ID_LENGTH {
            self.0.push(key);
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Entry({} digits)", self.0.len())
    }
}

#[derive(Debug)]
enum State {
    /// The question plays, or has ended and nothing was keyed. `due`: when the first digit must have come, or when
    /// the prompt must have ended.
    Asking { playing: bool, due: Instant },
    /// Digits are coming in.
    Keying { entry: Entry, due: Instant },
    /// The digits were handed out; the verdict comes before anything else.
    Judging,
    /// A caller who erred too often waits for the verdict.
    Pondering { entry: Option<Entry>, due: Instant },
    /// The last prompts play; a key skips to the goodbye, once.
    Leaving { due: Instant, brief: bool },
    /// Nothing more to say.
    Gone,
}

/// Why the attendant's deadline is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// For the end of a prompt.
    PromptEnd,
    /// For the first digit.
    FirstDigit,
    /// For the next digit.
    NextDigit,
    /// For a slowed-down verdict.
    Judgment,
    /// For the caller to be done at all.
    Overall,
}

/// One caller's dialogue.
#[derive(Debug)]
pub(crate) struct Attendant {
    config: AttendantConfig,
    state: State,
    failures: u32,
    /// The last entry ended by its length or by a pause: a `#` that follows until then belongs to it.
    spare_pound: Option<Instant>,
    overall: Instant,
}

impl Attendant {
    /// Begins the dialogue: the first step greets, where nobody has greeted yet, and asks.
    pub(crate) fn start(config: AttendantConfig, now: Instant, greeted: bool) -> (Self, Step) {
        let state = State::Asking { playing: true, due: now + config.longest_prompt };
        let attendant = Self { config, state, failures: 0, spare_pound: None, overall: now + config.overall };
        let welcome = (!greeted).then_some(PromptId::Welcome);
        (attendant, Step::Play(welcome.into_iter().chain([PromptId::EnterConferenceId]).collect()))
    }

    /// A dialogue that begins with its end: why, and goodbye.
    pub(crate) fn farewell(config: AttendantConfig, now: Instant, why: PromptId) -> (Self, Step) {
        let (mut attendant, _) = Self::start(config, now, true);
        let step = attendant.leave(now, vec![why]);
        (attendant, step)
    }

    /// Until when a `#` belongs to the last entry, which ended without it.
    pub(crate) fn spare_pound(&self) -> Option<Instant> {
        self.spare_pound
    }

    /// The next deadline and what it is for; none once the dialogue is over.
    pub(crate) fn deadline(&self) -> Option<(Instant, Waiting)> {
        let (due, waiting) = match &self.state {
            State::Asking { playing: true, due } | State::Leaving { due, .. } => (*due, Waiting::PromptEnd),
            State::Asking { playing: false, due } => (*due, Waiting::FirstDigit),
            State::Keying { due, .. } => (*due, Waiting::NextDigit),
            State::Pondering { due, .. } => (*due, Waiting::Judgment),
            State::Judging | State::Gone => return None,
        };
        if !matches!(self.state, State::Leaving { .. }) && self.overall <= due {
            return Some((self.overall, Waiting::Overall));
        }
        Some((due, waiting))
    }

    /// A key was pressed. It stops whatever plays and counts, except for a `#` that ends an entry which was complete
    /// without it. `*` starts the entry anew; letters mean nothing.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit) -> Vec<Step> {
        let spare = self.spare_pound.take().is_some_and(|until| now < until);
        if spare && digit.key() == '#' {
            return Vec::new();
        }
        match std::mem::replace(&mut self.state, State::Judging) {
            State::Asking { playing, .. } => {
                let mut steps = Vec::new();
                if playing {
                    steps.push(Step::Stop);
                }
                steps.extend(self.key(now, Entry::default(), digit));
                steps
            }
            State::Keying { entry, .. } => self.key(now, entry, digit).into_iter().collect(),
            State::Leaving { brief: false, .. } => {
                self.state = State::Leaving { due: now + self.config.longest_prompt, brief: true };
                vec![Step::Stop, Step::Play(vec![PromptId::Goodbye])]
            }
            State::Leaving { brief: true, .. } => {
                self.state = State::Gone;
                vec![Step::Stop, Step::HangUp]
            }
            deaf @ (State::Judging | State::Pondering { .. } | State::Gone) => {
                self.state = deaf;
                Vec::new()
            }
        }
    }

    fn key(&mut self, now: Instant, mut entry: Entry, digit: Digit) -> Option<Step> {
        match digit.key() {
            '#' if entry.0.is_empty() => {}
            '#' => return Some(Step::Look(entry)),
            '*' => entry = Entry::default(),
            key if key.is_ascii_digit() => {
                entry.push(key);
                if entry.0.len() >= self.config.id_length {
                    self.spare_pound = Some(now + self.config.next_digit);
                    return Some(Step::Look(entry));
                }
            }
            _ => {}
        }
        self.state = if entry.0.is_empty() {
            State::Asking { playing: false, due: now + self.config.first_digit }
        } else {
            State::Keying { entry, due: now + self.config.next_digit }
        };
        None
    }

    /// The prompt that was playing ran to its end.
    pub(crate) fn prompt_ended(&mut self, now: Instant) -> Option<Step> {
        match self.state {
            State::Asking { playing: true, .. } => {
                self.state = State::Asking { playing: false, due: now + self.config.first_digit };
                None
            }
            State::Leaving { .. } => {
                self.state = State::Gone;
                Some(Step::HangUp)
            }
            _ => None,
        }
    }

    /// The deadline may have come.
    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Step> {
        let (due, waiting) = self.deadline()?;
        if now < due {
            return None;
        }
        match waiting {
            Waiting::PromptEnd => self.prompt_ended(now),
            Waiting::FirstDigit => Some(self.failed(now, &[PromptId::NothingEntered])),
            Waiting::NextDigit => {
                let State::Keying { entry, .. } = std::mem::replace(&mut self.state, State::Judging) else {
                    return None;
                };
                self.spare_pound = Some(now + self.config.next_digit);
                Some(Step::Look(entry))
            }
            Waiting::Judgment => {
                let State::Pondering { entry, .. } = std::mem::replace(&mut self.state, State::Judging)
                else {
                    return None;
                };
                Some(match entry {
                    Some(entry) => Step::LookNow(entry),
                    None => self.leave(now, vec![PromptId::IdNotRecognized]),
                })
            }
            Waiting::Overall => {
                self.state = State::Gone;
                Some(Step::GiveUp)
            }
        }
    }

    /// Lets the caller wait for the verdict, right or wrong; then the same digits come as [`Step::LookNow`]. Without an entry
    /// nobody looks: after the same time he hears what everybody hears whose ID is wrong, and goodbye.
    pub(crate) fn ponder(&mut self, entry: Option<Entry>, due: Instant) {
        self.state = State::Pondering { entry, due };
    }

    /// The verdict on the digits of the last [`Step::Look`].
    pub(crate) fn tell(&mut self, now: Instant, verdict: Verdict) -> Step {
        match verdict {
            Verdict::NotRecognized => self.failed(now, &[PromptId::IdNotRecognized]),
            Verdict::Expired => self.failed(now, &[PromptId::MeetingExpired]),
            Verdict::NumberNotIncluded(Some(number)) => {
                let mut prompts = vec![PromptId::NumberNotIncluded, PromptId::CallThisNumber];
                prompts.extend(PromptId::spell(&number));
                prompts.push(PromptId::CallThisNumber);
                prompts.extend(PromptId::spell(&number));
                self.leave(now, prompts)
            }
            Verdict::NumberNotIncluded(None) => {
                self.leave(now, vec![PromptId::NumberNotIncluded, PromptId::AskOrganizerForNumber])
            }
            Verdict::CannotJoin => self.leave(now, vec![PromptId::CannotJoinByPhone]),
            Verdict::Full => self.leave(now, vec![PromptId::ConferenceFull]),
            Verdict::Locked => self.leave(now, vec![PromptId::ConferenceLocked]),
        }
    }

    /// One try is used up: ask again, or say goodbye.
    fn failed(&mut self, now: Instant, why: &[PromptId]) -> Step {
        self.failures += 1;
        let mut prompts = why.to_vec();
        if self.failures >= self.config.attempts {
            return self.leave(now, prompts);
        }
        prompts.push(PromptId::EnterConferenceId);
        self.state = State::Asking { playing: true, due: now + self.config.longest_prompt };
        Step::Play(prompts)
    }

    fn leave(&mut self, now: Instant, mut prompts: Vec<PromptId>) -> Step {
        prompts.push(PromptId::Goodbye);
        // A spelled number is the longest thing we say: two readings of it take about as long as a prompt each.
        self.state = State::Leaving { due: now + 2 * self.config.longest_prompt, brief: false };
        Step::Play(prompts)
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn a_slip_is_one_digit_wrong_missing_or_too_many_or_two_swapped() {
        let meant = Entry("123456789".into());
        for (keyed, expected) in [
            ("123456780", true),
            ("923456789", true),
            ("12345679", true),
            ("1234567889", true),
            ("123546789", true),
            ("123456789", false),
            ("123456708", false),
            ("132456798", false),
            ("987654321", false),
            ("1234567", false),
            ("", false),
        ] {
            assert_eq!(Entry(keyed.into()).slips_to(&meant), expected, "{keyed}");
        }
    }
}
