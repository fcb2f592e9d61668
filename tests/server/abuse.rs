//! Hostile messages against the real binary: each costs what it costs to read, and the next OPTIONS is answered.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::bridge::{Bridge, House, NUMBER};
use super::raw::{Dialog, Raw, RawCall, Request, offer, status};

/// A socket of somebody whom no trunk lists.
async fn stranger() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.66:0").await.expect("a socket");
    let own = socket.local_addr().expect("its address");
    (socket, own)
}

/// Every answer that comes until there is silence.
async fn answers(socket: &UdpSocket) -> Vec<String> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    while let Ok(Ok(length)) = timeout(Duration::from_millis(400), socket.recv(&mut buffer)).await {
        all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    all
}

/// Kilobytes of memory in use.
fn resident(bridge: &Bridge) -> usize {
    let path = format!("/proc/{}/status", bridge.id());
    let text = std::fs::read_to_string(path).expect("the bridge is running");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}

/// The bridge still answers.
async fn is_alive(house: &House, what: &str) {
    let raw = Raw::open(house.sip).await;
    let call_id = format!("alive-{:?}", raw.address());
    let began = Instant::now();
    let request = Request { call_id: &call_id, ..Request::default() };
    let asked = timeout(Duration::from_secs(10), raw.status(&request));
    assert_eq!(
        asked.await.unwrap_or_else(|_| panic!("no answer after {what}\n{}", house.log())),
        200,
        "{what}"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_one_403_a_request_and_after_ten_nothing_for_a_while() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let (socket, own) = stranger().await;
    for number in 0..200 {
        let call_id = format!("scan{number}");
        let invite = Request { method: "INVITE", call_id: &call_id, ..Request::default() };
        socket.send_to(invite.text("UDP", own, house.sip).as_bytes(), house.sip).await.expect("sent");
    }
    let answers = answers(&socket).await;
    assert!((10..=60).contains(&answers.len()), "{}", answers.len());
    assert!(answers.iter().all(|answer| answer.starts_with("SIP/2.0 403")), "{answers:?}");
    assert!(answers.iter().all(|answer| !answer.contains("Reason:")), "a stranger learns nothing");
    house
        .until("what was not read is counted", async || {
            house.count("partyline_sip_requests_rejected_total{reason=\"stranger_rate\"}").await >= 140
        })
        .await;
    is_alive(&house, "a scan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_strangers_are_met_with_silence_not_even_options_is_answered() {
    let silent = "tcp_connections_per_address = 50\nstrangers = \"silent\"";
    let (house, _doorbell) = House::new(&[("tcp_connections_per_address = 50", silent)]).await;
    let _bridge = house.start().await;
    let (socket, own) = stranger().await;
    for method in ["OPTIONS", "INVITE", "REGISTER", "BYE"] {
        let request = Request { method, ..Request::default() };
        socket.send_to(request.text("UDP", own, house.sip).as_bytes(), house.sip).await.expect("sent");
    }
    assert_eq!(answers(&socket).await, Vec::<String>::new());
    house
        .until("they are counted", async || {
            house.count("partyline_sip_requests_rejected_total{reason=\"no_trunk\"}").await == 4
        })
        .await;
    is_alive(&house, "strangers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_every_size_are_refused_or_read_and_cost_no_memory() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    is_alive(&house, "nothing").await;
    let before = resident(&bridge);
    let sizes = [1, 255, 256, 1024, 8 * 1024, 60_000];
    let headers = [
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Via",
        "Contact",
        "Record-Route",
        "Subject",
        "Require",
        "Accept",
        "Authorization",
        "X-Anything",
    ];
    for header in headers {
        for size in sizes {
            let call_id = format!("size-{header}-{size}");
            let invite = Request { method: "INVITE", call_id: &call_id, to: "+999", ..Request::default() };
            let text = invite.text("UDP", raw.address(), house.sip);
            let long = "a".repeat(size);
            let start = format!("\r\n{header}: ");
            // The value, or the tag or branch at its end, is so long.
            let text = match text.find(&start) {
                Some(at) => {
                    let end = at + 2 + text[at + 2..].find("\r\n").expect("the end of the line");
                    format!("{};x={long}{}", &text[..end], &text[end..])
                }
                None => text.replacen("\r\nContact: ", &format!("{start}{long}\r\nContact: "), 1),
            };
            assert!(text.len() > size);
            raw.send(text.as_bytes()).await;
        }
        is_alive(&house, header).await;
    }
    let more = resident(&bridge).saturating_sub(before);
    assert!(more < 16 * 1024, "{more} kB more than before");
    let statuses: Vec<u16> = raw.everything().await.iter().map(|answer| status(answer)).collect();
    assert!(statuses.iter().all(|status| *status == 100 || (400..700).contains(status)), "{statuses:?}");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_multiparts_and_poisonous_sdp_are_refused_and_the_bridge_goes_on() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    is_alive(&house, "nothing").await;
    let before = resident(&bridge);
    let good = offer(30_000);
    let nested = (0..200).fold(good.clone(), |inner, level| {
        format!(
            "--b{level}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n{inner}\r\n--b{level}--\r\n",
            level - 1
        )
    });
    let deep = "(".repeat(40_000);
    let fmtp = good.replace("a=fmtp:101 0-15", "a=fmtp\0");
    let port = good.replace("m=audio 30000", "m=audio 4294967296");
    let formats = good.replace(" 8 101", &" 8".repeat(20_000));
    let lines = (0..5_000).fold(good.clone(), |mut sdp, number| {
        let _ = write!(sdp, "a={number}\r\n");
        sdp
    });
    // (what, Content-Type, further headers, body, statuses that are right)
    let sdp = "application/sdp";
    let cases: [(&str, &str, &str, &str, &[u16]); 8] = [
        ("200 nested multiparts", "multipart/mixed;boundary=b199", "", &nested, &[400, 415, 488, 513]),
        ("a boundary that never comes", "multipart/mixed;boundary=zz", "", &good, &[400, 415, 488]),
        ("nested comments", sdp, &format!("User-Agent: {deep}\r\n"), &good, &[400, 413, 513]),
        ("a=fmtp with a NUL (pjproject 2092)", sdp, "", &fmtp, &[200, 400, 488]),
        ("a port beyond 32 bits (pjproject 2093)", sdp, "", &port, &[400, 488]),
        ("20,000 formats", sdp, "", &formats, &[400, 413, 488, 513]),
        ("5,000 lines", sdp, "", &lines, &[200, 400, 413, 488, 513]),
        ("SDP that is none", sdp, "", "v=0\r\nm=", &[400, 488]),
    ];
    for (number, (what, kind, more, body, right)) in cases.into_iter().enumerate() {
        let call_id = format!("poison{number}");
        let text = Request { method: "INVITE", call_id: &call_id, more, body, ..Request::default() };
        let text = text
            .text("UDP", raw.address(), house.sip)
            .replace("Content-Type: application/sdp", &format!("Content-Type: {kind}"));
        raw.send(text.as_bytes()).await;
        let is_ours = |answer: &&String| answer.contains(&format!("Call-ID: {call_id}\r\n"));
        let answers = raw.everything().await;
        let statuses = answers.iter().filter(is_ours).map(|answer| status(answer));
        let finals: Vec<u16> = statuses.filter(|status| *status >= 200).collect();
        assert!(finals.iter().all(|status| right.contains(status)), "{what}: {finals:?}");
        assert!(!finals.is_empty(), "{what}: no answer");
        is_alive(&house, what).await;
    }
    let more = resident(&bridge).saturating_sub(before);
    assert!(more < 16 * 1024, "{more} kB more than before");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_is_recorded_with_what_else_the_invite_claims_and_nothing_is_fetched() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let bait = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = bait.local_addr().expect("its address").port();
    let claims = format!(
        "Identity: eyJhbGciOiJFUzI1NiJ9.e30.c2ln;info=<http://127.0.0.1:{port}/cert.pem>;alg=ES256\r\n\
         P-Asserted-Identity: <sip:+4930777;verstat=TN-Validation-Failed@127.0.0.1;user=phone>\r\n\
         Privacy: none\r\nDiversion: <sip:+4930111@127.0.0.1>;reason=unconditional\r\n\
         History-Info: <http://127.0.0.1:{port}/history>;index=1\r\nP-Charging-Vector: icid-value=1\r\n\
         Call-Info: <http://127.0.0.1:{port}/picture>;purpose=icon\r\nAlert-Info: <http://127.0.0.1:{port}/ring>\r\n\
         Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n\
         X-MS-TenantID: =cmd|' /C calc'!A0\r\n"
    );
    let call = RawCall::dial(house.sip, "claims", "+493023125001", &claims).await;
    assert_eq!(call.hang_up().await, 200);
    house.until("its end is written", async || !house.records("final").is_empty()).await;
    let found = &house.records("final")[0]["claims"];
    assert!(found["identity"].as_str().is_some_and(|text| text.contains("cert.pem")), "{found}");
    assert_eq!(found["verstat"], "TN-Validation-Failed");
    assert_eq!(found["diversion"][0], "<sip:+4930111@127.0.0.1>;reason=unconditional");
    assert_eq!(found["x_ms"]["x-ms-tenantid"], "=cmd|' /C calc'!A0");
    assert!(
        found["session_id"].as_str().is_some_and(|id| id.starts_with("ab30317f1a784dc48ff824d0d3715d86"))
    );
    assert!(house.log().contains("session_id="), "{}", house.log());
    let fetched = timeout(Duration::from_secs(1), bait.accept()).await;
    assert!(fetched.is_err(), "somebody has connected: {fetched:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_leads_elsewhere_does_not_aim_our_bye() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    let (victim, target) = stranger().await;
    let body = offer(30_002);
    let request = Request { method: "INVITE", call_id: "aimed", body: &body, ..Request::default() };
    let text = request.text("UDP", raw.address(), house.sip);
    let own = format!("Contact: <sip:+493023125001@{}>", raw.address());
    let aimed = format!("Contact: <sip:x@{target}>\r\nRecord-Route: <sip:{target};lr>");
    assert!(text.contains(&own) && text.contains(NUMBER));
    raw.send(text.replace(&own, &aimed).as_bytes()).await;
    let answer = raw.until("SIP/2.0 200").await;
    let dialog = Dialog::of(&answer);
    raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
    house
        .until("the call is up", async || {
            house.count("partyline_calls{direction=\"in\",trunk=\"rhein-telecom\"}").await == 1
        })
        .await;
    for _ in 0..2 {
        bridge.signal(Signal::SIGTERM);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let bye = raw.until("BYE").await;
    assert!(bye.contains(&format!("Route: <sip:{target};lr>")), "the route stands in it: {bye}");
    assert_eq!(answers(&victim).await, Vec::<String>::new(), "nobody else is called on");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_megabyte_of_sdp_over_tcp_is_refused_before_it_is_kept() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    is_alive(&house, "nothing").await;
    let before = resident(&bridge);
    let body = offer(30_000) + &"a=x\r\n".repeat(100_000);
    for number in 0..20 {
        let mut stream = TcpStream::connect(house.sip).await.expect("a connection");
        let own = stream.local_addr().expect("its address");
        let call_id = format!("giant{number}");
        let request = Request { method: "INVITE", call_id: &call_id, body: &body, ..Request::default() };
        // The bridge may close before all of it is written.
        let _ = stream.write_all(request.text("TCP", own, house.sip).as_bytes()).await;
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(read.is_ok(), "the connection stays open: {answer}");
        assert!(
            answer.is_empty()
                || ["400", "413", "513"].contains(&answer.split(' ').nth(1).unwrap_or_default()),
            "{answer}"
        );
    }
    is_alive(&house, "half a megabyte").await;
    let more = resident(&bridge).saturating_sub(before);
    assert!(more < 16 * 1024, "{more} kB more than before");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_nobody_from_metrics_and_health() {
    let (house, _doorbell) =
        House::new(&[("token_file = \"token\"", "token_file = \"token\"\nconnections_per_address = 40")])
            .await;
    let _bridge = house.start().await;
    let mut silent = Vec::new();
    for host in 1..=9 {
        for _ in 0..50 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(SocketAddr::from(([127, 0, 5, host], 0))).expect("an address");
            silent.push(socket.connect(house.http).await.expect("a connection"));
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(house.get(path).await.map(|answer| answer.status), Some(200), "{path}");
    }
    let (status, _) = house.api("GET", "/v1/conferences", None).await;
    assert_eq!(status, 200);
    assert!(house.count("partyline_http_connections_shed_total").await >= 190);
    // Those that went are the oldest of their peer.
    let mut byte = [0];
    let over = timeout(Duration::from_secs(5), silent[0].read(&mut byte)).await;
    assert!(over.is_ok_and(|read| !matches!(read, Ok(1..))), "the oldest is closed");
    assert!(timeout(Duration::from_millis(100), silent[449].read(&mut byte)).await.is_err());
}
