//! What the bridge wants done, carried out.

use bridge::{Command, HangupCause, LegId, Sound};
use serde::Serialize;

use super::seating::{mixer_leg, to_mixer};
use super::{Control, Door, Now, Output};

impl<D: Door> Control<D> {
    pub(super) fn handle_command(&mut self, now: Now, command: Command) {
        // A usage record names its meeting by the digits that callers key, and no log holds those.
        if !matches!(command, Command::Usage(_)) {
            tracing::trace!(?command, "bridge command");
        }
        match command {
            Command::Refuse { leg, status, reason } => self.refuse(now, leg, status, &reason),
            Command::Answer { leg } => self.answer(now, leg),
            Command::OpenConference { conference, purpose, seats } => {
                if purpose == bridge::Purpose::Meeting {
                    self.meetings.insert(conference, super::Open::default());
                    self.changed.insert(conference);
                }
                let shard = self.load.least(self.seating.counts());
                let sent = self.seating.open(conference, seats, shard);
                self.media_out([sent]);
            }
            Command::CloseConference { conference } => {
                self.withdraw(now, conference);
                let sent = self.seating.close(conference);
                self.media_out(sent);
            }
            Command::Seat { leg, conference } => {
                if self.meetings.contains_key(&conference) {
                    self.changed.insert(conference);
                    self.note_join(now, leg, conference);
                }
                let sent = self.seating.seat(leg, conference);
                self.media_out(sent);
            }
            Command::Play { leg, token, prompts, language } => {
                let clip = mixer::Clip { token, sound: self.prompts.sequence(&prompts, language.as_ref()) };
                let sent = self
                    .seating
                    .tell(leg, mixer::Command::Play { leg: mixer_leg(leg), clip, interrupt: true });
                self.media_out(sent);
            }
            Command::Speak { leg, token, words, language } => {
                let clip = mixer::Clip { token, sound: self.sound_of(&words, language.as_ref()) };
                let sent = self
                    .seating
                    .tell(leg, mixer::Command::Play { leg: mixer_leg(leg), clip, interrupt: true });
                self.media_out(sent);
            }
            Command::Whisper { leg, words, language } => {
                let clip = mixer::Clip { token: 0, sound: self.sound_of(&words, language.as_ref()) };
                let sent = self.seating.tell(leg, mixer::Command::Whisper { leg: mixer_leg(leg), clip });
                self.media_out(sent);
            }
            Command::RecordName { leg, room } => self.record_name(leg, room),
            Command::KeepName { leg, room } => self.keep_name(leg, room),
            Command::StopPlay { leg } => {
                let sent = self.seating.tell(leg, mixer::Command::Stop { leg: mixer_leg(leg) });
                self.media_out(sent);
            }
            Command::PlayAll { conference, sound, except } => {
                let sound = match sound {
                    Sound::Tone(tone) => self.prompts.tone(tone),
                    Sound::Prompts(prompts) => self.prompts.sequence(&prompts, None),
                    Sound::Words(words) => self.sound_of(&words, None),
                };
                if let Some(shard) = self.seating.shard_of(conference) {
                    let clip = mixer::Clip { token: 0, sound };
                    let except = except.map(mixer_leg);
                    self.media_out([(
                        shard,
                        mixer::Command::PlayAll { conference: to_mixer(conference), clip, except },
                    )]);
                }
            }
            Command::Mute { leg, muted } => {
                self.changed.extend(self.legs.get(&leg).and_then(|leg| leg.meeting));
                let sent = self.seating.tell(leg, mixer::Command::Mute { leg: mixer_leg(leg), muted });
                self.media_out(sent);
            }
            Command::SendDigits { leg, keys } => self.send_digits(leg, keys),
            Command::Dial { leg, attempt, candidate } => {
                self.changed.extend(self.callees.get(&leg));
                self.dial(now, leg, attempt, &candidate);
            }
            Command::CancelDial { leg, attempt } => self.cancel_dial(now, leg, attempt),
            Command::DialOutAccepted { request, leg, conference } => {
                self.accept_ask(now, request, leg, conference);
            }
            Command::DialOutRefused { request, why, .. } => self.refuse_ask(now, request, &why),
            Command::CheckPin { leg, token, hash, pin } => {
                self.outputs.push_back(Output::CheckPin { leg, token, hash, pin });
            }
            Command::Acted { request, result } => self.acted(request, result),
            Command::Show { conference } => {
                self.changed.insert(conference);
            }
            Command::Hangup { leg, cause } => self.hang_up(now, leg, cause),
            Command::Release { leg } => self.finish(now, leg, None),
            Command::Budget(notice) => {
                let bridge::BudgetNotice { kind, whose, percent, used, .. } = &notice;
                self.metrics.budget_notices.with_label_values(&[kind.label(), &percent.to_string()]).inc();
                tracing::warn!(
                    budget = kind.label(),
                    whose,
                    percent,
                    used,
                    "a budget for dial-outs is used up to this"
                );
                self.tell_budget(now, &notice);
            }
            Command::Alarm(alarm) => self.raise_alarm(now, &alarm),
            Command::Usage(record) => self.take_record(now, record),
        }
    }

