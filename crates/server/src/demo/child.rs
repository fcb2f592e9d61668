//! The bridge under test: this same program as a child process, with a configuration made for one run.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::http;

/// How long the bridge may take to start, and to end after SIGTERM when all calls are over.
const PATIENCE: Duration = Duration::from_secs(15);
/// Media ports of one run: many more than its calls need.
const MEDIA_PORTS: u16 = 64;

/// What one run changes in the configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration to start from.
    pub template: PathBuf,
    /// Where everything goes.
    pub folder: PathBuf,
    /// Where the operator's SBC is.
    pub operator: SocketAddr,
    /// Where the Microsoft gateway is.
    pub microsoft: SocketAddr,
    /// Adds a trunk for softphones on this machine.
    pub softphones: bool,
    /// Breaks the mix on purpose.
    pub sabotage: Option<String>,
}

/// A running bridge. Dropping it kills it.
pub struct Bridge {
    child: Child,
    /// Its SIP address.
    pub sip: SocketAddr,
    /// Its HTTP address.
    pub http: SocketAddr,
    /// The bearer token of its API.
    pub token: String,
    /// Its configuration.
    pub config: PathBuf,
    /// Its folder of prompts, where the configuration names one.
    pub prompts: Option<PathBuf>,
    folder: PathBuf,
}

/// Free ports for one bridge.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// SIP over UDP.
    pub sip: u16,
    /// HTTP.
    pub http: u16,
    /// First of the media ports.
    pub media: u16,
}

impl Ports {
    /// Ports of 127.0.0.1 that nobody uses now. They are free again when this returns: another program may be faster.
    pub fn find() -> io::Result<Self> {
        Self::find_with(MEDIA_PORTS)
    }

    /// The same with so many media ports, 40,000 at most. Where they fit, they are below the ports that the kernel gives to
    /// sockets without a wish: a caller on one of the bridge's own media ports is refused.
    pub fn find_with(media_ports: u16) -> io::Result<Self> {
        let here = Ipv4Addr::LOCALHOST;
        let sip = UdpSocket::bind((here, 0))?;
        let http = TcpListener::bind((here, 0))?;
        let mut dice = StdRng::seed_from_u64(Uuid::now_v7().as_u64_pair().1);
        let end: u16 = if media_ports <= 16_000 { 32_768 } else { 58_000 };
        let media = (0..200)
            .map(|_| 2 * dice.random_range(8_000..=(end.saturating_sub(media_ports) / 2).max(8_000)))
            .find(|first| (*first..first + media_ports).all(|port| UdpSocket::bind((here, port)).is_ok()))
            .ok_or_else(|| io::Error::other("no range of free UDP ports was found"))?;
        Ok(Self { sip: sip.local_addr()?.port(), http: http.local_addr()?.port(), media })
    }
}

/// Before the bridge can be started it must be known where: writes the configuration and says so.
pub struct Prepared {
    ports: Ports,
    folder: PathBuf,
    token: String,
}

impl Prepared {
    /// Finds ports, and makes the token.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let ports = Ports::find().context("cannot find free ports on 127.0.0.1")?;
        let token = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        Ok(Self { ports, folder: folder.to_owned(), token })
    }

    /// Where the bridge will receive SIP.
    pub fn sip(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.sip).into()
    }

    /// Writes the configuration and starts the bridge; returns once it is ready.
    pub async fn start(self, plan: &Plan) -> anyhow::Result<Bridge> {
        let config = self.folder.join("partyline.toml");
        let template = fs::read_to_string(&plan.template).with_context(|| {
            format!(
                "cannot read {}: run the demo in the repository's root, or name the file with --config",
                plan.template.display()
            )
        })?;
        let text =
            tailor(&template, plan, self.ports).with_context(|| format!("in {}", plan.template.display()))?;
        fs::write(self.folder.join("token"), format!("{}\n", self.token))?;
        let prompts = text.parse().ok().and_then(|table: toml::Table| prompts(&table));
        fs::write(&config, text)?;
        // An earlier run's records are not this run's.
        let spool = self.folder.join("usage");
        if spool.exists() {
            fs::remove_dir_all(&spool).with_context(|| format!("cannot remove {}", spool.display()))?;
        }
        let mut bridge = Bridge::spawn(&config, self.ports)?;
        (bridge.token, bridge.prompts) = (self.token, prompts);
        bridge.until_ready().await?;
        Ok(bridge)
    }
}

