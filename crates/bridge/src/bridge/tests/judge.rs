//! The shell's side of the contract: every command must be legal for the leg and the conference it names.

use crate::command::Command;
use crate::event::Event;
use crate::id::{ConferenceId, LegId};
use crate::usage::{CallResult, Record, RecordKind};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four independent facts; a judge must not share the bridge's states"
)]
struct Leg {
    starts: u32,
    finals: u32,
    durable: bool,
    answered: bool,
    seat: Option<ConferenceId>,
    attempt: u32,
    dialing: bool,
    over: bool,
}

/// What a correct shell would know.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    legs: BTreeMap<LegId, Leg>,
    rooms: BTreeMap<ConferenceId, usize>,
    last_conference: u64,
    last_token: u64,
    asked: u32,
}

impl Judge {
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::LegOffered { leg, .. } => {
                self.legs.entry(*leg).or_default();
            }
            Event::DialOut(_) | Event::Act { .. } => self.asked += 1,
            Event::UsageDurable { leg } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.durable |= leg.starts > 0;
                }
            }
            Event::LegAnswered { leg, attempt } => {
                if let Some(leg) = self.legs.get_mut(leg).filter(|leg| leg.dialing && leg.attempt == *attempt)
                {
                    leg.dialing = false;
                    leg.answered = true;
                }
            }
            Event::LegFailed { leg, attempt, .. } => {
                if let Some(leg) = self.legs.get_mut(leg).filter(|leg| leg.attempt == *attempt) {
                    leg.dialing = false;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn command(&mut self, command: &Command) {
        match command {
            Command::OpenConference { conference, seats, .. } => {
                assert!(conference.0 > self.last_conference, "a conference name used twice");
                assert!((1..=1000).contains(seats));
                self.last_conference = conference.0;
                self.rooms.insert(*conference, *seats);
            }
            Command::CloseConference { conference } => {
                assert!(self.rooms.remove(conference).is_some(), "{conference} is not open");
                assert!(self.seated(*conference) == 0, "{conference} closed with legs in it");
            }
            Command::PlayAll { conference, .. } | Command::Show { conference } => {
                assert!(self.rooms.contains_key(conference), "{conference} is not open");
            }
            Command::DialOutAccepted { leg, conference, .. } => {
                assert!(self.rooms.contains_key(conference), "{conference} is not open");
                assert!(self.legs.insert(*leg, Leg::default()).is_none(), "{leg} used twice");
                self.answer_request();
            }
            Command::DialOutRefused { .. } | Command::Acted { .. } => self.answer_request(),
            Command::Budget(_) => {}
            Command::Usage(record) => self.record(record),
            about_a_leg => self.leg_command(about_a_leg),
        }
    }

    fn answer_request(&mut self) {
        self.asked = self.asked.checked_sub(1).expect("an answer nobody asked for");
    }

    fn seated(&self, conference: ConferenceId) -> usize {
        self.legs.values().filter(|leg| leg.seat == Some(conference)).count()
    }

    fn record(&mut self, record: &Record) {
        let leg = self.legs.get_mut(&record.leg).expect("a record of a leg that exists");
        assert!(!leg.over && leg.finals == 0, "a record after the final one");
        match record.kind {
            RecordKind::Start => {
                assert!(record.end.is_none());
                leg.starts += 1;
            }
            RecordKind::Interim => {
                let so_far = record.interim.as_ref().expect("an interim record says how far it has come");
                assert!(record.end.is_none() && record.answer_time.is_some() && leg.starts == 1);
                assert!(so_far.duration_ms > 0 && so_far.billed_seconds * 1000 >= so_far.duration_ms);
            }
            RecordKind::Final => {
                let end = record.end.as_ref().expect("a final record has an end");
                let unanswered = matches!(end.result, CallResult::Cancelled | CallResult::Failed);
                assert_eq!(record.answer_time.is_some(), leg.answered && !unanswered, "{record:?}");
                assert!(record.answer_time.is_some() || end.duration_ms == 0);
                assert_eq!(end.duration_ms > 0, end.billed_seconds > 0);
                assert!(end.billed_seconds * 1000 >= end.duration_ms);
                assert!(end.in_conference_ms <= end.duration_ms);
                leg.finals += 1;
            }
        }
        assert_eq!(leg.starts.max(1), 1, "two start records");
    }

    fn leg_command(&mut self, command: &Command) {
        if let Command::Seat { leg, conference } = command {
            let seats = *self.rooms.get(conference).expect("seated in an open conference");
            let entry = &self.legs[leg];
            assert!(entry.answered && !entry.over && entry.finals == 0, "{command:?} {entry:?}");
            let others = self.seated(*conference) - usize::from(entry.seat == Some(*conference));
            assert!(others < seats, "{conference} overfull");
        }
        let Some(leg) = leg_of(command) else { return };
        let leg = self.legs.get_mut(&leg).expect("a command about a leg that exists");
        assert!(!leg.over, "{command:?} after the last command");
        match command {
            Command::Answer { .. } => {
                assert!(leg.durable && leg.starts == 1 && !leg.answered && leg.attempt == 0);
                leg.answered = true;
            }
            Command::Seat { conference, .. } => leg.seat = Some(*conference),
            Command::Play { token, prompts, .. } => {
                assert!(leg.seat.is_some() && leg.finals == 0);
                assert!(*token > self.last_token && !prompts.is_empty() && prompts.len() < 64);
                self.last_token = *token;
            }
            Command::Speak { token, words, .. } => {
                assert!(leg.seat.is_some() && leg.finals == 0);
                assert!(*token > self.last_token && !words.is_empty() && words.len() < 64);
                self.last_token = *token;
            }
            Command::RecordName { room, .. } | Command::KeepName { room, .. } => {
                assert_eq!(leg.seat, Some(*room));
            }
            Command::CheckPin { token, .. } => {
                assert!(leg.seat.is_some() && leg.finals == 0 && *token > self.last_token);
                self.last_token = *token;
            }
            Command::StopPlay { .. } | Command::Mute { .. } | Command::Whisper { .. } => {
                assert!(leg.seat.is_some() && leg.finals == 0);
            }
            Command::Dial { attempt, .. } => {
                assert!(leg.durable && leg.starts == 1 && !leg.answered && !leg.dialing);
                assert_eq!(*attempt, leg.attempt + 1);
                leg.attempt = *attempt;
                leg.dialing = true;
            }
            Command::CancelDial { attempt, .. } => {
                assert!(leg.dialing && *attempt == leg.attempt);
                leg.dialing = false;
            }
            Command::Refuse { status, .. } => {
                assert!(!leg.answered && leg.attempt == 0 && (400..700).contains(status));
                leg.finish();
            }
            Command::Hangup { .. } => {
                assert!(leg.answered || leg.dialing, "nothing to hang up: {leg:?}");
                leg.finish();
            }
            Command::Release { .. } => leg.finish(),
            other => panic!("not about a leg: {other:?}"),
        }
    }

    /// Everything has come to its end, with its records.
    pub(crate) fn assert_over(&self) {
        assert!(self.rooms.is_empty(), "open: {:?}", self.rooms);
        assert_eq!(self.asked, 0, "a request without an answer");
        for (id, leg) in &self.legs {
            assert!(leg.over && leg.finals == 1, "{id} {leg:?}");
            assert!(leg.starts == 1 || !leg.answered, "{id} {leg:?}");
        }
    }
}

impl Leg {
    fn finish(&mut self) {
        assert_eq!(self.finals, 1, "the final record comes before the last command");
        self.seat = None;
        self.over = true;
    }
}

fn leg_of(command: &Command) -> Option<LegId> {
    match command {
        Command::Refuse { leg, .. }
        | Command::Answer { leg }
        | Command::Seat { leg, .. }
        | Command::Play { leg, .. }
        | Command::StopPlay { leg }
        | Command::Whisper { leg, .. }
        | Command::Speak { leg, .. }
        | Command::RecordName { leg, .. }
        | Command::KeepName { leg, .. }
        | Command::Mute { leg, .. }
        | Command::CheckPin { leg, .. }
        | Command::Dial { leg, .. }
        | Command::CancelDial { leg, .. }
        | Command::Hangup { leg, .. }
        | Command::Release { leg } => Some(*leg),
        _ => None,
    }
}
