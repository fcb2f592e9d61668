//! REGISTER (RFC 3261 section 10.2): tells a registrar where we are reached under one of its addresses.
//!
//! When to say it again is up to the application; here is one request after the other, each with the next CSeq of its series.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clients::{User, later};
use super::event::{Event, Failure, FailureKind};
use super::flow::Flow;
use super::{Credentials, Endpoint};
use crate::dialog::digest::{Authorizer, Verdict};
use crate::transaction::TimerReason;
use crate::transaction::queue::TimerOwner;
use crate::wire::{HeaderName, Message, Method, NameAddr, Uri};

/// How often a request is sent again with a longer time, after 423.
const MAX_RAISES: u8 = 2;
/// The longest time that a registrar may want: a day.
const LONGEST: u32 = 86_400;
/// Headers of Service-Route that are kept.
const MAX_ROUTES: usize = 8;

/// One series of REGISTERs for one address: the same Call-ID, counted by CSeq (section 10.2). Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(pub u64);

/// A REGISTER to send.
#[derive(Debug, Clone)]
pub struct OutgoingRegister {
    /// The way to the registrar.
    pub flow: Flow,
    /// The Request-URI: the registrar's domain, without a user.
    pub registrar: Uri,
    /// The address that is registered: From and To, without tags.
    pub address: NameAddr,
    /// Where we are reached under it.
    pub contact: NameAddr,
    /// For how many seconds; 0 takes the Contact back.
    pub expires: u32,
    /// How long to wait for a final answer; 64*T1 at most.
    pub answer_within: Duration,
    /// The trunk's credentials, for 401 and 407. Those of the series' first request count.
    pub credentials: Option<Credentials>,
}

/// What a registrar has granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// For how many seconds; 0: we are not registered any more.
    pub expires: u32,
    /// Service-Route (RFC 3608): what our requests outside of dialogs are to carry as Route.
    pub service_route: Vec<String>,
}

/// What is the same in all requests of a series.
#[derive(Debug)]
pub(super) struct Series {
    call_id: String,
    tag: String,
    cseq: u32,
    authorizer: Option<Authorizer>,
}

/// A REGISTER under way.
#[derive(Debug, Clone)]
pub(super) struct Registering {
    id: RegistrationId,
    outgoing: OutgoingRegister,
    challenges: u8,
    raises: u8,
}

impl Endpoint {
    /// Sends REGISTER; one [`Event::RegisterAnswered`] follows in time, or after some challenges. Without `id` it begins a series. Section 10.2
    /// wants no second request of a series before the first is answered: wait for the event.
    pub fn register(
        &mut self,
        now: Instant,
        id: Option<RegistrationId>,
        outgoing: OutgoingRegister,
    ) -> RegistrationId {
        let known = id.filter(|id| self.registrations.contains_key(id));
        let id = known.unwrap_or_else(|| {
            let id = RegistrationId(self.fresh());
            let credentials = outgoing.credentials.clone();
            let series = Series {
                call_id: self.token(),
                tag: self.token(),
                cseq: 0,
                authorizer: credentials.map(|own| Authorizer::new(own, outgoing.flow.remote.ip())),
            };
            self.registrations.insert(id, series);
            id
        });
        self.send_register(now, Registering { id, outgoing, challenges: 0, raises: 0 });
        id
    }

    /// Ends a series. What is under way is not reported any more.
    pub fn forget_registration(&mut self, id: RegistrationId) {
        self.registrations.remove(&id);
    }

    fn send_register(&mut self, now: Instant, registering: Registering) {
        let OutgoingRegister { flow, registrar, address, contact, expires, answer_within, .. } =
            registering.outgoing.clone();
        let (via, cnonce) = (self.new_via(&flow), self.token());
        let Some(series) = self.registrations.get_mut(&registering.id) else { return };
        series.cseq += 1;
        let mut request = Message::request(Method::REGISTER, registrar);
        let headers = request.headers_mut();
        headers.push(HeaderName::Via, via);
        headers.push(HeaderName::MaxForwards, 70);
        headers.push(HeaderName::From, address.clone().without_tag().with_tag(&series.tag));
        headers.push(HeaderName::To, address.without_tag());
        headers.push(HeaderName::CallId, &series.call_id);
        headers.push(HeaderName::CSeq, format!("{} REGISTER", series.cseq));
        headers.push(HeaderName::Contact, contact);
        headers.push(HeaderName::Expires, expires);
        // A proxy on the way may say that it wants to stay there (RFC 3327 section 5.1).
        headers.push(HeaderName::Supported, "path");
        if let Some(authorizer) = &mut series.authorizer {
            authorizer.sign(&mut request, flow.remote.ip(), &self.neighbors, &cnonce);
        }
        if !self.config.user_agent.is_empty() {
            request.headers_mut().push(HeaderName::UserAgent, &self.config.user_agent);
        }
        let handle = self.start_client(now, request, flow, User::Register(Box::new(registering)));
        let until = later(now, answer_within.min(self.config.timers.whole()));
        self.timers.arm(TimerOwner::Client(handle), TimerReason::TimerF, until);
    }

