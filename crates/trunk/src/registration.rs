//! Registration (RFC 3261 section 10) at the trunks whose carrier asks for it: when to send REGISTER, where to, and for how long
//! it counts.
//!
//! - A trunk is registered at its best peer; one that does not answer, or answers 408 or 5xx, leads to the next one at once.
//! - It is refreshed when 70 to 80 % of the granted time are over.
//! - When no peer is left, the next attempt comes after a while that grows from 4 s to 5 minutes; after a refusal (401, 403, 404
//!   and their like) it grows from 1 minute to 1 hour, since asking again and again with a wrong password locks accounts.
//!   Retry-After makes it longer, and a peer that comes up again makes it shorter.
//! - A trunk that is disabled or drained takes its Contact back, and so does the bridge before it ends.
//!
//! Drive it: `handle_*` with what happened, then `poll_command` and `poll_event` until empty, then wait for `poll_timeout`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use routing::TrunkId;

use crate::health::PeerKey;
use crate::profile::Profile;

/// The first attempts are spread over this time.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// When to refresh, in percent of the granted time.
const REFRESH_AT: std::ops::RangeInclusive<u32> = 70..=80;
/// The wait after nobody answered: the first and the longest.
const UNREACHABLE: (Duration, Duration) = (Duration::from_secs(4), Duration::from_mins(5));
/// The wait after a refusal.
const REFUSED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// A Retry-After counts up to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Send a REGISTER (see [`crate::shape_register`]) and report its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRegister {
    /// For which trunk.
    pub trunk: TrunkId,
    /// To this peer if it is still there; else to the best one that is not among `tried`. When there is none, report
    /// [`RegisterOutcome::NobodyLeft`].
    pub prefer: Option<PeerKey>,
    /// Those that have failed just now.
    pub tried: Vec<PeerKey>,
    /// For so many seconds; 0 takes the Contact back.
    pub expires: u32,
}

/// How a REGISTER ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// A 2xx.
    Granted {
        /// Whose.
        peer: PeerKey,
        /// For so many seconds.
        expires: u32,
        /// Its Service-Route (RFC 3608).
        routes: Vec<String>,
    },
    /// A final answer that is none.
    Refused {
        /// Whose.
        peer: PeerKey,
        /// The status.
        status: u16,
        /// Retry-After in seconds.
        retry_after: Option<u32>,
        /// The reason phrase, or ours.
        why: String,
    },
    /// Nothing came back, or it could not be sent.
    Unreachable {
        /// From whom.
        peer: PeerKey,
        /// What happened.
        why: String,
    },
    /// There was no peer to send it to.
    NobodyLeft,
}

/// News of a trunk's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// It is registered, and was not before.
    Registered {
        /// Which trunk.
        trunk: TrunkId,
        /// Where.
        peer: PeerKey,
        /// For so many seconds.
        expires: u32,
    },
    /// It is not registered any more.
    Ended {
        /// Which trunk.
        trunk: TrunkId,
        /// Why.
        because: String,
    },
    /// An attempt came to nothing; where it was registered before, it still is until that runs out.
    Failed {
        /// Which trunk.
        trunk: TrunkId,
        /// Why, and what to look at.
        because: String,
        /// When the next one comes.
        again_in: Duration,
    },
}

/// How a trunk's registration is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationShown {
    /// Where it is registered, and for how long still; `None`: it is not.
    pub held: Option<(PeerKey, Duration)>,
    /// Attempts in a row that came to nothing.
    pub failures: u32,
    /// Why the last one did.
    pub because: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Registrations {
    rng: StdRng,
    bindings: BTreeMap<TrunkId, Binding>,
    commands: VecDeque<SendRegister>,
    events: VecDeque<RegistrationChange>,
    leaving: bool,
}

/// One trunk's.
#[derive(Debug)]
struct Binding {
    /// Seconds to ask for.
    expires: u32,
    /// Its profile is still there and asks for it.
    listed: bool,
    enabled: bool,
    draining: bool,
    /// What a registrar holds of ours.
    held: Option<Held>,
    doing: Doing,
    /// Peers that have failed since the last pause.
    tried: Vec<PeerKey>,
    failures: u32,
    because: Option<String>,
    routes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Held {
    peer: PeerKey,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing is wanted and nothing is held.
    Off,
    /// The next REGISTER goes out then. `refused`: because the last one was.
    Waiting { until: Instant, refused: bool },
    /// One is under way.
    Asking { expires: u32 },
}

impl Registrations {
    /// For these profiles; `seed` spreads what would otherwise come at the same moment.
    pub fn new(now: Instant, profiles: &[Profile], seed: u64) -> Self {
        let mut all = Self {
            rng: StdRng::seed_from_u64(seed),
            bindings: BTreeMap::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            leaving: false,
        };
        all.handle_profiles(now, profiles);
        all
    }

    // Getters

