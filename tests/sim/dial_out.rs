//! The meeting calls somebody.

use std::time::Duration;

use bridge::PromptId::{self, CalleeBusy, CalleeDeclined, CalleeNoAnswer, CalleeUnreachable, PressOneToJoin};
use serde_json::Value;
use server::control::Reply;
use sip::Message;
use tests::fixture::OPERATOR_SPARE;
use tests::{
    Callee, Caller, ELBE, GRETA, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM,
    Setup, SiteId, World,
};

use crate::cast::{LOUD, QUIET, hears, join, listen, participants};

/// A number that goes through the operator `rhein` for everybody.
const GERMAN: &str = "+4930111222";
/// A number that goes through `rhein`, then `elbe`.
const FRENCH: &str = "+33123456789";
/// A number that goes through `elbe`, or else Microsoft for those who may.
const ITALIAN: &str = "+39061234567";
/// A number that no route matches.
const BRITISH: &str = "+442012345678";

/// Somebody waits in a meeting.
fn meeting(setup: Setup, id: &str) -> (World, PhoneId) {
    let mut world = World::new(setup);
    let host = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), id);
    world.seconds(6);
    (world, host)
}

fn dial(world: &mut World, id: &str, number: &str) -> Reply {
    let ask = world.dial_out(id, number, None);
    world.replies[&ask].clone()
}

/// The phones that were called at a site, in order.
fn called(world: &World, site: SiteId) -> Vec<PhoneId> {
    let is_callee =
        |number: &usize| world.phones[*number].request.is_some() && world.phones[*number].site == site;
    (0..world.phones.len()).filter(is_callee).map(PhoneId).collect()
}

/// The final record of the dial-out, and what the meeting was told.
fn outcome(world: &mut World, host: PhoneId, within: u64) -> (Value, Vec<PromptId>) {
    let begin = world.elapsed();
    world.until("the dial-out ends", Duration::from_secs(within), |world| {
        world.finals().iter().any(|record| record["call_type"] == "conf_out")
    });
    world.seconds(1);
    let record = world.finals().into_iter().find(|record| record["call_type"] == "conf_out");
    let told = world.phone(host).ear.prompts(&(begin..world.elapsed()));
    (record.cloned().expect("a final record"), told)
}

fn attempts(record: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attempts = record["attempts"].as_array().expect("attempts");
    attempts.iter().map(|one| (word(&one["trunk"]), word(&one["failure"]))).collect()
}

#[test]
fn whoever_answers_is_in_the_meeting_and_heard() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    let reply = dial(&mut world, SAM, GERMAN);
    assert_eq!(reply.status, 202, "{reply:?}");
    world.seconds(1);
    let callee = called(&world, OPERATOR)[0];
    assert_eq!(world.shown[SAM]["callees"][0]["ringing"], true, "{}", world.shown[SAM]);
    world.seconds(2);
    assert_eq!(world.phone(callee).line, Line::Up);
    assert_eq!(participants(&world, SAM), 2);
    let invite = world.phone(callee).request.clone().expect("it was called");
    assert_eq!(
        invite.from().and_then(|from| from.uri().user().map(|u| u.to_string())).as_deref(),
        Some(OPERATOR_NUMBER)
    );
    world.seconds(1);
    assert!(hears(&mut world, host, 1500) > LOUD);
    assert!(hears(&mut world, callee, 2100) > LOUD && hears(&mut world, callee, 1500) < QUIET);
    world.hang_up(callee);
    let (record, _) = outcome(&mut world, host, 5);
    assert_eq!((&record["end"]["result"], &record["trunk"]), (&"answered".into(), &"rhein".into()));
    assert!(record["ring_time"].is_string() && record["answer_time"].is_string());
    world.close();
}

#[test]
fn the_callee_goes_when_nobody_is_left() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    dial(&mut world, SAM, GERMAN);
    world.seconds(1);
    world.hang_up(host);
    world.seconds(1);
    let callee = called(&world, OPERATOR)[0];
    assert!(
        matches!(world.phone(callee).line, Line::Failed { status: 487, .. }),
        "{:?}",
        world.phone(callee).line
    );
    assert_eq!(world.sites[OPERATOR.0].got("CANCEL").len(), 1);
    world.close();
}

