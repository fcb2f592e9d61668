//! The server transactions: their table, and the way from a machine's output to bytes and to the user.

use std::time::Instant;

use bytes::Bytes;

use super::Endpoint;
use super::clients::later;
use super::event::InviteId;
use super::flow::{Flow, Transmit};
use crate::transaction::key::{MergeKey, ServerKey};
use crate::transaction::queue::TimerOwner;
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_other::ServerOther;
use crate::transaction::{Output, TimerReason};
use crate::wire::{Message, Method};

/// One server transaction and what it was started for.
#[derive(Debug)]
pub(super) struct Server {
    /// The way back (RFC 3261 section 18.2.2, RFC 3581 section 4).
    pub(super) flow: Flow,
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
        let merge = MergeKey::of(request).filter(|key| !self.merge_keys.contains_key(key));
        if let Some(merge) = &merge {
            self.merge_keys.insert(merge.clone(), handle);
        }
        self.server_keys.insert(key.clone(), handle);
        let to_tag = to_tag.to_owned();
        self.servers.insert(handle, Server { flow, to_tag, usage, key, merge, machine, last: None });
        handle
    }

    /// Gives a response to a server transaction that waits for one; returns what was sent.
    pub(super) fn respond(&mut self, now: Instant, handle: u64, response: &Message) -> Option<Transmit> {
        let status = response.status()?.code();
        let server = self.servers.get_mut(&handle)?;
        let outputs = match &mut server.machine {
            Machine::Invite(machine) => machine.respond(status),
            Machine::Other(machine) => machine.respond(status),
        };
        if outputs.is_empty() {
            return None;
        }
        let bytes = response.to_bytes();
        server.last = Some(bytes.clone());
        let flow = server.flow;
        self.drive_server(now, handle, outputs);
        Some(Transmit { flow, bytes })
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
        let Some(Server { machine: Machine::Invite(machine), .. }) = self.servers.get_mut(&handle) else {
            return false;
        };
        let outputs = machine.ack();
        let for_user = outputs.contains(&Output::Deliver);
        self.drive_server(now, handle, outputs);
        !for_user
    }

    /// Whether this INVITE still waits for its final response.
    pub(super) fn server_is_proceeding(&self, handle: u64) -> bool {
        matches!(self.servers.get(&handle), Some(Server { machine: Machine::Invite(machine), .. }) if machine.is_proceeding())
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
                    if let Some(Server { flow, last: Some(bytes), .. }) = self.servers.get(&handle) {
                        self.transmits.push_back(Transmit { flow: *flow, bytes: bytes.clone() });
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
            if let Some(merge) = server.merge {
                self.merge_keys.remove(&merge);
            }
        }
    }
}