    /// How a trunk is registered; `None` where nobody asks for it.
    pub fn shown(&self, now: Instant, trunk: &TrunkId) -> Option<RegistrationShown> {
        let binding = self.bindings.get(trunk)?;
        let held = binding.held.as_ref();
        Some(RegistrationShown {
            held: held.map(|held| (held.peer.clone(), held.until.saturating_duration_since(now))),
            failures: binding.failures,
            because: binding.because.clone(),
        })
    }

    /// What our requests outside of dialogs carry as Route (RFC 3608 section 5).
    pub fn routes(&self, trunk: &TrunkId) -> &[String] {
        self.bindings.get(trunk).filter(|binding| binding.held.is_some()).map_or(&[], |found| &found.routes)
    }

    // World -> engine

    /// Takes the profiles after a change. A trunk that has gone takes its Contact back.
    pub fn handle_profiles(&mut self, now: Instant, profiles: &[Profile]) {
        for (id, binding) in &mut self.bindings {
            let profile = profiles.iter().find(|one| one.id == *id && one.registration.is_some());
            (binding.listed, binding.enabled) =
                (profile.is_some(), profile.is_some_and(|profile| profile.enabled));
        }
        for profile in profiles {
            let Some(registration) = &profile.registration else { continue };
            let fresh = || Binding {
                expires: registration.expires,
                listed: true,
                enabled: profile.enabled,
                draining: false,
                held: None,
                doing: Doing::Off,
                tried: Vec::new(),
                failures: 0,
                because: None,
                routes: Vec::new(),
            };
            let binding = self.bindings.entry(profile.id.clone()).or_insert_with(fresh);
            binding.expires = registration.expires;
            // Its peers may have been found only now.
            if binding.held.is_none()
                && let Doing::Waiting { until, refused: false } = &mut binding.doing
            {
                *until = (*until).min(now + FIRST_WITHIN);
            }
        }
        self.see_to_all(now);
        self.forget();
    }

    /// What a trunk registers, or how it proves that it may, is something else: what is under way counts no more.
    pub fn handle_changed(&mut self, now: Instant, trunk: &TrunkId) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        if let Doing::Asking { .. } = binding.doing {
            binding.tried.clear();
            binding.doing = Doing::Waiting { until: now, refused: false };
        }
        self.see_to(now, trunk);
        self.forget();
    }