impl Bridge {
    /// Starts the bridge with this configuration, which says the same about ports; returns once it is ready. What it says
    /// goes to `bridge.log` beside the configuration.
    pub async fn launch(config: &Path, ports: Ports) -> anyhow::Result<Self> {
        let mut bridge = Self::spawn(config, ports)?;
        bridge.until_ready().await?;
        Ok(bridge)
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    fn spawn(config: &Path, ports: Ports) -> anyhow::Result<Self> {
        let folder = config.parent().unwrap_or(Path::new(".")).to_owned();
        let log = File::create(folder.join("bridge.log"))?;
        let program = std::env::current_exe().context("cannot find my own program file")?;
        let child = Command::new(program)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the bridge")?;
        let at = |port| (Ipv4Addr::LOCALHOST, port).into();
        let (sip, http, config) = (at(ports.sip), at(ports.http), config.to_owned());
        Ok(Self { child, sip, http, token: String::new(), config, prompts: None, folder })
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the bridge ended at once with {status}; its last words:\n{}", self.last_words());
            }
            if http::request(self.http, "GET", "/readyz", None, None)
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "the bridge was not ready within {} s; its last words:\n{}",
                    PATIENCE.as_secs(),
                    self.last_words()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the API, as JSON.
    pub async fn api(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> anyhow::Result<(u16, serde_json::Value)> {
        let answer = http::request(self.http, method, path, Some(&self.token), body)
            .await
            .with_context(|| format!("{method} {path}"))?;
        let json = serde_json::from_str(&answer.body).unwrap_or(serde_json::Value::Null);
        Ok((answer.status, json))
    }

    /// The metrics page.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let answer = http::request(self.http, "GET", "/metrics", None, None).await.context("GET /metrics")?;
        Ok(answer.body)
    }

    /// A routing decision as `partyline explain --json` prints it.
    pub async fn explain(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.args(["explain", "--json", "--config"]).arg(&self.config).args(arguments);
        let output = command.stdin(Stdio::null()).output().await.context("cannot run `partyline explain`")?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("`partyline explain` said {:?}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// SIGTERM, and the exit status once the process has ended by itself.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        if let Some(id) = self.child.id() {
            kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM).context("cannot signal the bridge")?;
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the bridge did not end within {} s of SIGTERM", PATIENCE.as_secs()),
        }
    }

