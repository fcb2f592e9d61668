//! Recording a meeting: asked for by the API, tapped in the mixer, written by `crate::recording`, told of by the bridge.

use bridge::{ConferenceId, Event, RecordingChange, Stamp};
use mixer::Tap;
use serde_json::json;

use super::seating::to_mixer;
use super::{Control, Door, Now, Output};
use crate::recording::{Format, RING};

/// A recording that is running.
pub(super) struct Recording {
    number: u64,
    pub(super) file: String,
    /// Nothing is tapped for now.
    pub(super) paused: bool,
}

impl<D: Door> Control<D> {
    pub(super) fn start_recording(&mut self, now: Now, ask: u64, conference_id: &str, format: Format) {
        let Some((conference, shard)) = self.shown(conference_id) else { return self.no_such_meeting(ask) };
        if let Some(running) = self.recordings.get(&conference) {
            let detail = format!("it is being recorded as {}: DELETE ends that", running.file);
            return self.refuse_recording(ask, 409, &detail);
        }
        // Neither the digits that callers key nor anything of a peer's is in the name.
        let stamp: String = Stamp(now.wall).to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        // The number tells two of the same millisecond apart, the stamp two of the same number: it begins anew with us.
        let number = self.next_recording;
        self.next_recording += 1;
        let file = format!("conference-{}-{stamp}-{number}.{}", conference.0, format.extension());
        let (tap, frames) = Tap::new(RING);
        self.outputs.push_back(Output::Record { number, file: file.clone(), format, frames });
        self.media_out([(shard, mixer::Command::Tap { conference: to_mixer(conference), tap })]);
        tracing::info!(%conference, file, "recording asked for");
        let body = json!({ "file": file });
        self.recordings.insert(conference, Recording { number, file, paused: false });
        self.tell_recording(now, conference, RecordingChange::Started);
        self.reply(ask, 201, body);
    }

    /// A pause, or its end. What is so already stays so.
    pub(super) fn pause_recording(&mut self, now: Now, ask: u64, conference_id: &str, paused: bool) {
        let Some((conference, shard)) = self.shown(conference_id) else { return self.no_such_meeting(ask) };
        let Some(running) = self.recordings.get_mut(&conference) else {
            return self.refuse_recording(ask, 409, "it is not being recorded: POST begins that");
        };
        let changed = std::mem::replace(&mut running.paused, paused) != paused;
        if changed {
            self.media_out([(shard, mixer::Command::PauseTap { conference: to_mixer(conference), paused })]);
            let change = if paused { RecordingChange::Paused } else { RecordingChange::Resumed };
            self.tell_recording(now, conference, change);
        }
        self.reply(ask, 200, json!({ "changed": u8::from(changed) }));
    }

    /// Those in the meeting hear it, and whoever looks sees it.
    fn tell_recording(&mut self, now: Now, conference: ConferenceId, change: RecordingChange) {
        self.changed.insert(conference);
        self.tell_bridge(now, Event::Recording { conference, change });
    }

    pub(super) fn stop_recording(&mut self, now: Now, ask: u64, conference_id: &str) {
        let Some((conference, _)) = self.shown(conference_id) else { return self.no_such_meeting(ask) };
        let Some(Recording { file, .. }) = self.recordings.remove(&conference) else {
            return self.refuse_recording(ask, 409, "it is not being recorded");
        };
        self.untap(conference);
        self.tell_recording(now, conference, RecordingChange::Ended);
        self.reply(ask, 200, json!({ "file": file }));
    }

    /// The writer has finished, or given up.
    pub(super) fn recording_ended(&mut self, now: Now, number: u64) {
        let conference =
            self.recordings.iter().find(|(_, running)| running.number == number).map(|(&id, _)| id);
        if let Some(conference) = conference {
            self.recordings.remove(&conference);
            self.untap(conference);
            self.tell_recording(now, conference, RecordingChange::Ended);
        }
    }

    fn untap(&mut self, conference: ConferenceId) {
        if let Some(shard) = self.seating.shard_of(conference) {
            self.media_out([(shard, mixer::Command::Untap { conference: to_mixer(conference) })]);
        }
    }

    /// The meeting that the API shows under this conference ID, and its shard.
    pub(super) fn shown(&self, conference_id: &str) -> Option<(ConferenceId, usize)> {
        let mut open = self.meetings.iter();
        let (&conference, _) = open.find(|(_, open)| open.shown_as.as_deref() == Some(conference_id))?;
        Some((conference, self.seating.shard_of(conference)?))
    }

    pub(super) fn no_such_meeting(&mut self, ask: u64) {
        let detail = "no such conference is running";
        self.reply(ask, 404, json!({ "title": "no such conference", "status": 404, "detail": detail }));
    }

    fn refuse_recording(&mut self, ask: u64, status: u16, detail: &str) {
        self.reply(ask, status, json!({ "title": "recording refused", "status": status, "detail": detail }));
    }
}
