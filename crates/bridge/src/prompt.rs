//! Everything the bridge says to a caller: one enum, the file stem of each recording and its American English text.
//!
//! One is music and has no words. The server loads `<stem>.wav` for every member of [`PromptId::ALL`] from a folder, so a site can use its own
//! voices. Numbers are spoken digit by digit. Entry and exit sounds are tones, not prompts: see [`crate::Tone`].

/// One recording. A sentence is played as a list of them, without a pause in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromptId {
    /// The first words of every dial-in call.
    Welcome,
    /// Offers a language, in itself; the digit to press follows.
    ForThisLanguage,
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
    /// Answers keys that mean nothing; how to get help follows.
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
    /// Tells the meeting: a dial-out will end, because a limit on its cost is near.
    SpendingLimitNear,
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
    /// Asks, before a meeting that only its organizer may start, whether it is he who calls.
    OrganizerPressStar,
    /// Asks the organizer for the PIN.
    EnterPin,
    /// A keyed PIN is not the organizer's, or nothing was keyed.
    PinNotRecognized,
    /// Follows the third [`PromptId::PinNotRecognized`].
    JoinAsParticipant,
    /// The first words of the lobby; the music follows.
    LobbyWait,
    /// The longest wait in the lobby is over.
    LobbyTooLong,
    /// A user has sent the caller away from the lobby.
    LobbyRejected,
    /// Music, over and over, for who waits in the lobby. No words.
    HoldMusic,
    /// Tells an organizer, and nobody else, that somebody waits; how to let him in follows.
    LobbyCaller,
    /// Confirms `*21`.
    LobbyAdmitted,
    /// Answers `*21` when nobody waits.
    LobbyEmpty,
    /// Answers an organizer's command of somebody who is none.
    OrganizerOnly,
    /// Confirms `*5`: the hand is up.
    HandRaised,
    /// Confirms `*5`, or tells that a user did it: the hand is down.
    HandLowered,
    /// Tells a participant that he was muted; how to end it follows.
    MutedByOrganizer,
    /// Tells a participant that he was muted and cannot end it; how to raise a hand follows. Answers `*6` then.
    HardMuted,
    /// Confirms `*22`: all others are muted.
    AllMuted,
    /// Confirms `*22`: the others may speak again.
    AllUnmuted,
    /// Confirms `*23`: coming and going is heard.
    AnnouncementsOn,
    /// Confirms `*23`: coming and going is not heard.
    AnnouncementsOff,
    /// Confirms `*7`: nobody may join any more.
    ConferenceNowLocked,
    /// Confirms `*7`: others may join again.
    ConferenceNowUnlocked,
    /// Answers `*3`; a count follows.
    ThereAre,
    /// Follows the count of `*3`.
    PeopleHere,
    /// Answers `*3` for who is alone.
    OnlyYou,
    /// Tells the meeting that it ends.
    MeetingEnds,
    /// Tells the meeting, or who joins it, that it is being recorded.
    RecordingOn,
    /// Tells the meeting that nothing is recorded for now.
    RecordingPaused,
    /// Tells the meeting that it is recorded again.
    RecordingResumed,
    /// Tells the meeting that it is recorded no more.
    RecordingEnded,
    /// Asks a caller for his name; a tone follows.
    SayName,
    /// Stands for the name of somebody who has said none, and whose number is not said.
    Somebody,
    /// Follows the name of one who has come.
    HasJoined,
    /// Follows the names of several who have come.
    HaveJoined,
    /// Follows the number of those who have come.
    PeopleJoined,
    /// Follows the name of one who has gone.
    HasLeft,
    /// Follows the names of several who have gone.
    HaveLeft,
    /// Follows the number of those who have gone.
    PeopleLeft,
    /// Follows the last name of a roll call that does not name everybody.
    AndOthers,
    /// The number 10.
    Ten,
    /// The number 11.
    Eleven,
    /// The number 12.
    Twelve,
    /// The number 13.
    Thirteen,
    /// The number 14.
    Fourteen,
    /// The number 15.
    Fifteen,
    /// The number 16.
    Sixteen,
    /// The number 17.
    Seventeen,
    /// The number 18.
    Eighteen,
    /// The number 19.
    Nineteen,
    /// The number 20.
    Twenty,
    /// The number 30.
    Thirty,
    /// The number 40.
    Forty,
    /// The number 50.
    Fifty,
    /// The number 60.
    Sixty,
    /// The number 70.
    Seventy,
    /// The number 80.
    Eighty,
    /// The number 90.
    Ninety,
    /// The word hundred.
    Hundred,
    /// The word thousand.
    Thousand,
    /// Says how one mutes one's own line; the keys follow, as after each of the next seven.
    ForMute,
    /// Says how one raises one's hand.
    ForHand,
    /// Says how one hears who is there.
    ForRollCall,
    /// Says how one hears which keys there are.
    ForHelp,
    /// Says how an organizer lets in who waits.
    ForAdmitAll,
    /// Says how an organizer mutes the others.
    ForMuteAll,
    /// Says how an organizer turns the tones off.
    ForAnnouncements,
    /// Says how an organizer locks the conference.
    ForLock,
    /// The key `*`.
    Star,
    /// The key `#`.
    Pound,
}

