//! What it all comes to: the table "who heard whom", the machine-readable verdict, and the one bit of the exit code.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    evidence::{Evidence, Finding},
    recording::Tally,
    stage::Check,
};

/// Everything a verdict rests on.
pub struct Verdict<'a> {
    /// The recordings.
    pub evidence: &'a Evidence,
    /// What they prove.
    pub findings: &'a [Finding],
    /// What else was checked.
    pub checks: &'a [Check],
    /// Routing decisions: what was asked, and the answer.
    pub decisions: &'a [(String, Value)],
    /// What came over each person's sockets.
    pub tallies: &'a [(usize, Tally, u64)],
    /// How long it all took.
    pub seconds: f32,
}

impl Verdict<'_> {
    /// Everyone heard exactly the others, nobody himself, and nothing else went wrong.
    pub fn passes(&self) -> bool {
        !self.findings.is_empty()
            && self.findings.iter().all(Finding::is_right)
            && self.checks.iter().all(|check| check.pass)
    }

    /// For programs: every check with its numbers.
    pub fn to_json(&self) -> Value {
        let name = |person: usize| self.evidence.people[person].name.clone();
        let hearing: Vec<Value> = self.findings.iter().map(|finding| self.hearing(finding)).collect();
        let routing: Vec<Value> = self
            .decisions
            .iter()
            .map(|(asked, decision)| json!({ "asked": asked, "decision": decision }))
            .collect();
        let rtp: Vec<Value> = self
            .tallies
            .iter()
            .map(|(person, tally, strangers)| json!({ "person": name(*person), "received": tally, "strangers": strangers }))
            .collect();
        json!({
            "verdict": if self.passes() { "pass" } else { "fail" },
            "measured": "from the RTP received at the callers' own sockets, in a process that is not the bridge",
            "seconds": self.seconds,
            "hearing": hearing,
            "checks": self.checks,
            "routing": routing,
            "rtp": rtp,
        })
    }

    fn hearing(&self, finding: &Finding) -> Value {
        let slot = &self.evidence.slots[finding.slot];
        let name = |person: &usize| self.evidence.people[*person].name.clone();
        let voices: serde_json::Map<String, Value> = finding
            .ear
            .voices
            .iter()
            .enumerate()
            .filter(|(_, heard)| heard.windows > 0)
            .map(|(voice, heard)| {
                let level = heard.level_db();
                let numbers = json!({
                    "coefficient": heard.gain, "level_db": level, "share_of_windows": heard.share,
                    "windows": heard.windows, "delay_ms": heard.delay_ms,
                });
                (name(&voice), numbers)
            })
            .collect();
        json!({
            "check": format!("{} hears exactly the others while \"{}\" in {}",
                name(&finding.listener), slot.label, self.evidence.rooms[slot.room].name),
            "pass": finding.is_right(),
            "room": self.evidence.rooms[slot.room].name,
            "slot": slot.label,
            "from_seconds": Evidence::seconds(slot.from),
            "to_seconds": Evidence::seconds(slot.to),
            "listener": name(&finding.listener),
            "wanted": finding.wanted.iter().map(name).collect::<Vec<_>>(),
            "voices": voices,
            "level_dbfs": finding.ear.level_dbfs,
            "rest_dbfs": finding.ear.rest_dbfs,
            "faults": finding.faults,
        })
    }

    /// For people: one table for each meeting.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (room, name) in self.evidence.rooms.iter().enumerate() {
            let in_room: Vec<&Finding> = self
                .findings
                .iter()
                .filter(|finding| self.evidence.slots[finding.slot].room == room)
                .collect();
            let members: Vec<usize> = (0..self.evidence.people.len())
                .filter(|person| in_room.iter().any(|finding| finding.listener == *person))
                .collect();
            if members.is_empty() {
                continue;
            }
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\nWHO HEARD WHOM in \"{}\"", name.name);
            self.write_room(&mut text, &in_room, &members);
        }
        let _ = writeln!(
            text,
            "\n  alone/together: 1.00 is as loud as it was said, 0.00 is not there, - did not happen. Measured from the RTP at each\n  \
             caller's own socket: whitened cross-correlation for the delay, least squares over all voices for the coefficient."
        );
        let mut faulty: Vec<&Finding> = self.findings.iter().filter(|finding| !finding.is_right()).collect();
        faulty.sort_by_key(|finding| self.evidence.slots[finding.slot].from);
        for finding in faulty {
            let at = Evidence::seconds(self.evidence.slots[finding.slot].from);
            for fault in &finding.faults {
                let _ = writeln!(text, "  FAULT at {:02}:{:04.1}: {fault}", (at / 60.0) as u32, at % 60.0);
            }
        }
        for check in self.checks.iter().filter(|check| !check.pass) {
            let _ = writeln!(text, "  FAILED: {}", check.check);
        }
        text
    }

    fn write_room(&self, text: &mut String, in_room: &[&Finding], members: &[usize]) {
        let names = |person: &usize| self.evidence.people[*person].name.as_str();
        let heads: Vec<String> = members.iter().map(|voice| format!("{:>12}", names(voice))).collect();
        let heads = heads.concat();
        let _ = writeln!(text, "  {:<10}{heads}   mouth to ear   what else", "listener");
        for listener in members {
            let own: Vec<&&Finding> =
                in_room.iter().filter(|finding| finding.listener == *listener).collect();
            let cell = |voice: &usize| format!("{:>12}", self.cell(&own, *voice, listener == voice));
            let cells = members.iter().map(cell).collect::<Vec<_>>().concat();
            let delays: Vec<f32> = own
                .iter()
                .flat_map(|finding| finding.ear.voices.iter().filter_map(|heard| heard.delay_ms))
                .collect();
            let delay = delays.iter().copied().reduce(f32::max).map_or("-".into(), |longest| {
                format!("{:.0}-{longest:.0} ms", delays.iter().copied().fold(longest, f32::min))
            });
            let rest = own.iter().map(|finding| finding.ear.rest_dbfs).fold(f32::MIN, f32::max);
            let verdict = if own.iter().all(|finding| finding.is_right()) { "ok" } else { "WRONG" };
            let _ = writeln!(
                text,
                "  {:<10}{cells}   {delay:>12}   {rest:>4.0} dBFS  {verdict}",
                names(listener)
            );
        }
    }

    /// The coefficient of one voice alone and in the mix, with a mark when it is not what it should be.
    fn cell(&self, own: &[&&Finding], voice: usize, is_self: bool) -> String {
        let mut alone = None;
        let mut together = None;
        let mut right = true;
        for finding in own {
            let heard = &finding.ear.voices[voice];
            let talkers = &self.evidence.slots[finding.slot].talkers;
            if !talkers.contains(&voice) {
                continue;
            }
            right &= if is_self { heard.is_absent() } else { heard.is_there() };
            let place = if talkers.len() == 1 { &mut alone } else { &mut together };
            // Of several, the one that is worse.
            let worse = |old: f32| if (old.abs() > heard.gain.abs()) == is_self { old } else { heard.gain };
            *place = Some(place.map_or(heard.gain, worse));
        }
        let number = |gain: Option<f32>| gain.map_or("-".to_owned(), |gain| format!("{:.2}", gain.abs()));
        format!("{}{}/{}", if right { "" } else { "!" }, number(alone), number(together))
    }
}

