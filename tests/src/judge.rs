//! What must hold at the end of every scenario.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use crate::calls::PhoneId;
use crate::world::World;

/// Longer than any timer of SIP and of the bridge.
const LONGEST: Duration = Duration::from_secs(200);

impl World {
    /// Everybody who is still on the line hangs up, everything comes to its end, and nothing is left over.
    pub fn close(mut self) {
        for number in 0..self.phones.len() {
            if !self.phones[number].is_over() {
                self.hang_up(PhoneId(number));
            }
        }
        self.until("every leg of the bridge ends", LONGEST, |world| world.control.legs() == 0);
        self.until("the bridge forgets every dialog", LONGEST, |world| world.control.residue().is_empty());
        self.until("every dialog of every peer ends", LONGEST, |world| {
            world.sites.iter().filter_map(|site| site.endpoint.as_ref()).all(|peer| peer.invites() == 0)
        });
        self.seconds(1);
        self.judge();
    }

    /// Checks what must hold when nobody is on the line.
    pub fn judge(&self) {
        assert_eq!(self.control.legs(), 0, "legs");
        assert_eq!(self.control.residue(), [], "what control still remembers");
        assert!(self.bleeding.is_empty(), "media went to addresses that no SDP named: {:?}", self.bleeding);
        assert!(self.sockets.is_empty(), "{} media ports are still open", self.sockets.len());
        for (number, shard) in self.shards.iter().enumerate() {
            assert!(shard.shard.is_empty(), "shard {number} still has legs");
            assert_eq!(shard.shard.conferences().count(), 0, "conferences of shard {number}");
            assert_eq!(shard.waiting(), 0, "commands on the way to shard {number}");
        }
        assert_eq!(self.shown.len(), 0, "meetings that the API still shows: {:?}", self.shown.keys());
        for line in self.metrics.page().lines() {
            let is_gauge = [
                "partyline_calls{",
                "partyline_conferences ",
                "partyline_participants ",
                "partyline_rtp_ports_used ",
            ];
            if is_gauge.iter().any(|name| line.starts_with(name)) {
                assert!(line.ends_with(" 0"), "a gauge that should have come down: {line}");
            }
        }
        for (number, phone) in self.phones.iter().enumerate() {
            assert!(phone.is_over(), "phone {number} is still {:?}", phone.line);
            let faults = if self.net.lost() == 0 && self.net.media == crate::Impairment::NONE {
                phone.ear.faults()
            } else {
                Vec::new()
            };
            assert!(faults.is_empty(), "phone {number} complains: {faults:?}");
        }
        if self.net.sip == crate::Impairment::NONE {
            // Two BYEs may cross; everything else that a peer cannot make sense of is our mistake.
            let crossing = |why: &&String| !why.starts_with("BYE in a dialog that does not exist");
            for site in &self.sites {
                let complaints: Vec<&String> = site.discarded.iter().filter(crossing).collect();
                assert!(complaints.is_empty(), "{} could not read: {complaints:?}", site.name);
            }
        }
        for site in &self.sites {
            assert!(site.complaints.is_empty(), "{} would have refused: {:#?}", site.name, site.complaints);
        }
        self.judge_records();
    }

    /// One start before the answer, interim ones while it is answered, one final for every leg, never two.
    fn judge_records(&self) {
        let mut legs: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        let mut ids = HashSet::new();
        for record in &self.records {
            let text = |key: &str| record[key].as_str().unwrap_or_else(|| panic!("{key} in {record}"));
            assert!(ids.insert(text("record_id")), "a record id twice: {record}");
            legs.entry(text("usage_id")).or_default().push(record);
        }
        for records in legs.values() {
            let kinds: Vec<&str> = records.iter().filter_map(|record| record["kind"].as_str()).collect();
            let last = records.last().expect("a group has a member");
            let between = kinds.iter().skip(1).take_while(|kind| **kind == "interim").count();
            let started = kinds.len() == between + 2 && kinds[0] == "start" && kinds[between + 1] == "final";
            assert!(started || kinds == ["final"], "records of one leg: {kinds:?} {last}");
            assert!(
                started || last["answer_time"].is_null(),
                "an answered leg without a start record: {last}"
            );
            assert!(last["end"].is_object(), "a final record tells the end: {last}");
        }
    }

    /// The final records, in the order in which they were written.
    pub fn finals(&self) -> Vec<&Value> {
        self.records.iter().filter(|record| record["kind"] == "final").collect()
    }
}