    /// Waits for the process to end, however long it takes.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// The usage records, as written so far.
    pub fn usage(folder: &Path) -> io::Result<String> {
        fs::read_to_string(folder.join("usage").join("usage.jsonl"))
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("bridge.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// The template with this run's addresses, ports and folders.
fn tailor(template: &str, plan: &Plan, ports: Ports) -> anyhow::Result<String> {
    let mut config: toml::Table = template.parse()?;
    let home = plan.template.parent().unwrap_or(Path::new("."));
    let here = Ipv4Addr::LOCALHOST;
    set(&mut config, "sip", "listen", vec![format!("udp://{here}:{}", ports.sip)].into());
    set(&mut config, "http", "listen", format!("{here}:{}", ports.http).into());
    set(&mut config, "http", "token_file", "token".into());
    set(&mut config, "usage", "spool", "usage".into());
    set(&mut config, "media", "ports", format!("{}-{}", ports.media, ports.media + MEDIA_PORTS - 1).into());
    for key in ["prompts", "prompt_map"] {
        let media = config.get("media").and_then(toml::Value::as_table);
        if let Some(path) = media.and_then(|media| media.get(key)).and_then(toml::Value::as_str) {
            let path = std::path::absolute(home.join(path))?;
            set(&mut config, "media", key, path.display().to_string().into());
        }
    }
    let packs = config.get_mut("media").and_then(|media| media.get_mut("prompt_packs"));
    for folder in packs.and_then(toml::Value::as_table_mut).into_iter().flat_map(toml::Table::iter_mut) {
        if let Some(path) = folder.1.as_str() {
            *folder.1 = std::path::absolute(home.join(path))?.display().to_string().into();
        }
    }
    if let Some(sabotage) = &plan.sabotage {
        set(&mut config, "media", "sabotage", sabotage.as_str().into());
    }
    let trunks =
        config.get_mut("trunk").and_then(toml::Value::as_array_mut).context("there is no [[trunk]]")?;
    for (kind, address) in [("operator", plan.operator), ("microsoft", plan.microsoft)] {
        let peer = trunks
            .iter_mut()
            .filter(|trunk| trunk.get("kind").and_then(toml::Value::as_str) == Some(kind))
            .find_map(|trunk| trunk.get_mut("peers")?.get_mut(0)?.as_table_mut())
            .with_context(|| format!("there is no [[trunk]] of kind \"{kind}\" with a peer"))?;
        peer.insert("address".into(), address.to_string().into());
    }
    if plan.softphones {
        let operator =
            trunks.iter().find(|trunk| trunk.get("kind").and_then(toml::Value::as_str) == Some("operator"));
        let provider = operator.and_then(|trunk| trunk.get("provider")).cloned();
        trunks.push(softphones(provider).into());
    }
    Ok(format!(
        "# Made by `partyline demo` from {}: the ports and folders of one run.\n\n{config}",
        plan.template.display()
    ))
}

fn prompts(config: &toml::Table) -> Option<PathBuf> {
    config.get("media")?.get("prompts")?.as_str().map(PathBuf::from)
}

/// A trunk that takes calls from any softphone on this machine, in the name of the operator whose number they dial.
fn softphones(provider: Option<toml::Value>) -> toml::Table {
    let here = Ipv4Addr::LOCALHOST.to_string();
    let peer = toml::Table::from_iter([("address".to_owned(), format!("{here}:5060").into())]);
    let mut trunk = toml::Table::from_iter([
        ("id".to_owned(), "softphones".into()),
        ("kind".to_owned(), "operator".into()),
        ("peers".to_owned(), vec![toml::Value::from(peer)].into()),
        ("sources".to_owned(), vec![here].into()),
        ("send_sip_options".to_owned(), false.into()),
        ("media_source".to_owned(), "symmetric".into()),
    ]);
    trunk.extend(provider.map(|provider| ("provider".to_owned(), provider)));
    trunk
}

fn set(config: &mut toml::Table, section: &str, key: &str, value: toml::Value) {
    let section = config.entry(section).or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(softphones: bool) -> Plan {
        Plan {
            template: "config/demo.toml".into(),
            folder: "out/demo".into(),
            operator: "127.0.0.2:40001".parse().unwrap(),
            microsoft: "127.0.0.3:40002".parse().unwrap(),
            softphones,
            sabotage: Some("add-self-back".into()),
        }
    }

    const PORTS: Ports = Ports { sip: 41000, http: 41001, media: 42000 };
    const TEMPLATE: &str = include_str!("../../../../config/demo.toml");

    #[test]
    fn the_committed_configuration_gets_this_runs_ports_and_nothing_else_changes() {
        let before: toml::Table = TEMPLATE.parse().unwrap();
        let after: toml::Table = tailor(TEMPLATE, &plan(false), PORTS).unwrap().parse().unwrap();
        assert_eq!(after["sip"]["listen"][0].as_str(), Some("udp://127.0.0.1:41000"));
        assert_eq!(after["media"]["ports"].as_str(), Some("42000-42063"));
        assert_eq!(after["media"]["sabotage"].as_str(), Some("add-self-back"));
        assert!(Path::new(after["media"]["prompts"].as_str().unwrap()).is_absolute());
        assert_eq!(after["trunk"][0]["peers"][0]["address"].as_str(), Some("127.0.0.2:40001"));
        assert_eq!(after["trunk"][1]["peers"][0]["address"].as_str(), Some("127.0.0.3:40002"));
        for section in ["bridge", "number", "organizer", "policy", "route", "meeting"] {
            assert_eq!(before[section], after[section], "{section}");
        }
    }

    #[test]
    fn softphones_speak_for_the_operator() {
        let after: toml::Table = tailor(TEMPLATE, &plan(true), PORTS).unwrap().parse().unwrap();
        let trunks = after["trunk"].as_array().unwrap();
        assert_eq!(trunks.len(), 3);
        assert_eq!(trunks[2]["provider"], trunks[0]["provider"]);
    }

    #[test]
    fn a_template_without_a_gateway_is_refused_by_name() {
        let error = tailor("[sip]\n", &plan(false), PORTS).unwrap_err();
        assert!(error.to_string().contains("[[trunk]]"), "{error}");
    }

    #[test]
    fn free_ports_are_found() {
        let ports = Ports::find().unwrap();
        assert_eq!(ports.media % 2, 0);
    }
}
