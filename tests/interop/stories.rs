//! Stories of the two licenses with SIPp as the operator's and as Microsoft's end: which of them is called, by which number, who bills,
//! and what the callers hear.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use server::demo::recording::Recording;
use tests::ports::Ports;
use tokio::net::UdpSocket;

use super::{
    bridge::{CONFERENCE, House, NUMBER, PETRA, PIN, STRICT, root},
    conference::{judge, pcm, voice},
    ear::{HEARD, likeness, read_wav, share_heard},
    peers::{RECORDINGS, Sipp, listen},
    program::Program,
};

/// The number that Microsoft provides.
const MICROSOFTS_NUMBER: &str = "+14255550100";
/// Where Microsoft's gateway is, and only it.
const GATEWAY: &str = "127.0.0.3";
/// Where the operator's SBC is.
const OPERATOR: &str = "127.0.0.1";
/// Sam's meeting: his license is Audio Conferencing Standard, and his policy finds Germany through the operator.
const SAMS: &str = "205117394";
const IN_GERMANY: &str = "+493023125042";
const IN_AUSTRIA: &str = "+4315123450";
/// Petra's meeting here: no key of it comes twice in a row, which SIPp's recordings of keys cannot tell from one.
const PETRAS: &str = "271828182";
/// A sentence of the bridge's is heard when each look at it is at least so much like what came.
const PLAYED: f32 = 0.75;

/// SIPp with one scenario at an address of its own, and what arrives at its media port.
struct Peer {
    program: Program,
    heard: Arc<Mutex<Recording>>,
    began: Instant,
    sip: SocketAddr,
    _ports: Ports,
}

