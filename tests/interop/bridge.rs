//! The bridge under test: `partyline serve` with `bridge.toml`, its API and its log.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use server::demo::{child::Ports, http};

use super::program::Program;

/// The number of the bridge that everybody calls.
pub(crate) const NUMBER: &str = "+496990009100";
/// The meeting that everybody joins.
pub(crate) const CONFERENCE: &str = "912308576";
const TOKEN: &str = "interop-interop-interop";
const PATIENCE: Duration = Duration::from_secs(15);

/// A running bridge; dropping it ends it.
pub(crate) struct Bridge {
    program: Program,
    /// Where it receives SIP, over UDP and TCP.
    pub(crate) sip: SocketAddr,
    http: SocketAddr,
}

impl Bridge {
    /// Starts a bridge whose operator is at port `peer`, reached over `transport`. Ready when this returns.
    pub(crate) async fn start(folder: &Path, peer: u16, transport: &str) -> Self {
        let binary = binary();
        assert!(
            binary.exists(),
            "{} is missing: cargo build --package server (or run ./x test)",
            binary.display()
        );
        let ports = Ports::find().expect("free ports");
        let prompts = root().join("config/prompts/en-US");
        let media = format!("{}-{}", ports.media, ports.media + 63);
        let replaced = [
            ("@SIP@", ports.sip.to_string()),
            ("@HTTP@", ports.http.to_string()),
            ("@MEDIA@", media),
            ("@PROMPTS@", prompts.display().to_string()),
            ("@PEER@", peer.to_string()),
            ("@TRANSPORT@", transport.to_owned()),
        ];
        let template = fs::read_to_string(root().join("tests/interop/bridge.toml")).expect("bridge.toml");
        let text = replaced.iter().fold(template, |text, (word, value)| text.replace(word, value));
        fs::create_dir_all(folder).expect("a folder for the bridge");
        fs::write(folder.join("token"), format!("{TOKEN}\n")).expect("the token");
        fs::write(folder.join("partyline.toml"), text).expect("the configuration");
        let program = binary.display().to_string();
        let program =
            Program::start(&[&program, "serve", "--config", "partyline.toml"], folder, "bridge.log");
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut bridge = Self { program, sip: at(ports.sip), http: at(ports.http) };
        bridge.until_ready().await;
        bridge
    }

    async fn until_ready(&mut self) {
        let began = Instant::now();
        while !http::request(self.http, "GET", "/readyz", None, None)
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            let ended = self.program.ended(Duration::from_millis(50)).await;
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "the bridge did not start:\n{}",
                self.log()
            );
        }
    }

    /// Asks `/v1`; the status and the JSON body.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let answer =
            http::request(self.http, method, path, Some(TOKEN), body).await.expect("an answer of the API");
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// Waits until so many people are in the meeting.
    pub(crate) async fn until_seated(&self, people: usize) {
        let began = Instant::now();
        loop {
            let (_, shown) = self.api("GET", &format!("/v1/conferences/{CONFERENCE}"), None).await;
            let seated = shown["participants"].as_array().map_or(0, Vec::len);
            if seated == people {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{seated} people are in the meeting and not {people}: {shown}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The usage records so far, one JSON object each.
    pub(crate) fn usage(folder: &Path) -> Vec<Value> {
        let lines = fs::read_to_string(folder.join("usage/usage.jsonl")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).expect("a usage record")).collect()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.program.log()
    }

    /// SIGTERM; the bridge must end by itself, and say that all is well.
    pub(crate) async fn stop(self) {
        let log = self.program.log();
        let status = self.program.stop().await;
        assert!(status.is_some_and(|status| status.success()), "the bridge ended with {status:?}:\n{log}");
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// `target/<profile>/partyline`, next to this test's own `target/<profile>/deps/`.
fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("this test's own program file");
    own.ancestors().nth(2).expect("a target folder").join("partyline")
}
