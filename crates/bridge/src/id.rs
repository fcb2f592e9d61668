//! Names of the things the bridge and its shell talk about. All are plain numbers: they are never parsed from a peer.

use serde::Serialize;
use std::fmt;

/// One leg: a dialog with one far end, and its media. Chosen by the shell, for dial-in and dial-out alike, and never
/// used twice while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct LegId(pub u64);

/// One mixing conference: a meeting's, or the room of one caller who is still with the attendant. Chosen by the
/// bridge, never used twice. Not to be confused with the digits a caller keys, see [`crate::ConferenceCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ConferenceId(pub u64);

/// One request of an authenticated user, echoed in its answer. Chosen by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "leg-{}", self.0)
    }
}

impl fmt::Display for ConferenceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "conference-{}", self.0)
    }
}
