//! What the API answers, described for `/v1/openapi.json`.
//!
//! The engines' own types are written as JSON by control; these say the same to whoever reads the description. They are
//! strict: a member that is not named here makes the test fail that reads real answers with them.

#![expect(dead_code, reason = "they describe answers that control writes")]

mod decision;

use serde::Deserialize;
use utoipa::ToSchema;

pub(super) use decision::Decision;

/// Every meeting with somebody in it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conferences {
    conferences: Vec<Conference>,
}

/// One meeting that is running.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the names in the answer")]
pub(super) struct Conference {
    /// The number of the mixing conference, for log and usage records.
    conference: u64,
    /// What callers key.
    #[schema(example = "912308576")]
    conference_id: String,
    /// Whose meeting it is.
    organizer: String,
    /// The organizer's organization.
    tenant: String,
    /// Its subject.
    subject: String,
    /// Since when, RFC 3339.
    #[schema(format = DateTime)]
    opened: String,
    /// How many may be in it.
    capacity: u32,
    /// Somebody who may start it is or was there; before that callers wait in the lobby.
    started: bool,
    /// Nobody may come in.
    locked: bool,
    /// Entry and exit are heard.
    announcements: bool,
    /// Who is in it.
    participants: Vec<Participant>,
    /// Who is being called for it.
    callees: Vec<Callee>,
    /// Who waits in the lobby.
    lobby: Vec<Waiting>,
    /// The legs with a raised hand, the first to be raised first.
    hands: Vec<u64>,
    /// The file that it is being recorded into; absent while it is not.
    #[serde(default)]
    recording: Option<String>,
    /// Nothing is recorded for now; absent while there is no recording.
    #[serde(default)]
    recording_paused: Option<bool>,
}

/// Somebody in a meeting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Participant {
    /// The leg: the name of this participant in every other path.
    leg: u64,
    /// Dialed in, or called by the meeting.
    direction: Direction,
    /// The number; null where the caller asked for privacy.
    #[schema(required)]
    number: Option<String>,
    /// The name that came with the call; null where there was none or the caller asked for privacy.
    #[schema(required)]
    display: Option<String>,
    /// Since when, RFC 3339.
    #[schema(format = DateTime)]
    joined: String,
    /// What he may do.
    role: Role,
    /// Not heard by the others.
    muted: bool,
    /// By whom; null while he is not.
    #[schema(required)]
    muted_by: Option<MutedBy>,
    /// Since when his hand is raised, RFC 3339; null while it is not.
    #[schema(required, format = DateTime)]
    hand: Option<String>,
    /// How the audio is coded.
    #[schema(required)]
    codec: Option<String>,
    /// The far end sends back what it is sent.
    echo: bool,
    /// The suite that encrypts the audio; null where it is not encrypted.
    #[schema(required)]
    srtp: Option<String>,
}

/// What somebody may do in a meeting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// The meeting is his, by PIN or by a user's word.
    Organizer,
    /// Anybody else.
    Participant,
}

/// Who has muted somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MutedBy {
    /// He himself.
    #[serde(rename = "self")]
    Own,
    /// An organizer or a user; he can end it.
    Organizer,
    /// An organizer or a user; he cannot end it.
    OrganizerHard,
}

/// Somebody who waits in the lobby.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    /// The leg.
    leg: u64,
    /// The number; null where the caller asked for privacy.
    #[schema(required)]
    number: Option<String>,
    /// The name that came with the call; null where there was none or the caller asked for privacy.
    #[schema(required)]
    display: Option<String>,
    /// Since when, RFC 3339.
    #[schema(format = DateTime)]
    since: String,
}

/// Who called whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    /// The participant dialed.
    DialIn,
    /// The bridge dialed.
    DialOut,
}

