//! The bridge under test: the real binary with `bridge.toml`, and what can be seen of it from outside.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use server::demo::{
    caller::{Call, Doorbell, Exchange, ExchangeConfig},
    g711::Law,
    http::{self, Response},
};
use tempfile::TempDir;
use tests::ports::Ports;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// The number of the bridge that everybody calls.
pub(crate) const NUMBER: &str = "+496990009100";
/// The meeting that everybody joins.
pub(crate) const CONFERENCE: &str = "912308576";
/// Petra's meeting, in which callers wait in the lobby.
pub(crate) const STRICT: &str = "318309886";
/// What gives the bridge that meeting and its organizer: she has a PIN, and left the lobby as it is.
pub(crate) const PETRA: (&str, &str) = (
    "[[meeting]]",
    "[[organizer]]\nid = \"petra\"\ntenant = \"contoso\"\nlicense = \"audio-conferencing-standard\"\npin_hash = \"@PIN@\"\n\
     [[meeting]]\nconference_id = \"318309886\"\norganizer = \"petra\"\n[[meeting]]",
);
/// Petra's PIN.
pub(crate) const PIN: &str = "577215664";
/// The bearer token of `/v1`.
pub(crate) const TOKEN: &str = "end-to-end-end-to-end";
/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The line of `bridge.toml` that says where the trunk is.
pub(crate) const PEERS: &str = "peers = [{ address = \"127.0.0.1:@PEER@\", transport = \"udp\" }]";
/// How many media ports a bridge has.
const MEDIA_PORTS: u16 = 64;

/// A place for one bridge: folder, ports, configuration, and the operator's exchange that calls it.
pub(crate) struct House {
    folder: TempDir,
    _ports: Ports,
    /// The bridge's SIP address, UDP and TCP.
    pub(crate) sip: SocketAddr,
    /// Its address for SIP over TLS, where the configuration has `@TLS@`.
    pub(crate) tls: SocketAddr,
    /// Its HTTP address.
    pub(crate) http: SocketAddr,
    /// First of its media ports.
    pub(crate) media: u16,
    /// The operator.
    pub(crate) exchange: Exchange,
}

impl House {
    /// Finds ports, opens the exchange, writes the configuration with `changes` (text to text) made to the template.
    pub(crate) async fn new(changes: &[(&str, &str)]) -> (Self, Doorbell) {
        Self::with_media_ports(MEDIA_PORTS, changes).await
    }

    /// The same for other than a few calls: each takes two media ports.
    pub(crate) async fn with_media_ports(count: u16, changes: &[(&str, &str)]) -> (Self, Doorbell) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ports = Ports::take(count + 3);
        let (sip, tls, http, media) = (ports.one(), ports.one(), ports.one(), ports.media(count));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let config = ExchangeConfig {
            name: "operator".to_owned(),
            bind: at(0),
            bridge: at(sip),
            laws: vec![Law::A],
            trace: true,
            seed: u64::from(sip),
        };
        let (exchange, doorbell) = Exchange::open(config).await.expect("the exchange");
        let words = [
            ("@TLS@", tls.to_string()),
            ("@PIN@", server::pin::hash(PIN, [7; 16])),
            ("@SIP@", sip.to_string()),
            ("@HTTP@", http.to_string()),
            ("@MEDIA@", format!("{media}-{}", media + count - 1)),
            ("@PROMPTS@", root().join("config/prompts/en-US").display().to_string()),
            ("@PEER@", exchange.address().port().to_string()),
        ];
        let template = fs::read_to_string(root().join("tests/server/bridge.toml")).expect("bridge.toml");
        let text = changes.iter().fold(template, |text, (from, to)| {
            assert!(text.contains(from), "{from} is not in bridge.toml");
            text.replace(from, to)
        });
        let text = words.iter().fold(text, |text, (word, value)| text.replace(word, value));
        let house =
            Self { folder, _ports: ports, sip: at(sip), tls: at(tls), http: at(http), media, exchange };
        house.write("token", TOKEN);
        house.write("partyline.toml", &text);
        (house, doorbell)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file in the test's folder");
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the bridge; it is ready when this returns.
    pub(crate) async fn start(&self) -> Bridge {
        self.start_by(&[]).await
    }