#[test]
fn busy_no_answer_and_declined_are_told_apart_and_final() {
    for (callee, result, told) in [
        (Callee::refuses(486), "busy", CalleeBusy),
        (Callee::refuses(600), "busy", CalleeBusy),
        (Callee::refuses(480), "no-answer", CalleeNoAnswer),
        (Callee::Rings, "no-answer", CalleeNoAnswer),
        (Callee::refuses(603), "declined", CalleeDeclined),
    ] {
        let (mut world, host) = meeting(Setup::default(), SAM);
        world.sites[OPERATOR.0].callee = callee.clone();
        // Declined is never retried, not even by a profile that lists it.
        dial(&mut world, SAM, FRENCH);
        let (record, heard) = outcome(&mut world, host, 90);
        assert_eq!(record["end"]["result"], result, "{callee:?}: {record}");
        assert_eq!(heard, [told], "{callee:?}");
        assert!(called(&world, ELBE).is_empty(), "another trunk would ring the same telephone");
        assert_eq!(world.phone(host).line, Line::Up);
        world.close();
    }
}

#[test]
fn a_decline_is_never_retried_even_where_the_profile_lists_it() {
    let setup = Setup { operator_lines: "failover_response_codes = [486, 503]", ..Setup::default() };
    let (mut world, host) = meeting(setup, SAM);
    world.sites[OPERATOR.0].callee = Callee::refuses(603);
    dial(&mut world, SAM, FRENCH);
    let (record, _) = outcome(&mut world, host, 10);
    assert_eq!(attempts(&record).len(), 1);
    world.close();
}

#[test]
fn nothing_within_three_and_a_half_seconds_leads_to_the_next_candidate() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].alive = false;
    let begin = world.elapsed();
    dial(&mut world, SAM, FRENCH);
    world.until("the next trunk is tried", Duration::from_secs(9), |world| !called(world, ELBE).is_empty());
    let after = world.since(begin).as_millis();
    assert!((3500..3600).contains(&after), "{after} ms");
    world.seconds(3);
    assert_eq!(participants(&world, SAM), 2);
    assert!(
        world.sites[OPERATOR.0].got("CANCEL").is_empty(),
        "without any response there is nothing to cancel"
    );
    world.hang_up(called(&world, ELBE)[0]);
    let (record, _) = outcome(&mut world, host, 5);
    assert_eq!(attempts(&record)[0].0, "rhein");
    assert_eq!(attempts(&record)[1], ("elbe".to_owned(), "null".to_owned()));
    world.sites[OPERATOR.0].alive = true;
    world.close();
}

#[test]
fn a_trunk_that_may_ring_longer_since_a_reload_rings_longer() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.reload(&Setup { operator_lines: "ring_seconds = 300", ..Setup::default() });
    world.sites[OPERATOR.0].callee = Callee::Rings;
    dial(&mut world, SAM, GERMAN);
    let (record, _) = outcome(&mut world, host, 320);
    // The far end lets nobody ring for more than three minutes, which is how long the bridge waited before the reload.
    let failures = attempts(&record);
    assert_eq!(failures, [("rhein".to_owned(), "response".to_owned())]);
    assert_eq!(world.sites[OPERATOR.0].got("CANCEL").len(), 0);
    world.hang_up(host);
    world.seconds(1);
    world.close();
}

#[test]
fn no_ringing_within_ten_seconds_leads_to_the_next_candidate() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].callee = Callee::TryingOnly;
    let begin = world.elapsed();
    dial(&mut world, SAM, FRENCH);
    world.until("the next trunk is tried", Duration::from_secs(19), |world| !called(world, ELBE).is_empty());
    let after = world.since(begin).as_millis();
    assert!((10_000..10_100).contains(&after), "{after} ms");
    world.seconds(1);
    assert_eq!(world.sites[OPERATOR.0].got("CANCEL").len(), 1, "a 100 can be cancelled");
    world.hang_up(host);
    world.seconds(1);
    world.close();
}

