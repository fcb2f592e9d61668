//! Floods, guessers, thieves and liars.

use std::time::Duration;

use server::control::Input;
use sip::Message;
use tests::{
    Callee, Caller, ELBE, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, RawCall,
    SAM, STRANGER, Setup, Sound, World,
};

use crate::cast::{LOUD, answered, join, listen, participants};

#[test]
fn a_flood_of_calls_costs_the_running_ones_nothing() {
    let mut world = World::new(Setup { ports: "20000-20039", ..Setup::default() });
    let talker = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let listener = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let flood: Vec<PhoneId> = (0..1500)
        .map(|number| {
            world.run(Duration::from_millis(1));
            let site = if number % 2 == 0 { OPERATOR } else { STRANGER };
            world.call(&Caller { sound: Sound::Nothing, deaf: true, ..Caller::to(site, OPERATOR_NUMBER) })
        })
        .collect();
    let when = listen(&mut world, Duration::from_secs(1));
    assert!(world.phone(listener).ear.share(2100, LOUD, &when) > 0.99);
    assert!(world.phone(listener).ear.longest_step() <= 3);
    assert_eq!(world.phone(talker).line, Line::Up);
    let up = flood.iter().filter(|&&phone| world.phone(phone).line == Line::Up).count();
    assert_eq!(up, 18, "as many as there are ports");
    let busy = world.sites[OPERATOR.0].got("SIP/2.0 503");
    assert_eq!(busy.len(), 750 - 18, "each of the others has one answer");
    // Ten at once and ten a second from one network, over the 2.5 s since the flood began; the rest costs nothing, not even an answer.
    let told = world.sites[STRANGER.0].got("SIP/2.0 403").len();
    assert!(
        (10..=10 + 25).contains(&told),
        "strangers are told without state, and no more often than that: {told}"
    );
    for phone in flood {
        if !world.phone(phone).is_over() {
            world.hang_up(phone);
        }
    }
    world.seconds(40);
    world.close();
}

/// From the last key of an ID to the first word of the answer, for one of several calls from the same number.
fn verdict_after(world: &mut World, id: &str) -> Duration {
    let from = Some("+4930777".to_owned());
    let phone = world.call(&Caller { from, ..Caller::to(OPERATOR, OPERATOR_NUMBER) });
    answered(world, phone);
    world.seconds(1);
    world.press(phone, id);
    while world.phone(phone).mouth.is_pressing() {
        world.run(Duration::from_millis(20));
    }
    world.phone_mut(phone).ear.clear();
    let begin = world.elapsed();
    world.seconds(5);
    let spoken = world.phone(phone).ear.first_sound().expect("a verdict");
    world.hang_up(phone);
    world.seconds(1);
    spoken.saturating_sub(begin)
}

#[test]
fn who_guesses_is_slowed_down_and_right_and_wrong_take_the_same_time() {
    let mut world = World::new(Setup::default());
    for number in 0..11 {
        let after = verdict_after(&mut world, &format!("9999999{number:02}"));
        assert!(after < Duration::from_millis(300), "a slip costs nothing: {after:?}");
    }
    let wrong = verdict_after(&mut world, "999999999");
    let right = verdict_after(&mut world, SAM);
    assert!(
        wrong > Duration::from_millis(2500) && right > Duration::from_millis(2500),
        "{wrong:?}, {right:?}"
    );
    assert!(wrong.abs_diff(right) < Duration::from_millis(60), "{wrong:?}, {right:?}");
    world.seconds(600);
    let later = verdict_after(&mut world, "999999999");
    assert!(later < Duration::from_millis(300), "after ten minutes it is forgotten: {later:?}");
    world.close();
}

#[test]
fn a_foreign_realm_never_gets_our_credentials() {
    let lines = "credentials = { username = \"bridge\", password = \"s3cret\", realm = \"rhein\" }";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let host = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    world.sites[OPERATOR.0].endpoint = None;
    let from = world.sites[OPERATOR.0].address;
    let rtp = std::net::SocketAddr::new(from.ip(), 30_000);
    world.named.insert(rtp);
    world.dial_out(SAM, "+4930111222", None);
    world.run(Duration::from_millis(100));
    let reply = |request: &Message, status: u16, body: &str, headers: &[(&str, &str)]| {
        let mut message = Message::response_to(request, status, None);
        message.set_to_tag("thief");
        message.headers_mut().push("Contact", "<sip:thief@127.0.0.2:5060>");
        for (name, value) in headers {
            message.headers_mut().push(*name, value);
        }
        if !body.is_empty() {
            message.set_body("application/sdp", body.as_bytes().to_vec());
        }
        message.to_bytes()
    };
    let invite = world.sites[OPERATOR.0].got("INVITE")[0].message();
    let sdp = tests::sdp::write(rtp, &[tests::Codec::A], 101, "sendrecv", 1);
    world.send_raw(from, reply(&invite, 200, &sdp, &[]));
    world.seconds(2);
    assert_eq!(participants(&world, SAM), 2);
    world.hang_up(host);
    world.feed(Input::DrainNow);
    world.run(Duration::from_millis(100));
    let bye = world.sites[OPERATOR.0].got("BYE")[0].message();
    let challenge = "Digest realm=\"elsewhere\", nonce=\"1\", algorithm=MD5";
    world.send_raw(from, reply(&bye, 401, "", &[("WWW-Authenticate", challenge)]));
    world.seconds(40);
    for received in &world.sites[OPERATOR.0].inbox {
        let text = String::from_utf8_lossy(&received.bytes).to_lowercase();
        assert!(!text.contains("\r\nauthorization:") && !text.contains("proxy-authorization:"), "{text}");
    }
    world.close();
}

