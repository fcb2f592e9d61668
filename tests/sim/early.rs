//! What carriers do before they answer: early media in all orders, forks, PRACK and UPDATE. The callee is written by hand.

use std::net::SocketAddr;
use std::time::Duration;

use sip::Message;
use tests::{Caller, Codec, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, PhoneId, SAM, Setup, World, sdp};

use crate::cast::{LOUD, hears, join, participants};

/// A number that goes through the operator `rhein`.
const GERMAN: &str = "+4930111222";

/// A meeting with somebody in it who says 2100 Hz has dialed out to the operator's SBC, which is written by hand.
struct Dialed {
    world: World,
    host: PhoneId,
    invite: Message,
}

impl Dialed {
    fn new(setup: Setup) -> Self {
        let mut world = World::new(setup);
        let host = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2100), SAM);
        world.seconds(6);
        world.sites[OPERATOR.0].endpoint = None;
        world.dial_out(SAM, GERMAN, None);
        world.run(Duration::from_millis(50));
        let invite = Self::got(&world, "INVITE").pop().expect("an INVITE");
        Self { world, host, invite }
    }

    fn got(world: &World, begin: &str) -> Vec<Message> {
        world.sites[OPERATOR.0].got(begin).iter().map(|received| received.message()).collect()
    }

    fn last(&self, begin: &str) -> Message {
        Self::got(&self.world, begin).pop().unwrap_or_else(|| panic!("no {begin}"))
    }

    /// Where the callee of a fork hears us.
    fn rtp(&mut self, port: u16) -> SocketAddr {
        let rtp = SocketAddr::new(self.world.sites[OPERATOR.0].address.ip(), port);
        self.world.named.insert(rtp);
        rtp
    }

    fn sdp(&mut self, port: u16) -> String {
        sdp::write(self.rtp(port), &[Codec::A], 101, "sendrecv", 1)
    }

    fn heard(&mut self, port: u16) -> usize {
        let rtp = self.rtp(port);
        self.world.heard_at(rtp)
    }

    /// Answers a request of the bridge's.
    fn answer(&mut self, request: &Message, status: u16, tag: &str, headers: &[(&str, &str)], body: &str) {
        let from = self.world.sites[OPERATOR.0].address;
        let mut response = Message::response_to(request, status, None);
        response.set_to_tag(tag);
        response.headers_mut().push("Contact", format!("<sip:{tag}@{from}>"));
        for (name, value) in headers {
            response.headers_mut().push(*name, *value);
        }
        if !body.is_empty() {
            response.set_body("application/sdp", body.to_owned());
        }
        self.world.send_raw(from, response.to_bytes());
        self.world.run(Duration::from_millis(50));
    }

    /// Answers the INVITE.
    fn ring(&mut self, status: u16, tag: &str, headers: &[(&str, &str)], body: &str) {
        let invite = self.invite.clone();
        self.answer(&invite, status, tag, headers, body);
    }

    /// A request of the callee's in the dialog of a fork.
    fn ask(&mut self, method: &str, cseq: u32, tag: &str, body: &str) {
        let from = self.world.sites[OPERATOR.0].address;
        let value = |name: &str| self.invite.headers().get(name).unwrap_or_default().to_owned();
        let (to, remote, call_id) = (value("From"), value("To"), value("Call-ID"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:bridge@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{cseq}{tag};rport\r\n\
             Max-Forwards: 70\r\nFrom: {remote};tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{tag}@{from}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.world.send_raw(from, text.into());
        self.world.run(Duration::from_millis(50));
    }

    /// The callee hangs up.
    fn hang_up(mut self, cseq: u32, tag: &str) {
        self.ask("BYE", cseq, tag, "");
        self.world.seconds(1);
        self.world.close();
    }
}

#[test]
fn of_several_forks_the_one_that_answers_is_heard_and_its_own_183_is_the_answer() {
    let mut call = Dialed::new(Setup::default());
    let (first, second) = (call.sdp(30_000), call.sdp(31_000));
    call.ring(183, "anna", &[], &first);
    call.ring(183, "berta", &[], &second);
    call.ring(183, "anna", &[], &first);
    call.ring(200, "berta", &[], "");
    call.world.seconds(2);
    assert_eq!(participants(&call.world, SAM), 2);
    assert!(call.heard(31_000) > 50 && call.heard(30_000) == 0, "the media goes to the fork that answered");
    call.hang_up(5, "berta");
}

#[test]
fn a_second_fork_that_answers_gets_ack_and_bye_and_the_first_stays() {
    let mut call = Dialed::new(Setup::default());
    let (first, second) = (call.sdp(30_000), call.sdp(31_000));
    call.ring(200, "anna", &[], &first);
    call.ring(200, "berta", &[], &second);
    let bye = call.last("BYE");
    assert_eq!(bye.to().and_then(|to| to.tag().map(str::to_owned)).as_deref(), Some("berta"));
    assert_eq!(Dialed::got(&call.world, "ACK").len(), 2);
    call.answer(&bye, 200, "berta", &[], "");
    call.world.seconds(1);
    assert_eq!(participants(&call.world, SAM), 2);
    assert!(call.heard(30_000) > 40 && call.heard(31_000) == 0);
    call.hang_up(5, "anna");
}

#[test]
fn a_200_with_another_tag_than_the_183_and_without_sdp_is_an_answer_all_the_same() {
    let mut call = Dialed::new(Setup::default());
    let early = call.sdp(30_000);
    call.ring(183, "anna", &[], &early);
    call.ring(200, "berta", &[], "");
    call.world.seconds(2);
    assert_eq!(participants(&call.world, SAM), 2);
    assert!(call.heard(30_000) > 50);
    call.hang_up(5, "berta");
}

#[test]
fn a_180_after_a_183_and_sdp_only_in_the_200_are_taken_too() {
    for early in [&[180, 183][..], &[183, 180], &[183], &[181, 182, 180], &[]] {
        let mut call = Dialed::new(Setup::default());
        for status in early {
            call.ring(*status, "anna", &[], "");
        }
        let answer = call.sdp(30_000);
        call.ring(200, "anna", &[], &answer);
        call.world.seconds(1);
        assert!(call.heard(30_000) > 40, "{early:?}");
        call.hang_up(5, "anna");
    }
}

#[test]
fn a_reliable_183_gets_its_prack_at_the_contact_of_the_183() {
    let mut call = Dialed::new(Setup::default());
    assert!(call.invite.headers().has_token("Supported", "100rel"));
    let early = call.sdp(30_000);
    let reliable = [("Require", "100rel"), ("RSeq", "42")];
    call.ring(183, "anna", &reliable, &early);
    call.ring(183, "anna", &reliable, &early);
    let pracks = Dialed::got(&call.world, "PRACK");
    assert_eq!(pracks.len(), 1, "a copy gets no other PRACK");
    assert_eq!(pracks[0].headers().get("RAck"), Some("42 1 INVITE"));
    assert!(pracks[0].uri().is_some_and(|uri| uri.as_str().starts_with("sip:anna@")));
    call.answer(&pracks[0], 200, "anna", &[], "");
    call.ring(200, "anna", &[], "");
    call.world.seconds(1);
    assert!(call.heard(30_000) > 40);
    call.hang_up(5, "anna");
}

#[test]
fn an_update_before_the_answer_moves_the_media_and_the_bare_200_keeps_it_there() {
    for with_sdp in [false, true] {
        let mut call = Dialed::new(Setup::default());
        let (first, second) = (call.sdp(30_000), call.sdp(31_000));
        call.ring(183, "anna", &[("Require", "100rel"), ("RSeq", "1")], &first);
        let prack = call.last("PRACK");
        call.answer(&prack, 200, "anna", &[], "");
        call.ask("UPDATE", 7, "anna", &second);
        let answer = call.last("SIP/2.0 200");
        assert_eq!(answer.method().as_str(), "UPDATE");
        assert!(sdp::read(answer.body()).is_some());
        call.ring(200, "anna", &[], if with_sdp { &second } else { "" });
        call.world.seconds(1);
        assert!(call.heard(31_000) > 40 && call.heard(30_000) == 0, "with SDP: {with_sdp}");
        let host = call.host;
        assert!(hears(&mut call.world, host, 2100) < LOUD);
        call.hang_up(8, "anna");
    }
}

#[test]
fn an_update_in_a_fork_that_loses_changes_nothing() {
    let mut call = Dialed::new(Setup::default());
    let (first, second, third) = (call.sdp(30_000), call.sdp(31_000), call.sdp(32_000));
    call.ring(183, "anna", &[("Require", "100rel"), ("RSeq", "1")], &first);
    call.ask("UPDATE", 7, "anna", &second);
    call.ring(200, "berta", &[], &third);
    call.world.seconds(1);
    assert!(call.heard(32_000) > 40 && call.heard(31_000) == 0 && call.heard(30_000) == 0);
    call.hang_up(5, "berta");
}

#[test]
fn a_422_is_followed_by_an_invite_with_the_interval_that_was_asked_for() {
    let mut call = Dialed::new(Setup::default());
    assert_eq!(call.invite.headers().get("Session-Expires"), Some("1800"));
    call.ring(422, "anna", &[("Min-SE", "3600")], "");
    let again = call.last("INVITE");
    let value = |name: &str| again.headers().get(name).unwrap_or_default().to_owned();
    assert_eq!((value("Session-Expires"), value("Min-SE")), ("3600".to_owned(), "3600".to_owned()));
    call.invite = again;
    let answer = call.sdp(30_000);
    call.ring(200, "anna", &[("Session-Expires", "3600;refresher=uas")], &answer);
    call.world.seconds(1);
    assert_eq!(participants(&call.world, SAM), 2);
    call.hang_up(5, "anna");
}

#[test]
fn the_bridge_refreshes_a_dial_out_by_re_invite_where_the_callee_takes_no_update() {
    let mut call = Dialed::new(Setup::default());
    let answer = call.sdp(30_000);
    call.ring(200, "anna", &[("Session-Expires", "20;refresher=uac")], &answer);
    call.world.seconds(11);
    let refresh = call.last("INVITE");
    let changed = refresh.cseq().map(|cseq| cseq.number);
    assert_eq!(changed, Some(2));
    assert_eq!(refresh.body(), call.invite.body(), "the description that holds");
    let before = call.heard(30_000);
    call.answer(&refresh, 200, "anna", &[("Session-Expires", "20;refresher=uac")], &answer);
    call.world.seconds(1);
    assert!(call.heard(30_000) - before > 45);
    assert_eq!(participants(&call.world, SAM), 2);
    call.hang_up(5, "anna");
}
