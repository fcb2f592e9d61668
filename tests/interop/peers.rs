//! The other people's SIP: a SIPp caller, a baresip telephone, and Kamailio as the operator's SBC.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tests::{
    ports::{Ports, free_port},
    programs::have,
};

use server::demo::{g711::Law, listening::RATE, recording::Recording};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

use super::{
    bridge::root,
    ear::{HEARD, read_wav, share_heard},
    program::Program,
};

const PATIENCE: Duration = Duration::from_secs(15);
/// How long a telephone may take to hear what is said to it over and over; what it says itself lasts for a minute.
const LISTENS: Duration = Duration::from_secs(40);
/// Debian's recordings of keys and of speech, part of the package sip-tester.
pub(crate) const RECORDINGS: &str = "/usr/share/sip-tester";
/// What dial_in.xml adds to SIPp's own media port.
const MEDIA_OFFSET: u16 = 8;
/// How many media ports a telephone has.
const PHONE_MEDIA: u16 = 20;

/// A caller played by SIPp with `dial_in.xml`. It ends itself after it has spoken.
pub(crate) struct Sipp {
    program: Program,
    heard: Arc<Mutex<Recording>>,
    listening: JoinHandle<()>,
    began: Instant,
    _ports: Ports,
}

impl Sipp {
    /// Whether SIPp and its recordings are here; panics under CI when not.
    pub(crate) fn is_here() -> bool {
        have("sipp", "sip-tester") && Path::new(RECORDINGS).exists()
    }

    /// Calls `number`, keys `keys`, and speaks `before_speech` later.
    pub(crate) async fn call(
        folder: &Path,
        bridge: SocketAddr,
        number: &str,
        keys: &str,
        before_speech: Duration,
    ) -> Self {
        fs::create_dir_all(folder).expect("a folder for SIPp");
        let scenario =
            fs::read_to_string(root().join("tests/interop/peers/dial_in.xml")).expect("dial_in.xml");
        let digits = keys.chars().fold(String::new(), |mut xml, key| {
            let name = if key == '#' { "pound".to_owned() } else { key.to_string() };
            let _ = writeln!(
                xml,
                "  <nop><action><exec play_pcap_audio=\"@PCAP@/dtmf_2833_{name}.pcap\"/></action></nop>\n  \
                 <pause milliseconds=\"300\"/>"
            );
            xml
        });
        let scenario = scenario
            .replace("\n@DIGITS@\n", &format!("\n{digits}"))
            .replace("@BEFORE_DIGITS@", "1500")
            .replace("@BEFORE_SPEECH@", &before_speech.as_millis().to_string())
            .replace("@STAYS@", "8500")
            .replace("@PCAP@", RECORDINGS);
        fs::write(folder.join("dial_in.xml"), scenario).expect("the scenario");
        let mut ports = Ports::take(20);
        let (own, media) = (ports.one().to_string(), ports.media(16));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let rtp = UdpSocket::bind(at(media + MEDIA_OFFSET)).await.expect("the RTP port");
        let rtcp = UdpSocket::bind(at(media + MEDIA_OFFSET + 1)).await.expect("the RTCP port");
        let heard = Arc::new(Mutex::new(Recording::default()));
        let listening = tokio::spawn(listen(rtp, rtcp, Arc::clone(&heard)));
        let media = media.to_string();
        let bridge = bridge.to_string();
        let command = [
            "sipp",
            "-sf",
            "dial_in.xml",
            "-i",
            "127.0.0.1",
            "-p",
            &own,
            "-mp",
            &media,
            "-s",
            number,
            "-m",
            "1",
            "-timeout",
            "60",
            "-nostdin",
            "-trace_err",
            "-error_file",
            "errors.log",
            &bridge,
        ];
        let program = Program::start(&command, folder, "sipp.log");
        Self { program, heard, listening, began: Instant::now(), _ports: ports }
    }

