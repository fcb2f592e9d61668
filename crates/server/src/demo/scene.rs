//! The play: who calls when, and who talks when.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    caller::{Call, Doorbell, Exchange},
    cast::{
        ALICE, BOB, CAROL, DAVE, ERIN, MEETINGS, MICROSOFT_NUMBER, MICROSOFT_TRUNK, OPERATIONS,
        OPERATOR_NUMBER, OPERATOR_TRUNK, PEOPLE, PLANNING,
    },
    child::Bridge,
    stage::{Clock, Stage},
};

/// So much of the prompt must be heard before a caller begins to key.
const PROMPT: Duration = Duration::from_millis(1500);
/// How long anything may take that the bridge has to do.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two turns.
const PAUSE: Duration = Duration::from_millis(350);
/// Entry tones and announcements are over when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(700);

/// One side of the play: an exchange and the calls that the bridge makes to it.
pub struct Side {
    /// The trunk's name in the bridge's configuration.
    pub trunk: &'static str,
    /// In words.
    pub name: &'static str,
    /// In a word or two.
    pub short: &'static str,
    /// It.
    pub exchange: Exchange,
    /// Calls from the bridge.
    pub bell: Doorbell,
}

/// Everything the play needs.
pub struct Play {
    /// The bridge.
    pub bridge: Bridge,
    /// The operator's SBC.
    pub operator: Side,
    /// The Microsoft gateway.
    pub microsoft: Side,
    /// People and notes.
    pub stage: Stage,
    /// Routing decisions: what was asked, and the answer.
    pub decisions: Vec<(String, serde_json::Value)>,
}

impl Play {
    /// From the first call to the last BYE. An error is something without which the play cannot go on.
    pub async fn perform(&mut self) -> anyhow::Result<()> {
        self.dial_in(&[ALICE, BOB, CAROL], PLANNING).await?;
        self.dial_out(DAVE, PLANNING).await?;
        self.settle(&[ALICE, BOB, CAROL, DAVE]).await;
        for person in [ALICE, BOB, CAROL, DAVE] {
            self.turns(&[(person, false)]).await;
        }
        self.turns(&[ALICE, BOB, CAROL, DAVE].map(|person| (person, true))).await;
        // The second meeting, under the other license; the first one goes on, and neither may hear the other.
        self.hang_up(CAROL).await?;
        self.dial_in(&[CAROL], OPERATIONS).await?;
        self.dial_out(ERIN, OPERATIONS).await?;
        self.settle(&[ALICE, BOB, CAROL, DAVE, ERIN]).await;
        self.turns(&[(CAROL, false), (ALICE, false)]).await;
        self.turns(&[(ERIN, false), (BOB, false)]).await;
        self.turns(&[(CAROL, true), (ERIN, true), (ALICE, true), (DAVE, true)]).await;
        for person in [ALICE, BOB, CAROL, DAVE, ERIN] {
            self.hang_up(person).await?;
        }
        self.explain_dial_in().await
    }

    /// Callers dial, hear the prompt, key the ID and are in the meeting; all at the same time.
    async fn dial_in(&mut self, people: &[usize], meeting: usize) -> anyhow::Result<()> {
        let room = &MEETINGS[meeting];
        let (side, called) = if meeting == PLANNING {
            (&self.operator, OPERATOR_NUMBER)
        } else {
            (&self.microsoft, MICROSOFT_NUMBER)
        };
        let side_name = side.name;
        let before = self.participants(meeting).await?;
        let ways: Vec<_> = people
            .iter()
            .enumerate()
            .map(|(place, &person)| {
                let clock = self.stage.clock;
                let exchange = side.exchange.clone();
                let later = Duration::from_millis(350) * place as u32;
                tokio::spawn(async move {
                    sleep(later).await;
                    way_in(clock, exchange, person, called, side_name, room.id).await
                })
            })
            .collect();
        for way in ways {
            let WayIn { person, call, marks, prompt, sounding } = way.await??;
            let role = &PEOPLE[person];
            self.stage.connect(person, call, format!("{} dials in: {called}", role.display));
            let notes = std::mem::take(&mut self.stage.actors[person].notes);
            self.stage.actors[person].notes = note(notes, role.number, "dials in by", side);
            for (at, word) in marks {
                self.stage.mark_at(person, at, word);
            }
            self.stage.actors[person].greeted = prompt.is_some();
            if let Some((heard, keyed)) = prompt {
                self.stage.aside(person, heard, false, "RTP: the prompt is heard".into());
                self.stage.aside(person, keyed, true, format!("RTP telephone-event: {} #", room.id));
            }
            let found = json!({ "seconds_of_prompt": sounding.as_secs_f32() });
            self.stage.check(format!("{} hears the prompt", role.name), prompt.is_some(), found);
            ensure!(prompt.is_some(), "{} heard no prompt within {} s", role.name, PATIENCE.as_secs());
        }
        let joined = self.until_participants(meeting, before + people.len()).await;
        for &person in people {
            let name = PEOPLE[person].name;
            self.stage.check(
                format!("{name} is let into {}", room.name),
                joined.is_ok(),
                json!({ "keyed": room.id }),
            );
            self.stage.enter(person, meeting);
            self.stage.mark_at(person, Instant::now(), "in");
            self.stage.clock.tell(&format!("{name} is in the meeting \"{}\"", room.name));
        }
        joined.context("the conference ID was keyed and not everybody was let in")
    }

