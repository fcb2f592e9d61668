//! A telephone whose loudspeaker is beside its microphone, on the real binary: it is found, shown, counted and told in the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use server::demo::g711::Law;
use server::demo::rtp::Packet;
use server::demo::speaker::{Speaker, Stream};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::bridge::{CONFERENCE, House, PATIENCE, root};
use super::raw::{Dialog, Raw, Request, offer, status};

/// A call whose far end sends back all it hears, 200 ms later and at half its loudness.
struct Loudspeaker {
    raw: Raw,
    dialog: Dialog,
    speaker: Arc<Mutex<Speaker>>,
    /// Until then it only listens.
    on: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Loudspeaker {
    async fn dial(house: &House, from: &str) -> Self {
        let raw = Raw::open(house.sip).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let body = offer(socket.local_addr().expect("its address").port());
        let request =
            Request { method: "INVITE", call_id: "loudspeaker", from, body: &body, ..Request::default() };
        let answer = raw.ask(&request).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let dialog = Dialog::of(&answer);
        raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
        let stream = Stream { law: Law::A, audio: 8, events: Some(101), ssrc: 5, sequence: 1, timestamp: 1 };
        let speaker = Arc::new(Mutex::new(Speaker::new(stream)));
        let on = Arc::new(AtomicBool::new(false));
        socket.connect(dialog.media).await.expect("the bridge's media port");
        let running = tokio::spawn(run(socket, Arc::clone(&speaker), Arc::clone(&on)));
        Self { raw, dialog, speaker, on, running }
    }

    fn key(&self, keys: &str) {
        self.speaker.lock().expect("the speaker").key(keys);
    }

    fn switch_on(&self) {
        self.speaker.lock().expect("the speaker").say(vec![0; 200 * 8].into());
        self.on.store(true, Ordering::Relaxed);
    }

    async fn hang_up(self) {
        self.raw.send(self.dialog.request("BYE", 2, "UDP", self.raw.address()).as_bytes()).await;
        self.running.abort();
    }
}

async fn run(socket: UdpSocket, speaker: Arc<Mutex<Speaker>>, on: Arc<AtomicBool>) {
    // A late wake-up sends what it owes: what comes back stays as far behind as it is.
    let mut pace = interval(Duration::from_millis(20));
    let mut datagram = vec![0; 2048];
    loop {
        tokio::select! {
            _ = pace.tick() => {
                let datagrams = speaker.lock().expect("the speaker").tick();
                for datagram in datagrams {
                    let _ = socket.send(&datagram).await; // it may be gone already
                }
            }
            received = socket.recv(&mut datagram) => {
                let heard = received.ok().and_then(|length| Packet::parse(&datagram[..length]));
                if let Some(packet) = heard.filter(|packet| packet.payload_type == 8)
                    && on.load(Ordering::Relaxed)
                {
                    let half: Vec<i16> = packet.payload.iter().map(|&code| Law::A.decode(code) / 2).collect();
                    speaker.lock().expect("the speaker").say(half.into());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loudspeaker_beside_its_microphone_is_shown_counted_and_told_in_the_log() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let alice = house.join("+493023125001").await;
    house.until_seated(1).await;
    let loudspeaker = Loudspeaker::dial(&house, "+493023125002").await;
    loudspeaker.key(&format!("{CONFERENCE}#"));
    house.until_seated(2).await;
    loudspeaker.switch_on();
    let voice = hound::WavReader::open(root().join("config/demo/voices/alice.wav")).expect("Alice's voice");
    let sentences: Arc<[i16]> = voice.into_samples().map(|sample| sample.expect("a sample")).collect();
    // It takes some seconds of speech; on a machine without time for it, some more.
    let began = Instant::now();
    let counter = "partyline_echo_detected_total{trunk=\"rhein-telecom\"}";
    while house.count(counter).await == 0 {
        assert!(began.elapsed() < 3 * PATIENCE, "the echo is not found:\n{}", house.log());
        alice.media().say(sentences.clone()).await;
    }
    let path = format!("/v1/conferences/{CONFERENCE}");
    house
        .until("the roster shows who echoes, and only him", async || {
            let (_, shown) = house.api("GET", &path, None).await;
            let people = shown["participants"].as_array().expect("a roster");
            people.len() == 2
                && people.iter().all(|person| person["echo"] == (person["number"] == "+493023125002"))
        })
        .await;
    let log = house.log();
    let line = log.lines().find(|line| line.contains("the leg sends back what it is sent")).expect("a line");
    assert!(line.contains("trunk=rhein-telecom") && line.contains("milliseconds="), "{line}");
    loudspeaker.hang_up().await;
    alice.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}