#[test]
fn a_failover_code_leads_to_the_next_trunk_and_another_code_does_not() {
    for (status, failover) in [(503, true), (408, true), (504, true), (404, false), (500, false)] {
        let (mut world, host) = meeting(Setup::default(), SAM);
        world.sites[OPERATOR.0].callee = Callee::refuses(status);
        dial(&mut world, SAM, FRENCH);
        world.seconds(4);
        assert_eq!(called(&world, ELBE).len(), usize::from(failover), "{status}");
        if !failover {
            let (record, told) = outcome(&mut world, host, 9);
            assert_eq!(record["end"]["sip_status"], status);
            assert!(told.is_empty() || told == [CalleeUnreachable], "{told:?}");
        }
        world.close();
    }
}

#[test]
fn a_503_leads_to_the_next_peer_of_the_same_trunk_first() {
    let (mut world, _) = meeting(Setup { second_peer: true, ..Setup::default() }, SAM);
    world.sites[OPERATOR.0].callee = Callee::refuses(503);
    dial(&mut world, SAM, FRENCH);
    world.seconds(4);
    assert_eq!((called(&world, OPERATOR).len(), called(&world, OPERATOR_SPARE).len()), (1, 1));
    assert!(called(&world, ELBE).is_empty());
    assert_eq!(participants(&world, SAM), 2);
    world.close();
}

#[test]
fn when_every_trunk_fails_the_meeting_is_told() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].callee = Callee::refuses(503);
    world.sites[ELBE.0].callee = Callee::refuses(503);
    dial(&mut world, SAM, FRENCH);
    let (record, told) = outcome(&mut world, host, 10);
    assert_eq!(told, [CalleeUnreachable]);
    assert_eq!(record["end"]["result"], "unreachable");
    assert_eq!(attempts(&record).len(), 2);
    world.close();
}

#[test]
fn a_200_that_comes_after_we_gave_up_gets_its_ack_and_a_bye() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    // From here on the operator's messages are written by hand: nothing for five seconds, then a 200.
    let dialog = world.sites[OPERATOR.0].endpoint.take();
    dial(&mut world, SAM, FRENCH);
    world.seconds(5);
    assert_eq!(called(&world, ELBE).len(), 1);
    let invite = world.sites[OPERATOR.0].got("INVITE")[0].message();
    let mut answer = Message::response_to(&invite, 200, None);
    answer.set_to_tag("late");
    answer.headers_mut().push("Contact", "<sip:late@127.0.0.2:5060>");
    answer.set_body("application/sdp", world.phone(host).sdp("sendrecv"));
    let from = world.sites[OPERATOR.0].address;
    for _ in 0..2 {
        world.send_raw(from, answer.to_bytes());
        world.run(Duration::from_millis(500));
    }
    let acks = world.sites[OPERATOR.0]
        .got("ACK")
        .iter()
        .filter(|ack| ack.message().call_id() == invite.call_id())
        .count();
    assert_eq!(acks, 2, "each copy of the 200 has its ACK");
    let byes = world.sites[OPERATOR.0].got("BYE");
    assert!(!byes.is_empty() && byes[0].message().call_id() == invite.call_id());
    assert!(world.sites[OPERATOR.0].got("CANCEL").is_empty());
    world.send_raw(from, Message::response_to(&byes[0].message(), 200, None).to_bytes());
    world.seconds(2);
    assert_eq!(participants(&world, SAM), 2, "the one who was dialed next is in");
    world.sites[OPERATOR.0].endpoint = dialog;
    world.close();
}