    pub(super) fn register_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let status = response.status().map_or(0, crate::wire::StatusCode::code);
        let Some(client) = self.clients.get(&handle).filter(|_| status >= 200) else { return };
        let User::Register(registering) = &client.user else { return };
        let mut registering = (**registering).clone();
        let Some(series) = self.registrations.get_mut(&registering.id) else { return };
        let mut reason = response.reason().unwrap_or_default().into_owned();
        let again = match status {
            401 | 407 => {
                let challenges = registering.challenges;
                registering.challenges += 1;
                match series.authorizer.as_mut().map(|found| found.consider(response, challenges)) {
                    Some(Verdict::Retry) => true,
                    Some(Verdict::GiveUp(why)) => {
                        why.clone_into(&mut reason);
                        false
                    }
                    None => {
                        "no credentials are configured for this trunk".clone_into(&mut reason);
                        false
                    }
                }
            }
            // Section 10.2.8: too brief for this registrar.
            423 => {
                let asked = registering.outgoing.expires;
                let least = response.headers().get(HeaderName::MinExpires).and_then(seconds);
                let least = least.filter(|least| (asked + 1..=LONGEST).contains(least) && asked > 0);
                registering.raises += 1;
                registering.outgoing.expires = least.unwrap_or(asked);
                least.is_some() && registering.raises <= MAX_RAISES
            }
            _ => false,
        };
        if again {
            return self.send_register(now, registering);
        }
        let id = registering.id;
        if (200..=299).contains(&status) {
            if let Some(authorizer) = &mut series.authorizer {
                authorizer.learn(response);
            }
            let granted = granted(response, &registering.outgoing);
            return self.emit(Event::RegisterAnswered { id, outcome: Ok(granted) });
        }
        let failure = Failure {
            kind: FailureKind::Response,
            status,
            reason,
            retry_after: response.headers().get(HeaderName::RetryAfter).and_then(seconds),
            response: Some(Arc::clone(response)),
        };
        self.emit(Event::RegisterAnswered { id, outcome: Err(failure) });
    }

    pub(super) fn register_failed(&mut self, id: RegistrationId, kind: FailureKind, why: &str) {
        if !self.registrations.contains_key(&id) {
            return;
        }
        let status = if kind == FailureKind::Transport { 503 } else { 408 };
        let failure = Failure { kind, status, reason: why.to_owned(), retry_after: None, response: None };
        self.emit(Event::RegisterAnswered { id, outcome: Err(failure) });
    }
}

impl Registering {
    pub(super) fn id(&self) -> RegistrationId {
        self.id
    }
}

/// Section 10.2.4: the `expires` of our own Contact in the answer, else its Expires, else what we asked for. A registrar that
/// shows our Contact in other words is believed.
fn granted(response: &Message, asked: &OutgoingRegister) -> Registered {
    let contacts = response.contacts().unwrap_or_default();
    let ours = asked.contact.uri();
    let same = |contact: &&NameAddr| {
        let found = contact.uri();
        found.user_raw() == ours.user_raw() && found.host() == ours.host() && found.port() == ours.port()
    };
    let own = contacts.iter().find(same).or_else(|| contacts.first().filter(|_| contacts.len() == 1));
    let parameter = own.and_then(|contact| contact.params().value("expires")).and_then(seconds);
    let expires = match parameter {
        _ if asked.expires == 0 => 0,
        Some(granted) => granted,
        None => response.expires().unwrap_or(asked.expires),
    };
    let service_route = response.headers().all("Service-Route").take(MAX_ROUTES).map(str::to_owned).collect();
    Registered { expires: expires.min(LONGEST), service_route }
}

fn seconds(value: &str) -> Option<u32> {
    super::uac::leading_number(value)
}
