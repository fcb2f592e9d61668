//! The server transactions: their table, and the way from a machine's output to bytes and to the user.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::clients::later;
use super::event::InviteId;
use super::flow::{Flow, Transmit};
use super::{Endpoint, same_way};
use crate::transaction::key::{MergeKey, ServerKey};
use crate::transaction::queue::TimerOwner;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_other::ServerOther;
use crate::transaction::{Output, TimerReason};
use crate::wire::{Message, Method, StatusCode};

/// One server transaction and what it was started for.
#[derive(Debug)]
pub(super) struct Server {
    /// The way back (RFC 3261 section 18.2.2, RFC 3581 section 4).
    pub(super) flow: Flow,
    /// Where a stream peer listens, for when the connection is gone.
    fallback: SocketAddr,
    /// The To tag that its answers carry.
    pub(super) to_tag: String,
    /// The usage of an INVITE.
    pub(super) usage: Option<InviteId>,
    key: ServerKey,
    merge: Option<MergeKey>,
    machine: Machine,
    last: Option<Bytes>,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerOther),
}

impl Endpoint {
    /// Begins to serve a request. `to_tag` is what its answers will carry where its own To has no tag.
    pub(super) fn start_server(
        &mut self,
        request: &Message,
        key: ServerKey,
        flow: Flow,
        usage: Option<InviteId>,
        to_tag: &str,
    ) -> u64 {
        let handle = self.fresh();
        let reliable = flow.transport.is_reliable();
        let machine = if *request.method() == Method::INVITE {
            Machine::Invite(ServerInvite::start(reliable, self.config.timers))
        } else {
            Machine::Other(ServerOther::start(reliable, self.config.timers))
        };
        let port = request.via_top().and_then(|via| via.sent_by().port).filter(|port| *port != 0);
        let fallback = SocketAddr::new(flow.remote.ip(), port.unwrap_or(flow.transport.default_port()));
        let merge = MergeKey::of(request).filter(|key| !self.merge_keys.contains_key(key));
        if let Some(merge) = &merge {
            self.merge_keys.insert(merge.clone(), handle);
        }
        self.server_keys.insert(key.clone(), handle);
        let to_tag = to_tag.to_owned();
        let server = Server { flow, fallback, to_tag, usage, key, merge, machine, last: None };
        self.servers.insert(handle, Box::new(server));
        handle
    }

    /// Gives a response to a server transaction; `false` if it no longer takes one.
    pub(super) fn respond(&mut self, now: Instant, handle: u64, response: &Message) -> bool {
        let status = response.status().map_or(0, StatusCode::code);
        let Some(server) = self.servers.get_mut(&handle) else { return false };
        let outputs = match &mut server.machine {
            Machine::Invite(machine) => machine.respond(status),
            Machine::Other(machine) => machine.respond(status),
        };
        if outputs.is_empty() {
            return false;
        }
        server.last = Some(response.to_bytes());
        self.drive_server(now, handle, outputs);
        true
    }

    /// Sends the last response again: the 2xx that its user repeats.
    pub(super) fn repeat_response(&mut self, now: Instant, handle: u64) {
        self.drive_server(now, handle, vec![Output::Transmit]);
    }

    /// Our 2xx has arrived: it is never sent again, and its bytes need not be kept while the transaction still absorbs
    /// copies of the INVITE (RFC 6026 section 7.1, timer L).
    pub(super) fn response_arrived(&mut self, handle: u64) {
        if let Some(server) = self.servers.get_mut(&handle) {
            server.last = None;
        }
    }

    /// The connection of these transactions is gone: what they still have to say goes to the address in the Via, over
    /// a new one (RFC 3261 section 18.2.2).
    pub(super) fn servers_lose_connection(&mut self, flow: &Flow) {
        for server in self.servers.values_mut() {
            if server.flow.connection != 0 && same_way(&server.flow, flow) {
                server.flow = Flow { connection: 0, remote: server.fallback, ..server.flow };
            }
        }
    }

    /// The same request again.
    pub(super) fn server_retransmission(&mut self, now: Instant, handle: u64) {
        let Some(server) = self.servers.get_mut(&handle) else { return };
        let outputs = match &mut server.machine {
            Machine::Invite(machine) => machine.retransmission(),
            Machine::Other(machine) => machine.retransmission(),
        };
        self.drive_server(now, handle, outputs);
    }

    /// An ACK with the branch of this transaction. `true`: it was the one for a refusal and ends here; `false`: it
    /// belongs to a 2xx and goes on to the dialog.
    pub(super) fn server_ack(&mut self, now: Instant, handle: u64) -> bool {
        let server = self.servers.get_mut(&handle).map(|server| &mut server.machine);
        let Some(Machine::Invite(machine)) = server else { return false };
        let outputs = machine.ack();
        let for_user = outputs.contains(&Output::Deliver);
        self.drive_server(now, handle, outputs);
        !for_user
    }

    /// Whether this INVITE still waits for its final response.
    pub(super) fn server_is_proceeding(&self, handle: u64) -> bool {
        let machine = self.servers.get(&handle).map(|server| &server.machine);
        matches!(machine, Some(Machine::Invite(machine)) if machine.is_proceeding())
    }

    pub(super) fn server_timer(&mut self, now: Instant, handle: u64, reason: TimerReason) {
        let Some(server) = self.servers.get_mut(&handle) else { return };
        let outputs = match &mut server.machine {
            Machine::Invite(machine) => machine.timer(reason),
            Machine::Other(machine) => machine.timer(reason),
        };
        self.drive_server(now, handle, outputs);
    }

    fn drive_server(&mut self, now: Instant, handle: u64, outputs: Vec<Output>) {
        let owner = TimerOwner::Server(handle);
        for output in outputs {
            match output {
                Output::Transmit => {
                    if let Some(server) = self.servers.get(&handle)
                        && let Some(bytes) = &server.last
                    {
                        self.transmits.push_back(Transmit { flow: server.flow, bytes: bytes.clone() });
                    }
                }
                Output::Arm(reason, after) => self.timers.arm(owner, reason, later(now, after)),
                Output::Disarm(reason) => self.timers.disarm(owner, reason),
                Output::Terminated => self.forget_server(handle),
                // No ACK for a refusal (timer H): the usage ended when it was refused. The others are a client's.
                Output::TimedOut | Output::TransportFailed | Output::Deliver | Output::Acknowledge => {}
            }
        }
    }

    fn forget_server(&mut self, handle: u64) {
        self.timers.forget(TimerOwner::Server(handle));
        if let Some(server) = self.servers.remove(&handle) {
            self.server_keys.remove(&server.key);
            if let Some(merge) = &server.merge {
                self.merge_keys.remove(merge);
            }
        }
    }
}