#[test]
fn a_200_that_crosses_the_cancel_gets_its_ack_and_a_bye() {
    for millisecond in 0..8 {
        let (mut world, host) = meeting(Setup::default(), SAM);
        let answer = Callee::Answers { ring: true, after: Duration::from_secs(2) };
        world.sites[OPERATOR.0].callee = answer;
        dial(&mut world, SAM, GERMAN);
        world.run(Duration::from_millis(2000 + millisecond));
        world.hang_up(host);
        world.seconds(5);
        let callee = called(&world, OPERATOR)[0];
        // Who answered before the host was gone is in the meeting, alone.
        let joined = participants(&world, SAM) == 1;
        assert_ne!(world.phone(callee).is_over(), joined, "{millisecond}: {:?}", world.phone(callee).line);
        world.close();
    }
}

#[test]
fn a_challenge_is_answered_with_the_trunk_s_credentials() {
    let lines = "credentials = { username = \"bridge\", password = \"s3cret\" }";
    let (mut world, _) = meeting(Setup { operator_lines: lines, ..Setup::default() }, SAM);
    world.sites[OPERATOR.0].callee = Callee::Challenges(Box::new(Callee::after(1)));
    dial(&mut world, SAM, GERMAN);
    world.seconds(3);
    assert_eq!(participants(&world, SAM), 2);
    let [_, second] = called(&world, OPERATOR)[..] else { panic!("two INVITEs") };
    let request = world.phone(second).request.clone().expect("it was called");
    let authorization = request.headers().get("Proxy-Authorization").expect("credentials");
    // RFC 7616 with MD5: H(H(A1):nonce:nc:cnonce:qop:H(A2)) cannot be guessed, so it is asked for in form only.
    for part in ["username=\"bridge\"", "realm=\"rhein\"", "nonce=\"n0nce\"", "response=\"", "qop=auth"] {
        assert!(authorization.contains(part), "{part} in {authorization}");
    }
    assert!(!authorization.contains("s3cret"));
    world.close();
}

#[test]
fn a_challenge_without_credentials_is_a_refusal() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].callee = Callee::Challenges(Box::new(Callee::after(1)));
    dial(&mut world, SAM, GERMAN);
    let (record, _) = outcome(&mut world, host, 5);
    assert_eq!(record["end"]["sip_status"], 407);
    world.close();
}

#[test]
fn an_answer_in_the_183_and_a_bare_200_are_an_answer() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].callee = Callee::AnswersEarly { after: Duration::from_secs(2) };
    dial(&mut world, SAM, GERMAN);
    world.seconds(5);
    assert_eq!(participants(&world, SAM), 2);
    assert!(hears(&mut world, host, 1500) > LOUD);
    world.close();
}

#[test]
fn the_callee_must_press_one_where_that_is_asked_for() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.dial_out(SAM, GERMAN, Some(true));
    world.seconds(4);
    let callee = called(&world, OPERATOR)[0];
    let all = Duration::ZERO..world.elapsed();
    assert_eq!(world.phone(callee).ear.prompts(&all), [PressOneToJoin]);
    assert!(hears(&mut world, host, 1500) < QUIET, "a voicemail is not heard");
    world.press(callee, "71");
    world.seconds(1);
    assert_eq!(participants(&world, SAM), 2);
    world.hang_up(callee);
    world.seconds(1);
    world.dial_out(SAM, GERMAN, Some(true));
    world.seconds(40);
    let voicemail = called(&world, OPERATOR)[1];
    assert!(matches!(world.phone(voicemail).line, Line::Over { by_bridge: true, .. }));
    world.close();
}

#[test]
fn an_operator_connect_meeting_never_dials_through_microsoft_even_when_the_operators_are_down() {
    let (mut world, _) = meeting(Setup::default(), GRETA);
    assert_eq!(dial(&mut world, GRETA, BRITISH).status, 403, "no route leads to an operator");
    world.sites[ELBE.0].alive = false;
    world.sites[OPERATOR.0].callee = Callee::refuses(503);
    for number in [GERMAN, FRENCH, ITALIAN] {
        dial(&mut world, GRETA, number);
        world.seconds(15);
    }
    world.seconds(120);
    for number in [GERMAN, FRENCH, ITALIAN] {
        dial(&mut world, GRETA, number);
        world.seconds(15);
    }
    assert!(called(&world, MICROSOFT).is_empty());
    assert!(world.sites[MICROSOFT.0].got("INVITE").is_empty());
    world.close();
}

