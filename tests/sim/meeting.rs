//! Who hears whom.

use std::time::Duration;

use tests::{
    Caller, ELBE, ELBE_NUMBER, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, SAM, Setup, World,
};

use crate::cast::{LOUD, QUIET, join, listen, participants};

#[test]
fn three_callers_join_and_each_hears_exactly_the_other_two() {
    let mut world = World::new(Setup::default());
    let callers = [
        (Caller::to(OPERATOR, OPERATOR_NUMBER), 400),
        (Caller::to(MICROSOFT, MICROSOFT_NUMBER), 700),
        (Caller::to(ELBE, ELBE_NUMBER), 1100),
    ];
    let phones = callers.map(|(caller, tone)| (join(&mut world, &caller.tone(tone), SAM), tone));
    assert_eq!(participants(&world, SAM), 3);
    world.seconds(1);
    let when = listen(&mut world, Duration::from_secs(2));
    for (listener, own) in phones {
        for (_, tone) in phones {
            let level = world.phone(listener).ear.level(tone, &when);
            if tone == own {
                assert!(level < QUIET, "{own} hears himself: {level}");
            } else {
                assert!(level > LOUD, "{own} does not hear {tone}: {level}");
            }
        }
        let ear = &world.phone(listener).ear;
        assert!(ear.longest_step() <= 3, "more than two ticks were lost: {}", ear.longest_step());
        assert_eq!(ear.packets.last().map(|packet| packet.csrcs.len()), Some(2));
    }
    world.close();
}
