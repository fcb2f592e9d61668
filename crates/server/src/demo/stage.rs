//! What the demo keeps while it plays: the clock, the people with their calls, and what happened to them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    caller::Call,
    cast::{MEETINGS, PEOPLE},
    evidence::{Evidence, Person, Room, Slot},
    greeting::recognize,
    listening::RATE,
    media::Tape,
    recording::Tally,
    voices::Voice,
};

/// A check that is not about sound: what, whether it held, and the numbers.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// What was expected, as a sentence.
    pub check: String,
    /// Whether it was so.
    pub pass: bool,
    /// What was found.
    pub found: serde_json::Value,
}

/// One person on the stage.
pub struct Actor {
    /// What he says.
    pub voice: Voice,
    /// The call he is in.
    pub call: Option<Call>,
    /// How he comes in, for the pictures.
    pub notes: Vec<String>,
    /// Whether the call he is in began with the bridge's greeting.
    pub greeted: bool,
    tapes: Vec<Kept>,
    room: Option<(usize, Duration)>,
    stays: Vec<(f32, f32, usize)>,
    marks: Vec<(f32, String)>,
}

/// What is left of a call.
struct Kept {
    began: Duration,
    tape: Tape,
    greeted: bool,
}

/// A call's place in the ladder.
#[derive(Clone, Debug)]
pub struct CallNote {
    /// The SIP Call-ID.
    pub call_id: String,
    /// Index of the person.
    pub person: usize,
    /// Headline of its block.
    pub title: String,
    /// What else passed: when, whether towards the bridge, and in words.
    pub asides: Vec<(Instant, bool, String)>,
}

/// Time zero of all recordings, and the lines that are told since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Time zero.
    pub epoch: Instant,
}

impl Clock {
    /// One line for one happening.
    pub fn tell(self, text: &str) {
        let now = self.epoch.elapsed().as_secs_f32();
        say!("{:02}:{:04.1}  {text}", now as u32 / 60, now % 60.0);
    }

    fn seconds(self, at: Instant) -> f32 {
        at.saturating_duration_since(self.epoch).as_secs_f32()
    }
}

/// Everything that changes during the play.
pub struct Stage {
    /// Time zero.
    pub clock: Clock,
    /// The people, in the order of [`PEOPLE`].
    pub actors: Vec<Actor>,
    /// Checks made on the way.
    pub checks: Vec<Check>,
    /// The calls, as they came about.
    pub calls: Vec<CallNote>,
    slots: Vec<Slot>,
}