    /// How a REGISTER ended.
    pub fn handle_outcome(&mut self, now: Instant, trunk: &TrunkId, outcome: RegisterOutcome) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        let Doing::Asking { expires: asked } = binding.doing else { return };
        match outcome {
            RegisterOutcome::Granted { .. } if asked == 0 => self.took_back(trunk),
            RegisterOutcome::Granted { peer, expires, routes } if expires > 0 => {
                let percent = self.rng.random_range(REFRESH_AT);
                let refresh = Duration::from_secs(expires.into()) * percent / 100;
                binding.doing = Doing::Waiting { until: now + refresh, refused: false };
                binding.tried.clear();
                (binding.failures, binding.because, binding.routes) = (0, None, routes);
                let until = now + Duration::from_secs(expires.into());
                if binding.held.replace(Held { peer: peer.clone(), until }).is_none() {
                    let trunk = trunk.clone();
                    self.events.push_back(RegistrationChange::Registered { trunk, peer, expires });
                }
            }
            _ if asked == 0 => self.took_back(trunk),
            RegisterOutcome::Granted { .. } => {
                self.failed(now, trunk, REFUSED, None, "the registrar has granted 0 seconds".to_owned());
            }
            RegisterOutcome::Unreachable { peer, why } => self.try_next(now, trunk, peer, &why),
            RegisterOutcome::Refused { peer, status, why, .. }
                if status == 408 || (500..600).contains(&status) =>
            {
                self.try_next(now, trunk, peer, &format!("{status} {why}"));
            }
            RegisterOutcome::Refused { peer, status, retry_after, why } => {
                let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
                self.failed(now, trunk, REFUSED, retry_after, format!("{peer}: {status} {why}"));
            }
            RegisterOutcome::NobodyLeft => {
                let because = binding.because.clone();
                let because = because.filter(|_| !binding.tried.is_empty());
                let because = because.unwrap_or_else(|| "no peer of this trunk is known yet".to_owned());
                self.failed(now, trunk, UNREACHABLE, None, because);
            }
        }
        self.see_to(now, trunk);
        self.forget();
    }

    /// A peer of this trunk answers again.
    pub fn handle_peer_up(&mut self, now: Instant, trunk: &TrunkId) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        if binding.failures > 0
            && let Doing::Waiting { until, refused: false } = &mut binding.doing
        {
            *until = (*until).min(now);
        }
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.see_to_all(now);
    }

    // Commands

    /// Drains a trunk, or ends that.
    pub fn set_draining(&mut self, now: Instant, trunk: &TrunkId, draining: bool) {
        if let Some(binding) = self.bindings.get_mut(trunk) {
            binding.draining = draining;
            self.see_to(now, trunk);
        }
    }

    /// The bridge is going to end: everything is taken back, for good.
    pub fn leave(&mut self, now: Instant) {
        self.leaving = true;
        self.see_to_all(now);
    }

    // Engine -> world

    /// The next REGISTER to send.
    pub fn poll_command(&mut self) -> Option<SendRegister> {
        self.commands.pop_front()
    }

    /// What has changed, for the log and the metric.
    pub fn poll_event(&mut self) -> Option<RegistrationChange> {
        self.events.pop_front()
    }

    /// When to call [`Registrations::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = |binding: &Binding| {
            let due = match binding.doing {
                Doing::Waiting { until, .. } => Some(until),
                Doing::Off | Doing::Asking { .. } => None,
            };
            [due, binding.held.as_ref().map(|held| held.until)].into_iter().flatten().min()
        };
        self.bindings.values().filter_map(next).min()
    }

    // Inside

    fn see_to_all(&mut self, now: Instant) {
        let trunks: Vec<TrunkId> = self.bindings.keys().cloned().collect();
        for trunk in &trunks {
            self.see_to(now, trunk);
        }
    }

    /// Trunks that ask for nothing any more, and at which nothing is left to do.
    fn forget(&mut self) {
        self.bindings.retain(|_, binding| binding.listed || binding.doing != Doing::Off);
    }

    /// Brings what is done in line with what is wanted.
    fn see_to(&mut self, now: Instant, trunk: &TrunkId) {
        let leaving = self.leaving;
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        if binding.held.as_ref().is_some_and(|held| held.until <= now) {
            binding.held = None;
            let because =
                binding.because.clone().unwrap_or_else(|| "it was not refreshed in time".to_owned());
            self.events.push_back(RegistrationChange::Ended { trunk: trunk.clone(), because });
        }
        let wanted = binding.enabled && !binding.draining && !leaving;
        match (wanted, binding.doing) {
            (true, Doing::Off) => {
                let spread = self.rng.random_range(0..=FIRST_WITHIN.as_millis() as u64);
                let until = now + Duration::from_millis(spread);
                binding.doing = Doing::Waiting { until, refused: false };
            }
            (true, Doing::Waiting { until, .. }) if until <= now => self.ask(trunk),
            (false, Doing::Waiting { .. }) if binding.held.is_some() => {
                binding.doing = Doing::Asking { expires: 0 };
                let prefer = binding.held.as_ref().map(|held| held.peer.clone());
                let (trunk, tried) = (trunk.clone(), Vec::new());
                self.commands.push_back(SendRegister { trunk, prefer, tried, expires: 0 });
            }
            (false, Doing::Waiting { .. }) => {
                binding.doing = Doing::Off;
                binding.tried.clear();
            }
            _ => {}
        }
    }

    fn ask(&mut self, trunk: &TrunkId) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        let prefer = binding.held.as_ref().map(|held| held.peer.clone());
        let prefer = prefer.filter(|peer| !binding.tried.contains(peer));
        let (expires, tried) = (binding.expires, binding.tried.clone());
        binding.doing = Doing::Asking { expires };
        self.commands.push_back(SendRegister { trunk: trunk.clone(), prefer, tried, expires });
    }

    fn try_next(&mut self, now: Instant, trunk: &TrunkId, peer: PeerKey, why: &str) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        binding.because = Some(format!("{peer}: {why}"));
        binding.tried.push(peer);
        // The next one now; if nobody wants it any more, that is seen to after this.
        binding.doing = Doing::Waiting { until: now, refused: false };
    }

    fn failed(
        &mut self,
        now: Instant,
        trunk: &TrunkId,
        (first, longest): (Duration, Duration),
        retry_after: Option<Duration>,
        because: String,
    ) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        let whole = first.saturating_mul(1 << binding.failures.min(10)).min(longest);
        // RFC 5626 section 4.5: between half of it and all of it, so that many bridges do not come back together.
        let percent = self.rng.random_range(50..=100);
        let least = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let again_in = (whole * percent / 100).max(least);
        binding.failures = binding.failures.saturating_add(1);
        binding.because = Some(because.clone());
        binding.tried.clear();
        binding.doing = Doing::Waiting { until: now + again_in, refused: first == REFUSED.0 };
        self.events.push_back(RegistrationChange::Failed { trunk: trunk.clone(), because, again_in });
    }

    /// Our Contact is taken back, or nobody could be told, and it runs out by itself.
    fn took_back(&mut self, trunk: &TrunkId) {
        let Some(binding) = self.bindings.get_mut(trunk) else { return };
        binding.doing = Doing::Off;
        binding.tried.clear();
        if binding.held.take().is_some() {
            let because = "it was taken back".to_owned();
            self.events.push_back(RegistrationChange::Ended { trunk: trunk.clone(), because });
        }
    }
}

#[cfg(test)]
mod tests;