    /// The meeting dials somebody out; the organizer's license decides through which trunk.
    async fn dial_out(&mut self, person: usize, meeting: usize) -> anyhow::Result<()> {
        let (role, room) = (&PEOPLE[person], &MEETINGS[meeting]);
        let (wanted, shown) = if meeting == PLANNING {
            (OPERATOR_TRUNK, OPERATOR_NUMBER)
        } else {
            (MICROSOFT_TRUNK, MICROSOFT_NUMBER)
        };
        let before = self.participants(meeting).await?;
        self.stage.clock.tell(&format!(
            "\"{}\" dials {} out to {}; {}'s license: {}",
            room.name, role.name, role.number, room.organizer, room.license
        ));
        let path = format!("/v1/conferences/{}/dial-out", room.id);
        let body = json!({ "number": role.number }).to_string();
        let (status, answer) = self.bridge.api("POST", &path, Some(&body)).await?;
        let decision = answer.get("decision").cloned().unwrap_or_default();
        let asked = format!("dial-out of {} to {} ({})", room.organizer, role.number, room.license);
        self.tell_decision(&asked, &decision);
        self.decisions.push((asked, decision));
        self.stage.check(
            format!("the API accepts the dial-out to {}", role.name),
            status == 202,
            json!({ "status": status, "answer": answer }),
        );
        ensure!(status == 202, "the bridge answered {status} to POST {path}: {answer}");
        let (ringing, side) = tokio::select! {
            ringing = self.operator.bell.ring() => (ringing, &self.operator),
            ringing = self.microsoft.bell.ring() => (ringing, &self.microsoft),
            () = sleep(PATIENCE) => bail!("no INVITE for {} came within {} s", role.name, PATIENCE.as_secs()),
        };
        let ringing = ringing.context("the exchange has closed")?;
        let (called, caller) = (ringing.called(), ringing.caller());
        self.stage.clock.tell(&format!(
            "{}'s telephone rings: the INVITE came to {}, from {caller}",
            role.name, side.name
        ));
        let found = json!({ "trunk": side.trunk, "expected": wanted, "called": called, "caller_id": caller });
        self.stage.check(
            format!("the call to {} takes the trunk {wanted} and shows {shown}", role.name),
            side.trunk == wanted && called == role.number && caller == shown,
            found,
        );
        self.stage.mark_at(person, Instant::now(), "rings");
        ringing.alert();
        sleep(PAUSE).await;
        let call = ringing.answer().await.with_context(|| format!("{} answers", role.name))?;
        self.stage.clock.tell(&format!("{} answers, {:?}-law", role.name, call.law()));
        self.stage.connect(person, call, format!("{} is dialed out by \"{}\"", role.display, room.name));
        self.stage.actors[person].notes = note(Vec::new(), role.number, "dialed out by", side);
        let joined = self.until_participants(meeting, before + 1).await;
        self.stage.check(format!("{} is brought into {}", role.name, room.name), joined.is_ok(), json!({}));
        joined.with_context(|| format!("{} answered and was not brought into the meeting", role.name))?;
        self.stage.enter(person, meeting);
        self.stage.mark_at(person, Instant::now(), "in");
        Ok(())
    }

    /// Some people talk at once, one turn each; `true` takes their second text.
    async fn turns(&mut self, talkers: &[(usize, bool)]) {
        let names: Vec<&str> = talkers.iter().map(|(person, _)| PEOPLE[*person].name).collect();
        let verb = if names.len() == 1 { "talks" } else { "talk at the same time" };
        self.stage.clock.tell(&format!("{} {verb}", names.join(", ")));
        let words: Vec<_> = talkers
            .iter()
            .map(|(person, second)| {
                let voice = &self.stage.actors[*person].voice;
                (*person, (if *second { &voice.together } else { &voice.alone }).clone())
            })
            .collect();
        self.stage.talk(&words).await;
        sleep(PAUSE).await;
    }

    /// Waits until nobody hears a tone or an announcement any more.
    async fn settle(&mut self, people: &[usize]) {
        for &person in people {
            let Ok(call) = self.call(person) else { continue };
            let quiet = call.media().falls_quiet(QUIET, PATIENCE).await;
            self.stage.check(format!("it gets quiet around {}", PEOPLE[person].name), quiet, json!({}));
        }
    }

    async fn hang_up(&mut self, person: usize) -> anyhow::Result<()> {
        let name = PEOPLE[person].name;
        let call = self.stage.actors[person].call.take().with_context(|| format!("{name} is in no call"))?;
        self.stage.mark_at(person, Instant::now(), "BYE");
        let tape = call.hang_up().await.with_context(|| format!("{name} hangs up"))?;
        self.stage.leave(person, tape);
        self.stage.clock.tell(&format!("{name} hangs up"));
        Ok(())
    }

