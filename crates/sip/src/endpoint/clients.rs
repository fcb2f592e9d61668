//! The client transactions: their table, and the way from a machine's output to bytes and to the user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Endpoint;
use super::event::{FailureKind, OptionsId};
use super::farewell::Farewell;
use super::flow::{Flow, Transmit};
use super::inside::{Inside, Purpose};
use super::register::Registering;
use super::reinvite::Ours;
use super::uac::Attempt;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_other::ClientOther;
use crate::transaction::key::ClientKey;
use crate::transaction::queue::TimerOwner;
use crate::transaction::{Output, TimerReason};
use crate::wire::{HeaderName, Host, HostPort, Message, Method, StatusCode, Uri};

/// One client transaction and what it was started for.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) flow: Flow,
    /// The way that was meant, where the request is too large for a datagram and went over TCP.
    datagram: Option<Flow>,
    pub(super) request: Message,
    pub(super) user: User,
    key: ClientKey,
    machine: Machine,
    bytes: Bytes,
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientOther),
}

impl Client {
    /// The way that the transaction user meant.
    pub(super) fn meant(&self) -> Flow {
        self.datagram.unwrap_or(self.flow)
    }
}

/// The transaction user behind a client transaction.
#[derive(Debug)]
pub(super) enum User {
    /// An INVITE outside of a dialog.
    Invite(Box<Attempt>),
    /// An INVITE inside of one.
    Reinvite(Box<Ours>),
    /// A BYE; its dialog lives only here.
    Bye(Box<Farewell>),
    /// A request inside of a dialog that neither begins nor ends anything.
    Inside(Box<Inside>),
    /// A CANCEL: whatever comes back, the INVITE's own answer decides.
    Cancel,
    /// An OPTIONS, and when it was sent.
    Options(OptionsId, Instant),
    /// A REGISTER.
    Register(Box<Registering>),
}

impl Endpoint {
    /// Sends a request. Its top Via must carry the branch for the transaction.
    pub(super) fn start_client(&mut self, now: Instant, mut request: Message, flow: Flow, user: User) -> u64 {
        let handle = self.fresh();
        let mut bytes = request.to_bytes();
        let over_tcp = self.way_over_tcp(now, &flow, bytes.len());
        if let Some(tcp) = &over_tcp {
            self.rewrite_via(&mut request, tcp);
            bytes = request.to_bytes();
        }
        let datagram = over_tcp.map(|_| flow);
        let flow = over_tcp.unwrap_or(flow);
        let key = ClientKey {
            branch: request.via_top().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default(),
            method: request.method().as_str().to_owned(),
        };
        let (machine, outputs) = self.machine(&request, &flow);
        self.client_keys.insert(key.clone(), handle);
        let client = Client { flow, datagram, request, user, key, machine, bytes };
        self.clients.insert(handle, Box::new(client));
        self.drive_client(now, handle, outputs, None);
        handle
    }

    fn machine(&self, request: &Message, flow: &Flow) -> (Machine, Vec<Output>) {
        let reliable = flow.transport.is_reliable();
        if *request.method() == Method::INVITE {
            let (machine, outputs) = ClientInvite::start(reliable, self.config.timers);
            (Machine::Invite(machine), outputs)
        } else {
            let (machine, outputs) = ClientOther::start(reliable, self.config.timers);
            (Machine::Other(machine), outputs)
        }
    }

    /// Nobody takes TCP there: the same request goes as a datagram, however large.
    fn send_as_datagram(&mut self, now: Instant, handle: u64, flow: Flow) {
        let Some(mut request) = self.clients.get(&handle).map(|client| client.request.clone()) else {
            return;
        };
        self.rewrite_via(&mut request, &flow);
        let (machine, outputs) = self.machine(&request, &flow);
        self.timers.forget(TimerOwner::Client(handle));
        let Some(client) = self.clients.get_mut(&handle) else { return };
        client.bytes = request.to_bytes();
        (client.flow, client.request, client.machine) = (flow, request, machine);
        self.drive_client(now, handle, outputs, None);
    }

    /// A response arrived.
    pub(super) fn handle_response(&mut self, now: Instant, flow: Flow, response: Message) {
        let Some(status) = response.status().map(StatusCode::code) else {
            return self.discard(flow, "a response without a status", None);
        };
        let key = response
            .via_top()
            .and_then(|via| via.branch().map(str::to_owned))
            .map(|branch| ClientKey { branch, method: response.method().as_str().to_owned() });
        let Some(handle) = key.and_then(|key| self.client_keys.get(&key).copied()) else {
            return self.discard(flow, format!("response {status} matches no transaction of ours"), None);
        };
        let Some(client) = self.clients.get_mut(&handle) else { return };
        // The branch is ours and unguessable; the rest is checked so that a confused peer cannot mix up dialogs.
        // RFC 3261 section 8.1.3.3: a second Via means that the response was meant for another.
        if response.headers().all(HeaderName::Via).nth(1).is_some() {
            return self.discard(flow, format!("response {status} carries a Via below ours"), None);
        }
        if response.call_id() != client.request.call_id() {
            return self.discard(
                flow,
                format!("response {status} carries another Call-ID than its request"),
                None,
            );
        }
        if flow.transport.is_reliable() && same_transport(&client.flow, &flow) {
            // The connection that the shell opened for us now has a number.
            client.flow.connection = flow.connection;
        }
        let outputs = match &mut client.machine {
            Machine::Invite(machine) => {
                // It is never sent again (RFC 3261 section 17.1.1.2), but the transaction lives for another half minute.
                client.bytes = Bytes::new();
                machine.response(status)
            }
            Machine::Other(machine) => machine.response(status),
        };
        self.drive_client(now, handle, outputs, Some(&Arc::new(response)));
        if (200..300).contains(&status) {
            self.forget_what_is_answered(handle);
        }
    }

