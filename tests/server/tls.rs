//! SIP over TLS: who is let in by which certificate, who is called, and what an unknown peer gets.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tests::pki::{Authority, Wish};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE};
use super::raw::{Dialog, Raw, Request, answer, offer, status};
use super::secured::{OUR_NAME, SBC, furnish, house};
use super::tls_line::{Line, Sbc, client, unchecked};

/// Where nobody listens: the tests that call nobody.
const NOWHERE: &str = "127.0.0.1:9";

fn nowhere() -> SocketAddr {
    NOWHERE.parse().expect("an address")
}

fn invite<'a>(call_id: &'a str, body: &'a str) -> Request<'a> {
    Request { method: "INVITE", call_id, body, ..Request::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_proves_its_name_over_tls_is_served_and_the_same_address_without_tls_is_not() {
    let authority = Authority::new("tests");
    let house = house(&authority, nowhere(), "").await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let mut line = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
    let body = offer(40_000);
    let answer = line.ask(&invite("tls-call", &body)).await.expect("an answer");
    assert_eq!(status(&answer), 200, "{answer}");
    let contact = answer.lines().find(|line| line.starts_with("Contact:")).unwrap_or_default();
    assert!(contact.contains(&format!("@127.0.0.1:{}", house.tls.port())), "{contact}");
    assert!(contact.contains("transport=tls"), "{contact}");
    let dialog = Dialog::of(&answer);
    line.send(&dialog.request("ACK", 1, "TLS", line.own)).await;
    line.send(&dialog.request("BYE", 2, "TLS", line.own)).await;
    let answer = line.message().await.expect("an answer to BYE");
    assert_eq!(status(&answer), 200, "{answer}");
    house.until("the leg is over", async || house.records("final").len() == 1).await;
    let raw = Raw::open(house.sip).await;
    assert_eq!(raw.status(&invite("udp-call", &body)).await, 403, "its address alone proves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_believed_by_its_issuer_its_dates_and_its_names() {
    let (authority, other) = (Authority::new("tests"), Authority::new("somebody else"));
    let house = house(&authority, nowhere(), "").await;
    let _bridge = house.start().await;
    let server_only = [rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // (what, certificate, status of an INVITE; None: the connection does not come about)
    let table = [
        ("the trunk's name", authority.issue_for(SBC), Some(200)),
        ("one label by wildcard", authority.issue_for("*.rhein.example"), Some(200)),
        (
            "a SIP URI",
            authority.issue(&Wish { uris: &["sip:sbc.rhein.example"], ..Wish::default() }),
            Some(200),
        ),
        ("the common name alone", authority.issue(&Wish { common_name: SBC, ..Wish::default() }), Some(200)),
        (
            "for servers only, as public authorities issue",
            authority.issue(&Wish { dns: &[SBC], uses: &server_only, ..Wish::default() }),
            Some(200),
        ),
        ("another name", authority.issue_for("sbc.evil.example"), Some(403)),
        (
            "the common name beside another name",
            authority.issue(&Wish { common_name: SBC, dns: &["sbc.evil.example"], ..Wish::default() }),
            Some(403),
        ),
        ("two labels by wildcard", authority.issue_for("*.example"), Some(403)),
        (
            "a person's SIP URI",
            authority.issue(&Wish { uris: &["sip:bob@sbc.rhein.example"], ..Wish::default() }),
            Some(403),
        ),
        ("another issuer", other.issue_for(SBC), None),
        ("expired", authority.issue(&Wish { dns: &[SBC], until: 2001, ..Wish::default() }), None),
    ];
    let body = offer(40_000);
    for (number, (what, certificate, expected)) in table.iter().enumerate() {
        let found = match Line::open(house.tls, client(&authority, Some(certificate))).await {
            Err(_) => None,
            Ok(mut line) => {
                let call_id = format!("certificate{number}");
                line.ask(&invite(&call_id, &body)).await.ok().map(|answer| status(&answer))
            }
        };
        assert_eq!(found, *expected, "{what}\n{}", house.log());
    }
    let none = match Line::open(house.tls, client(&authority, None)).await {
        Err(why) => why,
        Ok(mut line) => line.ask(&Request::default()).await.expect_err("no certificate"),
    };
    assert!(none.to_lowercase().contains("certificate"), "{none}");
    assert!(house.log().contains("TLS connection of a peer failed"), "{}", house.log());
    assert!(house.log().contains("none of which is in `tls_names`"), "{}", house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_speaks_tls_1_2_and_1_3_with_the_bridge_and_believes_its_certificate() {
    if !tests::programs::have("openssl", "openssl") {
        return;
    }
    let authority = Authority::new("tests");
    let house = house(&authority, nowhere(), "").await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    house.write("sbc.pem", &sbc.certificate);
    house.write("sbc.key", &sbc.key);
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = openssl(&house, &[version, "-cert", "sbc.pem", "-key", "sbc.key"]).await;
        assert!(said.contains("SIP/2.0 200 OK"), "{version}: {said}\n{}", house.log());
        assert!(said.contains("Verify return code: 0 (ok)") && said.contains(shown), "{version}: {said}");
    }
    let said = openssl(&house, &["-tls1_3"]).await;
    assert!(!said.contains("SIP/2.0") && said.contains("certificate required"), "{said}");
    let said = openssl(&house, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).await;
    assert!(!said.contains("SIP/2.0"), "{said}");
}

/// What `openssl s_client` prints after it has sent an OPTIONS.
async fn openssl(house: &House, arguments: &[&str]) -> String {
    let bridge = house.tls.to_string();
    let common = ["s_client", "-connect", &bridge, "-servername", OUR_NAME, "-verify_hostname", OUR_NAME];
    let mut child = Command::new("openssl")
        .args(common)
        .args(["-CAfile", "roots.pem", "-ign_eof"])
        .args(arguments)
        .current_dir(house.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl");
    // Without Content-Length nobody knows where it ends, so that it is answered with 400 and the connection closed: that ends
    // openssl. What comes before it is answered first.
    let options = Request { call_id: "openssl", ..Request::default() }.text("TLS", house.tls, house.tls);
    let last = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TLS x;branch=z9hG4bKlast\r\n\r\n";
    let mut stdin = child.stdin.take().expect("its standard input");
    let _ = stdin.write_all(format!("{options}{last}").as_bytes()).await;
    let _ = stdin.flush().await;
    let output =
        timeout(PATIENCE, child.wait_with_output()).await.expect("openssl ends").expect("its output");
    drop(stdin);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_calls_over_tls_shows_its_certificate_and_asks_for_the_name() {
    let authority = Authority::new("tests");
    let sbc = Sbc::open(&authority, &authority.issue_for("*.rhein.example")).await;
    let house = house(&authority, sbc.address(), "").await;
    let _bridge = house.start().await;
    let (accepted, decision) = house.dial_out("+4930901820").await;
    assert_eq!(accepted, 202, "{decision}");
    let (mut line, asked_for) = sbc.accept().await.expect("a handshake");
    assert_eq!(asked_for.as_deref(), Some(SBC));
    let our = std::fs::read(house.path("our.pem")).expect("our.pem");
    assert_eq!(line.certificate(), CertificateDer::from_pem_slice(&our).expect("a certificate"));
    let invite = line.message().await.expect("an INVITE");
    assert!(invite.starts_with(&format!("INVITE sip:+4930901820@{SBC}")), "{invite}");
    let via = invite.lines().find(|line| line.starts_with("Via:")).unwrap_or_default();
    let ours = format!("SIP/2.0/TLS 127.0.0.1:{};", house.tls.port());
    assert!(via.contains(&ours) && via.contains(";alias"), "{via}");
    line.send(&refusal(&invite)).await;
    let ack = line.message().await.expect("an ACK");
    assert!(ack.starts_with("ACK "), "{ack}");
    // RFC 5923: the same connection carries the peer's own requests.
    let body = offer(40_000);
    let answer =
        line.ask(&Request { method: "INVITE", call_id: "back", body: &body, ..Request::default() }).await;
    assert_eq!(status(&answer.expect("an answer")), 200, "{}", house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_to_be_the_sbc_is_told_nothing() {
    let (authority, other) = (Authority::new("tests"), Authority::new("somebody else"));
    for (what, certificate) in [
        ("another name", authority.issue_for("sbc.evil.example")),
        ("another issuer", other.issue_for(SBC)),
        ("expired", authority.issue(&Wish { dns: &[SBC], until: 2001, ..Wish::default() })),
    ] {
        let sbc = Sbc::open(&authority, &certificate).await;
        let house = house(&authority, sbc.address(), "").await;
        let _bridge = house.start().await;
        house.dial_out("+4930901820").await;
        if let Ok((mut line, _)) = sbc.accept().await {
            let read = line.message().await;
            assert!(read.is_err(), "{what}: {read:?}");
        }
        house.until(what, async || house.log().contains("TLS connection to a peer failed")).await;
        house.until(what, async || house.records("final").len() == 1).await;
        let label = "partyline_tls_handshakes_failed_total";
        assert!(house.count(label).await >= 1, "{what}");
    }
}

/// 486 to a request.
fn refusal(request: &str) -> String {
    answer(request, "486 Busy Here", "sbc", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_message_on_a_trunks_connection_costs_one_message_and_not_the_connection() {
    let authority = Authority::new("tests");
    let house = house(&authority, nowhere(), "").await;
    let _bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let mut line = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
    for (number, garbage) in [
        "INVITE \0\u{1} SIP/2.0\r\nContent-Length: 4\r\n\r\nabcd",
        "OPTIONS <sip:x> SIP/2.0\r\nVia: x\r\nl: 0\r\n\r\n",
        "SIP/2.0 999999 What\r\nContent-Length: 0\r\n\r\n",
        "\r\n\r\n\r\n\r\nhello world\r\nContent-Length: 2\r\n\r\n\r\n",
    ]
    .iter()
    .enumerate()
    {
        line.send(garbage).await;
        let call_id = format!("after{number}");
        let options = line.text(&Request { call_id: &call_id, ..Request::default() });
        line.send(&options).await;
        loop {
            let answer = line.message().await.unwrap_or_else(|why| panic!("{garbage:?}: {why}"));
            if answer.contains(&call_id) {
                assert_eq!(status(&answer), 200, "{garbage:?}");
                break;
            }
            assert!(answer.starts_with("SIP/2.0 4"), "{garbage:?}: {answer}");
        }
    }
    assert!(line.is_quiet(Duration::from_millis(200)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_in_the_handshake_is_cut_off_after_5_s_and_a_stranger_at_once() {
    let authority = Authority::new("tests");
    let house = house(&authority, nowhere(), "").await;
    let _bridge = house.start().await;
    let began = std::time::Instant::now();
    let ends = async |address: SocketAddr| {
        use tokio::io::AsyncReadExt as _;
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(address).expect("an address of loopback");
        let mut stream = socket.connect(house.tls).await.expect("a connection");
        let _ = timeout(PATIENCE, stream.read(&mut [0; 8])).await.expect("an end");
        began.elapsed()
    };
    let (peer, stranger) =
        tokio::join!(ends("127.0.0.1:0".parse().unwrap()), ends("127.0.0.2:0".parse().unwrap()));
    assert!((4..9).contains(&peer.as_secs()), "{peer:?}");
    assert!(stranger < Duration::from_secs(4), "{stranger:?}");
    house.until("it is logged", async || house.log().contains("handshake: not done within 5 s")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_to_new_connections_and_the_old_ones_carry_their_calls_on() {
    let authority = Authority::new("tests");
    let house = house(&authority, nowhere(), "").await;
    let bridge = house.start().await;
    let sbc = authority.issue_for(SBC);
    let connect = async || Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
    let mut line = connect().await;
    let (body, before) = (offer(40_000), line.certificate());
    let answer = line.ask(&invite("long-call", &body)).await.expect("an answer");
    assert_eq!(status(&answer), 200, "{answer}");
    let dialog = Dialog::of(&answer);
    line.send(&dialog.request("ACK", 1, "TLS", line.own)).await;
    let expiry = "partyline_tls_cert_expiry_timestamp_seconds{certificate=\"sip.tls\"}";
    assert_eq!(house.count(expiry).await, 4_102_358_400, "the last day of 2099");

    // By itself, when the files have changed.
    furnish(&house, &authority.issue(&Wish { dns: &[OUR_NAME], until: 2098, ..Wish::default() }));
    house.until("the new one is read", async || house.count(expiry).await == 4_070_822_400).await;
    let renewed = connect().await.certificate();
    assert_ne!(renewed, before);
    // A key that does not fit changes nothing.
    house.write("our.key", &authority.issue_for(OUR_NAME).key);
    let failures = async || house.count("partyline_tls_reload_failures_total").await;
    house.until("it is refused", async || failures().await >= 1).await;
    assert_eq!(connect().await.certificate(), renewed);
    // On SIGHUP at once.
    furnish(&house, &authority.issue(&Wish { dns: &[OUR_NAME], until: 2097, ..Wish::default() }));
    bridge.signal(nix::sys::signal::Signal::SIGHUP);
    house.until("the third one is read", async || house.count(expiry).await == 4_039_286_400).await;

    line.send(&dialog.request("BYE", 2, "TLS", line.own)).await;
    let answer = line.message().await.expect("an answer to BYE, over the connection from before");
    assert_eq!(status(&answer), 200, "{answer}");
    house.until("the leg is over", async || house.records("final").len() == 1).await;
    assert_eq!(house.records("final")[0]["end"]["result"], "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_after_a_dead_one_takes_a_new_connection_and_the_dead_one_costs_no_more_than_4_s() {
    let authority = Authority::new("tests");
    let sbc = Sbc::open(&authority, &authority.issue_for(SBC)).await;
    let house = house(&authority, sbc.address(), "").await;
    let _bridge = house.start().await;
    let began = std::time::Instant::now();
    house.dial_out("+4930901820").await;
    // It reads and never answers, as a proxy before a dead machine does.
    let (mut dead, _) = sbc.accept().await.expect("a handshake");
    assert!(dead.message().await.expect("an INVITE").starts_with("INVITE "));
    house.until("the first call is over", async || house.records("final").len() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    house.dial_out("+4930901821").await;
    let (mut fresh, _) = sbc.accept().await.expect("another handshake");
    let invite = fresh.message().await.expect("an INVITE");
    assert!(invite.starts_with("INVITE sip:+4930901821@"), "{invite}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_over_the_connection_that_the_peer_opened_where_its_via_says_alias() {
    let authority = Authority::new("tests");
    let sbc = authority.issue_for(SBC);
    for alias in [true, false] {
        // Nobody listens at the peer's own port.
        let house = house(&authority, nowhere(), "").await;
        let _bridge = house.start().await;
        let mut line = Line::open(house.tls, client(&authority, Some(&sbc))).await.expect("a handshake");
        let options = line.text(&Request::default());
        let via = format!("SIP/2.0/TLS {NOWHERE};{}branch", if alias { "alias;" } else { "" });
        line.send(&options.replace(&format!("SIP/2.0/TLS {};branch", line.own), &via)).await;
        assert_eq!(status(&line.message().await.expect("an answer")), 200);
        house.dial_out("+4930901820").await;
        if alias {
            let invite = line.message().await.expect("an INVITE");
            assert!(invite.starts_with("INVITE "), "{invite}");
            line.send(&refusal(&invite)).await;
            assert!(line.message().await.expect("an ACK").starts_with("ACK "));
        } else {
            assert!(line.is_quiet(Duration::from_secs(1)).await);
        }
        house.until("the call is over", async || house.records("final").len() == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ipv6_a_call_is_answered_and_the_listener_is_called_by_its_own_name() {
    let authority = Authority::new("tests");
    let peers = format!("{{ address = \"[::1]:9\", transport = \"tls\", host = \"{SBC}\" }}");
    let house = super::secured::house_with(&authority, &peers, "").await;
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let text = text.replace(
        &format!("tls://{}", house.tls),
        &format!("tls://[::1]:{} as {OUR_NAME}:5099", house.tls.port()),
    );
    house.write("partyline.toml", &text.replace("sources = [\"127.0.0.1/32\"]", "sources = [\"::1\"]"));
    let _bridge = house.start().await;
    let bridge = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], house.tls.port()));
    let sbc = authority.issue_for(SBC);
    let mut line = Line::open(bridge, client(&authority, Some(&sbc))).await.expect("a handshake");
    let body = offer(40_000);
    let answer = line.ask(&invite("six", &body)).await.expect("an answer");
    assert_eq!(status(&answer), 200, "{answer}\n{}", house.log());
    let contact = answer.lines().find(|line| line.starts_with("Contact:")).unwrap_or_default();
    assert!(contact.contains(&format!("@{OUR_NAME}:5099;")), "{contact}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_may_have_a_certificate_and_roots_of_its_own() {
    let (public, carrier) = (Authority::new("public"), Authority::new("the carrier"));
    let sbc = Sbc::open(&carrier, &carrier.issue_for(SBC)).await;
    let own = "tls = { certificate = \"acme.pem\", key = \"acme.key\", roots = \"acme-roots.pem\" }";
    let house = house(&public, sbc.address(), own).await;
    let acme = carrier.issue_for("acme.bridge.example");
    super::secured::write_pair(&house.path(""), "acme", &acme);
    house.write("acme-roots.pem", &carrier.root);
    let _bridge = house.start().await;
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    // It shows the trunk's certificate where it calls, and where it is called by that name or by an address.
    house.dial_out("+4930901820").await;
    let (line, _) = sbc.accept().await.expect("a handshake");
    assert_eq!(line.certificate(), der(&acme.certificate));
    let theirs = carrier.issue_for(SBC);
    for name in ["acme.bridge.example", "127.0.0.1"] {
        // Whoever asks for no name cannot check it either.
        let config = if name == "127.0.0.1" { unchecked(&theirs) } else { client(&carrier, Some(&theirs)) };
        let line = Line::open_as(house.tls, config, name).await.expect("a handshake");
        assert_eq!(line.certificate(), der(&acme.certificate), "{name}");
    }
    let line = Line::open(house.tls, client(&public, Some(&theirs))).await.expect("a handshake");
    assert_ne!(line.certificate(), der(&acme.certificate), "the name of [sip.tls] was asked for");
    // What the public authority says of the carrier's SBC does not count.
    let public_sbc = public.issue_for(SBC);
    let refused = match Line::open(house.tls, client(&public, Some(&public_sbc))).await {
        Err(_) => true,
        Ok(mut line) => line.ask(&Request::default()).await.is_err(),
    };
    assert!(refused, "{}", house.log());
}
