//! `partyline demo`: the bridge in a child process, simulated callers in this one, and a verdict measured only from the RTP
//! that arrived at the callers' own sockets.
//!
//! [`caller`] is the part that others can use as well: a peer of the bridge with real SIP and RTP. [`listening`] finds known
//! voices in a recording; [`evidence`] judges what it found.

pub mod caller;
pub mod cast;
pub mod child;
pub mod evidence;
pub mod fourier;
pub mod g711;
pub mod greeting;
pub mod http;
pub mod ladders;
pub mod listening;
pub mod media;
pub mod picture;
pub mod recording;
pub mod rtp;
pub mod scene;
pub(crate) mod signalling;
pub mod speaker;
#[cfg(test)]
mod speech;
pub mod stage;
pub mod verdict;
pub mod voices;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use caller::{Exchange, ExchangeConfig};
use cast::{CAROL, DAVE, ERIN, MEETINGS, MICROSOFT_TRUNK, OPERATOR_NUMBER, OPERATOR_TRUNK, PEOPLE};
use child::{Bridge, Plan, Prepared};
use evidence::{Evidence, Finding};
use g711::Law;
use ladders::Witness;
use listening::RATE;
use scene::{Play, Side, because};
use stage::Stage;
use verdict::Verdict;
use voices::Voice;

/// What can be said on the command line.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Folder for recordings, pictures, records and the verdict.
    #[arg(long, default_value = "out/demo")]
    pub out: PathBuf,
    /// The bridge's configuration; ports and folders in it are replaced by free ones.
    #[arg(long, default_value = "config/demo.toml")]
    pub config: PathBuf,
    /// Leave the bridge running afterwards, and say how to call it.
    #[arg(long)]
    pub keep: bool,
    /// Break the mix on purpose (`add-self-back`): the demo must notice and exit 1.
    #[arg(long, value_name = "HOW")]
    pub sabotage: Option<String>,
}

