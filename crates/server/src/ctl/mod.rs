//! The control socket: how an engineer on this machine talks to the running bridge.
//!
//! A Unix socket that only its owner can open (mode 0600). Each line of JSON that comes in is a [`Question`], each line that
//! goes out a [`Reply`]; the questions of one connection are answered in order. `partyline ctl` is its client.

mod act;
mod answers;
mod client;
mod configurations;
mod socket;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Grouped, Span};

pub use act::Act;
pub use answers::{Answers, Heard, Line, passages_of, sounds_of};
pub use client::ask;
pub use configurations::Configurations;
pub use socket::{Control, bind};

/// The longest question, in bytes: a configuration of a megabyte as JSON.
const LONGEST_QUESTION: usize = 2 << 20;
/// The longest reply: two hundred messages of 64 KiB as JSON or 60,000 RTP packets, and room.
const LONGEST_REPLY: usize = 64 << 20;

/// What can be asked: `{"ask":"trunk","name":"acme"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// How the bridge is doing.
    Status,
    /// Every trunk.
    Trunks,
    /// One trunk.
    Trunk {
        /// Its name.
        name: String,
    },
    /// Stop (`true`) or resume new legs on a trunk.
    DrainTrunk {
        /// Its name.
        name: String,
        /// Stop, or resume.
        draining: bool,
    },
    /// Every meeting with somebody in it.
    Conferences,
    /// One of them.
    Conference {
        /// Its conference ID.
        id: String,
    },
    /// Do something to a meeting that is running, or to somebody in it.
    Act {
        /// Its conference ID.
        id: String,
        /// What.
        act: Act,
    },
    /// Call a number and bring whoever answers into a meeting.
    DialOut {
        /// Its conference ID.
        id: String,
        /// The number, as a person would write it.
        number: String,
        /// Whether the callee must press 1 to join; default: as configured.
        #[serde(default)]
        confirm: Option<bool>,
        /// Who asks has himself called.
        #[serde(default)]
        call_me: bool,
    },
    /// Press keys into the call to somebody who was dialed out.
    Digits {
        /// The meeting's conference ID.
        id: String,
        /// To whom.
        leg: u64,
        /// Which.
        digits: String,
    },
    /// Begin (`true`) or end a recording.
    Record {
        /// The meeting's conference ID.
        id: String,
        /// Begin, or end.
        on: bool,
        /// What it is written as.
        #[serde(default)]
        format: crate::recording::Format,
    },
    /// Record nothing for now (`true`), or go on.
    PauseRecording {
        /// The meeting's conference ID.
        id: String,
        /// Nothing, or go on.
        paused: bool,
    },
    /// The configurations that were taken.
    Versions,
    /// One of them with its text.
    Version {
        /// Its number.
        number: u64,
    },
    /// Read the configuration again, as after SIGHUP.
    Reload,
    /// What another configuration would have made of the last routing decisions.
    WhatIf {
        /// Its text.
        config: String,
    },
    /// Usage records, a page at a time, as `GET /v1/usage` has them.
    Usage(Span),
    /// Totals of them, as `GET /v1/usage/report` has them.
    UsageReport(Grouped),
    /// The calls whose messages are kept.
    Calls {
        /// Keep-alives and what strangers sent too.
        #[serde(default)]
        all: bool,
    },
    /// The messages of one call.
    Trace {
        /// Its Call-ID.
        call_id: String,
        /// Its RTP packets too, in the clear, where they are kept.
        #[serde(default)]
        media: bool,
    },
}

/// What is answered: `{"status":200,"body":{...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// As in HTTP: 200, 400 for what cannot be understood, 404 for what does not exist, 409, 429, 503.
    pub status: u16,
    /// What was asked for; of a refusal `detail` says why, and what to do.
    pub body: Value,
}

impl Reply {
    /// Whether the bridge did what was asked.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn refusal(status: u16, detail: impl Into<String>) -> Self {
        Self { status, body: serde_json::json!({ "detail": detail.into() }) }
    }
}