#[test]
fn a_standard_meeting_falls_to_microsoft_only_where_the_route_says_so() {
    let (mut world, _) = meeting(Setup::default(), SAM);
    dial(&mut world, SAM, BRITISH);
    world.seconds(3);
    assert_eq!(called(&world, MICROSOFT).len(), 1, "no route matches: Microsoft");
    let invite = world.phone(called(&world, MICROSOFT)[0]).request.clone().expect("it was called");
    assert!(invite.headers().get("From").is_some_and(|from| from.contains(MICROSOFT_NUMBER)));
    world.sites[ELBE.0].alive = false;
    world.sites[OPERATOR.0].alive = false;
    world.seconds(110);
    let refused = dial(&mut world, SAM, FRENCH);
    world.seconds(20);
    assert_eq!(called(&world, MICROSOFT).len(), 1, "never silently: {refused:?}");
    dial(&mut world, SAM, ITALIAN);
    world.seconds(20);
    assert_eq!(called(&world, MICROSOFT).len(), 2, "`fallback = \"microsoft\"`");
    world.sites[OPERATOR.0].alive = true;
    world.close();
}

#[test]
fn emergency_and_short_numbers_are_never_dialed() {
    let (mut world, _) = meeting(Setup::default(), SAM);
    for number in ["112", "110", "911", "+49112", "1234", "", "sip:x@y", "+4930;ext=1"] {
        let reply = dial(&mut world, SAM, number);
        assert!((400..500).contains(&reply.status), "{number}: {reply:?}");
    }
    let before = world.records.len();
    world.seconds(2);
    assert_eq!(world.records.len(), before);
    world.close();
}

/// Three organizers who may dial at home, into Zone A, and nowhere.
const RESTRICTED: &str = r#"
[dial_out]
blocked_prefixes = ["+4940"]
[[organizer]]
id = "hugo"
tenant = "contoso"
license = "audio-conferencing-standard"
dial_out_policy = "DialoutCPCDomesticPSTNInternational"
usage_location = "DE"
[[organizer]]
id = "zoe"
tenant = "contoso"
license = "audio-conferencing-standard"
dial_out_policy = "DialoutCPCZoneAPSTNInternational"
[[organizer]]
id = "nora"
tenant = "contoso"
license = "audio-conferencing-standard"
dial_out_policy = "DialoutCPCandPSTNDisabled"
[[meeting]]
conference_id = "400000001"
organizer = "hugo"
[[meeting]]
conference_id = "400000002"
organizer = "zoe"
[[meeting]]
conference_id = "400000003"
organizer = "nora"
"#;

#[test]
fn a_meeting_dials_only_where_its_organizer_s_policy_allows() {
    for (id, dialed, refused) in [
        ("400000001", GERMAN, ""),
        ("400000001", BRITISH, "is in GB, and DialoutCPCDomesticPSTNInternational"),
        ("400000001", "+494012345678", "which [dial_out] blocked_prefixes lists"),
        ("400000001", "+499001234567", "premium rate"),
        ("400000002", BRITISH, ""),
        ("400000002", "+18765551234", "is in JM, and DialoutCPCZoneAPSTNInternational"),
        ("400000003", GERMAN, "can call +496990009100"),
    ] {
        let (mut world, host) = meeting(Setup { tables: RESTRICTED, ..Setup::default() }, id);
        let reply = dial(&mut world, id, dialed);
        let detail = reply.body["detail"].as_str().unwrap_or_default();
        assert_eq!(reply.status, if refused.is_empty() { 202 } else { 403 }, "{dialed}: {reply:?}");
        assert!(detail.contains(refused), "{dialed}: {detail}");
        world.seconds(1);
        let calls = called(&world, MICROSOFT).len() + called(&world, OPERATOR).len();
        assert_eq!(calls, usize::from(refused.is_empty()), "{dialed}: nothing leaves that is refused");
        world.hang_up(host);
        world.seconds(1);
        world.close();
    }
}