    /// An INVITE with a 2xx waits half a minute for copies of it and for 2xx of other forks; of its headers only these are
    /// needed for their dialogs and ACKs.
    fn forget_what_is_answered(&mut self, handle: u64) {
        use HeaderName::{Authorization, CSeq, CallId, Contact, From, ProxyAuthorization, To};
        if let Some(client) = self.clients.get_mut(&handle)
            && matches!(client.machine, Machine::Invite(_))
        {
            let needed = [From, To, CallId, CSeq, Contact, Authorization, ProxyAuthorization];
            client.request.headers_mut().keep_only(&needed);
        }
    }

    pub(super) fn client_timer(&mut self, now: Instant, handle: u64, reason: TimerReason) {
        if reason == TimerReason::CancelUnanswered {
            // RFC 3261 section 9.1: no final response 64*T1 after the CANCEL destroys the transaction.
            self.client_failed(now, handle, FailureKind::NoResponse, "no final response after CANCEL");
            return self.forget_client(handle);
        }
        let Some(client) = self.clients.get_mut(&handle) else { return };
        let outputs = match &mut client.machine {
            Machine::Invite(machine) => machine.timer(reason),
            Machine::Other(machine) => machine.timer(reason),
        };
        self.drive_client(now, handle, outputs, None);
    }

    pub(super) fn client_transport_failed(&mut self, now: Instant, handle: u64, why: &str) {
        let Some(client) = self.clients.get_mut(&handle) else { return };
        let outputs = match &mut client.machine {
            Machine::Invite(machine) => machine.transport_failed(),
            Machine::Other(machine) => machine.transport_failed(),
        };
        let unanswered = outputs.contains(&Output::TransportFailed);
        if let Some(flow) = client.datagram.take_if(|_| unanswered) {
            // An INVITE that was given up meanwhile has nobody who waits.
            let wanted = !matches!(&client.user, User::Invite(attempt) if attempt.usage.is_none());
            self.note_tcp_refusal(now, flow.remote);
            if wanted {
                return self.send_as_datagram(now, handle, flow);
            }
        }
        for output in outputs {
            match output {
                Output::TransportFailed => self.client_failed(now, handle, FailureKind::Transport, why),
                Output::Terminated => self.forget_client(handle),
                _ => {}
            }
        }
    }

    pub(super) fn forget_client(&mut self, handle: u64) {
        self.timers.forget(TimerOwner::Client(handle));
        if let Some(client) = self.clients.remove(&handle) {
            self.client_keys.remove(&client.key);
        }
    }

    /// Sends CANCEL for an INVITE that has had a provisional response (RFC 3261 section 9.1).
    pub(super) fn cancel_client(&mut self, now: Instant, handle: u64, reason: Option<String>) {
        let Some(client) = self.clients.get(&handle) else { return };
        let flow = client.flow;
        let mut cancel = same_branch_request(&client.request, Method::CANCEL, None);
        if let Some(reason) = reason {
            cancel.headers_mut().push(HeaderName::Reason, reason);
        }
        self.start_client(now, cancel, flow, User::Cancel);
        self.limit_client(now, handle);
    }

    /// Gives an INVITE that nobody waits for another 64*T1 to get its final response.
    pub(super) fn limit_client(&mut self, now: Instant, handle: u64) {
        let deadline = later(now, self.config.timers.whole());
        self.timers.arm(TimerOwner::Client(handle), TimerReason::CancelUnanswered, deadline);
    }

    /// The INVITE has its final response: the CANCEL has had its say.
    pub(super) fn cancel_is_settled(&mut self, handle: u64) {
        self.timers.disarm(TimerOwner::Client(handle), TimerReason::CancelUnanswered);
    }

    /// Stops repeating an INVITE that nobody waits for any more. What it may still bring is listened for until
    /// timer B.
    pub(super) fn silence_client(&mut self, handle: u64) {
        self.timers.disarm(TimerOwner::Client(handle), TimerReason::TimerA);
    }

