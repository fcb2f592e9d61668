//! "If you are the organizer, press star": who a caller is, before a meeting that only its organizer may start. A pure machine.
//!
//! ```text
//!    start ----> Offering ----*----> Asking --digit--> Keying --#--> (checked)
//!                   | any other key     ^ | nothing                     |
//!                   | or nothing        +-+-------- wrong, tries left --+---- organizer
//!                   v                                                   |
//!              participant <------------- third wrong ------------------+
//! ```
//! What is keyed is a secret: it leaves this machine in a [`Pin`] only, to be checked elsewhere.

use crate::attendant::AttendantConfig;
use crate::digit::Digit;
use crate::policy::Pin;
use crate::prompt::PromptId;
use std::time::{Duration, Instant};

/// How many PINs a caller may try.
const ATTEMPTS: u32 = 3;
/// How long a check may take before it counts as none.
const CHECK: Duration = Duration::from_secs(15);

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Play these, replacing what plays.
    Play(Vec<PromptId>),
    /// Stop what plays.
    Stop,
    /// The PIN is complete: have it checked and answer with [`Identification::checked`]; or let the caller wait first, with
    /// [`Identification::ponder`].
    Check(Pin),
    /// His turn has come: have it checked.
    CheckNow(Pin),
    /// He is the organizer.
    Organizer,
    /// He goes on as anybody, and hears this first.
    Participant(Vec<PromptId>),
}

#[derive(Debug)]
enum State {
    /// "Press star."
    Offering { playing: bool, due: Instant },
    /// "Enter your PIN."
    Asking { playing: bool, due: Instant },
    /// Digits are coming in.
    Keying { pin: Pin, due: Instant },
    /// Others are checked before him.
    Pondering { pin: Pin, due: Instant },
    /// The PIN is being checked.
    Checking { due: Instant },
    /// All is said.
    Over,
}

/// Why the machine's deadline is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// For the end of a prompt.
    PromptEnd,
    /// For the star, or the first digit.
    FirstDigit,
    /// For the next digit.
    NextDigit,
    /// For his turn.
    Judgment,
    /// For the outcome of a check.
    Check,
    /// For the caller to be done at all.
    Overall,
}

/// One caller's identification.
#[derive(Debug)]
pub(crate) struct Identification {
    config: AttendantConfig,
    state: State,
    failures: u32,
    /// A `#` that comes until then belongs to the conference ID.
    spare_pound: Option<Instant>,
    overall: Instant,
}

impl Identification {
    /// Begins with the offer. A `#` until `spare_pound` is the end of the ID before it.
    pub(crate) fn start(config: AttendantConfig, now: Instant, spare_pound: Option<Instant>) -> (Self, Step) {
        let state = State::Offering { playing: true, due: now + config.longest_prompt };
        let machine = Self { config, state, failures: 0, spare_pound, overall: now + config.overall };
        (machine, Step::Play(vec![PromptId::OrganizerPressStar]))
    }

    /// The next deadline and what it is for; none once all is said.
    pub(crate) fn deadline(&self) -> Option<(Instant, Waiting)> {
        let (due, waiting) = match &self.state {
            State::Offering { playing: true, due } | State::Asking { playing: true, due } => {
                (*due, Waiting::PromptEnd)
            }
            State::Offering { due, .. } | State::Asking { due, .. } => (*due, Waiting::FirstDigit),
            State::Keying { due, .. } => (*due, Waiting::NextDigit),
            State::Pondering { due, .. } => (*due, Waiting::Judgment),
            // Somebody is at work on it: the caller's own time stands still.
            State::Checking { due } => return Some((*due, Waiting::Check)),
            State::Over => return None,
        };
        if self.overall <= due { Some((self.overall, Waiting::Overall)) } else { Some((due, waiting)) }
    }

