//! The Microsoft PSTN gateway over the hours: refreshes with the same keys and with new ones, and hold in its only form.
//!
//! What it is strict about is checked in every scenario: its site complains about each message that the documentation forbids
//! (`tests::gateway`), and no scenario may end with a complaint.

use std::time::Duration;

use tests::srtp::{Security, Suite};
use tests::{
    Caller, Codec, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World,
};

use crate::cast::{LOUD, hears, join, listen};

/// A call through the gateway, encrypted, with 2100 Hz in it, and one through an operator with 2400 Hz.
fn pair() -> (World, PhoneId, PhoneId) {
    let mut world = World::new(Setup { microsoft_lines: "srtp = \"mandatory\"", ..Setup::default() });
    let caller = Caller {
        codecs: vec![Codec::Mu, Codec::A],
        security: Some(Security::mandatory(&[Suite::Cm80])),
        ..Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2100)
    };
    let gateway = join(&mut world, &caller, SAM);
    let other = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2400), SAM);
    world.seconds(1);
    (world, gateway, other)
}

fn both_hear(world: &mut World, one: PhoneId, other: PhoneId) {
    let when = listen(world, Duration::from_secs(1));
    let (here, there) = (world.phone(one).ear.level(2400, &when), world.phone(other).ear.level(2100, &when));
    assert!(here > LOUD && there > LOUD, "{here} and {there}");
}

/// Lets minutes pass in which both talk and nobody keeps what he hears.
fn talk(world: &mut World, phones: [PhoneId; 2], minutes: u64) {
    for phone in phones {
        world.phone_mut(phone).ear.deaf = true;
    }
    world.seconds(60 * minutes);
    for phone in phones {
        world.phone_mut(phone).ear.deaf = false;
        world.phone_mut(phone).ear.clear();
    }
}

#[test]
fn a_call_survives_the_refresh_after_27_minutes_with_the_same_keys_and_then_with_new_ones() {
    let (mut world, gateway, other) = pair();
    // Both sides' sequence numbers have wrapped by then, after 22 minutes: their rollover counters are not 0 any more.
    talk(&mut world, [gateway, other], 27);
    assert!(world.reinvite(gateway, Some("sendrecv")));
    world.seconds(1);
    both_hear(&mut world, gateway, other);
    let keyed = world.phone(gateway).keyed.as_ref().expect("it is encrypted");
    assert_eq!((keyed.rejected, keyed.bridge_keys), (0, 1), "a refresh renews nothing");
    if let Some(security) = &mut world.phone_mut(gateway).security {
        security.generation = 2;
    }
    assert!(world.reinvite(gateway, Some("sendrecv")));
    world.seconds(1);
    both_hear(&mut world, gateway, other);
    let keyed = world.phone(gateway).keyed.as_ref().expect("it is encrypted");
    assert_eq!(keyed.bridge_keys, 2, "new keys begin anew, with rollover counter 0");
    assert!(keyed.rejected <= 2, "what was on its way: {}", keyed.rejected);
    world.close();
}

#[test]
fn a_hold_as_inactive_is_answered_so_outlives_the_silence_timeout_and_ends() {
    let (mut world, gateway, other) = pair();
    assert!(world.reinvite(gateway, Some("inactive")));
    world.run(Duration::from_millis(300));
    let sending = world.phone_mut(gateway).remote.take();
    world.seconds(90);
    assert_eq!(world.phone(gateway).line, Line::Up, "a leg on hold may be silent");
    let directions: Vec<&str> =
        world.phone(gateway).heard.iter().map(|heard| heard.direction.as_str()).collect();
    assert_eq!(directions, ["sendrecv", "inactive"]);
    assert!(hears(&mut world, other, 2100) < 100.0);
    world.phone_mut(gateway).remote = sending;
    assert!(world.reinvite(gateway, Some("sendrecv")));
    world.seconds(1);
    both_hear(&mut world, gateway, other);
    world.close();
}