    fn drive_client(
        &mut self,
        now: Instant,
        handle: u64,
        outputs: Vec<Output>,
        response: Option<&Arc<Message>>,
    ) {
        for output in outputs {
            match output {
                Output::Transmit => {
                    if let Some(client) = self.clients.get(&handle) {
                        let (flow, bytes) = (client.flow, client.bytes.clone());
                        self.transmits.push_back(Transmit { flow, bytes });
                    }
                }
                Output::Acknowledge => {
                    if let (Some(client), Some(response)) = (self.clients.get(&handle), response) {
                        let bytes = ack_for_refusal(&client.request, response).to_bytes();
                        self.transmits.push_back(Transmit { flow: client.flow, bytes });
                    }
                }
                Output::Deliver => {
                    if let Some(response) = response {
                        self.deliver_response(now, handle, response);
                    }
                }
                Output::Arm(reason, after) => {
                    self.timers.arm(TimerOwner::Client(handle), reason, later(now, after));
                }
                Output::Disarm(reason) => self.timers.disarm(TimerOwner::Client(handle), reason),
                Output::TimedOut => {
                    self.client_failed(now, handle, FailureKind::NoResponse, "no final response in time");
                }
                Output::TransportFailed => {
                    self.client_failed(now, handle, FailureKind::Transport, "could not be sent");
                }
                Output::Terminated => self.forget_client(handle),
            }
        }
    }

    fn deliver_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let Some(client) = self.clients.get(&handle) else { return };
        match &client.user {
            User::Invite(_) => self.invite_response(now, handle, response),
            User::Reinvite(_) => self.reinvite_response(now, handle, response),
            User::Bye(_) => self.bye_response(now, handle, response),
            User::Inside(_) => self.inside_response(now, handle, response),
            User::Options(id, sent) => {
                let (id, sent) = (*id, *sent);
                self.options_response(now, id, sent, response);
            }
            User::Register(_) => self.register_response(now, handle, response),
            User::Cancel => {}
        }
    }

    fn client_failed(&mut self, now: Instant, handle: u64, kind: FailureKind, why: &str) {
        let Some(client) = self.clients.get(&handle) else { return };
        match &client.user {
            User::Invite(attempt) => {
                if let Some(id) = attempt.usage {
                    self.outgoing_failed(now, id, kind, why);
                }
            }
            User::Reinvite(ours) => {
                let id = ours.usage;
                let status = if kind == FailureKind::Transport { 503 } else { 408 };
                self.reinvite_refused(now, id, handle, status, None);
            }
            User::Options(id, sent) => {
                let (id, sent) = (*id, *sent);
                self.options_failed(now, id, sent, kind, why);
            }
            User::Register(registering) => {
                let id = registering.id();
                self.register_failed(id, kind, why);
            }
            User::Inside(inside) => {
                let id = inside.usage;
                if matches!(inside.purpose, Purpose::Refresh) && self.is_refreshing(id, handle) {
                    let status = if kind == FailureKind::Transport { 503 } else { 408 };
                    self.refresh_failed(now, id, status);
                }
            }
            // The dialog of a BYE is gone whatever happens to it (RFC 3261 section 15.1.1).
            User::Bye(_) | User::Cancel => {}
        }
    }

    /// The usage behind an INVITE that still counts.
    pub(super) fn attempt_mut(&mut self, handle: u64) -> Option<&mut Attempt> {
        match &mut self.clients.get_mut(&handle)?.user {
            User::Invite(attempt) => Some(attempt),
            _ => None,
        }
    }
}

/// `now + after` without a panic for absurd durations: those mean "never in this process' life".
pub(super) fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after).or_else(|| now.checked_add(Duration::from_hours(24 * 365))).unwrap_or(now)
}

fn same_transport(one: &Flow, other: &Flow) -> bool {
    one.transport == other.transport && one.remote == other.remote
}

/// RFC 3261 section 17.1.1.3: the ACK that belongs to the INVITE transaction itself.
fn ack_for_refusal(invite: &Message, response: &Message) -> Message {
    same_branch_request(invite, Method::ACK, response.headers().get("To"))
}

/// A request that travels with the INVITE: its Request-URI, Via, Route, From, Call-ID and CSeq number. ACK for a
/// refusal (section 17.1.1.3) takes the To of the response, CANCEL (section 9.1) that of the INVITE.
fn same_branch_request(invite: &Message, method: Method, to: Option<&str>) -> Message {
    let number = invite.cseq().map_or(0, |cseq| cseq.number);
    let cseq = format!("{number} {method}");
    // Our own INVITEs always have a Request-URI.
    let nowhere = || Uri::sip(None, HostPort { host: Host::Name("invalid".into()), port: None });
    let uri = invite.uri().cloned().unwrap_or_else(nowhere);
    let mut request = Message::request(method, uri);
    let headers = request.headers_mut();
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::From] {
        headers.copy_from(invite.headers(), name);
    }
    headers.push("Max-Forwards", "70");
    headers.push("To", to.or_else(|| invite.headers().get("To")).unwrap_or_default().to_owned());
    headers.push("Call-ID", invite.call_id().unwrap_or_default().to_owned());
    headers.push("CSeq", cseq);
    headers.copy_from(invite.headers(), "Session-ID");
    request
}
