//! Meetings and the conference IDs that lead to them.

use crate::policy::{MeetingPolicy, PinHash};
use routing::OrganizerId;
use serde::{Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

/// The shortest conference ID.
pub const MIN_ID_LENGTH: usize = 7;
/// The longest conference ID.
pub const MAX_ID_LENGTH: usize = 12;

/// The digits that a caller keys to reach a meeting: 7 to 12 of them. It identifies, it does not authenticate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConferenceCode(Arc<str>);

impl ConferenceCode {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no conference ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conference ID has 7 to 12 digits and nothing else")]
pub struct NotAConferenceCode;

impl FromStr for ConferenceCode {
    type Err = NotAConferenceCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (MIN_ID_LENGTH..=MAX_ID_LENGTH).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(NotAConferenceCode)
        }
    }
}

impl Borrow<str> for ConferenceCode {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConferenceCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for ConferenceCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// One meeting, as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// What callers key.
    pub conference_id: ConferenceCode,
    /// Whose license and policies decide.
    pub organizer: OrganizerId,
    /// For the roster and the console.
    pub subject: String,
    /// When it is planned to begin. Callers may come earlier.
    pub starts: Option<SystemTime>,
    /// When its dial-in details expire; `None`: never.
    pub expires: Option<SystemTime>,
    /// The most participants at once.
    pub capacity: usize,
    /// Nobody may join any more.
    pub locked: bool,
    /// Its rules.
    pub policy: MeetingPolicy,
    /// What proves on the telephone that a caller is its organizer; `None`: nothing does.
    pub pin: Option<PinHash>,
}

/// What a directory knows about some digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A meeting that may be joined.
    Found(Arc<Meeting>),
    /// Its dial-in details expired so recently that the caller deserves an explanation.
    Expired(Arc<Meeting>),
    /// Nothing, or nothing that may be told.
    Unknown,
}

/// Where meetings are found. Called on the control loop: an implementation answers from memory, at once.
pub trait Directory: fmt::Debug + Send + Sync {
    /// Looks up keyed digits. The answer takes the same time for a known and an unknown ID.
    fn find(&self, conference_id: &str, wall: SystemTime) -> Lookup;
}