impl Peer {
    /// Starts SIPp; with `bridge` it calls `number` there, otherwise it waits to be called.
    async fn start(folder: &Path, scenario: &str, at: &str, call: Option<(SocketAddr, &str)>) -> Self {
        fs::create_dir_all(folder).expect("a folder for SIPp");
        fs::write(folder.join("scenario.xml"), scenario.replace("@PCAP@", RECORDINGS)).expect("the scenario");
        let mut ports = Ports::take(20);
        let (sip, media) = (ports.one(), ports.media(16));
        let here = |port: u16| SocketAddr::new(at.parse().expect("an address"), port);
        let rtp = UdpSocket::bind(here(media + 8)).await.expect("the RTP port");
        let rtcp = UdpSocket::bind(here(media + 9)).await.expect("the RTCP port");
        let heard = Arc::new(Mutex::new(Recording::default()));
        tokio::spawn(listen(rtp, rtcp, Arc::clone(&heard)));
        let (own, media, target) = (sip.to_string(), media.to_string(), call.map(|(to, _)| to.to_string()));
        let mut command = vec!["sipp", "-sf", "scenario.xml", "-i", at, "-p", &own, "-mp", &media, "-m", "1"];
        command.extend(["-timeout", "60", "-nostdin", "-trace_err", "-error_file", "errors.log"]);
        command.extend(["-trace_msg", "-message_file", "messages.log"]);
        command.extend(call.iter().flat_map(|(_, number)| ["-s", *number]));
        command.extend(target.as_deref());
        let program = Program::start(&command, folder, "sipp.log");
        if call.is_none() {
            // It has its port when nobody else gets it.
            while UdpSocket::bind(here(sip)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Self { program, heard, began: Instant::now(), sip: here(sip), _ports: ports }
    }

    /// Somebody who is called as `callee` by `caller`, answers and speaks.
    async fn answering(folder: &Path, at: &str, callee: &str, caller: &str) -> Self {
        let scenario = scenario("answers.xml").replace("@CALLEE@", callee).replace("@CALLER@", caller);
        Self::start(folder, &scenario, at, None).await
    }

    /// Waits until the scenario is over; everything must have gone as it says. Returns what was heard.
    async fn finished(mut self, house: &House) -> Vec<f32> {
        let status = self.program.ended(Duration::from_mins(1)).await;
        let log = self.program.log();
        assert!(
            status.is_some_and(|status| status.success()),
            "SIPp ended with {status:?}:\n{log}\n{}",
            house.log()
        );
        self.heard.lock().expect("the recording").track(self.began)
    }
}

fn scenario(name: &str) -> String {
    fs::read_to_string(root().join("tests/interop/peers").join(name)).expect("a scenario")
}

/// Keys as SIPp plays them, from Debian's recordings.
fn keyed(keys: &str) -> String {
    let mut played = String::new();
    for key in keys.chars() {
        let name = match key {
            '*' => "star".to_owned(),
            '#' => "pound".to_owned(),
            digit => digit.to_string(),
        };
        let recording = format!("@PCAP@/dtmf_2833_{name}.pcap");
        let _ = writeln!(played, "  <nop><action><exec play_pcap_audio=\"{recording}\"/></action></nop>");
        played.push_str("  <pause milliseconds=\"300\"/>\n");
    }
    played
}

/// A caller who keys, and then waits until the bridge hangs up.
fn keys_and_waits(keys: &str) -> String {
    let dials_in = scenario("dial_in.xml");
    let (before, _) = dials_in.split_once("  <pause milliseconds=\"@BEFORE_SPEECH@\"/>").expect("its speech");
    let ends = "  <recv request=\"BYE\" timeout=\"50000\"/>\n  <send>\n    <![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n\
                [last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]>\n  </send>\n</scenario>\n";
    format!("{before}{ends}").replace("@DIGITS@\n", keys).replace("@BEFORE_DIGITS@", "1500")
}

/// What came must have a sentence of the bridge's in it.
fn assert_played(stem: &str, heard: &[f32]) {
    let sentence = read_wav(&root().join(format!("config/prompts/en-US/{stem}.wav")));
    let looks = likeness(&sentence, heard);
    assert!(looks.iter().all(|look| *look > PLAYED), "{stem} was not heard: {looks:?}");
}

/// A bridge between the operator and Microsoft's gateway: Sam's route may lead on to Microsoft where `fallback` says so.
async fn between(operator: u16, gateway: u16, fallback: &str) -> House {
    let peers = format!("peers = [{{ address = \"{OPERATOR}:{operator}\", transport = \"udp\" }}] # [");
    let trunk = format!(
        "[[trunk]]\nid = \"microsoft\"\nkind = \"microsoft\"\nfqdn = \"bridge.example.net\"\nsend_sip_options = false\n\
         peers = [{{ address = \"{GATEWAY}:{gateway}\", transport = \"udp\", host = \"sip.pstn.example\" }}]\n\
         first_response_ms = 600\nsources = [\"{GATEWAY}/32\"]\n\n[[bridge]]"
    );
    let sam = format!(
        "[[organizer]]\nid = \"sam\"\ntenant = \"contoso\"\nlicense = \"audio-conferencing-standard\"\n\
         policy = \"germany-by-operator\"\nallow_pstn_users_to_bypass_lobby = true\n\
         allow_anonymous_users_to_start_meeting = true\n\n\
         [[meeting]]\nconference_id = \"{SAMS}\"\norganizer = \"sam\"\n\n[[meeting]]"
    );
    let route = format!("pstn_usages = [\"germany\"]\nfallback = \"{fallback}\"\nbridge_source");
    let quick = ("sources = [\"127.0.0.1/32\"]", "sources = [\"127.0.0.1/32\"]\nfirst_response_ms = 600");
    let changes = [
        quick,
        ("peers = [{ address = \"127.0.0.1:@PEER@\"", peers.as_str()),
        ("[[bridge]]", trunk.as_str()),
        ("[[meeting]]", sam.as_str()),
        ("pstn_usages = [\"germany\"]\nbridge_source", route.as_str()),
    ];
    House::new(&changes).await.0
}

/// A caller in a meeting, who dialed the operator's number.
async fn joined(house: &House, meeting: &str, caller: &str) -> server::demo::caller::Call {
    let call = house.call(caller).await;
    call.media().key(&format!("{meeting}#")).await;
    house
        .until("the caller is seated", async || {
            let shown = house.api("GET", &format!("/v1/conferences/{meeting}"), None).await.1;
            shown["participants"].as_array().is_some_and(|all| !all.is_empty())
        })
        .await;
    call
}

async fn dial_out(house: &House, meeting: &str, number: &str) -> (u16, Value) {
    let body = format!("{{\"number\":\"{number}\"}}");
    house.api("POST", &format!("/v1/conferences/{meeting}/dial-out"), Some(&body)).await
}

/// The final records of dial-outs, oldest first, once there are so many.
async fn dial_outs(house: &House, count: usize) -> Vec<Value> {
    let all = || -> Vec<Value> {
        let finals = house.records("final").into_iter();
        finals.filter(|record| record["call_type"] == "conf_out").collect()
    };
    house.until("each dial-out has its record", async || all().len() == count).await;
    all()
}

fn trunks(record: &Value) -> Vec<&str> {
    let attempts = record["attempts"].as_array().expect("attempts");
    attempts.iter().map(|attempt| attempt["trunk"].as_str().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_meeting_dials_by_its_policy_through_the_operator_and_without_a_match_through_microsoft() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("standard");
    let german = Peer::answering(&folder.join("operator"), OPERATOR, IN_GERMANY, NUMBER).await;
    let austrian = Peer::answering(&folder.join("gateway"), GATEWAY, IN_AUSTRIA, MICROSOFTS_NUMBER).await;
    let house = between(german.sip.port(), austrian.sip.port(), "none").await;
    let _bridge = house.start().await;
    let (alice, carrier) = (voice("alice"), Sipp::voice());

    let call = joined(&house, SAMS, "+493023125001").await;
    for number in [IN_GERMANY, IN_AUSTRIA] {
        let (status, answer) = dial_out(&house, SAMS, number).await;
        assert_eq!(status, 202, "{answer}\n{}", house.log());
    }
    call.media().say(pcm(&alice).repeat(3).into()).await;
    let heard_in_germany = german.finished(&house).await;
    let heard_in_austria = austrian.finished(&house).await;
    let mut records = dial_outs(&house, 2).await;
    let tape = call.hang_up().await.expect("Alice hangs up");

    judge("the German", &heard_in_germany, &[("Alice", &alice, true)]);
    judge("the Austrian", &heard_in_austria, &[("Alice", &alice, true)]);
    judge("Alice", &tape.heard.track(tape.started), &[("the carriers' callees", &carrier, true)]);
    records.sort_by_key(|record| record["trunk"].to_string());
    for (record, trunk, biller) in
        [(&records[1], "rhein-telecom", "operator:rhein-telecom"), (&records[0], "microsoft", "microsoft")]
    {
        assert_eq!((trunks(record), &record["biller"]), (vec![trunk], &biller.into()), "{record}");
        assert_eq!(record["end"]["result"], "answered", "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_operator_down_a_standard_meeting_goes_where_its_route_says_and_operator_connect_never_to_microsoft()
 {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("operator-down");
    let nobody = Ports::take(1).one();
    let gateway = Peer::answering(&folder.join("gateway"), GATEWAY, IN_GERMANY, MICROSOFTS_NUMBER).await;
    let house = between(nobody, gateway.sip.port(), "microsoft").await;
    let _bridge = house.start().await;

    let greta = joined(&house, CONFERENCE, "+493023125002").await;
    assert_eq!(dial_out(&house, CONFERENCE, IN_GERMANY).await.0, 202);
    let record = dial_outs(&house, 1).await.remove(0);
    assert_eq!(trunks(&record), ["rhein-telecom"], "and nobody else: {record}");
    assert_ne!(record["end"]["result"], "answered", "{record}");
    // Austria is on no operator's route of hers.
    let (status, refused) = dial_out(&house, CONFERENCE, IN_AUSTRIA).await;
    assert_eq!(status, 403, "{refused}");
    greta.hang_up().await.expect("an answer to BYE");

    let call = joined(&house, SAMS, "+493023125001").await;
    assert_eq!(dial_out(&house, SAMS, IN_GERMANY).await.0, 202);
    gateway.finished(&house).await;
    let record = dial_outs(&house, 2).await.remove(1);
    assert_eq!(trunks(&record).last(), Some(&"microsoft"), "{record}");
    assert_eq!((&record["biller"], &record["end"]["result"]), (&"microsoft".into(), &"answered".into()));
    call.hang_up().await.expect("an answer to BYE");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dials_microsofts_number_of_an_operator_connect_meeting_is_told_which_number_to_call() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("told");
    let house = between(Ports::take(1).one(), Ports::take(1).one(), "none").await;
    let _bridge = house.start().await;
    let keys = keyed(CONFERENCE);
    let told = keys_and_waits(&keys);
    let guest = Peer::start(&folder, &told, GATEWAY, Some((house.sip, MICROSOFTS_NUMBER))).await;
    let heard = guest.finished(&house).await;

    let spelled = NUMBER.trim_start_matches('+').chars().map(|digit| format!("digit-{digit}"));
    let sentences = ["number-not-included", "call-this-number", "plus", "goodbye"].map(str::to_owned);
    for stem in sentences.into_iter().chain(spelled) {
        assert_played(&stem, &heard);
    }
    house.until("the call has its record", async || house.records("final").len() == 1).await;
    let record = house.records("final").remove(0);
    assert_eq!((&record["trunk"], &record["organizer"]), (&"microsoft".into(), &"greta".into()), "{record}");
    assert_eq!(record["end"]["cause"], "attendant said goodbye", "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_s_sbc_dies_in_mid_meeting_and_who_came_through_microsoft_goes_on_hearing() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("dies");
    let german = Peer::answering(&folder.join("operator"), OPERATOR, IN_GERMANY, NUMBER).await;
    // He speaks twice, so that his line does not fall silent when the other one has.
    let speech = "<nop><action><exec play_pcap_audio=\"@PCAP@/g711a.pcap\"/></action></nop>";
    let speaks = scenario("answers.xml")
        .replace("@CALLEE@", IN_AUSTRIA)
        .replace("@CALLER@", MICROSOFTS_NUMBER)
        .replace(
            "  <pause milliseconds=\"14000\"/>",
            &format!("  <pause milliseconds=\"8000\"/>\n  {speech}\n  <pause milliseconds=\"9000\"/>"),
        );
    let austrian = Peer::start(&folder.join("gateway"), &speaks, GATEWAY, None).await;
    let house = between(german.sip.port(), austrian.sip.port(), "none").await;
    let written = fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("partyline.toml", &written.replace("[media]\n", "[media]\nsilence_timeout_seconds = 4\n"));
    let _bridge = house.start().await;
    let alice = voice("alice");

    let call = joined(&house, SAMS, "+493023125001").await;
    let seated = async || {
        let shown = house.api("GET", &format!("/v1/conferences/{SAMS}"), None).await.1;
        shown["participants"].as_array().map_or(0, Vec::len)
    };
    for number in [IN_GERMANY, IN_AUSTRIA] {
        let (status, answer) = dial_out(&house, SAMS, number).await;
        assert_eq!(status, 202, "{answer}\n{}", house.log());
    }
    house.until("all three are there", async || seated().await == 3).await;
    german.program.kill();
    let record = dial_outs(&house, 1).await.remove(0);
    let after = Instant::now();
    let end = &record["end"];
    assert_eq!((trunks(&record), &end["ended_by"]), (vec!["rhein-telecom"], &"network".into()), "{record}");
    assert_eq!((&end["cause"], &end["q850"]), (&"no media from the far end".into(), &102.into()), "{record}");
    assert_eq!(seated().await, 2, "the others are still there");

    let since = after - austrian.began;
    call.media().say(pcm(&alice).repeat(2).into()).await;
    let heard = austrian.finished(&house).await;
    let later = &heard[(since.as_secs_f32() * server::demo::listening::RATE as f32) as usize..];
    judge("the Austrian, after the operator's end,", later, &[("Alice", &alice, true)]);
    let record = dial_outs(&house, 2).await.remove(1);
    assert_eq!(
        (trunks(&record), &record["end"]["ended_by"]),
        (vec!["microsoft"], &"far-end".into()),
        "{record}"
    );
    call.hang_up().await.expect("an answer to BYE");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keys_a_wrong_pin_three_times_waits_in_the_lobby_until_the_organizer_keys_star_21() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("wrong-pins");
    let (house, _doorbell) = House::new(&[(PETRA.0, &PETRA.1.replace(STRICT, PETRAS))]).await;
    let _bridge = house.start().await;
    let alice = voice("alice");
    let pause = |milliseconds: u32| format!("  <pause milliseconds=\"{milliseconds}\"/>\n");
    let tries = [keyed("*"), pause(1500), (keyed("123456789#") + &pause(4500)).repeat(3)].concat();
    let scenario = keys_and_waits(&(keyed(PETRAS) + &pause(2500) + &tries));
    let eve = Peer::start(&folder, &scenario, OPERATOR, Some((house.sip, NUMBER))).await;
    let path = format!("/v1/conferences/{PETRAS}");
    let people =
        async |list: &str| house.api("GET", &path, None).await.1[list].as_array().map_or(0, Vec::len);
    let pins =
        |result: &str| format!("partyline_attendant_attempts_total{{result=\"{result}\",step=\"pin\"}}");
    for wrong in 1..=3 {
        house.until("the PIN is checked", async || house.count(&pins("wrong")).await == wrong).await;
    }
    house.until("she waits in the lobby", async || people("lobby").await == 1).await;
    assert_eq!(house.count(&pins("accepted")).await, 0);
    assert_eq!(people("participants").await, 0, "the meeting has not begun");

    // Who is let in hears no more of why he waited.
    let wait = read_wav(&root().join("config/prompts/en-US/lobby-wait.wav"));
    let told = async || {
        let heard = eve.heard.lock().expect("the recording").track(eve.began);
        likeness(&wait, &heard).iter().all(|look| *look > PLAYED)
    };
    house.until("she is told why she waits", told).await;

    let petra = house.call("+493023125001").await;
    petra.media().key(&format!("{PETRAS}#")).await;
    let accepted = "partyline_attendant_attempts_total{result=\"accepted\",step=\"conference_id\"}";
    house.until("her ID is judged", async || house.count(accepted).await == 2).await;
    petra.media().key(&format!("*{PIN}#")).await;
    house.until("she is in her meeting", async || people("participants").await == 1).await;
    petra.media().key("*21").await;
    house.until("Eve is let in", async || people("participants").await == 2).await;
    petra.media().say(pcm(&alice).repeat(2).into()).await;
    let hears = async || {
        let heard = eve.heard.lock().expect("the recording").track(eve.began);
        share_heard(&alice, &heard) >= HEARD
    };
    house.until("Eve hears Petra", hears).await;
    assert_eq!(house.api("DELETE", &path, None).await.0, 200);
    let heard = eve.finished(&house).await;
    for stem in ["pin-not-recognized", "join-as-participant", "joining"] {
        assert_played(stem, &heard);
    }
    house.until("both have their record", async || house.records("final").len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_answers_in_a_reliable_183_gets_its_pracks_and_both_sides_are_heard() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("reliable");
    let german = Peer::start(&folder, &scenario("reliable.xml"), OPERATOR, None).await;
    let house = between(german.sip.port(), Ports::take(1).one(), "none").await;
    let _bridge = house.start().await;
    let (alice, carrier) = (voice("alice"), Sipp::voice());
    let call = joined(&house, SAMS, "+493023125001").await;
    assert_eq!(dial_out(&house, SAMS, IN_GERMANY).await.0, 202);
    call.media().say(pcm(&alice).repeat(3).into()).await;
    let heard = german.finished(&house).await;
    let record = dial_outs(&house, 1).await.remove(0);
    let tape = call.hang_up().await.expect("Alice hangs up");
    judge("the German", &heard, &[("Alice", &alice, true)]);
    judge("Alice", &tape.heard.track(tape.started), &[("the German", &carrier, true)]);
    assert_eq!((trunks(&record).len(), &record["end"]["result"]), (1, &"answered".into()), "{record}");
}