    /// A key was pressed; it stops whatever plays.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit) -> Vec<Step> {
        let spare = self.spare_pound.take().is_some_and(|until| now < until);
        if spare && digit.key() == '#' {
            return Vec::new();
        }
        let mut steps = Vec::new();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Offering { playing, .. } => {
                if playing {
                    steps.push(Step::Stop);
                }
                if digit.key() == '*' {
                    steps.push(self.ask(now, Vec::new()));
                } else {
                    steps.push(Step::Participant(Vec::new()));
                }
            }
            State::Asking { playing, .. } => {
                if playing {
                    steps.push(Step::Stop);
                }
                steps.extend(self.key(now, Pin::default(), digit));
            }
            State::Keying { pin, .. } => steps.extend(self.key(now, pin, digit)),
            deaf @ (State::Pondering { .. } | State::Checking { .. } | State::Over) => self.state = deaf,
        }
        steps
    }

    /// As with a conference ID: `#` ends the entry, `*` begins it anew, letters mean nothing.
    fn key(&mut self, now: Instant, mut pin: Pin, digit: Digit) -> Option<Step> {
        match digit.key() {
            '#' if pin.is_empty() => {}
            '#' => return Some(self.complete(now, pin)),
            '*' => pin = Pin::default(),
            key if key.is_ascii_digit() => pin.push(key),
            _ => {}
        }
        self.state = if pin.is_empty() {
            State::Asking { playing: false, due: now + self.config.first_digit }
        } else {
            State::Keying { pin, due: now + self.config.next_digit }
        };
        None
    }

    fn complete(&mut self, now: Instant, pin: Pin) -> Step {
        self.state = State::Checking { due: now + CHECK };
        Step::Check(pin)
    }

    /// The prompt that was playing ran to its end.
    pub(crate) fn prompt_ended(&mut self, now: Instant) {
        match &mut self.state {
            State::Offering { playing: playing @ true, due } => {
                (*playing, *due) = (false, now + self.config.next_digit);
            }
            State::Asking { playing: playing @ true, due } => {
                (*playing, *due) = (false, now + self.config.first_digit);
            }
            _ => {}
        }
    }

    /// The deadline may have come.
    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Step> {
        let (due, waiting) = self.deadline()?;
        if now < due {
            return None;
        }
        match (waiting, std::mem::replace(&mut self.state, State::Over)) {
            (Waiting::Overall, _) | (Waiting::FirstDigit, State::Offering { .. }) => {
                Some(Step::Participant(Vec::new()))
            }
            (Waiting::PromptEnd, state) => {
                self.state = state;
                self.prompt_ended(now);
                None
            }
            (_, State::Keying { pin, .. }) => Some(self.complete(now, pin)),
            (_, State::Pondering { .. }) => Some(Step::Participant(vec![PromptId::JoinAsParticipant])),
            _ => Some(self.failed(now)),
        }
    }

    /// Lets the caller wait for his turn, which [`Identification::turn`] tells; when it has not come by then, he goes on as anybody.
    pub(crate) fn ponder(&mut self, pin: Pin, due: Instant) {
        self.state = State::Pondering { pin, due };
    }

    /// Whether a PIN of his is being checked.
    pub(crate) fn is_checking(&self) -> bool {
        matches!(self.state, State::Checking { .. })
    }

    /// His turn has come: the PIN is to be checked now.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Step> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Pondering { pin, .. } => {
                self.state = State::Checking { due: now + CHECK };
                Some(Step::CheckNow(pin))
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    /// Whether the PIN of the last [`Step::Check`] was the right one.
    pub(crate) fn checked(&mut self, now: Instant, right: bool) -> Option<Step> {
        if !matches!(self.state, State::Checking { .. }) {
            return None;
        }
        if right {
            self.state = State::Over;
            return Some(Step::Organizer);
        }
        Some(self.failed(now))
    }

    /// One try is used up: ask again, or go on as anybody.
    fn failed(&mut self, now: Instant) -> Step {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            self.state = State::Over;
            return Step::Participant(vec![PromptId::PinNotRecognized, PromptId::JoinAsParticipant]);
        }
        self.ask(now, vec![PromptId::PinNotRecognized])
    }

    fn ask(&mut self, now: Instant, mut prompts: Vec<PromptId>) -> Step {
        prompts.push(PromptId::EnterPin);
        self.state = State::Asking { playing: true, due: now + self.config.longest_prompt };
        Step::Play(prompts)
    }
}

#[cfg(test)]
mod tests {
    use super::{Identification, Step};
    use crate::attendant::AttendantConfig;
    use crate::bridge::tests::{epoch, key};
    use crate::prompt::PromptId::{EnterPin, JoinAsParticipant, OrganizerPressStar, PinNotRecognized};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    fn begun() -> (Identification, Instant) {
        let now = epoch();
        let (machine, step) = Identification::start(AttendantConfig::default(), now, Some(now + 5 * SECOND));
        assert_eq!(step, Step::Play(vec![OrganizerPressStar]));
        (machine, now)
    }

    fn press(machine: &mut Identification, now: Instant, keys: &str) -> Vec<Step> {
        keys.chars().flat_map(|character| machine.digit(now, key(character))).collect()
    }