/// Somebody who is being called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Callee {
    /// The leg.
    leg: u64,
    /// The number that is called.
    destination: String,
    /// The attempt under way; 0 before the first.
    attempt: u32,
    /// The telephone rings.
    ringing: bool,
    /// Answered, and asked to press 1.
    confirming: bool,
}

/// A dial-out that has begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dialing {
    /// The leg that is being called: it appears among the `callees`, then among the `participants`.
    leg: u64,
    /// Which trunks are tried, in order, and why.
    #[schema(required)]
    decision: Option<Decision>,
}

/// What an action has done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    /// How many legs or settings; 0: it was so already.
    changed: u64,
}

/// A recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingFile {
    /// Its name in `recording.folder`.
    file: String,
}

/// Every trunk of the node.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trunks {
    trunks: Vec<Trunk>,
}

/// One trunk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trunk {
    /// Its name in the configuration.
    name: String,
    /// `operator` or `microsoft`.
    kind: String,
    /// Whose it is: `operator:<name>` or `microsoft`.
    provider: String,
    /// The configuration does not switch it off.
    enabled: bool,
    /// The best of its peers'.
    state: TrunkState,
    /// Legs on it.
    channels: u64,
    /// The most there may be; null: no limit.
    #[schema(required)]
    max_concurrent_sessions: Option<u64>,
    /// The most new legs a second; null: no limit.
    #[schema(required)]
    calls_per_second: Option<u64>,
    /// Its peers are asked whether they are there.
    sends_options: bool,
    /// Of a trunk that we register at; null for others.
    #[schema(required)]
    registration: Option<Registration>,
    /// Its peers.
    peers: Vec<Peer>,
    /// Where its requests come from.
    sources: Vec<String>,
}

/// How a trunk or a peer is doing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TrunkState {
    /// It answers.
    Up,
    /// It has missed an answer.
    Suspect,
    /// It does not answer.
    Down,
    /// No new legs, by our own wish.
    Draining,
}

/// Where a trunk is registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// It is, at this moment.
    registered: bool,
    /// Where.
    #[schema(required)]
    registrar: Option<String>,
    /// For how long still.
    #[schema(required)]
    expires_in_seconds: Option<u64>,
    /// Attempts that failed since the last that did not.
    failures: u64,
    /// Why the last one failed.
    #[schema(required)]
    because: Option<String>,
}

/// One address of a trunk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// Address and port.
    address: String,
    /// `udp`, `tcp` or `tls`.
    transport: String,
    /// The name that the address was found by.
    #[schema(required)]
    host: Option<String>,
    /// How it is doing.
    state: TrunkState,
    /// How it answered last; null before that.
    #[schema(required)]
    last_options: Option<Answered>,
}

/// How a peer answered OPTIONS.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    /// When, RFC 3339.
    #[schema(format = DateTime)]
    at: String,
    /// The SIP status; null where there was none.
    #[schema(required)]
    status: Option<u16>,
    /// Why there was none.
    #[schema(required)]
    failure: Option<String>,
    /// How long it took.
    rtt_ms: f64,
}

/// What happened, in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the names in the answer")]
pub(super) struct Events {
    /// What this run of the bridge is called. Numbers begin anew with each.
    run: String,
    /// The place to go on from, as `since`.
    next: String,
    /// Something between `since` and these is gone: read the meetings again.
    gap: bool,
    events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    /// Its number in this run.
    seq: u64,
    /// The run.
    run: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: EventType,
    /// When, RFC 3339.
    #[schema(format = DateTime)]
    at: String,
    /// Whose it is; null: the node's own.
    #[schema(required)]
    tenant: Option<String>,
    /// The meeting that it happened in.
    #[schema(required)]
    conference_id: Option<String>,
    /// The leg that it happened to.
    #[schema(required)]
    leg: Option<u64>,
    /// The trunk that it happened to.
    #[schema(required)]
    trunk: Option<String>,
    /// What depends on `type`: of `joined`, `dialing` and `opened` what is shown of the meeting or person, of `changed` the
    /// members that are others now, of `left` and `ended` how the leg ended or `moved`, of recordings the `file`, of a trunk
    /// `state` and `because`, of a limit which `limit`, of a budget which `budget` (`minute-pool`, `spend-per-day`,
    /// `spend-per-month`), `whose` (`tenant`, `organizer`, `meeting`; of an organizer who), `percent` and how much is `used`, of an organizer
    /// `organizer` and what has `changed`, of a conference ID the one `before`, of the directory how often what `happened`,
    /// of guessing `guessed`, `scope`, `level`, `wrong` and `hits`, of a PIN whose `organizer`.
    #[schema(value_type = Object)]
    details: serde_json::Map<String, serde_json::Value>,
}