impl Stage {
    /// An empty stage; the clock starts now.
    pub fn new(voices: Vec<Voice>) -> Self {
        let actor = |voice| Actor {
            voice,
            call: None,
            notes: Vec::new(),
            greeted: false,
            tapes: Vec::new(),
            room: None,
            stays: Vec::new(),
            marks: Vec::new(),
        };
        Self {
            clock: Clock { epoch: Instant::now() },
            actors: voices.into_iter().map(actor).collect(),
            checks: Vec::new(),
            calls: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Notes a check and tells it when it failed.
    pub fn check(&mut self, check: impl Into<String>, pass: bool, found: serde_json::Value) {
        let check = check.into();
        if !pass {
            self.clock.tell(&format!("FAILED: {check} ({found})"));
        }
        self.checks.push(Check { check, pass, found });
    }

    /// A word under a person's lane.
    pub fn mark_at(&mut self, person: usize, at: Instant, word: &str) {
        let at = self.clock.seconds(at);
        self.actors[person].marks.push((at, word.into()));
    }

    /// A person's call is answered.
    pub fn connect(&mut self, person: usize, call: Call, title: String) {
        self.calls.push(CallNote { call_id: call.call_id().to_owned(), person, title, asides: Vec::new() });
        self.actors[person].call = Some(call);
    }

    /// Something on a person's current call that is no SIP message.
    pub fn aside(&mut self, person: usize, at: Instant, towards_bridge: bool, text: String) {
        if let Some(note) = self.calls.iter_mut().rev().find(|note| note.person == person) {
            note.asides.push((at, towards_bridge, text));
        }
    }

    /// A person is in a meeting from now on.
    pub fn enter(&mut self, person: usize, room: usize) {
        self.actors[person].room = Some((room, self.clock.epoch.elapsed()));
    }

    /// A person's call is over; what was said and heard is kept.
    pub fn leave(&mut self, person: usize, tape: Tape) {
        let now = self.clock.epoch.elapsed();
        let began = tape.started.saturating_duration_since(self.clock.epoch);
        let actor = &mut self.actors[person];
        let room = actor.room.take();
        actor.stays.extend(room.map(|(room, since)| (since.as_secs_f32(), now.as_secs_f32(), room)));
        let greeted = std::mem::take(&mut actor.greeted);
        actor.tapes.push(Kept { began, tape, greeted });
    }

    /// Who is in a meeting now.
    pub fn present(&self, room: usize) -> Vec<usize> {
        let inside = |person: &usize| self.actors[*person].room.is_some_and(|(here, _)| here == room);
        (0..self.actors.len()).filter(inside).collect()
    }

    /// Lets people talk at once, each of them one turn, and notes one slot for every meeting that somebody talks in.
    pub async fn talk(&mut self, talkers: &[(usize, Arc<[i16]>)]) {
        let from = self.clock.epoch.elapsed();
        let speeches = talkers.iter().filter_map(|(person, words)| {
            let call = self.actors[*person].call.as_ref()?;
            Some(call.media().say(Arc::clone(words)))
        });
        futures_join(speeches).await;
        let to = self.clock.epoch.elapsed();
        for room in 0..MEETINGS.len() {
            let present = self.present(room);
            let talkers: Vec<usize> =
                talkers.iter().map(|(person, _)| *person).filter(|person| present.contains(person)).collect();
            let label = match talkers.as_slice() {
                [] => continue,
                [one] => PEOPLE[*one].name.to_owned(),
                _ => "together".to_owned(),
            };
            self.slots.push(Slot { label, room, from: samples(from), to: samples(to), talkers, present });
        }
    }

    /// What the callers brought home. Calls that are still up are asked for what they have so far.
    pub fn evidence(&mut self) -> Evidence {
        for person in 0..self.actors.len() {
            if let Some(call) = self.actors[person].call.take() {
                let tape = call.media().tape();
                self.leave(person, tape);
            }
        }
        let rooms = MEETINGS.map(|meeting| Room { name: meeting.name.into(), tint: meeting.tint }).into();
        let people = self.actors.iter().zip(PEOPLE).map(|(actor, role)| {
            let mut said = Vec::new();
            let mut heard = Vec::new();
            for Kept { began, tape, .. } in &actor.tapes {
                lay(&mut said, samples(*began), tape.said.iter().map(|sample| f32::from(*sample) / 32768.0));
                lay(&mut heard, 0, tape.heard.track(self.clock.epoch).into_iter());
            }
            Person {
                name: role.name.into(),
                color: role.color,
                notes: actor.notes.clone(),
                said,
                heard,
                stays: actor.stays.clone(),
                marks: actor.marks.clone(),
            }
        });
        Evidence { rooms, people: people.collect(), slots: self.slots.clone() }
    }

    /// Compares what each dial-in caller heard first with the recording that the bridge greets with.
    pub fn check_greetings(&mut self, greeting: &[f32]) {
        let epoch = self.clock.epoch;
        for (actor, role) in self.actors.iter().zip(PEOPLE) {
            for kept in actor.tapes.iter().filter(|kept| kept.greeted) {
                let heard = recognize(&kept.tape.heard.track(epoch), greeting);
                self.checks.push(Check {
                    check: format!("what {} hears first is the bridge's greeting", role.name),
                    pass: heard.is_there(),
                    found: serde_json::to_value(heard).unwrap_or_default(),
                });
            }
        }
    }

    /// What came over each person's sockets, call by call, and how many datagrams came from strangers.
    pub fn tallies(&self) -> Vec<(usize, Tally, u64)> {
        let of = |(person, actor): (usize, &'_ Actor)| -> Vec<(usize, Tally, u64)> {
            actor.tapes.iter().map(|kept| (person, kept.tape.heard.tally(), kept.tape.strangers)).collect()
        };
        self.actors.iter().enumerate().flat_map(of).collect()
    }
}

/// Adds samples to a track from a place on.
fn lay(track: &mut Vec<f32>, from: usize, samples: impl Iterator<Item = f32>) {
    for (index, sample) in samples.enumerate() {
        let at = from + index;
        if track.len() <= at {
            track.resize(at + 1, 0.0);
        }
        track[at] += sample;
    }
}

fn samples(at: Duration) -> usize {
    (at.as_secs_f64() * RATE as f64) as usize
}

/// Runs all to their end, in one task: they only wait.
async fn futures_join(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|waker| {
        running.retain_mut(|future| future.as_mut().poll(waker).is_pending());
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_of_two_calls_lie_where_they_were_and_add_up_where_they_meet() {
        let mut track = Vec::new();
        lay(&mut track, 2, [1.0, 1.0].into_iter());
        lay(&mut track, 3, [0.5, 0.5].into_iter());
        assert_eq!(track, [0.0, 0.0, 1.0, 1.5, 0.5]);
        assert_eq!(samples(Duration::from_millis(1500)), 12_000);
    }

    #[test]
    fn an_empty_stage_has_nobody_in_any_room_and_no_evidence() {
        let silence: Arc<[i16]> = Arc::new([0; 160]);
        let voice = Voice { alone: Arc::clone(&silence), together: silence };
        let mut stage = Stage::new(vec![voice; PEOPLE.len()]);
        assert!(stage.present(0).is_empty());
        let evidence = stage.evidence();
        assert_eq!(evidence.people.len(), PEOPLE.len());
        assert!(evidence.slots.is_empty() && evidence.examine().is_empty());
        stage.check("it rains", false, serde_json::json!({}));
        assert_eq!(stage.checks.len(), 1);
    }
}
