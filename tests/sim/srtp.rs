//! SRTP with keys in SDP, against phones that encrypt with other people's code.

use std::time::Duration;

use tests::srtp::{Security, Suite};
use tests::{
    Callee, Caller, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World,
};

use crate::cast::{LOUD, QUIET, answered, hears, join, listen};

fn setup(operator_lines: &'static str) -> Setup {
    Setup { operator_lines, ..Setup::default() }
}

const MANDATORY: &str = "srtp = \"mandatory\"";
const OPTIONAL: &str = "srtp = \"optional\"";

fn caller(security: Security) -> Caller {
    Caller { security: Some(security), ..Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100) }
}

/// A caller with SRTP who says 2100 Hz, and one without who says 2400 Hz.
fn pair(lines: &'static str, security: Security) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(setup(lines));
    let first = join(&mut world, &caller(security), SAM);
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
    world.seconds(1);
    (world, first, second)
}

/// Both hear each other during the next second.
fn both_hear(world: &mut World, first: PhoneId, second: PhoneId) {
    let when = listen(world, Duration::from_secs(1));
    let (here, there) =
        (world.phone(first).ear.level(2400, &when), world.phone(second).ear.level(2100, &when));
    assert!(here > LOUD && there > LOUD, "{here} and {there}");
}

/// Packets that the phone could not open, and keys of the bridge's that it has seen.
fn rejected_and_keys(world: &World, phone: PhoneId) -> (u64, usize) {
    let keyed = world.phone(phone).keyed.as_ref().expect("it is encrypted");
    (keyed.rejected, keyed.bridge_keys)
}

/// The bridge's `a=crypto` of each description so far.
fn lines(world: &World, phone: PhoneId) -> Vec<Vec<String>> {
    world.phone(phone).heard.iter().map(|heard| heard.crypto.clone()).collect()
}

fn metric(world: &World, name: &str) -> u64 {
    let page = world.metrics.page();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_call_under_each_suite_is_heard_and_hears() {
    for suite in Suite::ALL {
        let (mut world, first, second) = pair(MANDATORY, Security::mandatory(&[suite]));
        both_hear(&mut world, first, second);
        let heard = &world.phone(first).heard[0];
        assert_eq!((heard.protocol.as_str(), heard.crypto.len()), ("RTP/SAVP", 1));
        assert!(heard.crypto[0].starts_with(&format!("1 {} inline:", suite.name())), "{:?}", heard.crypto);
        let shown = &world.shown[SAM]["participants"];
        assert_eq!(
            (&shown[0]["codec"], &shown[0]["srtp"]),
            (&"PCMA".into(), &suite.name().into()),
            "{shown}"
        );
        assert!(shown[1]["srtp"].is_null(), "{shown}");
        world.seconds(6);
        assert!(world.phone(first).ear.rtcp > 0, "SRTCP can be read");
        assert_eq!(rejected_and_keys(&world, first), (0, 1));
        world.hang_up(first);
        world.seconds(1);
        assert_eq!(world.finals()[0]["media"]["srtp"], suite.name());
        assert_eq!(metric(&world, "partyline_srtp_packets_rejected_total"), 0);
        world.close();
    }
}

#[test]
fn the_suite_that_the_trunk_likes_best_is_taken_and_its_tag_answered() {
    let lines = "srtp = \"optional\"\nsrtp_suites = [\"AES_CM_128_HMAC_SHA1_80\", \"AEAD_AES_128_GCM\"]";
    let offered = Security::mandatory(&[Suite::Cm32, Suite::Gcm128, Suite::Cm80]);
    let (mut world, first, second) = pair(lines, offered);
    assert_eq!(world.phone(first).keyed.as_ref().map(|keyed| keyed.suite), Some(Suite::Cm80));
    both_hear(&mut world, first, second);
    world.close();
}

#[test]
fn a_refresh_with_the_same_key_goes_on_with_both_keys_and_their_counters() {
    let (mut world, first, second) = pair(MANDATORY, Security::mandatory(&[Suite::Cm80]));
    for direction in ["sendrecv", "sendonly", "sendrecv"] {
        assert!(world.reinvite(first, Some(direction)));
        world.seconds(1);
    }
    both_hear(&mut world, first, second);
    assert_eq!(rejected_and_keys(&world, first), (0, 1));
    let lines = lines(&world, first);
    assert!(lines.len() == 4 && lines.iter().all(|line| *line == lines[0]), "{lines:?}");
    // The phone's sequence numbers have wrapped by now, so a counter that had begun again would have cost the call its sound.
    world.close();
}

#[test]
fn a_new_key_of_theirs_or_a_new_address_gets_a_new_key_of_ours() {
    let (mut world, first, second) = pair(MANDATORY, Security::mandatory(&[Suite::Gcm128]));
    if let Some(security) = &mut world.phone_mut(first).security {
        security.generation = 2;
    }
    assert!(world.reinvite(first, Some("sendrecv")));
    world.seconds(1);
    both_hear(&mut world, first, second);
    assert_eq!(rejected_and_keys(&world, first).1, 2);
    world.move_phone(first, 19_000);
    assert!(world.reinvite(first, Some("sendrecv")));
    world.seconds(1);
    both_hear(&mut world, first, second);
    let (rejected, keys) = rejected_and_keys(&world, first);
    assert_eq!(keys, 3);
    // What was on its way under the old key when the answer came: a packet or two at each change.
    assert!(rejected <= 4, "{rejected}");
    world.close();
}

#[test]
fn a_re_invite_without_sdp_is_offered_the_keys_that_hold() {
    let (mut world, first, second) = pair(MANDATORY, Security::mandatory(&[Suite::Cm80]));
    assert!(world.reinvite(first, None));
    world.seconds(1);
    both_hear(&mut world, first, second);
    assert_eq!(rejected_and_keys(&world, first), (0, 1));
    world.close();
}

#[test]
fn an_encrypted_call_does_not_become_plain_by_re_invite() {
    let (mut world, first, second) = pair(OPTIONAL, Security::optional(&[Suite::Cm80]));
    let security = world.phone_mut(first).security.take();
    let phone = world.phone_mut(first);
    phone.version += 1;
    assert!(world.reinvite(first, Some("sendrecv")));
    world.seconds(1);
    assert_eq!(world.phone(first).heard.len(), 1, "the re-INVITE was refused");
    world.phone_mut(first).security = security;
    both_hear(&mut world, first, second);
    world.close();
}

#[test]
fn where_srtp_is_mandatory_plain_rtp_is_488_and_the_reason_says_what_is_wrong() {
    let mut world = World::new(setup(MANDATORY));
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    let Line::Failed { status: 488, reason } = &world.phone(phone).line else {
        panic!("{:?}", world.phone(phone).line)
    };
    assert!(reason.contains("requires SRTP") && reason.contains("RTP/SAVP"), "{reason}");
    world.close();
}

#[test]
fn where_srtp_is_off_rtp_savp_is_488_and_the_reason_says_what_is_wrong() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&caller(Security::mandatory(&[Suite::Cm80])));
    world.seconds(1);
    let Line::Failed { status: 488, reason } = &world.phone(phone).line else {
        panic!("{:?}", world.phone(phone).line)
    };
    assert!(reason.contains("speaks plain RTP"), "{reason}");
    world.close();
}