#[test]
fn a_liar_s_name_stays_one_word_in_one_line_of_the_records() {
    let mut world = World::new(Setup::default());
    let from = world.sites[OPERATOR.0].address;
    world.sites[OPERATOR.0].endpoint = None;
    let call = RawCall::new(from, OPERATOR_NUMBER, "liar", String::new());
    let invite = String::from_utf8(call.invite().to_vec()).expect("text");
    let control = "From: \"a\u{1b}[31m\u{7}\" <sip:";
    world.send_raw(from, invite.replace("From: <sip:", control).replace("liar", "worse").into());
    world.seconds(1);
    assert_eq!(world.sites[OPERATOR.0].got("SIP/2.0 400").len(), 1, "control characters are no name");
    let evil = "From: \"=cmd|'/c calc'!A1\\\", \u{202e}x\" <sip:";
    world.send_raw(from, invite.replace("From: <sip:", evil).into());
    world.seconds(1);
    assert!(!world.records.is_empty(), "the call was taken");
    for record in &world.records {
        let name = record["caller_display"].as_str().unwrap_or_default();
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(!name.contains('\u{202e}'), "{name:?}");
    }
    world.send_raw(from, call.cancel());
    world.seconds(40);
    let byes: Vec<_> = world.sites[OPERATOR.0].got("BYE").iter().map(|bye| bye.message()).collect();
    for bye in byes {
        world.send_raw(from, Message::response_to(&bye, 200, None).to_bytes());
    }
    world.seconds(1);
    world.close();
}

#[test]
fn a_trunk_over_tcp_serves_both_ways_and_a_connection_that_fails_is_no_trunk() {
    let mut world = World::new(Setup { operator_transport: "tcp", ..Setup::default() });
    world.seconds(6);
    let host = join(&mut world, &Caller { tcp: true, ..Caller::to(OPERATOR, OPERATOR_NUMBER) }, SAM);
    world.dial_out(SAM, "+33123456789", None);
    world.seconds(3);
    assert_eq!(participants(&world, SAM), 2);
    assert!(
        world.sites[OPERATOR.0].got("INVITE")[0]
            .message()
            .headers()
            .get("Via")
            .is_some_and(|via| via.contains("TCP"))
    );
    let (local, remote) = (tests::fixture::BRIDGE, world.sites[OPERATOR.0].address);
    let flow = sip::Flow { transport: sip::Transport::Tcp, local, remote, connection: 1 };
    world.feed(Input::FlowFailed { flow, why: "reset by peer".to_owned() });
    world.seconds(1);
    assert_eq!(world.phone(host).line, Line::Up, "a call outlives its connection");
    world.sites[OPERATOR.0].alive = false;
    world.sites[ELBE.0].callee = Callee::after(1);
    world.dial_out(SAM, "+33123456700", None);
    world.run(Duration::from_millis(300));
    world.feed(Input::FlowFailed {
        flow: sip::Flow { connection: 0, ..flow },
        why: "connection refused".to_owned(),
    });
    world.run(Duration::from_millis(100));
    assert_eq!(world.sites[ELBE.0].got("INVITE").len(), 1, "the next candidate, at once");
    world.sites[OPERATOR.0].alive = true;
    world.seconds(3);
    // What ended took nothing with it that is said later: it goes over a connection of its own.
    assert_eq!(world.sites[OPERATOR.0].got("BYE").len(), 0);
    world.feed(Input::DrainNow);
    world.run(Duration::from_millis(500));
    assert_eq!(
        world.sites[OPERATOR.0].got("BYE").len(),
        2,
        "to the one who called and to the one who was called"
    );
    assert!(
        matches!(world.phone(host).line, Line::Over { by_bridge: true, .. }),
        "{:?}",
        world.phone(host).line
    );
    world.close();
}
