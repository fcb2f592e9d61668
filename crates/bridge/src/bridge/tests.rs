//! What the unit tests of this crate share: a small deployment, a virtual clock and a shell that judges every command.

mod acting;
mod dial_in;
mod dial_out;
mod endings;
mod guessing;
mod judge;
mod keys;
mod languages;
mod lobby;
mod names;
mod property;
mod recorded;
mod returning;

use super::{Bridge, BridgeConfig};
use crate::action::Action;
use crate::command::{Command, Sound, Tone};
use crate::digit::Digit;
use crate::directory::{MeetingRules, MeetingSource, MemoryDirectory};
use crate::event::{Caller, DialFailure, DialFailureKind, DialOutRequest, EndedBy, Event, LegEnd};
use crate::id::{ConferenceId, LegId, RequestId};
use crate::prompt::PromptId;
use crate::stamp::moment;
use crate::usage::{Record, RecordKind};
use judge::Judge;
use routing::{Initiator, OperatorId, Provider, Table, TableSource, TrunkId, TrunkRef};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// The one moment all tests count from.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be had from the clock; tests need one origin"
)]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// A key that is one.
pub(crate) fn key(character: char) -> Digit {
    Digit::new(character).expect("a telephone key")
}

const ROUTING: &str = r#"
[[bridge]]
tenant = "contoso"
default_service_number = "+14255550100"
[[bridge]]
tenant = "fabrikam"

[[number]]
number = "+14255550100"
owner = "microsoft"
tenant = "contoso"
[[number]]
number = "+14255550200"
owner = "operator:acme"
tenant = "contoso"
[[number]]
number = "+14255550300"
owner = "operator:acme"
tenant = "contoso"
languages = ["de-DE", "en-US"]

[[organizer]]
id = "megan"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "contoso"
license = "audio-conferencing-standard"
[[organizer]]
id = "adele"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "contoso"
license = "operator-connect-conferencing"
policy = "germany"
[[organizer]]
id = "nestor"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "contoso"
license = "none"
[[organizer]]
id = "frida"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "fabrikam"
license = "audio-conferencing-standard"

# Nothing but the defaults: her callers wait in the lobby.
[[organizer]]
id = "petra"
tenant = "contoso"
license = "audio-conferencing-standard"
pin_hash = "the hash of 2718"

# Names are said in her meetings.
[[organizer]]
id = "nora"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "contoso"
license = "audio-conferencing-standard"
pin_hash = "the hash of 2718"
entry_exit_announcements = "names"

# Nobody hears that his meetings are recorded.
[[organizer]]
id = "quentin"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
tenant = "contoso"
license = "audio-conferencing-standard"
recording_notice = false

[[policy]]
name = "germany"
pstn_usages = ["germany"]
[[route]]
name = "germany"
number_pattern = '^\+49\d+$'
pstn_usages = ["germany"]
bridge_source_phone_number = "+14255550200"
"#;

const MEETINGS: &str = r#"
meeting = [
  { conference_id = "111111111", organizer = "megan", subject = "Budget\u0007" },
  { conference_id = "222222222", organizer = "adele" },
  { conference_id = "333333333", organizer = "megan", locked = true },
  { conference_id = "444444444", organizer = "megan", capacity = 2 },
  { conference_id = "555555555", organizer = "megan", expires = 2026-11-20T00:00:00Z },
  { conference_id = "666666666", organizer = "megan", expires = 2025-11-20T02:00:00+02:00 },
  { conference_id = "777777777", organizer = "frida" },
  { conference_id = "888888888", organizer = "nestor" },
  { conference_id = "121212121", organizer = "petra" },
  { conference_id = "131313131", organizer = "petra", allow_pstn_users_to_bypass_lobby = true },
  { conference_id = "141414141", organizer = "petra", end_when_organizer_leaves = true, capacity = 3 },
  { conference_id = "171717171", organizer = "quentin" },
  { conference_id = "181818181", organizer = "nora" },
  { conference_id = "191919191", organizer = "nora", allow_pstn_users_to_bypass_lobby = false },
]
"#;

pub(crate) const MICROSOFT_NUMBER: &str = "+14255550100";
pub(crate) const OPERATOR_NUMBER: &str = "+14255550200";
/// Speaks German and English.
pub(crate) const BILINGUAL_NUMBER: &str = "+14255550300";
pub(crate) const CALLEE: &str = "+493012345678";

#[derive(serde::Deserialize)]
struct Meetings {
    meeting: Vec<MeetingSource>,
}

pub(crate) fn table() -> Arc<Table> {
    static TABLE: OnceLock<Arc<Table>> = OnceLock::new();
    let build = || {
        let source = TableSource::from_toml(ROUTING).expect("a document");
        let acme = Provider::Operator(OperatorId::new("acme"));
        let trunks = [("microsoft", Provider::Microsoft), ("acme-1", acme.clone()), ("acme-2", acme)]
            .map(|(id, provider)| TrunkRef { id: TrunkId::new(id), provider });
        Arc::new(Table::build(&source, &trunks).expect("a table"))
    };
    Arc::clone(TABLE.get_or_init(build))
}