#[test]
fn where_srtp_is_optional_both_kinds_of_phone_are_served() {
    let (mut world, first, second) = pair(OPTIONAL, Security::optional(&[Suite::Cm80]));
    let plain = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(1500), SAM);
    both_hear(&mut world, first, second);
    assert!(hears(&mut world, first, 1500) > LOUD / 2.0 && hears(&mut world, plain, 2100) > LOUD / 2.0);
    assert_eq!(world.phone(first).heard[0].protocol, "RTP/AVP");
    assert!(world.phone(plain).keyed.is_none() && world.phone(plain).heard[0].crypto.is_empty());
    world.close();
}

#[test]
fn packets_under_a_wrong_key_are_counted_and_the_call_stays_up_until_it_has_been_silent_for_long() {
    let mut world = World::new(setup(MANDATORY));
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
    let liar = Security { lies: true, ..Security::mandatory(&[Suite::Cm80]) };
    let first = world.call(&caller(liar));
    answered(&mut world, first);
    world.seconds(20);
    assert_eq!(world.phone(first).line, Line::Up, "garbage ends no call");
    assert!(hears(&mut world, second, 2100) < QUIET);
    world.seconds(12);
    let Line::Over { by_bridge: true, reason } = &world.phone(first).line else { panic!("still up") };
    assert!(reason.starts_with("Q.850;cause=102"), "{reason}");
    world.seconds(1);
    // Fifty a second for thirty seconds.
    let rejected = metric(&world, "partyline_srtp_packets_rejected_total");
    assert!((1400..1600).contains(&rejected), "{rejected}");
    assert_eq!(world.finals()[0]["media"]["srtp_rejected"].as_u64(), Some(rejected));
    world.close();
}

#[test]
fn a_stranger_who_knows_the_address_but_not_the_key_is_not_heard() {
    let (mut world, first, second) = pair(MANDATORY, Security::mandatory(&[Suite::Cm80]));
    let (from, to) = (world.phone(first).rtp, world.phone(first).remote.expect("it is up"));
    let mut mouth = tests::mouth::Mouth::new(77, tests::Sound::Tone(2700));
    for beat in 0..50 {
        for bytes in mouth.beat() {
            world.after(Duration::from_millis(20 * beat), move |world| world.send_media(from, to, bytes));
        }
    }
    let when = listen(&mut world, Duration::from_secs(1));
    let ear = &world.phone(second).ear;
    assert!(ear.level(2700, &when) < QUIET && ear.level(2100, &when) > LOUD);
    world.close();
}

#[test]
fn a_dial_out_offers_keys_and_a_callee_with_srtp_is_heard() {
    for (lines, security) in
        [(MANDATORY, Security::mandatory(&[Suite::Cm80])), (OPTIONAL, Security::optional(&[Suite::Gcm256]))]
    {
        let mut world = World::new(setup(lines));
        let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
        world.sites[OPERATOR.0].security = Some(security.clone());
        world.sites[OPERATOR.0].callee = Callee::after(1);
        world.dial_out(SAM, "+4930111111", None);
        world.seconds(4);
        let callee = PhoneId(world.phones.len() - 1);
        assert_eq!(world.phone(callee).line, Line::Up);
        assert_eq!(world.phone(callee).heard[0].protocol, security.protocol());
        assert_eq!(world.phone(callee).heard[0].crypto.len(), 4, "every suite of the trunk is offered");
        assert!(hears(&mut world, callee, 2400) > LOUD && hears(&mut world, second, 1500) > LOUD);
        assert_eq!(rejected_and_keys(&world, callee).0, 0);
        world.close();
    }
}

#[test]
fn a_callee_who_answers_in_the_clear_is_hung_up_on_where_srtp_is_mandatory() {
    let mut world = World::new(setup(MANDATORY));
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
    world.sites[OPERATOR.0].callee = Callee::after(1);
    world.dial_out(SAM, "+4930111111", None);
    world.seconds(4);
    let callee = PhoneId(world.phones.len() - 1);
    assert!(world.phone(callee).is_over(), "{:?}", world.phone(callee).line);
    assert_eq!(world.phone(second).line, Line::Up);
    world.close();
}
