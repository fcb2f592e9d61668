//! Calls that are written by hand, from the operator's SBC, whose own scripted phones are silent then.

use std::net::SocketAddr;

use sip::Message;
use tests::{Codec, OPERATOR, OPERATOR_NUMBER, RawCall, World, sdp};

/// A call that offers audio at an address of its own.
pub(crate) fn by_hand(world: &mut World, name: &str) -> RawCall {
    let rtp = SocketAddr::new(world.sites[OPERATOR.0].address.ip(), 30_000);
    world.named.insert(rtp);
    by_hand_with(world, name, sdp::write(rtp, &[Codec::A], 101, "sendrecv", 1))
}

/// A call with this description.
pub(crate) fn by_hand_with(world: &mut World, name: &str, sdp: String) -> RawCall {
    world.sites[OPERATOR.0].endpoint = None;
    RawCall::new(world.sites[OPERATOR.0].address, OPERATOR_NUMBER, name, sdp)
}

/// The messages that came there and begin so.
pub(crate) fn got(world: &World, begin: &str) -> Vec<Message> {
    world.sites[OPERATOR.0].got(begin).iter().map(|received| received.message()).collect()
}

pub(crate) fn tag_of(message: &Message) -> String {
    message.to().and_then(|to| to.tag().map(str::to_owned)).expect("a To tag")
}