/// Plays the demo. Exit 0: everyone heard exactly the others, nobody himself. Exit 1: not so. Exit 2: it could not be set up.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            remark!("cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    let outcome = runtime.block_on(async {
        // Whatever ends the demo ends its bridge, which is killed when its handle is dropped.
        let (passes, bridge) = tokio::select! {
            outcome = play(options) => outcome?,
            told = told_to_end() => bail!("it was ended by {}", told?),
        };
        if let Some(bridge) = bridge {
            keep(bridge, options).await?;
        }
        Ok(passes)
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            remark!("the demo cannot be set up: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn told_to_end() -> anyhow::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

async fn play(options: &Options) -> anyhow::Result<(bool, Option<Bridge>)> {
    let mut play = set_up(options).await?;
    let outcome = play.perform().await;
    let reached = outcome.as_ref().map_or_else(|error| format!("{error:#}"), |()| "the last BYE".to_owned());
    play.stage.check("the play reaches its end", outcome.is_ok(), json!({ "reached": reached }));
    let out = &options.out;
    let metrics = play.bridge.metrics().await.unwrap_or_else(|error| format!("# {error:#}\n"));
    play.stage.check(
        "the bridge shows metrics",
        metrics.contains("partyline_"),
        json!({ "bytes": metrics.len() }),
    );
    fs::write(out.join("metrics.txt"), metrics)?;
    let Play { bridge, operator, microsoft, mut stage, decisions } = play;
    let sip = bridge.sip;
    let greeting =
        bridge.prompts.as_ref().and_then(|folder| greeting::recording(&folder.join("welcome.wav")));
    let bridge = if options.keep {
        Some(bridge)
    } else {
        let status = bridge.stop().await;
        let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
        stage.check("the bridge ends well on SIGTERM", code == Some(0), json!({ "exit_code": code }));
        None
    };
    let usage = Bridge::usage(out).unwrap_or_default();
    fs::write(out.join("usage.jsonl"), &usage)?;
    if outcome.is_ok() {
        stage.checks.extend(verdict::check_usage(&usage, &legs()));
    }

    stage.clock.tell("listening to the recordings");
    let evidence = stage.evidence();
    if let Some(greeting) = greeting {
        stage.check_greetings(&greeting);
    }
    let findings = evidence.examine();
    let tallies = stage.tallies();
    let seconds = stage.clock.epoch.elapsed().as_secs_f32();
    let verdict = Verdict {
        evidence: &evidence,
        findings: &findings,
        checks: &stage.checks,
        decisions: &decisions,
        tallies: &tallies,
        seconds,
    };
    write_pictures(out, &evidence, &findings)?;
    let (left, right) = (operator.exchange.passed(), microsoft.exchange.passed());
    let witness = |side: &Side| (side.name, side.exchange.address());
    let ((left_name, left_at), (right_name, right_at)) = (witness(&operator), witness(&microsoft));
    let ladder = ladders::ladder(
        stage.clock.epoch,
        &Witness { name: left_name, address: left_at, passed: &left },
        &Witness { name: right_name, address: right_at, passed: &right },
        sip,
        &stage.calls,
    );
    fs::write(out.join("ladder.svg"), ladder.to_svg())?;
    fs::write(out.join("verdict.json"), serde_json::to_string_pretty(&verdict.to_json())?)?;

    say!("{}", verdict.table());
    print_decisions(&decisions);
    let passes = verdict.passes();
    say!(
        "\n{} ({seconds:.0} s)\n  {}: timeline.png, ladder.svg, <name>.heard.wav, usage.jsonl, metrics.txt, verdict.json, bridge.log",
        headline(passes),
        out.display()
    );
    Ok((passes, bridge))
}

/// Sockets, voices and the bridge: everything that can be missing on a machine.
async fn set_up(options: &Options) -> anyhow::Result<Play> {
    let out = &options.out;
    fs::create_dir_all(out)
        .with_context(|| format!("cannot create {}: name another folder with --out", out.display()))?;
    let folder = options.config.parent().unwrap_or(Path::new(".")).join("demo/voices");
    let voices: Vec<Voice> =
        PEOPLE.iter().map(|role| Voice::load(&folder, role.name)).collect::<anyhow::Result<_>>()?;
    let prepared = Prepared::new(out)?;
    let operator = side(
        OPERATOR_TRUNK,
        ("the operator's SBC", "operator SBC"),
        [127, 0, 0, 2],
        &prepared,
        &[Law::A, Law::Mu],
    )
    .await?;
    let microsoft = side(
        MICROSOFT_TRUNK,
        ("the Microsoft gateway", "Microsoft"),
        [127, 0, 0, 3],
        &prepared,
        &[Law::Mu, Law::A],
    )
    .await?;
    let plan = Plan {
        template: options.config.clone(),
        folder: out.clone(),
        operator: operator.exchange.address(),
        microsoft: microsoft.exchange.address(),
        softphones: options.keep,
        sabotage: options.sabotage.clone(),
    };
    let bridge = prepared.start(&plan).await?;
    let stage = Stage::new(voices);
    stage.clock.tell(&format!("the bridge is ready: SIP on {}, HTTP on {}", bridge.sip, bridge.http));
    if let Some(sabotage) = &options.sabotage {
        stage.clock.tell(&format!("its mix is broken on purpose: {sabotage}"));
    }
    Ok(Play { bridge, operator, microsoft, stage, decisions: Vec::new() })
}

async fn side(
    trunk: &'static str,
    (name, short): (&'static str, &'static str),
    address: [u8; 4],
    prepared: &Prepared,
    laws: &[Law],
) -> anyhow::Result<Side> {
    let bind = SocketAddr::from((address, 0));
    let config = ExchangeConfig {
        name: trunk.to_owned(),
        bind,
        bridge: prepared.sip(),
        laws: laws.into(),
        trace: true,
        seed: u64::from(address[3]),
    };
    let (exchange, bell) = Exchange::open(config).await.with_context(|| {
        let ip = bind.ip();
        format!("cannot open a socket on {ip}: it must be an address of this machine (Linux has all of 127.0.0.0/8; \
                 elsewhere try `sudo ifconfig lo0 alias {ip} up`)")
    })?;
    Ok(Side { trunk, name, short, exchange, bell })
}

/// The legs of the play: whose number, through which trunk.
fn legs() -> [(&'static str, &'static str); 6] {
    let number = |person: usize| PEOPLE[person].number;
    [
        (number(cast::ALICE), OPERATOR_TRUNK),
        (number(cast::BOB), OPERATOR_TRUNK),
        (number(CAROL), OPERATOR_TRUNK),
        (number(DAVE), OPERATOR_TRUNK),
        (number(CAROL), MICROSOFT_TRUNK),
        (number(ERIN), MICROSOFT_TRUNK),
    ]
}

fn write_pictures(out: &Path, evidence: &Evidence, findings: &[Finding]) -> anyhow::Result<()> {
    let title = "Who heard whom";
    let subtitle =
        "What each of five people said, and what arrived at the socket: measured there, not by the bridge";
    picture::timeline(evidence, findings, title, subtitle).draw().save(&out.join("timeline.png"))?;
    for person in &evidence.people {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(out.join(format!("{}.heard.wav", person.name)), spec)?;
        for sample in &person.heard {
            wav.write_sample((sample * 32768.0).clamp(-32768.0, 32767.0) as i16)?;
        }
        wav.finalize()?;
    }
    Ok(())
}

fn print_decisions(decisions: &[(String, serde_json::Value)]) {
    say!("ROUTING DECISIONS, with their because");
    for (asked, decision) in decisions {
        say!("  {asked}");
        for line in because(decision) {
            say!("      {line}");
        }
    }
}

fn headline(passes: bool) -> &'static str {
    if passes {
        "PASS: everyone heard exactly the others, nobody heard himself"
    } else {
        "FAIL: see the faults above"
    }
}

/// Leaves the bridge up until it is told to end, or ends.
async fn keep(mut bridge: Bridge, options: &Options) -> anyhow::Result<()> {
    let id = MEETINGS[cast::PLANNING].id;
    let (sip, http, out) = (bridge.sip, bridge.http, options.out.display());
    // baresip wants an account to call from; on its default address it would not offer loopback media.
    let phone = options.out.join("baresip");
    fs::create_dir_all(&phone)?;
    fs::write(phone.join("accounts"), "<sip:me@127.0.0.1>;regint=0\n")?;
    say!(
        "\nThe bridge stays up until Ctrl-C. Call it with a softphone on this machine, then key {id}# to join \"{}\":\n  \
         baresip -f {phone} -n 127.0.0.1 -e \"/dial sip:{OPERATOR_NUMBER}@{sip}\"\n\
         Without a sound device baresip hangs up at once, having written {phone}/config: put there, for its audio_source\n\
         and audio_player, \"aufile,FILE.wav\" (8 kHz, mono) and \"aubridge,x\", take the # off both modules and call again.\n\
         See who is in, and what it counts:\n  \
         curl -H \"Authorization: Bearer $(cat {out}/token)\" http://{http}/v1/conferences\n  \
         curl http://{http}/metrics",
        MEETINGS[cast::PLANNING].name,
        phone = phone.display(),
    );
    let told = tokio::select! {
        status = bridge.ended() => {
            say!("the bridge has ended: {}", status?);
            return Ok(());
        }
        told = told_to_end() => told?,
    };
    say!("{told}: the bridge drains and ends");
    bridge.stop().await?;
    Ok(())
}