    /// Waits until the scenario is over; everything must have gone as it says. Returns what was heard.
    pub(crate) async fn finished(mut self) -> Vec<f32> {
        let status = self.program.ended(Duration::from_mins(1)).await;
        assert!(
            status.is_some_and(|status| status.success()),
            "SIPp ended with {status:?}:\n{}",
            self.program.log()
        );
        self.listening.abort();
        self.heard.lock().expect("the recording").track(self.began)
    }

    /// The speech of its recording, decoded by our own table.
    pub(crate) fn voice() -> Vec<f32> {
        let pcap = fs::read(Path::new(RECORDINGS).join("g711a.pcap")).expect("g711a.pcap");
        let mut samples = Vec::new();
        // The file's header is 24 octets; each packet's is 16, the third of its words being the length (little endian).
        let mut rest = &pcap[24..];
        while let Some((header, after)) = rest.split_at_checked(16) {
            let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
            let (packet, after) = after.split_at(length);
            // Ethernet, IPv4, UDP, RTP.
            samples.extend(
                packet[14 + 20 + 8 + 12..].iter().map(|octet| f32::from(Law::A.decode(*octet)) / 32768.0),
            );
            rest = after;
        }
        samples
    }
}

/// Records what comes to a peer, and lets its RTCP be.
pub(crate) async fn listen(rtp: UdpSocket, rtcp: UdpSocket, heard: Arc<Mutex<Recording>>) {
    let (mut datagram, mut report) = (vec![0; 2048], vec![0; 2048]);
    loop {
        tokio::select! {
            received = rtp.recv(&mut datagram) => {
                let Ok(length) = received else { continue };
                heard.lock().expect("the recording").arrive(Instant::now(), &datagram[..length]);
            }
            _ = rtcp.recv(&mut report) => {}
        }
    }
}

/// A baresip telephone that answers by itself, says a file over and over, and records what it hears.
pub(crate) struct Phone {
    program: Program,
    control: TcpStream,
    folder: PathBuf,
    _ports: Ports,
    /// What it says over and over.
    pub(crate) says: Vec<f32>,
    /// Where it is called.
    pub(crate) uri: String,
}

impl Phone {
    /// Whether baresip is here; panics under CI when not.
    pub(crate) fn is_here() -> bool {
        have("baresip", "baresip-core")
    }

    /// Starts a telephone that says `voice`.
    pub(crate) async fn start(folder: &Path, user: &str, voice: &[f32]) -> Self {
        Self::start_with(folder, user, voice, &[]).await
    }

    /// The same with further options of `phone.sh`.
    pub(crate) async fn start_with(folder: &Path, user: &str, voice: &[f32], options: &[&str]) -> Self {
        fs::create_dir_all(folder).expect("a folder for the telephone");
        let says = folder.join("says.wav");
        write_for_a_minute(&says, voice);
        let mut ports = Ports::take(3 + PHONE_MEDIA);
        // It takes the port above that of SIP for SIP over TLS.
        let (sip_port, _, control_port) = (ports.one(), ports.one(), ports.one());
        let media = ports.media(PHONE_MEDIA);
        let script = root().join("tests/interop/peers/phone.sh").display().to_string();
        let (sip, control) = (format!("127.0.0.1:{sip_port}"), control_port.to_string());
        let rtp = format!("{media}-{}", media + PHONE_MEDIA - 1);
        let mut command = vec![
            script.as_str(),
            "--dir",
            ".",
            "--sip",
            &sip,
            "--rtp",
            &rtp,
            "--say",
            "says.wav",
            "--user",
            user,
            "--control",
            &control,
        ];
        command.extend(options);
        let program = Program::start(&command, folder, "baresip.log");
        let uri = format!("sip:{user}@{sip}");
        until_it_answers(&uri, sip_port, &program).await;
        let control = TcpStream::connect(("127.0.0.1", control_port)).await.expect("baresip's control port");
        Self { program, control, folder: folder.to_owned(), _ports: ports, says: voice.to_vec(), uri }
    }

