//! Everything the bridge says to a caller: one enum, the file stem of each recording and its American English text.
//!
//! The server loads `<stem>.wav` for every member of [`PromptId::ALL`] from a folder, so a site can use its own
//! voices. Numbers are spoken digit by digit. Entry and exit sounds are tones, not prompts: see [`crate::Tone`].

/// One recording. A sentence is played as a list of them, without a pause in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromptId {
    /// The first words of every dial-in call.
    Welcome,
    /// Asks for the conference ID.
    EnterConferenceId,
    /// A keyed ID leads nowhere: wrong, unknown, barred or another tenant's, on purpose all alike.
    IdNotRecognized,
    /// The first digit did not come in time.
    NothingEntered,
    /// The keyed ID is known and expired a short while ago.
    MeetingExpired,
    /// The organizer's license does not allow the number that was dialed.
    NumberNotIncluded,
    /// Introduces an operator number, which follows digit by digit.
    CallThisNumber,
    /// Follows [`PromptId::NumberNotIncluded`] when there is no number to offer.
    AskOrganizerForNumber,
    /// The meeting is known, but its organizer's rules do not let this call in.
    CannotJoinByPhone,
    /// The conference has reached its capacity.
    ConferenceFull,
    /// The organizer has locked the conference.
    ConferenceLocked,
    /// The last word before we hang up.
    Goodbye,
    /// Said to a participant who joins others.
    Joining,
    /// Said to a participant who finds nobody there.
    FirstCaller,
    /// Answers `*1`.
    CommandHelp,
    /// Answers `*` and a key that means nothing.
    UnknownCommand,
    /// Confirms `*6`: the line is now muted.
    Muted,
    /// Confirms `*6`: the line is open again.
    Unmuted,
    /// Asks a person we called to press 1.
    PressOneToJoin,
    /// Tells the meeting: the person we called is busy.
    CalleeBusy,
    /// Tells the meeting: the person we called did not answer.
    CalleeNoAnswer,
    /// Tells the meeting: the person we called declined.
    CalleeDeclined,
    /// Tells the meeting: the call could not be completed on any trunk.
    CalleeUnreachable,
    /// The digit 0.
    Digit0,
    /// The digit 1.
    Digit1,
    /// The digit 2.
    Digit2,
    /// The digit 3.
    Digit3,
    /// The digit 4.
    Digit4,
    /// The digit 5.
    Digit5,
    /// The digit 6.
    Digit6,
    /// The digit 7.
    Digit7,
    /// The digit 8.
    Digit8,
    /// The digit 9.
    Digit9,
    /// The `+` in front of an international number.
    Plus,
}

impl PromptId {
    /// Every prompt, in the order of the enum. The server must have a recording for each before it opens a port.
    pub const ALL: [Self; 34] = [
        Self::Welcome,
        Self::EnterConferenceId,
        Self::IdNotRecognized,
        Self::NothingEntered,
        Self::MeetingExpired,
        Self::NumberNotIncluded,
        Self::CallThisNumber,
        Self::AskOrganizerForNumber,
        Self::CannotJoinByPhone,
        Self::ConferenceFull,
        Self::ConferenceLocked,
        Self::Goodbye,
        Self::Joining,
        Self::FirstCaller,
        Self::CommandHelp,
        Self::UnknownCommand,
        Self::Muted,
        Self::Unmuted,
        Self::PressOneToJoin,
        Self::CalleeBusy,
        Self::CalleeNoAnswer,
        Self::CalleeDeclined,
        Self::CalleeUnreachable,
        Self::Digit0,
        Self::Digit1,
        Self::Digit2,
        Self::Digit3,
        Self::Digit4,
        Self::Digit5,
        Self::Digit6,
        Self::Digit7,
        Self::Digit8,
        Self::Digit9,
        Self::Plus,
    ];

