//! Steps that many scenarios have in common.

use std::ops::Range;
use std::time::Duration;

use tests::fixture::PIN;
use tests::{Caller, Line, PhoneId, World};

/// Above this a tone is there.
pub(crate) const LOUD: f64 = 1500.0;
/// Below this it is not.
pub(crate) const QUIET: f64 = 60.0;

/// Waits until a call is answered.
pub(crate) fn answered(world: &mut World, phone: PhoneId) {
    world.until("the call is answered", Duration::from_secs(40), |world| world.phone(phone).line == Line::Up);
}

/// Somebody calls, keys a conference ID and is in the meeting.
pub(crate) fn join(world: &mut World, caller: &Caller, id: &str) -> PhoneId {
    let phone = world.call(caller);
    answered(world, phone);
    world.run(Duration::from_millis(1500));
    world.press(phone, &format!("{id}#"));
    world.run(Duration::from_millis(3500));
    assert_eq!(world.phone(phone).line, Line::Up);
    phone
}

/// Somebody calls and keys a conference ID, and no more.
pub(crate) fn keyed(world: &mut World, caller: &Caller, id: &str) -> PhoneId {
    let phone = world.call(caller);
    answered(world, phone);
    world.run(Duration::from_millis(1500));
    world.press(phone, &format!("{id}#"));
    world.run(Duration::from_secs(3));
    phone
}

/// Petra calls one of her meetings, and shows by her PIN that it is hers.
pub(crate) fn organizer(world: &mut World, caller: &Caller, id: &str) -> PhoneId {
    let phone = keyed(world, caller, id);
    world.press(phone, &format!("*{PIN}#"));
    world.run(Duration::from_millis(3500));
    phone
}

/// Lets time pass and says when it was.
pub(crate) fn listen(world: &mut World, time: Duration) -> Range<Duration> {
    let from = world.elapsed();
    world.run(time);
    from..world.elapsed()
}

/// How loud a phone hears a tone during the next second.
pub(crate) fn hears(world: &mut World, phone: PhoneId, tone: u32) -> f64 {
    let when = listen(world, Duration::from_secs(1));
    world.phone(phone).ear.level(tone, &when)
}

/// How many are in a meeting, as the API shows it.
pub(crate) fn participants(world: &World, id: &str) -> usize {
    let shown = world.shown.get(id).and_then(|shown| shown["participants"].as_array());
    shown.map_or(0, Vec::len)
}
