//! What an engineer asks the running bridge: how it is doing, how the trunks are, and to drain one.

use bridge::Stamp;
use routing::{LegDirection, TrunkId};
use serde_json::{Value, json};
use trunk::{Kind, PeerKey, Profile, State};

use super::{Control, Door, Now};

impl<D: Door> Control<D> {
    pub(super) fn show_status(&mut self, number: u64) {
        let calls = |direction| self.legs.values().filter(|leg| leg.direction == direction).count();
        let (used, max, _) = self.door.ports();
        let seated = self.legs.values().filter(|leg| leg.meeting.is_some()).count();
        let state = |wanted: State| self.monitor.states().filter(|(_, state)| *state == wanted).count();
        let body = json!({
            "draining": self.draining,
            "calls": { "in": calls(LegDirection::DialIn), "out": calls(LegDirection::DialOut) },
            "conferences": self.meetings.len(),
            "participants": seated,
            "recordings": self.recordings.len(),
            "rtp_ports": { "used": used, "max": max },
            "sip_transactions": self.endpoint.transactions(),
            "trunks": {
                "up": state(State::Up),
                "suspect": state(State::Suspect),
                "down": state(State::Down),
                "draining": state(State::Draining),
            },
        });
        self.reply(number, 200, body);
    }

    pub(super) fn show_trunks(&mut self, now: Now, number: u64) {
        let shown: Vec<Value> =
            self.trunks.profiles().iter().map(|profile| self.trunk_shown(now, profile)).collect();
        self.reply(number, 200, json!({ "trunks": shown }));
    }

    pub(super) fn show_trunk(&mut self, now: Now, number: u64, name: &str) {
        match self.trunks.get(&TrunkId::new(name)).map(|profile| self.trunk_shown(now, profile)) {
            Some(shown) => self.reply(number, 200, shown),
            None => self.no_such_trunk(number, name),
        }
    }

    pub(super) fn drain_trunk(&mut self, now: Now, number: u64, name: &str, draining: bool) {
        let id = TrunkId::new(name);
        let Some(profile) = self.trunks.get(&id) else { return self.no_such_trunk(number, name) };
        if !draining && !profile.enabled {
            let detail = format!("trunk {name} has enabled = false in the configuration: change it there");
            return self.reply(number, 409, json!({ "detail": detail }));
        }
        tracing::info!(trunk = %id, draining, "an operator drains a trunk, or ends that");
        self.monitor.set_draining(&id, draining);
        self.admission.set_draining(&id, draining);
        self.registrations.set_draining(now.mono, &id, draining);
        self.show_trunk(now, number, name);
    }

    fn no_such_trunk(&mut self, number: u64, name: &str) {
        let known: Vec<&str> = self.trunks.profiles().iter().map(|profile| profile.id.as_str()).collect();
        let detail = format!("no [[trunk]] is called {name:?}; there are: {}", known.join(", "));
        self.reply(number, 404, json!({ "detail": detail }));
    }

    fn trunk_shown(&self, now: Now, profile: &Profile) -> Value {
        let peers = profile.peers.iter().map(|peer| {
            let key = PeerKey::of(profile, peer);
            let last = self.pinged.get(&key).map(|pinged| {
                json!({
                    "at": Stamp(pinged.at),
                    "status": pinged.outcome.as_ref().ok(),
                    "failure": pinged.outcome.as_ref().err(),
                    "rtt_ms": (pinged.rtt.as_secs_f64() * 10_000.0).round() / 10.0,
                })
            });
            json!({
                "address": peer.address,
                "transport": peer.transport.as_str(),
                "host": peer.host.as_ref().map(ToString::to_string),
                "state": word(self.monitor.peer_state(&key)),
                "last_options": last,
            })
        });
        json!({
            "name": profile.id,
            "kind": match profile.kind { Kind::Operator => "operator", Kind::Microsoft => "microsoft" },
            "provider": profile.provider.to_string(),
            "enabled": profile.enabled,
            "state": word(self.monitor.state(&profile.id)),
            "channels": self.admission.in_use(&profile.id),
            "max_concurrent_sessions": profile.max_concurrent_sessions,
            "calls_per_second": profile.calls_per_second,
            "sends_options": profile.options.send,
            "registration": self.registration_shown(now, profile),
            "peers": peers.collect::<Vec<_>>(),
            "sources": profile.sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Suspect => "suspect",
        State::Down => "down",
        State::Draining => "draining",
    }
}