#[test]
fn the_same_number_is_not_called_twice_at_once() {
    let (mut world, _) = meeting(Setup::default(), SAM);
    assert_eq!(dial(&mut world, SAM, GERMAN).status, 202);
    assert_eq!(dial(&mut world, SAM, "030 111222").status, 409, "however it is written");
    assert_eq!(dial(&mut world, "999999999", GERMAN).status, 404);
    world.close();
}

#[test]
fn a_callee_is_called_into_a_meeting_that_nobody_has_joined_yet() {
    let mut world = World::new(Setup::default());
    world.seconds(6);
    assert_eq!(dial(&mut world, SAM, GERMAN).status, 202);
    world.seconds(4);
    assert_eq!(participants(&world, SAM), 1);
    let callee = called(&world, OPERATOR)[0];
    let when = listen(&mut world, Duration::from_secs(1));
    assert!(world.phone(callee).ear.packets_in(&when) >= 49);
    world.close();
}

#[test]
fn a_ring_back_tone_is_not_heard_in_the_meeting_and_does_not_delay_the_first_word() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    world.sites[OPERATOR.0].callee = Callee::PlaysRingback { tone: 2900, after: Duration::from_secs(4) };
    dial(&mut world, SAM, GERMAN);
    world.seconds(3);
    world.until("the callee answers", Duration::from_secs(3), |world| participants(world, SAM) == 2);
    let begin = world.elapsed();
    let when = listen(&mut world, Duration::from_secs(2));
    let ear = &world.phone(host).ear;
    assert!(
        ear.level(2900, &(Duration::ZERO..world.elapsed())) < QUIET,
        "what came before the answer is gone"
    );
    let word =
        ear.packets.iter().find(|packet| when.contains(&packet.at) && tests::ear::has(packet, 1500, LOUD));
    let after = word.expect("the callee is heard").at.saturating_sub(begin);
    assert!(after < Duration::from_millis(300), "the first word was heard after {after:?}");
    let callee = called(&world, OPERATOR)[0];
    world.phone_mut(callee).mouth.sound = tests::Sound::Silence;
    world.run(Duration::from_millis(250));
    assert!(hears(&mut world, host, 1500) < QUIET, "the way from mouth to ear is short");
    world.close();
}

#[test]
fn who_waits_alone_for_a_callee_hears_that_it_rings_also_where_the_183_is_silent() {
    for (callee, rings) in [
        (Callee::after(8), true),
        (Callee::AnswersEarly { after: Duration::from_secs(8) }, true),
        (Callee::Answers { ring: false, after: Duration::from_secs(8) }, false),
    ] {
        let (mut world, host) = meeting(Setup::default(), SAM);
        world.sites[OPERATOR.0].callee = callee;
        dial(&mut world, SAM, GERMAN);
        let ringing = listen(&mut world, Duration::from_secs(7));
        let share = world.phone(host).ear.share(425, LOUD, &ringing);
        assert_eq!((0.1..0.3).contains(&share), rings, "{share} of the time");
        world.seconds(3);
        let talking = listen(&mut world, Duration::from_secs(6));
        assert!(world.phone(host).ear.share(425, LOUD, &talking) < 0.001, "it is over with the answer");
        world.close();
    }
}

#[test]
fn a_callee_whose_sbc_moves_the_media_right_after_the_answer_is_heard() {
    let (mut world, host) = meeting(Setup::default(), SAM);
    dial(&mut world, SAM, GERMAN);
    world.run(Duration::from_millis(2050));
    let callee = called(&world, OPERATOR)[0];
    world.move_phone(callee, 19_000);
    assert!(world.reinvite(callee, Some("sendrecv")));
    world.seconds(1);
    assert!(hears(&mut world, host, 1500) > LOUD && hears(&mut world, callee, 2100) > LOUD);
    world.close();
}