    /// The digits that are to be checked, and nothing else.
    fn checked(steps: &[Step]) -> Option<&str> {
        match steps {
            [Step::Check(pin)] => Some(pin.as_str()),
            _ => None,
        }
    }

    #[test]
    fn star_pin_and_pound_make_an_organizer_and_the_pound_of_the_id_does_not_disturb() {
        let (mut machine, now) = begun();
        assert_eq!(press(&mut machine, now, "#"), []);
        assert_eq!(press(&mut machine, now, "*"), [Step::Stop, Step::Play(vec![EnterPin])]);
        assert_eq!(press(&mut machine, now, "2"), [Step::Stop]);
        let steps = press(&mut machine, now, "718#");
        assert_eq!(checked(&steps), Some("2718"));
        assert!(!format!("{steps:?} {machine:?}").contains("2718"), "{steps:?} {machine:?}");
        assert_eq!(press(&mut machine, now, "1*#"), [], "nobody listens meanwhile");
        assert_eq!(machine.checked(now, true), Some(Step::Organizer));
        assert_eq!((machine.deadline(), machine.checked(now, false)), (None, None));
    }

    #[test]
    fn any_other_key_and_silence_mean_that_he_is_not() {
        for keys in ["1", "##"] {
            let (mut machine, now) = begun();
            let steps = press(&mut machine, now, keys);
            assert_eq!(steps.last(), Some(&Step::Participant(Vec::new())), "{keys}");
        }
        let (mut machine, now) = begun();
        machine.prompt_ended(now);
        assert_eq!(machine.timeout(now + 4 * SECOND), None);
        assert_eq!(machine.timeout(now + 5 * SECOND), Some(Step::Participant(Vec::new())));
    }

    #[test]
    fn the_third_wrong_pin_makes_him_a_participant_and_nothing_keyed_is_a_wrong_one() {
        let (mut machine, now) = begun();
        press(&mut machine, now, "*");
        press(&mut machine, now, "1#");
        assert_eq!(machine.checked(now, false), Some(Step::Play(vec![PinNotRecognized, EnterPin])));
        machine.prompt_ended(now);
        assert_eq!(machine.timeout(now + 10 * SECOND), Some(Step::Play(vec![PinNotRecognized, EnterPin])));
        let later = now + 10 * SECOND;
        press(&mut machine, later, "12345");
        let steps: Vec<Step> = machine.timeout(later + 5 * SECOND).into_iter().collect();
        assert_eq!(checked(&steps), Some("12345"), "a pause ends it as well as a pound");
        assert_eq!(
            machine.checked(later, false),
            Some(Step::Participant(vec![PinNotRecognized, JoinAsParticipant]))
        );
    }

    #[test]
    fn star_begins_the_entry_anew_and_a_check_that_never_ends_is_a_wrong_pin() {
        let (mut machine, now) = begun();
        press(&mut machine, now, "*");
        let steps = press(&mut machine, now, "99*123#");
        assert_eq!(checked(&steps[1..]), Some("123"));
        assert_eq!(machine.timeout(now + 14 * SECOND), None);
        assert_eq!(machine.timeout(now + 15 * SECOND), Some(Step::Play(vec![PinNotRecognized, EnterPin])));
        assert_eq!(machine.checked(now, true), None, "too late");
    }

    #[test]
    fn whose_turn_comes_is_checked_and_whose_does_not_goes_on_as_a_participant() {
        for comes in [true, false] {
            let (mut machine, now) = begun();
            press(&mut machine, now, "*");
            let steps = press(&mut machine, now, "2718#");
            let [Step::Stop, Step::Check(pin)] = &steps[..] else { panic!("{steps:?}") };
            machine.ponder(pin.clone(), now + 30 * SECOND);
            assert_eq!(press(&mut machine, now, "1*#"), [], "nobody listens meanwhile");
            if comes {
                assert_eq!(machine.turn(now), Some(Step::CheckNow(pin.clone())));
                assert_eq!((machine.is_checking(), machine.turn(now)), (true, None));
            } else {
                assert_eq!(
                    machine.timeout(now + 30 * SECOND),
                    Some(Step::Participant(vec![JoinAsParticipant]))
                );
            }
        }
    }

    #[test]
    fn who_never_comes_to_an_end_goes_on_as_a_participant() {
        let (mut machine, mut now) = begun();
        press(&mut machine, now, "*");
        for _ in 0..60 {
            now += 4 * SECOND;
            if machine.timeout(now) == Some(Step::Participant(Vec::new())) {
                return;
            }
            press(&mut machine, now, "1");
        }
        panic!("he keys for ever");
    }
}