    /// The file name without its extension: lower case, digits and hyphens, unique.
    pub fn stem(self) -> &'static str {
        self.recording().0
    }

    /// What the recording says, in American English.
    pub fn text(self) -> &'static str {
        self.recording().1
    }

    /// The prompts that speak a number digit by digit. Characters other than `+` and digits are not spoken.
    pub fn spell(number: &str) -> impl Iterator<Item = Self> {
        number.chars().filter_map(|character| match character {
            '0' => Some(Self::Digit0),
            '1' => Some(Self::Digit1),
            '2' => Some(Self::Digit2),
            '3' => Some(Self::Digit3),
            '4' => Some(Self::Digit4),
            '5' => Some(Self::Digit5),
            '6' => Some(Self::Digit6),
            '7' => Some(Self::Digit7),
            '8' => Some(Self::Digit8),
            '9' => Some(Self::Digit9),
            '+' => Some(Self::Plus),
            _ => None,
        })
    }

    fn recording(self) -> (&'static str, &'static str) {
        match self {
            Self::Welcome => ("welcome", "Welcome to the audio conferencing service."),
            Self::EnterConferenceId => {
                ("enter-conference-id", "Please enter your conference ID, followed by the pound key.")
            }
            Self::IdNotRecognized => ("id-not-recognized", "Sorry, that conference ID was not recognized."),
            Self::NothingEntered => ("nothing-entered", "Sorry, we did not receive a conference ID."),
            Self::MeetingExpired => (
                "meeting-expired",
                "The dial-in details of this meeting have expired. Please ask the organizer for a new invitation.",
            ),
            Self::NumberNotIncluded => (
                "number-not-included",
                "This meeting cannot be joined through the phone number you dialed, because the organizer's license does not include it.",
            ),
            Self::CallThisNumber => ("call-this-number", "Please call this number instead."),
            Self::AskOrganizerForNumber => {
                ("ask-organizer-for-number", "Please ask the organizer which number to call.")
            }
            Self::CannotJoinByPhone => {
                ("cannot-join-by-phone", "Sorry, this meeting cannot be joined by phone right now.")
            }
            Self::ConferenceFull => ("conference-full", "Sorry, this conference is full."),
            Self::ConferenceLocked => {
                ("conference-locked", "Sorry, the organizer has locked this conference.")
            }
            Self::Goodbye => ("goodbye", "Goodbye."),
            Self::Joining => ("joining", "You are now joining the conference."),
            Self::FirstCaller => ("first-caller", "You are the first person in this conference."),
            Self::CommandHelp => (
                "command-help",
                "To mute or unmute your line, press star 6. To hear this help again, press star 1.",
            ),
            Self::UnknownCommand => {
                ("unknown-command", "That command is not available. For help, press star 1.")
            }
            Self::Muted => ("muted", "You are now muted."),
            Self::Unmuted => ("unmuted", "You are no longer muted."),
            Self::PressOneToJoin => {
                ("press-one-to-join", "You are invited to an audio conference. To join, press 1.")
            }
            Self::CalleeBusy => ("callee-busy", "The person you called is busy."),
            Self::CalleeNoAnswer => ("callee-no-answer", "The person you called did not answer."),
            Self::CalleeDeclined => ("callee-declined", "The person you called declined the call."),
            Self::CalleeUnreachable => ("callee-unreachable", "The person you called could not be reached."),
            Self::Digit0 => ("digit-0", "zero"),
            Self::Digit1 => ("digit-1", "one"),
            Self::Digit2 => ("digit-2", "two"),
            Self::Digit3 => ("digit-3", "three"),
            Self::Digit4 => ("digit-4", "four"),
            Self::Digit5 => ("digit-5", "five"),
            Self::Digit6 => ("digit-6", "six"),
            Self::Digit7 => ("digit-7", "seven"),
            Self::Digit8 => ("digit-8", "eight"),
            Self::Digit9 => ("digit-9", "nine"),
            Self::Plus => ("plus", "plus"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PromptId;
    use std::collections::BTreeSet;

    #[test]
    fn all_lists_every_prompt_once_in_order() {
        for (index, prompt) in PromptId::ALL.iter().enumerate() {
            assert_eq!(*prompt as usize, index, "{prompt:?}");
        }
        assert_eq!(PromptId::ALL.len(), PromptId::Plus as usize + 1);
    }

    #[test]
    fn stems_are_unique_file_names_and_texts_are_not_empty() {
        let stems: BTreeSet<_> = PromptId::ALL.iter().map(|prompt| prompt.stem()).collect();
        assert_eq!(stems.len(), PromptId::ALL.len());
        for prompt in PromptId::ALL {
            assert!(prompt.stem().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(!prompt.text().is_empty());
        }
    }

    #[test]
    fn a_number_is_spelled_digit_by_digit() {
        let spoken: Vec<_> = PromptId::spell("+1 (20)").collect();
        assert_eq!(spoken, [PromptId::Plus, PromptId::Digit1, PromptId::Digit2, PromptId::Digit0]);
    }
}