    /// What the same program says about the dial-in legs, and about one that would not be let in.
    async fn explain_dial_in(&mut self) -> anyhow::Result<()> {
        let questions = [
            (OPERATOR_NUMBER, OPERATOR_TRUNK, PLANNING, true),
            (MICROSOFT_NUMBER, MICROSOFT_TRUNK, OPERATIONS, true),
            (MICROSOFT_NUMBER, MICROSOFT_TRUNK, PLANNING, false),
        ];
        for (called, trunk, meeting, admitted) in questions {
            let organizer = MEETINGS[meeting].organizer;
            let arguments = ["dial-in", "--called", called, "--trunk", trunk, "--organizer", organizer];
            let decision = self.bridge.explain(&arguments).await?;
            let asked =
                format!("dial-in on {called} to a meeting of {organizer} ({})", MEETINGS[meeting].license);
            let found = decision.pointer("/outcome/admit").is_some();
            let verb = if admitted { "is" } else { "is not" };
            self.stage.check(format!("{asked} {verb} admitted"), found == admitted, decision.clone());
            self.decisions.push((asked, decision));
        }
        Ok(())
    }

    fn tell_decision(&self, asked: &str, decision: &serde_json::Value) {
        self.stage.clock.tell(&format!("routing: {asked}"));
        for line in because(decision) {
            self.stage.clock.tell(&format!("         {line}"));
        }
    }

    fn call(&self, person: usize) -> anyhow::Result<&Call> {
        self.stage.actors[person]
            .call
            .as_ref()
            .with_context(|| format!("{} is in no call", PEOPLE[person].name))
    }

    async fn participants(&self, meeting: usize) -> anyhow::Result<usize> {
        let path = format!("/v1/conferences/{}", MEETINGS[meeting].id);
        let (status, conference) = self.bridge.api("GET", &path, None).await?;
        match status {
            200 => Ok(conference["participants"].as_array().map_or(0, Vec::len)),
            404 => Ok(0),
            _ => bail!("the bridge answered {status} to GET {path}"),
        }
    }

    async fn until_participants(&self, meeting: usize, wanted: usize) -> anyhow::Result<()> {
        let enough = async {
            loop {
                if self.participants(meeting).await? >= wanted {
                    return Ok(());
                }
                sleep(Duration::from_millis(60)).await;
            }
        };
        let since = Instant::now();
        timeout(PATIENCE, enough).await.unwrap_or_else(|_| {
            bail!("the roster did not reach {wanted} within {} s", since.elapsed().as_secs())
        })
    }
}

/// A caller's way to the meeting's door.
struct WayIn {
    person: usize,
    call: Call,
    marks: Vec<(Instant, &'static str)>,
    /// When the prompt had been heard and when the ID had been keyed; `None` when there was no prompt.
    prompt: Option<(Instant, Instant)>,
    sounding: Duration,
}

async fn way_in(
    clock: Clock,
    exchange: Exchange,
    person: usize,
    called: &str,
    side: &str,
    id: &str,
) -> anyhow::Result<WayIn> {
    let role = &PEOPLE[person];
    let mut marks = vec![(Instant::now(), "dials")];
    clock.tell(&format!("{} dials {called} through {side} ({})", role.name, exchange.address().ip()));
    let call = exchange
        .dial(role.number, role.display, called)
        .await
        .with_context(|| format!("{} calls", role.name))?;
    let setup = call.answered() - call.dialed();
    clock.tell(&format!("{} is answered after {} ms, {:?}-law", role.name, setup.as_millis(), call.law()));
    let heard = call.media().hears(PROMPT, PATIENCE).await;
    let sounding = call.media().meter().sounding;
    if !heard {
        return Ok(WayIn { person, call, marks, prompt: None, sounding });
    }
    let now = Instant::now();
    marks.push((now, "keys the ID"));
    clock.tell(&format!(
        "{} hears the prompt ({:.1} s of it) and keys {id}#",
        role.name,
        sounding.as_secs_f32()
    ));
    call.media().key(&format!("{id}#")).await;
    Ok(WayIn { person, call, marks, prompt: Some((now, Instant::now())), sounding })
}

/// The reasons of a decision, one line each.
pub fn because(decision: &serde_json::Value) -> Vec<String> {
    let steps = decision["because"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    steps.iter().map(|step| format!("{}: {}", text(&step["rule"]), text(&step["text"]))).collect()
}

/// A person's notes in the pictures: the number once, then each way in.
fn note(mut notes: Vec<String>, number: &str, way: &str, side: &Side) -> Vec<String> {
    if notes.is_empty() {
        notes.push(number.to_owned());
    }
    notes.push(format!("{way} {}", side.short));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_of_a_decision_are_lines_and_a_decision_without_reasons_has_none() {
        let decision = json!({ "because": [{ "rule": "O4", "text": "route \"x\" matches" }, { "rule": "O7", "text": "no" }] });
        assert_eq!(because(&decision), ["O4: route \"x\" matches", "O7: no"]);
        assert!(because(&serde_json::Value::Null).is_empty());
    }
}