    fn hang_up(&mut self, now: Now, leg: LegId, cause: HangupCause) {
        if let Some(id) = self.legs.get(&leg).and_then(|leg| leg.invite) {
            let reason = reason_header("Q.850", cause.q850(), cause.text());
            let _ = self.endpoint.hangup(now.mono, id, Some(&reason));
        }
        self.finish(now, leg, Some(cause));
    }

    /// A start record is written at once; a final one when the leg's media has come home with its figures.
    fn take_record(&mut self, now: Now, mut record: Box<bridge::Record>) {
        if let Some(end) = record.end.as_mut().filter(|end| end.result == bridge::CallResult::Refused) {
            end.q850 = end.q850.or(Some(sip::q850(end.sip_status)));
        }
        self.count_result(&record);
        self.note_ending(&record);
        if record.kind == bridge::RecordKind::Final {
            self.tell_dial_in(now, &record);
        }
        let has_media = self.legs.get(&record.leg).is_some_and(|entry| entry.media.is_some());
        if record.kind == bridge::RecordKind::Final && has_media {
            self.finals.insert(record.leg, record);
        } else {
            self.write_usage(&record);
        }
    }

    /// Writes the final record of a leg whose media is over.
    pub(super) fn complete_record(&mut self, leg: LegId, media: Option<bridge::MediaFigures>) {
        if let Some(mut record) = self.finals.remove(&leg) {
            record.media = media;
            self.write_usage(&record);
        }
    }

    fn write_usage(&mut self, record: &bridge::Record) {
        let ticket = (record.kind == bridge::RecordKind::Start).then_some(record.leg);
        // A record is made of numbers and strings: there is nothing in it that JSON cannot say.
        let claims = self.claims.get(&record.leg).map(|claims| &**claims);
        let line = serde_json::to_string(&Written { record, claims, config: &self.configuration })
            .expect("a usage record serializes");
        if record.kind == bridge::RecordKind::Final {
            self.claims.remove(&record.leg);
        }
        self.outputs.push_back(Output::Usage { line, ticket });
    }
}

/// A usage record with what the shell knows besides.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    record: &'a bridge::Record,
    claims: Option<&'a trunk::Claims>,
    /// The hash of the configuration in force.
    config: &'a str,
}

/// A `Reason` header value (RFC 3326) whose text cannot break out of its quotes.
pub(super) fn reason_header(protocol: &str, cause: u16, text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| if matches!(c, '"' | '\\') { '\'' } else { c })
        .take(240)
        .collect();
    format!("{protocol};cause={cause};text=\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_reason_cannot_break_out_of_its_quotes() {
        assert_eq!(reason_header("SIP", 403, "a\"\r\nX: y\\"), "SIP;cause=403;text=\"a'X: y'\"");
    }
}