/// What can happen. There are no others.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) enum EventType {
    /// The first has come.
    #[serde(rename = "conference.opened")]
    ConferenceOpened,
    /// It is locked, has started, or the like.
    #[serde(rename = "conference.changed")]
    ConferenceChanged,
    /// Nobody is left.
    #[serde(rename = "conference.closed")]
    ConferenceClosed,
    /// Somebody is in the meeting.
    #[serde(rename = "participant.joined")]
    ParticipantJoined,
    /// Muted, hand raised, role, codec.
    #[serde(rename = "participant.changed")]
    ParticipantChanged,
    /// Somebody is no more in the meeting.
    #[serde(rename = "participant.left")]
    ParticipantLeft,
    /// Somebody waits.
    #[serde(rename = "lobby.joined")]
    LobbyJoined,
    /// What is shown of who waits has changed.
    #[serde(rename = "lobby.changed")]
    LobbyChanged,
    /// Somebody waits no more: `moved` into the meeting, or gone.
    #[serde(rename = "lobby.left")]
    LobbyLeft,
    /// Somebody is being called.
    #[serde(rename = "callee.dialing")]
    CalleeDialing,
    /// It rings, the next trunk is tried, he is asked to press 1.
    #[serde(rename = "callee.changed")]
    CalleeChanged,
    /// `moved` into the meeting, or why not.
    #[serde(rename = "callee.ended")]
    CalleeEnded,
    /// A meeting is recorded.
    #[serde(rename = "recording.started")]
    RecordingStarted,
    /// Nothing is recorded for now.
    #[serde(rename = "recording.paused")]
    RecordingPaused,
    /// The recording goes on.
    #[serde(rename = "recording.resumed")]
    RecordingResumed,
    /// It is recorded no more.
    #[serde(rename = "recording.ended")]
    RecordingEnded,
    /// A trunk is up, suspect, down or draining.
    #[serde(rename = "trunk.changed")]
    TrunkChanged,
    /// A leg was refused because a limit is reached; told every 10 s at most.
    #[serde(rename = "limit.reached")]
    LimitReached,
    /// A minute pool or a spending limit is used up to 80 per cent; told once a day or month.
    #[serde(rename = "budget.warned")]
    BudgetWarned,
    /// It is used up.
    #[serde(rename = "budget.reached")]
    BudgetReached,
    /// The database has an organizer more.
    #[serde(rename = "organizer.created")]
    OrganizerCreated,
    /// License, number, policy or the like of an organizer.
    #[serde(rename = "organizer.changed")]
    OrganizerChanged,
    /// The database has him no more.
    #[serde(rename = "organizer.removed")]
    OrganizerRemoved,
    /// An organizer has another PIN. It is nowhere in the event.
    #[serde(rename = "pin.reset")]
    PinReset,
    /// A meeting has another conference ID.
    #[serde(rename = "conference_id.reset")]
    ConferenceIdReset,
    /// The database has another directory, with the numbers of what happened in it.
    #[serde(rename = "directory.changed")]
    DirectoryChanged,
    /// Somebody seems to guess conference IDs or a PIN.
    #[serde(rename = "guessing.alarm")]
    GuessingAlarm,
}