    /// Calls, and returns when it is answered.
    pub(crate) async fn dial(&mut self, uri: &str) {
        self.command(&format!(r#"{{"command":"dial","params":"{uri}"}}"#)).await;
        self.until_event("CALL_ESTABLISHED").await;
    }

    /// Presses keys.
    pub(crate) async fn key(&mut self, keys: &str) {
        for key in keys.chars() {
            self.command(&format!(r#"{{"command":"sndcode","params":"{key}"}}"#)).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Hangs up.
    pub(crate) async fn hang_up(&mut self) {
        self.command(r#"{"command":"hangup"}"#).await;
    }

    /// Returns when baresip has reported this event.
    pub(crate) async fn until_event(&mut self, event: &str) {
        let mut seen = String::new();
        let mut piece = vec![0; 4096];
        let waiting = async {
            while !seen.contains(event) {
                let length = self.control.read(&mut piece).await.expect("baresip's control port");
                assert!(length > 0, "baresip has closed its control port");
                seen.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        };
        let came = timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "no {event} from baresip, but:\n{seen}\n{}", self.program.log());
    }

    /// Returns the keys that it was sent (RFC 4733), once there are so many.
    pub(crate) async fn until_keyed(&mut self, count: usize) -> String {
        let (mut keyed, mut seen, mut piece) = (String::new(), Vec::new(), vec![0; 4096]);
        let waiting = async {
            while keyed.len() < count {
                let length = self.control.read(&mut piece).await.expect("baresip's control port");
                assert!(length > 0, "baresip has closed its control port");
                seen.extend_from_slice(&piece[..length]);
                keyed.extend(netstrings(&mut seen).iter().filter_map(|event| {
                    let started = event["type"] == "CALL_DTMF_START";
                    event["param"].as_str().filter(|_| started).and_then(|key| key.chars().next())
                }));
            }
        };
        let came = timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "baresip was sent {keyed:?} only:\n{}", self.program.log());
        keyed
    }

    /// Returns when it has heard this voice, which somebody says over and over. On a busy machine that takes longer: some of it is
    /// lost each time.
    pub(crate) async fn until_it_hears(&self, voice: &[f32]) {
        let began = Instant::now();
        loop {
            let heard = recording(&self.folder).map(|path| read_wav(&path)).unwrap_or_default();
            let share = share_heard(voice, &heard);
            if share >= HEARD {
                return;
            }
            assert!(began.elapsed() < LISTENS, "{} has heard {share} of a voice:\n{}", self.uri, self.log());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        self.program.log()
    }

    /// Ends it; what it heard.
    pub(crate) async fn finished(self) -> Vec<f32> {
        let Self { program, folder, .. } = self;
        program.stop().await;
        read_wav(&recording(&folder).expect("a recording of what baresip heard"))
    }

    /// A netstring of JSON, baresip's ctrl_tcp protocol.
    async fn command(&mut self, json: &str) {
        let netstring = format!("{}:{json},", json.len());
        self.control.write_all(netstring.as_bytes()).await.expect("baresip's control port");
    }
}

/// Takes the whole netstrings of JSON out of what has arrived.
fn netstrings(seen: &mut Vec<u8>) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    while let Some(colon) = seen.iter().position(|octet| *octet == b':') {
        let length: usize = String::from_utf8_lossy(&seen[..colon]).parse().expect("a netstring's length");
        if seen.len() < colon + length + 2 {
            break;
        }
        found.push(serde_json::from_slice(&seen[colon + 1..][..length]).expect("JSON"));
        seen.drain(..colon + length + 2);
    }
    found
}

/// What the telephone of this folder recorded of its last call.
fn recording(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder.join("heard")).expect("baresip's recordings");
    let heard = files.filter_map(|file| Some(file.ok()?.path()));
    heard.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max()
}

/// baresip hangs up when its file has ended, so the file is longer than any call here.
fn write_for_a_minute(path: &Path, voice: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).expect("a WAV for baresip");
    for sample in voice.iter().cycle().take(60 * RATE) {
        wav.write_sample((sample * 32768.0) as i16).expect("a sample");
    }
    wav.finalize().expect("a whole WAV");
}

/// Kamailio as the operator's SBC, see `peers/sbc.cfg`.
pub(crate) struct Sbc {
    program: Program,
    /// Where the carrier's calls go.
    pub(crate) carrier_side: u16,
    /// Where the bridge's calls go.
    pub(crate) bridge_side: u16,
}

impl Sbc {
    /// Whether Kamailio is here; panics under CI when not.
    pub(crate) fn is_here() -> bool {
        have("kamailio", "kamailio")
    }

    /// Starts an SBC that lets calls to `number` through to `far_end`.
    pub(crate) async fn start(folder: &Path, far_end: &str, number: &str) -> Self {
        Self::start_with(folder, far_end, number, &[]).await
    }

    /// The same in front of this bridge, over TLS at `port` with the certificate that `write_pair` has written as `folder/NAME.pem`
    /// for it, and the roots in `folder/roots.pem`.
    pub(crate) async fn over_tls(
        folder: &Path,
        (name, port): (&str, u16),
        bridge: SocketAddr,
        (far_end, number): (&str, &str),
        more: &[&str],
    ) -> Self {
        let file = |name: String| folder.join(name).display().to_string();
        let options = [
            "--bridge".to_owned(),
            format!("sip:{bridge};transport=tls"),
            "--tls-port".to_owned(),
            port.to_string(),
            "--certificate".to_owned(),
            file(format!("{name}.pem")),
            "--key".to_owned(),
            file(format!("{name}.key")),
            "--roots".to_owned(),
            file("roots.pem".to_owned()),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Self::start_with(&folder.join("kamailio"), far_end, number, &options).await
    }

    /// The same with further options of `sbc.sh`.
    pub(crate) async fn start_with(folder: &Path, far_end: &str, number: &str, options: &[&str]) -> Self {
        let (carrier, bridge) = (free_port(), free_port());
        let script = root().join("tests/interop/peers/sbc.sh").display().to_string();
        let (carrier_port, bridge_port) = (carrier.to_string(), bridge.to_string());
        let mut command = vec![
            script.as_str(),
            "--dir",
            ".",
            "--carrier-port",
            &carrier_port,
            "--bridge-port",
            &bridge_port,
            "--bridge",
            "sip:127.0.0.1:9",
            "--far-end",
            far_end,
            "--number",
            number,
            "--user",
            "partyline",
            "--password",
            "secret",
        ];
        command.extend(options);
        let program = Program::start(&command, folder, "kamailio.log");
        until_it_answers(&format!("sip:127.0.0.1:{bridge_port}"), bridge, &program).await;
        Self { program, carrier_side: carrier, bridge_side: bridge }
    }

    /// Whether Kamailio can speak TLS; panics under CI when not.
    pub(crate) fn has_tls() -> bool {
        let found = fs::read_dir("/usr/lib").is_ok_and(|folders| {
            folders.flatten().any(|folder| folder.path().join("kamailio/modules/tls.so").exists())
        });
        let advice = "Kamailio has no TLS: run ./x setup, or apt-get install kamailio-tls-modules";
        assert!(found || std::env::var_os("CI").is_none(), "{advice}");
        if !found {
            eprintln!("skipped: {advice}");
        }
        found
    }

    /// What has passed.
    pub(crate) fn log(&self) -> String {
        self.program.log()
    }
}

/// Sends OPTIONS until there is any answer.
async fn until_it_answers(uri: &str, port: u16, program: &Program) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a socket");
    let own = socket.local_addr().expect("an address");
    let began = Instant::now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let options = format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKready{attempt}\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=ready\r\nTo: <{uri}>\r\nCall-ID: ready-{attempt}@{own}\r\n\
             CSeq: {attempt} OPTIONS\r\nContact: <sip:test@{own}>\r\nContent-Length: 0\r\n\r\n"
        );
        let _ = socket.send_to(options.as_bytes(), ("127.0.0.1", port)).await;
        let answer = timeout(Duration::from_millis(200), socket.recv(&mut [0; 2048])).await;
        if matches!(answer, Ok(Ok(_))) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{uri} does not answer:\n{}", program.log());
    }
}
