//! REFER (RFC 3515) inside of a dialog.

use super::pair::OFFER;
use super::peer::*;
use crate::endpoint::*;

const TARGET: &str = "Refer-To: <sip:carol@192.0.2.9;x=y?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\n";

fn peer(accept_refer: bool) -> Peer {
    let terms = Terms { accept_refer, ..Terms::default() };
    Peer::with(Transport::Udp, EndpointConfig { terms, ..EndpointConfig::default() })
}

#[test]
fn without_the_flag_a_refer_in_a_dialog_is_declined_and_the_leg_lives_on() {
    let mut peer = peer(false);
    let (_, tag) = peer.called_in();
    peer.request("REFER", 2, "z9hG4bKr", &tag, TARGET, b"");
    assert_eq!(peer.sent_words(), ["603"]);
    assert!(peer.events.iter().all(|event| !matches!(event, Event::ReferReceived { .. })));
    assert_eq!(peer.us.invites(), 1);
    peer.request("NOTIFY", 3, "z9hG4bKn", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["405"]);
}

#[test]
fn with_the_flag_it_is_accepted_and_told_what_came_of_it() {
    let mut peer = peer(true);
    let (id, tag) = peer.called_in();
    peer.request("REFER", 2, "z9hG4bKr", &tag, &format!("{TARGET}Referred-By: <sip:bob@192.0.2.9>\r\n"), b"");
    match peer.last() {
        Event::ReferReceived { id: found, target, by } => {
            assert_eq!((*found, target.uri().user_raw()), (id, Some("carol")));
            assert_eq!(by.as_deref(), Some("<sip:bob@192.0.2.9>"));
        }
        other => panic!("{other:?}"),
    }
    peer.request("REFER", 3, "z9hG4bKr3", &tag, TARGET, b"");
    assert_eq!(peer.sent_words(), ["491"], "one at a time");
    assert!(matches!(peer.us.notify_refer(peer.now, id, 200), Err(CommandError::WrongState(_))));
    peer.us.accept_refer(peer.now, id).expect("accepted");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["202", "NOTIFY"]);
    let allow = header(&sent[0], "Allow");
    assert!(allow.contains("REFER") && allow.contains("NOTIFY"), "{allow}");
    let notify = &sent[1];
    assert_eq!(header(notify, "Event"), "refer;id=2");
    assert_eq!(header(notify, "Subscription-State"), "active;expires=180");
    assert_eq!(header(notify, "Content-Type"), "message/sipfrag;version=2.0");
    assert_eq!(notify.body().as_ref(), b"SIP/2.0 100 Trying\r\n");
    peer.answer(notify, 200, "bob", "", b"");
    peer.us.notify_refer(peer.now, id, 486).expect("told");
    let last = peer.sent_one();
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=noresource");
    assert_eq!(last.body().as_ref(), b"SIP/2.0 486 Busy Here\r\n");
    assert!(peer.us.notify_refer(peer.now, id, 200).is_err(), "that was the end of it");
    peer.answer(&last, 481, "bob", "", b"");
    assert_eq!(peer.us.invites(), 1, "who does not care is not lost");
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.drain();
}

#[test]
fn who_wants_no_notify_is_promised_that_and_gets_none() {
    for (wish, silent) in [
        ("Require: norefersub\r\nRefer-Sub: false\r\n", true),
        ("Supported: norefersub\r\nRefer-Sub: FALSE ;x=y\r\n", true),
        ("Refer-Sub: true\r\n", false),
    ] {
        let mut peer = peer(true);
        let (id, tag) = peer.called_in();
        peer.request("REFER", 2, "z9hG4bKr", &tag, &format!("{TARGET}{wish}"), b"");
        peer.us.accept_refer(peer.now, id).expect("accepted");
        let sent = peer.sent();
        let words: Vec<String> = sent.iter().map(word).collect();
        assert_eq!(words, if silent { vec!["202"] } else { vec!["202", "NOTIFY"] }, "{wish}");
        assert_eq!(header(&sent[0], "Refer-Sub"), if silent { "false" } else { "" }, "{wish}");
        assert!(header(&sent[0], "Supported").contains("norefersub"));
        peer.us.notify_refer(peer.now, id, 200).expect("told, or not");
        assert_eq!(peer.sent().len(), usize::from(!silent), "{wish}");
        assert!(peer.us.notify_refer(peer.now, id, 200).is_err(), "that was the end of it");
    }
}

#[test]
fn a_refer_that_cannot_be_read_or_is_not_wanted_or_outlived_is_answered() {
    let mut peer = peer(true);
    let (id, tag) = peer.called_in();
    peer.request("REFER", 2, "z9hG4bKa", &tag, "", b"");
    peer.request("REFER", 3, "z9hG4bKb", &tag, "Refer-To: \"broken\r\n", b"");
    assert_eq!(peer.sent_words(), ["400", "400"]);
    peer.request("REFER", 4, "z9hG4bKc", &tag, TARGET, b"");
    peer.us.reject_refer(peer.now, id, 603).expect("rejected");
    assert_eq!(peer.sent_words(), ["603"]);
    peer.request("REFER", 5, "z9hG4bKd", &tag, TARGET, b"");
    peer.request("BYE", 6, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200", "487"]);
    peer.drain();
    let id = peer.us.invites();
    assert_eq!(id, 0);
    peer.request("REFER", 1, "z9hG4bKe", "", TARGET, OFFER);
    assert_eq!(peer.sent_words(), ["481"], "outside of any dialog");
}