pub(crate) fn meetings(document: &str) -> Result<MemoryDirectory, Vec<routing::TableError>> {
    let source: Meetings = toml::from_str(document).expect("a document");
    let written = TableSource::from_toml(ROUTING).expect("a document");
    MemoryDirectory::build(&source.meeting, &written, &MeetingRules::default(), &table())
}

/// 2026-11-23, 12:00 UTC.
pub(crate) fn noon() -> SystemTime {
    moment((2026, 11, 23), (12, 0, 0), 0).expect("a date")
}

/// The bridge, its clock and its shell.
pub(crate) struct World {
    pub(crate) bridge: Bridge,
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
    /// What the bridge wanted since the last look.
    pub(crate) fresh: Vec<Command>,
    pub(crate) judge: Judge,
    /// PINs that were to be checked, with the token of each.
    pub(crate) checks: Vec<(LegId, u64)>,
    next_leg: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(BridgeConfig::default())
    }

    #[expect(clippy::large_types_passed_by_value, reason = "as the bridge takes it: once")]
    pub(crate) fn with(config: BridgeConfig) -> Self {
        let directory = Arc::new(meetings(MEETINGS).expect("meetings"));
        Self {
            bridge: Bridge::new(config, directory, table(), [7; 32]),
            now: epoch(),
            wall: noon(),
            fresh: Vec::new(),
            judge: Judge::default(),
            checks: Vec::new(),
            next_leg: 0,
        }
    }

    pub(crate) fn fresh_leg(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(self.next_leg)
    }

    /// Tells the bridge and judges what it wants.
    pub(crate) fn tell(&mut self, event: Event) {
        self.judge.event(&event);
        self.bridge.handle(self.now, self.wall, event);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(command) = self.bridge.poll_command() {
            self.judge.command(&command);
            if let Command::CheckPin { leg, token, .. } = &command {
                self.checks.push((*leg, *token));
            }
            self.fresh.push(command);
        }
    }

    /// Lets time pass, waking the bridge at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((due, _)) = self.bridge.poll_timeout().filter(|(due, _)| *due <= until) {
            let step = due.saturating_duration_since(self.now);
            self.now += step;
            self.wall += step;
            self.bridge.handle_timeout(self.now, self.wall);
            self.collect();
            let next = self.bridge.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > due || next > self.now), "a timer fires forever");
        }
        let rest = until - self.now;
        self.now += rest;
        self.wall += rest;
    }

    /// What the bridge wanted since the last look.
    pub(crate) fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.fresh)
    }

    /// The prompts of the last `Play` to the leg since the last look; everything else is dropped.
    pub(crate) fn heard(&mut self, leg: LegId) -> Vec<PromptId> {
        let played = self.take().into_iter().rev().find_map(|command| match command {
            Command::Play { leg: to, prompts, .. } if to == leg => Some(prompts),
            _ => None,
        });
        played.unwrap_or_default()
    }

    /// The final record since the last look, with everything else dropped.
    pub(crate) fn final_record(&mut self) -> Option<Record> {
        self.take().into_iter().rev().find_map(|command| match command {
            Command::Usage(record) if record.kind == RecordKind::Final => Some(*record),
            _ => None,
        })
    }

    pub(crate) fn offer(&mut self, trunk: &str, called: &str) -> LegId {
        let leg = self.fresh_leg();
        let caller = Caller {
            number: "+14255550123".parse().ok(),
            display: "Eve\r\n\u{1b}[2J".into(),
            anonymous: false,
        };
        self.tell(Event::LegOffered {
            leg,
            trunk: TrunkId::new(trunk),
            called: called.parse().expect("a number"),
            caller,
            sip_call_id: format!("{}@sbc", leg.0),
        });
        leg
    }

    /// A caller who hears the greeting.
    pub(crate) fn greeted(&mut self, trunk: &str, called: &str) -> LegId {
        let leg = self.offer(trunk, called);
        self.tell(Event::UsageDurable { leg });
        self.tell(Event::LegEstablished { leg });
        self.tell(Event::MediaStarted { leg });
        leg
    }

    pub(crate) fn press(&mut self, leg: LegId, keys: &str) {
        for character in keys.chars() {
            self.tell(Event::Digit { leg, digit: key(character) });
        }
    }

    /// A caller who is in the meeting.
    pub(crate) fn joined(&mut self, meeting: &str) -> LegId {
        let leg = self.greeted("acme-1", OPERATOR_NUMBER);
        self.press(leg, meeting);
        assert!(self.is_in_conference(leg));
        leg
    }

    pub(crate) fn is_in_conference(&self, leg: LegId) -> bool {
        self.state(leg) == Some("in-conference")
    }

    pub(crate) fn state(&self, leg: LegId) -> Option<&'static str> {
        self.bridge.calls.get(&leg).map(|call| call.state_name())
    }

    /// The prompt that plays to the leg has ended.
    pub(crate) fn prompt_ends(&mut self, leg: LegId) {
        if let Some(token) = self.bridge.calls.get(&leg).and_then(|call| call.clip) {
            self.tell(Event::ClipEnded { leg, token });
        }
    }

    pub(crate) fn ask(&mut self, meeting: &str, dialed: &str, confirm: bool) -> LegId {
        let leg = self.fresh_leg();
        self.tell(Event::DialOut(DialOutRequest {
            request: RequestId(leg.0),
            leg,
            meeting: meeting.into(),
            dialed: dialed.into(),
            initiator: Initiator::Member,
            confirm,
            call_me: false,
            down: Vec::new(),
        }));
        leg
    }

    /// A callee whose telephone is being reached.
    pub(crate) fn dialing(&mut self, meeting: &str, confirm: bool) -> LegId {
        let leg = self.ask(meeting, CALLEE, confirm);
        self.tell(Event::UsageDurable { leg });
        assert_eq!(self.state(leg), Some("dialing"));
        leg
    }

    /// A user wants something done.
    pub(crate) fn act(&mut self, conference: ConferenceId, action: Action) {
        self.tell(Event::Act { request: RequestId(0), conference, action });
    }

    /// The check of the last PIN is done.
    pub(crate) fn pin_is(&mut self, right: bool) {
        let (leg, token) = self.checks.pop().expect("a PIN that is being checked");
        self.tell(Event::PinChecked { leg, token, right });
    }

    /// A caller from this number who has keyed a conference ID and no more.
    pub(crate) fn keyed(&mut self, caller: &str, meeting: &str) -> LegId {
        self.keyed_on("acme-1", caller, meeting)
    }

    /// The same over this trunk, to the number of its provider.
    pub(crate) fn keyed_on(&mut self, trunk: &str, caller: &str, meeting: &str) -> LegId {
        let leg = self.fresh_leg();
        let caller = Caller { number: caller.parse().ok(), ..Caller::default() };
        let called = if trunk == "microsoft" { MICROSOFT_NUMBER } else { OPERATOR_NUMBER };
        let (trunk, called) = (TrunkId::new(trunk), called.parse().expect("a number"));
        self.tell(Event::LegOffered { leg, trunk, called, caller, sip_call_id: String::new() });
        self.tell(Event::UsageDurable { leg });
        self.tell(Event::MediaStarted { leg });
        self.press(leg, meeting);
        leg
    }

    /// The organizer of a meeting, who has proved it by PIN.
    pub(crate) fn organizer(&mut self, caller: &str, meeting: &str) -> LegId {
        let leg = self.keyed(caller, meeting);
        self.press(leg, "*2718#");
        self.pin_is(true);
        assert!(self.is_in_conference(leg));
        leg
    }

    /// Somebody in the lobby, who said that he is not the organizer if he was asked.
    pub(crate) fn waiting(&mut self, caller: &str, meeting: &str) -> LegId {
        let leg = self.keyed(caller, meeting);
        if self.state(leg) == Some("identifying") {
            self.press(leg, "1");
        }
        assert_eq!(self.state(leg), Some("lobby"));
        leg
    }

    pub(crate) fn bye(&mut self, leg: LegId) {
        self.tell(Event::LegEnded { leg, end: ended(EndedBy::Bye) });
    }

    /// The network loses the leg.
    pub(crate) fn lose(&mut self, leg: LegId) {
        self.tell(Event::LegEnded { leg, end: ended(EndedBy::Transport) });
    }

    /// Nothing may be left over.
    pub(crate) fn assert_empty(&self) {
        assert!(self.bridge.calls.is_empty(), "legs left");
        assert!(self.bridge.conferences.is_empty(), "conferences left");
        assert!(self.bridge.open.is_empty(), "meetings left");
        assert!(self.bridge.timers.is_empty(), "timers left");
        assert!(self.bridge.curfews.is_empty(), "timers of meetings left");
        assert_eq!(self.bridge.poll_timeout(), None);
        self.judge.assert_over();
    }
}

pub(crate) fn ended(by: EndedBy) -> LegEnd {
    LegEnd { by, sip_status: 0, q850: Some(16), reason: "Normal\u{0}call clearing".into() }
}

pub(crate) fn failed(kind: DialFailureKind, status: u16, failover: bool) -> DialFailure {
    DialFailure { kind, status, q850: None, failover, reason: "as told".into() }
}

pub(crate) fn tones(commands: &[Command]) -> Vec<Tone> {
    let tone = |command: &Command| match command {
        Command::PlayAll { sound: Sound::Tone(tone), .. } => Some(*tone),
        _ => None,
    };
    commands.iter().filter_map(tone).collect()
}
