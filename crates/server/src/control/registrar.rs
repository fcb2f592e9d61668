//! Registrations at the trunks that ask for them: REGISTERs out, grants in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use routing::TrunkId;
use serde_json::{Value, json};
use sip::{Failure, FailureKind, OutgoingRegister, Registered, RegistrationId};
use trunk::{PeerKey, Profile, RegisterOutcome, RegistrationChange, SendRegister};

use super::trunks::show_limits;
use super::{Control, Door, Now};
use crate::config::sip_transport as transport;

/// As long as OPTIONS are waited for: four retransmissions of timer E.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// The series of REGISTERs of each trunk, and the peer that the last one went to.
#[derive(Default)]
pub(super) struct Series {
    by_trunk: HashMap<TrunkId, RegistrationId>,
    under_way: HashMap<RegistrationId, PeerKey>,
    /// What trunks said that registered once and do not any more: their Contact is still to be taken back.
    former: HashMap<TrunkId, Profile>,
}

impl<D: Door> Control<D> {
    pub(super) fn send_register(&mut self, now: Now, command: &SendRegister) {
        let trunk = command.trunk.clone();
        let outcome = match self.prepare_register(command) {
            Some(Ok((peer, outgoing))) => {
                let known = self.series.by_trunk.get(&trunk).copied();
                let id = self.endpoint.register(now.mono, known, outgoing);
                self.series.by_trunk.insert(trunk, id);
                self.series.under_way.insert(id, peer);
                return;
            }
            Some(Err((peer, why))) => RegisterOutcome::Unreachable { peer, why },
            None => RegisterOutcome::NobodyLeft,
        };
        self.registrations.handle_outcome(now.mono, &trunk, outcome);
    }

    /// The REGISTER and whom it goes to; `None` when nobody is left.
    fn prepare_register(
        &mut self,
        command: &SendRegister,
    ) -> Option<Result<(PeerKey, OutgoingRegister), (PeerKey, String)>> {
        let trunks = Arc::clone(&self.trunks);
        let former = self.series.former.get(&command.trunk).filter(|_| command.expires == 0);
        let profile = former.cloned().or_else(|| trunks.get(&command.trunk).cloned())?;
        let profile = &profile;
        let order = self.monitor.in_order(profile, &mut self.random);
        let key = |peer: &trunk::Peer| PeerKey::of(profile, peer);
        let preferred = order.iter().find(|peer| command.prefer.as_ref() == Some(&key(peer)));
        let peer = preferred.or_else(|| order.iter().find(|peer| !command.tried.contains(&key(peer))))?;
        let peer_key = key(peer);
        let flow = match self.flow_to(transport(peer.transport), peer.address) {
            Ok(flow) => flow,
            Err(why) => return Some(Err((peer_key, why))),
        };
        let shaped = trunk::shape_register(profile, peer, &self.contact_of(&flow))?;
        let outgoing = OutgoingRegister {
            flow,
            registrar: shaped.registrar,
            address: shaped.address,
            contact: shaped.contact,
            expires: command.expires,
            answer_within: ANSWER_WITHIN,
            credentials: profile.credentials.clone(),
        };
        Some(Ok((peer_key, outgoing)))
    }

    pub(super) fn register_answered(
        &mut self,
        now: Now,
        id: RegistrationId,
        outcome: Result<Registered, Failure>,
    ) {
        let Some(peer) = self.series.under_way.remove(&id) else { return };
        let trunk = peer.trunk.clone();
        let outcome = match outcome {
            Ok(Registered { expires, service_route }) => {
                RegisterOutcome::Granted { peer, expires, routes: service_route }
            }
            Err(Failure { kind: FailureKind::Response, status, reason, retry_after, .. }) => {
                RegisterOutcome::Refused { peer, status, retry_after, why: reason }
            }
            Err(failure) => RegisterOutcome::Unreachable { peer, why: failure.reason },
        };
        self.registrations.handle_outcome(now.mono, &trunk, outcome);
    }

    /// The trunk's credentials or address are others than `before`: what is under way counts no more, and the next REGISTER
    /// begins a series.
    pub(super) fn end_series(&mut self, now: Now, before: Profile) {
        let trunk = &before.id.clone();
        self.series.former.remove(trunk);
        if before.registration.is_some()
            && self.trunks.get(trunk).is_none_or(|after| after.registration.is_none())
        {
            self.series.former.insert(trunk.clone(), before);
        }
        let Some(id) = self.series.by_trunk.remove(trunk) else { return };
        self.endpoint.forget_registration(id);
        if self.series.under_way.remove(&id).is_some() {
            self.registrations.handle_changed(now.mono, trunk);
        }
    }

    pub(super) fn watch_registrations(&mut self) {
        while let Some(change) = self.registrations.poll_event() {
            let registered = &self.metrics.trunk_registered;
            match change {
                RegistrationChange::Registered { trunk, peer, expires } => {
                    registered.with_label_values(&[trunk.as_str()]).set(1);
                    tracing::info!(%trunk, registrar = %peer.address, expires, "registered");
                }
                RegistrationChange::Ended { trunk, because } => {
                    registered.with_label_values(&[trunk.as_str()]).set(0);
                    self.series.former.remove(&trunk);
                    if let Some(profile) = self.trunks.get(&trunk) {
                        show_limits(&self.metrics, profile);
                    }
                    tracing::warn!(%trunk, ?because, "not registered any more");
                }
                RegistrationChange::Failed { trunk, because, again_in } => {
                    let failures = &self.metrics.trunk_registration_failures;
                    failures.with_label_values(&[trunk.as_str()]).inc();
                    tracing::warn!(%trunk, ?because, again_in_seconds = again_in.as_secs(), "registration failed");
                }
            }
        }
    }

    /// For the control socket; null for a trunk that does not register.
    pub(super) fn registration_shown(&self, now: Now, profile: &Profile) -> Value {
        let Some(shown) = self.registrations.shown(now.mono, &profile.id) else { return Value::Null };
        json!({
            "registered": shown.held.is_some(),
            "registrar": shown.held.as_ref().map(|(peer, _)| peer.address),
            "expires_in_seconds": shown.held.as_ref().map(|(_, left)| left.as_secs()),
            "failures": shown.failures,
            "because": shown.because,
        })
    }
}