impl PromptId {
    /// Every prompt, in the order of the enum. The server must have a recording for each before it opens a port.
    pub const ALL: [Self; 104] = [
        Self::Welcome,
        Self::ForThisLanguage,
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
        Self::UnknownCommand,
        Self::Muted,
        Self::Unmuted,
        Self::PressOneToJoin,
        Self::CalleeBusy,
        Self::CalleeNoAnswer,
        Self::CalleeDeclined,
        Self::CalleeUnreachable,
        Self::SpendingLimitNear,
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
        Self::OrganizerPressStar,
        Self::EnterPin,
        Self::PinNotRecognized,
        Self::JoinAsParticipant,
        Self::LobbyWait,
        Self::LobbyTooLong,
        Self::LobbyRejected,
        Self::HoldMusic,
        Self::LobbyCaller,
        Self::LobbyAdmitted,
        Self::LobbyEmpty,
        Self::OrganizerOnly,
        Self::HandRaised,
        Self::HandLowered,
        Self::MutedByOrganizer,
        Self::HardMuted,
        Self::AllMuted,
        Self::AllUnmuted,
        Self::AnnouncementsOn,
        Self::AnnouncementsOff,
        Self::ConferenceNowLocked,
        Self::ConferenceNowUnlocked,
        Self::ThereAre,
        Self::PeopleHere,
        Self::OnlyYou,
        Self::MeetingEnds,
        Self::RecordingOn,
        Self::RecordingPaused,
        Self::RecordingResumed,
        Self::RecordingEnded,
        Self::SayName,
        Self::Somebody,
        Self::HasJoined,
        Self::HaveJoined,
        Self::PeopleJoined,
        Self::HasLeft,
        Self::HaveLeft,
        Self::PeopleLeft,
        Self::AndOthers,
        Self::Ten,
        Self::Eleven,
        Self::Twelve,
        Self::Thirteen,
        Self::Fourteen,
        Self::Fifteen,
        Self::Sixteen,
        Self::Seventeen,
        Self::Eighteen,
        Self::Nineteen,
        Self::Twenty,
        Self::Thirty,
        Self::Forty,
        Self::Fifty,
        Self::Sixty,
        Self::Seventy,
        Self::Eighty,
        Self::Ninety,
        Self::Hundred,
        Self::Thousand,
        Self::ForMute,
        Self::ForHand,
        Self::ForRollCall,
        Self::ForHelp,
        Self::ForAdmitAll,
        Self::ForMuteAll,
        Self::ForAnnouncements,
        Self::ForLock,
        Self::Star,
        Self::Pound,
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
            Self::ForThisLanguage => ("for-this-language", "For English, press"),
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
            Self::UnknownCommand => ("unknown-command", "That command is not available."),
            Self::Muted => ("muted", "You are now muted."),
            Self::Unmuted => ("unmuted", "You are no longer muted."),
            Self::PressOneToJoin => {
                ("press-one-to-join", "You are invited to an audio conference. To join, press 1.")
            }
            Self::CalleeBusy => ("callee-busy", "The person you called is busy."),
            Self::CalleeNoAnswer => ("callee-no-answer", "The person you called did not answer."),
            Self::CalleeDeclined => ("callee-declined", "The person you called declined the call."),
            Self::CalleeUnreachable => ("callee-unreachable", "The person you called could not be reached."),
            Self::SpendingLimitNear => (
                "spending-limit-near",
                "A call that this meeting has made will end in less than a minute, because a spending limit is reached.",
            ),
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
            Self::OrganizerPressStar => (
                "organizer-press-star",
                "If you are the organizer of this meeting, press star now. Otherwise, please stay on the line.",
            ),
            Self::EnterPin => ("enter-pin", "Please enter your PIN, followed by the pound key."),
            Self::PinNotRecognized => ("pin-not-recognized", "Sorry, that PIN was not recognized."),
            Self::JoinAsParticipant => ("join-as-participant", "You will join as a participant."),
            Self::LobbyWait => {
                ("lobby-wait", "Please wait. You will join the meeting when the organizer lets you in.")
            }
            Self::LobbyTooLong => ("lobby-too-long", "Nobody has let you in. Please call again later."),
            Self::LobbyRejected => ("lobby-rejected", "Sorry, you were not admitted to this meeting."),
            Self::HoldMusic => ("hold-music", "(music)"),
            Self::LobbyCaller => ("lobby-caller", "Somebody is waiting in the lobby."),
            Self::LobbyAdmitted => ("lobby-admitted", "Everyone who was waiting has been let in."),
            Self::LobbyEmpty => ("lobby-empty", "Nobody is waiting in the lobby."),
            Self::OrganizerOnly => ("organizer-only", "That command is for the organizer only."),
            Self::HandRaised => ("hand-raised", "Your hand is raised."),
            Self::HandLowered => ("hand-lowered", "Your hand is lowered."),
            Self::MutedByOrganizer => ("muted-by-organizer", "The organizer has muted you."),
            Self::HardMuted => {
                ("hard-muted", "The organizer has muted you, and only the organizer can unmute you.")
            }
            Self::AllMuted => ("all-muted", "Everyone but the organizers is now muted."),
            Self::AllUnmuted => ("all-unmuted", "Everyone may speak again."),
            Self::AnnouncementsOn => ("announcements-on", "Tones of coming and going are on."),
            Self::AnnouncementsOff => ("announcements-off", "Tones of coming and going are off."),
            Self::ConferenceNowLocked => ("conference-now-locked", "The conference is now locked."),
            Self::ConferenceNowUnlocked => ("conference-now-unlocked", "The conference is no longer locked."),
            Self::ThereAre => ("there-are", "There are"),
            Self::PeopleHere => ("people-here", "people in this conference."),
            Self::OnlyYou => ("only-you", "You are the only person in this conference."),
            Self::MeetingEnds => ("meeting-ends", "This meeting is now ending. Goodbye."),
            Self::RecordingOn => ("recording-on", "This meeting is being recorded."),
            Self::RecordingPaused => ("recording-paused", "The recording is paused."),
            Self::RecordingResumed => ("recording-resumed", "The recording goes on."),
            Self::RecordingEnded => ("recording-ended", "The recording has ended."),
            Self::SayName => ("say-name", "After the tone, please say your name, then press the pound key."),
            Self::Somebody => ("somebody", "Somebody"),
            Self::HasJoined => ("has-joined", "has joined."),
            Self::HaveJoined => ("have-joined", "have joined."),
            Self::PeopleJoined => ("people-joined", "people have joined."),
            Self::HasLeft => ("has-left", "has left."),
            Self::HaveLeft => ("have-left", "have left."),
            Self::PeopleLeft => ("people-left", "people have left."),
            Self::AndOthers => ("and-others", "and others."),
            Self::Ten => ("number-10", "ten"),
            Self::Eleven => ("number-11", "eleven"),
            Self::Twelve => ("number-12", "twelve"),
            Self::Thirteen => ("number-13", "thirteen"),
            Self::Fourteen => ("number-14", "fourteen"),
            Self::Fifteen => ("number-15", "fifteen"),
            Self::Sixteen => ("number-16", "sixteen"),
            Self::Seventeen => ("number-17", "seventeen"),
            Self::Eighteen => ("number-18", "eighteen"),
            Self::Nineteen => ("number-19", "nineteen"),
            Self::Twenty => ("number-20", "twenty"),
            Self::Thirty => ("number-30", "thirty"),
            Self::Forty => ("number-40", "forty"),
            Self::Fifty => ("number-50", "fifty"),
            Self::Sixty => ("number-60", "sixty"),
            Self::Seventy => ("number-70", "seventy"),
            Self::Eighty => ("number-80", "eighty"),
            Self::Ninety => ("number-90", "ninety"),
            Self::Hundred => ("number-hundred", "hundred"),
            Self::Thousand => ("number-thousand", "thousand"),
            Self::ForMute => ("for-mute", "To mute or unmute your line, press"),
            Self::ForHand => ("for-hand", "To raise or lower your hand, press"),
            Self::ForRollCall => ("for-roll-call", "To hear how many people are here, press"),
            Self::ForHelp => ("for-help", "For help, press"),
            Self::ForAdmitAll => ("for-admit-all", "To let in everyone who is waiting in the lobby, press"),
            Self::ForMuteAll => {
                ("for-mute-all", "To mute everyone but the organizers, or to let them speak again, press")
            }
            Self::ForAnnouncements => {
                ("for-announcements", "To turn the tones of coming and going on or off, press")
            }
            Self::ForLock => ("for-lock", "To lock or unlock the conference, press"),
            Self::Star => ("star", "star"),
            Self::Pound => ("pound", "pound"),
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
        assert_eq!(PromptId::ALL.len(), PromptId::Pound as usize + 1);
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
