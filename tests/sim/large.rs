//! Requests that are too large for a datagram.

use std::time::Duration;

use tests::{Caller, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, PhoneId, SAM, Setup, World};

use crate::cast::{LOUD, hears, join};

/// A number that goes through the operator.
const GERMAN: &str = "+4930111222";

/// A meeting that dials out by an INVITE with four codecs and four keys.
struct Dialed {
    world: World,
    host: PhoneId,
    callee: PhoneId,
    /// When it was asked for.
    began: Duration,
}

fn dialed(refuses_tcp: bool) -> Dialed {
    let setup = Setup {
        operator_codecs: r#"["opus", "g722", "pcma", "pcmu"]"#,
        operator_lines: "srtp = \"optional\"",
        ..Setup::default()
    };
    let mut world = World::new(setup);
    world.sites[OPERATOR.0].refuses_tcp = refuses_tcp;
    let host = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2100), SAM);
    let began = world.elapsed();
    world.dial_out(SAM, GERMAN, None);
    world.seconds(4);
    let callee = (0..world.phones.len()).map(PhoneId).find(|id| world.phone(*id).request.is_some());
    let callee = callee.expect("somebody was called");
    Dialed { world, host, callee, began }
}

#[test]
fn an_invite_of_more_than_1300_bytes_goes_over_tcp_and_the_call_is_heard() {
    let Dialed { mut world, host, callee, began: _ } = dialed(false);
    let invite = world.sites[OPERATOR.0].got("INVITE ")[0].clone();
    assert!(invite.bytes.len() > 1300, "{} bytes", invite.bytes.len());
    assert!(invite.message().headers().get("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")));
    assert_eq!(world.sites[OPERATOR.0].got("INVITE ").len(), 1);
    assert_eq!(world.phone(callee).line, Line::Up);
    assert!(hears(&mut world, host, 1500) > LOUD);
    world.close();
}

#[test]
fn where_nobody_takes_tcp_it_goes_as_a_datagram_at_once() {
    let Dialed { mut world, host, callee, began } = dialed(true);
    let invites = world.sites[OPERATOR.0].got("INVITE ");
    assert!(invites[0].message().headers().get("Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP ")));
    let after = invites[0].at.saturating_sub(began);
    assert!(after < Duration::from_millis(100), "{after:?} after it was asked for");
    assert_eq!(invites.len(), 1);
    assert_eq!(world.phone(callee).line, Line::Up);
    assert!(hears(&mut world, host, 1500) > LOUD);
    world.close();
}