/// What the usage records should say about the legs of the play: one start and one final record each, carried and billed as the
/// licenses want it.
pub fn check_usage(records: &str, legs: &[(&str, &str)]) -> Vec<Check> {
    let records: Vec<Value> = records.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_kind = |kind: &str| records.iter().filter(|record| record["kind"] == kind).collect::<Vec<_>>();
    let (starts, finals) = (of_kind("start"), of_kind("final"));
    let paired = starts.iter().all(|start| finals.iter().any(|end| end["usage_id"] == start["usage_id"]));
    let mut checks = vec![Check {
        check: format!("the usage records are {} starts, each with its final", legs.len()),
        pass: starts.len() == legs.len() && finals.len() == legs.len() && paired,
        found: json!({ "starts": starts.len(), "finals": finals.len(), "paired": paired }),
    }];
    for (number, trunk) in legs {
        let leg = finals.iter().find(|record| {
            let party =
                if record["call_type"] == "conf_in" { &record["caller"] } else { &record["destination"] };
            party == number && record["trunk"] == *trunk
        });
        let found = leg.map_or(
            Value::Null,
            |leg| json!({ "trunk": leg["trunk"], "biller": leg["biller"], "end": leg["end"] }),
        );
        let billed = found["biller"].to_string().contains(trunk);
        let answered = found["end"]["result"] == "answered";
        let check = format!("the leg of {number} was answered, carried and billed by {trunk}");
        checks.push(Check { check, pass: billed && answered, found });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::meeting;
    use super::*;

    fn with_verdict(echo: f32, checks: &[Check], test: impl Fn(&Verdict<'_>)) {
        let evidence = meeting(echo);
        let findings = evidence.examine();
        let verdict = Verdict {
            evidence: &evidence,
            findings: &findings,
            checks,
            decisions: &[],
            tallies: &[],
            seconds: 1.0,
        };
        test(&verdict);
    }

    #[test]
    fn a_good_meeting_passes_and_its_table_has_a_row_for_everyone() {
        with_verdict(0.0, &[], |verdict| {
            assert!(verdict.passes());
            let table = verdict.table();
            assert!(table.contains("planning") && !table.contains("operations"), "{table}");
            assert_eq!(table.matches("  ok\n").count(), 3, "{table}");
            assert!(table.contains("1.00/1.00") && table.contains("0.00/0.00"), "{table}");
            let json = verdict.to_json();
            assert_eq!(json["verdict"], "pass");
            assert_eq!(json["hearing"].as_array().unwrap().len(), 12);
        });
    }

    #[test]
    fn an_echo_fails_and_is_named() {
        with_verdict(1.0, &[], |verdict| {
            assert!(!verdict.passes());
            let table = verdict.table();
            assert!(
                table.contains(": alice heard their own voice") && table.contains("FAULT at 00:"),
                "{table}"
            );
            assert!(table.contains("!1.00/1.00") && table.contains("WRONG"), "{table}");
            assert_eq!(verdict.to_json()["verdict"], "fail");
        });
    }

    #[test]
    fn one_failed_check_is_enough_to_fail_and_no_hearing_at_all_too() {
        let check = Check { check: "it rains".into(), pass: false, found: json!({}) };
        with_verdict(0.0, &[check], |verdict| {
            assert!(!verdict.passes());
            assert!(verdict.table().contains("FAILED: it rains"));
            assert!(!Verdict { findings: &[], checks: &[], ..*verdict }.passes());
        });
    }

    #[test]
    fn usage_records_are_counted_paired_and_read() {
        let records = [
            r#"{"kind":"start","usage_id":"a"}"#,
            r#"{"kind":"final","usage_id":"a","call_type":"conf_out","destination":"+49","trunk":"t","biller":"operator:t","end":{"result":"answered"}}"#,
        ]
        .join("\n");
        assert!(check_usage(&records, &[("+49", "t")]).iter().all(|check| check.pass));
        assert!(!check_usage(&records, &[("+49", "other")])[1].pass);
        assert!(!check_usage(records.lines().next().unwrap(), &[("+49", "t")])[0].pass);
    }
}