    /// Starts the bridge as an argument of other programs, which must turn into it.
    pub(crate) async fn start_by(&self, through: &[&str]) -> Bridge {
        let mut bridge = self.spawn(through);
        let began = Instant::now();
        while self.get("/readyz").await.is_none_or(|answer| answer.status != 200) {
            let ended = bridge.child.try_wait().expect("the state of the bridge");
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "the bridge is not ready ({ended:?}):\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
        bridge
    }

    /// Starts the bridge and waits for nothing.
    pub(crate) fn spawn(&self, through: &[&str]) -> Bridge {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let program = binary().display().to_string();
        let words: Vec<&str> = through.iter().copied().chain([program.as_str()]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(["serve", "--config", "partyline.toml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle to the log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the bridge");
        Bridge { child }
    }

    /// What the bridges of this house have logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// The usage records so far.
    pub(crate) fn usage(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.path("usage/usage.jsonl")).unwrap_or_default();
        // The last line may be in the middle of being written.
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("a usage record")).collect()
    }

    /// The records of one kind.
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        self.usage().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// One GET without a token; `None` while nobody answers.
    pub(crate) async fn get(&self, path: &str) -> Option<Response> {
        http::request(self.http, "GET", path, None, None).await.ok()
    }

    /// Asks `/v1` with the token.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let answer = http::request(self.http, method, path, Some(TOKEN), body).await.expect("an answer");
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// Asks for a dial-out from the meeting.
    pub(crate) async fn dial_out(&self, number: &str) -> (u16, Value) {
        let body = serde_json::json!({ "number": number }).to_string();
        self.api("POST", &format!("/v1/conferences/{CONFERENCE}/dial-out"), Some(&body)).await
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.expect("the metrics page").body
    }

    /// One sample of the metrics page, by its name with labels as written there; 0 when it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        sample(&self.metrics().await, series)
    }

    /// One whole number of the metrics page.
    pub(crate) async fn count(&self, series: &str) -> u64 {
        self.metric(series).await.round() as u64
    }

    /// A caller with the attendant: answered, nothing keyed.
    pub(crate) async fn call(&self, caller: &str) -> Call {
        match self.exchange.dial(caller, "Somebody", NUMBER).await {
            Ok(call) => call,
            Err(error) => panic!("{caller} is not answered: {error}\n{}", self.log()),
        }
    }

    /// A caller who has keyed the conference ID. He may still be on his way into the meeting.
    pub(crate) async fn join(&self, caller: &str) -> Call {
        let call = self.call(caller).await;
        call.media().key(&format!("{CONFERENCE}#")).await;
        call
    }

    /// Waits until so many are in the meeting.
    pub(crate) async fn until_seated(&self, people: usize) {
        self.until(&format!("{people} people are seated"), async || self.seated().await == people).await;
    }

    /// How many are in the meeting.
    pub(crate) async fn seated(&self) -> usize {
        let (_, shown) = self.api("GET", &format!("/v1/conferences/{CONFERENCE}"), None).await;
        shown["participants"].as_array().map_or(0, Vec::len)
    }

    /// Waits until nothing is left of any call.
    pub(crate) async fn until_empty(&self) {
        self.until("nothing is left of any call", async || {
            let page = self.metrics().await;
            let gauges = [
                "partyline_calls{",
                "partyline_participants ",
                "partyline_conferences ",
                "partyline_rtp_ports_used ",
            ];
            let left =
                |line: &&str| gauges.iter().any(|gauge| line.starts_with(gauge)) && !line.ends_with(" 0");
            page.lines().find(left).is_none()
        })
        .await;
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !is_so().await {
            assert!(began.elapsed() < PATIENCE, "it never came true that {what}\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for House {
    /// A test that fails says what the bridge said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the bridge at {}:\n{}", self.sip, self.log());
        }
    }
}

/// A running bridge; dropping it kills it.
pub(crate) struct Bridge {
    child: Child,
}

impl Bridge {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().cast_signed()), signal).expect("a signal to the bridge");
    }

    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the bridge is running")
    }

    /// SIGKILL, and the process is gone.
    pub(crate) async fn die(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait().await;
    }

    /// Whether it is still there.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the state of the bridge").is_none()
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the bridge ends by itself").expect("its exit status")
    }
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(PATIENCE, output).await.expect("the program ends by itself").expect("its output")
}

/// One sample of a metrics page.
pub(crate) fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// `target/<profile>/partyline`, next to this test's own `target/<profile>/deps/`.
pub(crate) fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("this test's own program file");
    let binary = own.ancestors().nth(2).expect("a target folder").join("partyline");
    assert!(
        binary.exists(),
        "{} is missing: cargo build --package server (or run ./x test)",
        binary.display()
    );
    binary
}
