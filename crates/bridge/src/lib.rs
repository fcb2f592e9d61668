//! WHY: the focus (RFC 4353). Conferences, participants, attendant, dial-out, usage records.
//!
//! Sans-IO: the bridge opens nothing, spawns nothing, sleeps never. [`Event`]s and the time go into [`Bridge::handle`],
//! [`Command`]s come out of [`Bridge::poll_command`]; the [`Directory`] and the routing table answer its questions from
//! memory. Events about legs it does not know are ignored, so no order of events can break it.

mod action;
mod announcing;
mod attendant;
mod bridge;
mod budget;
mod call;
mod command;
mod confirmation;
mod defense;
mod dial_out;
mod digit;
mod directory;
mod end_rules;
mod event;
mod id;
mod identification;
mod key_map;
mod keypad;
mod language_menu;
mod lobby;
mod meeting;
mod money;
mod naming;
mod policy;
mod prompt;
mod returning;
mod roster;
mod spending;
mod spoken;
mod stamp;
mod tariff;
mod text;
mod usage;

pub use action::{Action, ActionRefusal};
pub use attendant::AttendantConfig;
pub use bridge::{Bridge, BridgeConfig, Counters, LegSnapshot, Reason, Snapshot};
pub use budget::{BudgetKind, BudgetNotice, BudgetOwner};
pub use command::{Command, DialOutRefusal, HangupCause, Purpose, Sound, Tone, Word};
pub use defense::{Alarm, AlarmLevel, AlarmScope, DefenseConfig, Guessed, WrongIds};
pub use digit::{Digit, Keys, NotKeys};
pub use directory::{MeetingRules, MeetingSource, MemoryDirectory, utc};
pub use event::{
    Caller, DialFailure, DialFailureKind, DialOutRequest, EndedBy, Event, LegEnd, RecordingChange,
};
pub use id::{ConferenceId, LegId, RequestId};
pub use key_map::{KeyMap, KeyMapError, KeypadCommand, Prefix};
pub use meeting::{
    ConferenceCode, Directory, Lookup, MAX_ID_LENGTH, MIN_ID_LENGTH, Meeting, NotAConferenceCode,
};
pub use money::{Amount, Currency, Micros, NotACurrency, NotAnAmount};
pub use naming::{LONGEST_NAME, SpokenName};
pub use policy::{
    Announcements, MAX_PIN_LENGTH, MIN_PIN_LENGTH, Masking, MeetingPolicy, Pin, PinHash, RecordingNotice,
    Role,
};
pub use prompt::PromptId;
pub use roster::{Callee, ConferenceSnapshot, MutedBy, Participant, Waiting};
pub use spending::{Spending, SpentLeg};
pub use stamp::{NotAStamp, Stamp};
pub use tariff::{
    BillingSource, DialOutLimitSource, Direction, RatePlanSource, RateSource, TariffSource, Tariffs,
    WithoutPrice,
};
pub use usage::{
    AttemptRecord, CallResult, CallType, EndingParty, MediaFigures, Record, RecordEnd, RecordKind,
    RecordSoFar, Rounding, SCHEMA_VERSION,
};
