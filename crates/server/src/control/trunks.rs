//! The health of the trunks: pings out, answers in, and what live calls prove.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use routing::TrunkId;
use sip::{Failure, FailureKind, OptionsId, OutgoingOptions};
use trunk::{PeerKey, PingOutcome, Profile, SendOptions, State, Trunks};

use super::inspect::word;
use super::{Control, Door, Now};
use crate::config::sip_transport as transport;
use crate::metrics::Metrics;

/// What the metrics say of a trunk whatever happens.
pub(super) fn show_limits(metrics: &Metrics, profile: &Profile) {
    let trunk = profile.id.as_str();
    if profile.registration.is_some() {
        let _ = metrics.trunk_registered.with_label_values(&[trunk]);
        let _ = metrics.trunk_registration_failures.with_label_values(&[trunk]);
    } else {
        // They may never have been there.
        let _ = metrics.trunk_registered.remove_label_values(&[trunk]);
        let _ = metrics.trunk_registration_failures.remove_label_values(&[trunk]);
    }
    match profile.max_concurrent_sessions {
        Some(limit) => metrics.trunk_channels_max.with_label_values(&[trunk]).set(i64::from(limit)),
        // It may never have been there.
        None => drop(metrics.trunk_channels_max.remove_label_values(&[trunk])),
    }
}

/// An OPTIONS under way.
pub(super) struct Ping {
    peer: PeerKey,
    ping: u64,
}

/// How an OPTIONS ended.
pub(super) struct Pinged {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// The answer, or why there was none.
    pub outcome: Result<u16, String>,
    /// From sending to the outcome.
    pub rtt: Duration,
}

impl<D: Door> Control<D> {
    /// The trunks are these from now on. Calls that are up stay as they are; new ones find what is said now.
    pub(super) fn take_trunks(&mut self, now: Now, trunks: Arc<Trunks>) {
        let says = |profile: &Profile| (profile.credentials.clone(), profile.registration.clone());
        let mut changed = Vec::new();
        for profile in trunks.profiles() {
            changed
                .extend(self.trunks.get(&profile.id).filter(|before| says(before) != says(profile)).cloned());
            show_limits(&self.metrics, profile);
        }
        self.monitor.handle_profiles(now.mono, trunks.profiles());
        self.admission.handle_profiles(trunks.profiles());
        self.registrations.handle_profiles(now.mono, trunks.profiles());
        self.bridge.allow_attempts_of(trunks.longest_attempt());
        self.endpoint.set_neighbors(trunks.neighbors());
        self.trunks = trunks;
        for before in changed {
            self.end_series(now, before);
        }
    }

    pub(super) fn send_ping(&mut self, now: Now, command: SendOptions) {
        let SendOptions { peer: key, ping } = command;
        let Some(profile) = self.trunks.get(&key.trunk) else { return };
        let Some(peer) = profile.peers.iter().find(|peer| PeerKey::of(profile, peer) == key) else { return };
        let flow = match self.flow_to(transport(peer.transport), peer.address) {
            Ok(flow) => flow,
            Err(why) => {
                tracing::warn!(trunk = %profile.id, why, "cannot ping");
                self.monitor.handle_options_result(now.mono, &key, ping, PingOutcome::TransportFailed);
                return;
            }
        };
        let shaped = trunk::shape_options(profile, peer, &self.contact_of(&flow));
        let outgoing = OutgoingOptions {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            terms: profile.terms,
        };
        let id = self.endpoint.options(now.mono, outgoing);
        self.pings.insert(id, Ping { peer: key, ping });
    }

    pub(super) fn ping_answered(
        &mut self,
        now: Now,
        id: OptionsId,
        outcome: &Result<u16, Failure>,
        rtt: Duration,
    ) {
        let Some(Ping { peer, ping }) = self.pings.remove(&id) else { return };
        let came = outcome.as_ref().map(|status| *status).map_err(ToString::to_string);
        self.pinged.insert(peer.clone(), Pinged { at: now.wall, outcome: came, rtt });
        let outcome = match outcome {
            Ok(status) => {
                self.metrics.trunk_rtt.with_label_values(&[peer.trunk.as_str()]).observe(rtt.as_secs_f64());
                PingOutcome::Answered(*status)
            }
            Err(failure) if failure.kind == FailureKind::Transport => PingOutcome::TransportFailed,
            Err(_) => PingOutcome::NoAnswer,
        };
        self.monitor.handle_options_result(now.mono, &peer, ping, outcome);
    }

    /// An attempt failed: an answer proves that the peer lives; silence makes the monitor ask at once.
    pub(super) fn note_attempt(&mut self, now: Now, trunk: &TrunkId, peer: SocketAddr, failure: &Failure) {
        match failure.kind {
            FailureKind::Response => self.monitor.handle_live_call(now.mono, trunk, peer),
            FailureKind::NoResponse | FailureKind::Transport => {
                self.monitor.handle_call_unanswered(now.mono, trunk, peer);
            }
            _ => {}
        }
    }

    pub(super) fn watch_trunks(&mut self, now: Now) {
        while let Some(change) = self.monitor.poll_event() {
            let trunk = &change.trunk;
            let up = matches!(self.monitor.state(trunk), State::Up | State::Suspect);
            self.metrics.trunk_up.with_label_values(&[trunk.as_str()]).set(i64::from(up));
            if change.peer.is_some() && change.to == State::Up {
                self.registrations.handle_peer_up(now.mono, trunk);
            }
            let peer = change.peer.as_ref().map(|peer| tracing::field::display(peer.address));
            let state = word(self.monitor.state(trunk));
            self.tell_trunk(now, trunk.as_str(), state, &change.because);
            tracing::info!(%trunk, peer, from = ?change.from, to = ?change.to, because = change.because, "trunk state changed");
        }
    }

    /// The trunks that are Down or drained at this moment.
    pub(super) fn down_trunks(&self) -> Vec<TrunkId> {
        let ids = self.trunks.profiles().iter().map(|profile| &profile.id);
        ids.filter(|trunk| self.monitor.is_down(trunk)).cloned().collect()
    }
}
