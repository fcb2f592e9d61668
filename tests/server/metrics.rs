//! The metrics page: well formed, of a size that peers cannot change, and as the documentation says.

use std::collections::BTreeMap;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::bridge::{House, NUMBER, root, sample};
use super::raw::{Raw, Request, offer};

/// Series that the page may have with one trunk. A node with 20 trunks must stay below 3000.
const BUDGET: usize = 300;

fn series(page: &str) -> Vec<&str> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_passes_promtool_and_has_real_counters_and_histograms() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    call.hang_up().await.expect("an answer to BYE");
    house.until("the leg is over", async || house.records("final").len() == 1).await;
    let page = house.metrics().await;
    for line in [
        "# TYPE partyline_mixer_ticks_total counter",
        "# TYPE partyline_mixer_deadline_missed_total counter",
        "# TYPE partyline_mixer_tick_seconds histogram",
        "# TYPE partyline_mixer_wake_late_seconds histogram",
        "# TYPE partyline_sip_messages_total counter",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let at_most = |series: &str, most: f64| {
        let value = sample(&page, series);
        assert!(value > 0.0 && value <= most, "{series} {value}");
    };
    at_most("partyline_mixer_ticks_total", 1e6);
    at_most("partyline_mixer_tick_seconds_count", 1e6);
    at_most("partyline_sip_messages_total{code_class=\"request\",direction=\"in\",method=\"INVITE\"}", 9.0);
    at_most("partyline_sip_messages_total{code_class=\"2xx\",direction=\"out\",method=\"response\"}", 9.0);
    at_most("partyline_cdr_delivered_total", 2.0);
    let again = house.metrics().await;
    for counter in [
        "partyline_mixer_ticks_total",
        "partyline_mixer_wake_late_seconds_count",
        "process_cpu_seconds_total",
    ] {
        assert!(sample(&again, counter) >= sample(&page, counter), "{counter} counts backwards");
    }
    check_with_promtool(&page).await;
}

/// Prometheus' own opinion of the page. Skipped where it is not installed; with `CI` set that is a failure.
async fn check_with_promtool(page: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        let advice = "promtool is not installed: run ./x setup, or apt-get install prometheus";
        assert!(std::env::var_os("CI").is_none(), "{advice}");
        eprintln!("skipped: {advice}");
        return;
    };
    let mut stdin = promtool.stdin.take().expect("its standard input");
    stdin.write_all(page.as_bytes()).await.expect("the page is read");
    drop(stdin);
    let output = promtool.wait_with_output().await.expect("its opinion");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_peers_send_makes_a_new_series() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    let storm = async |round: usize| {
        for n in 0..300_usize {
            let word = format!("w{round}x{n}y{}", n * 7919);
            let method = match n % 4 {
                0 | 1 => "INVITE",
                2 => "OPTIONS",
                _ => word.as_str(),
            };
            let more = format!("User-Agent: {word}\r\nX-{word}: 1\r\n");
            let to = if n % 8 == 0 { NUMBER } else { word.as_str() };
            let body = if n % 3 == 0 { word.clone() } else { offer(40_000).replace("PCMA", &word) };
            let request = Request { method, call_id: &word, from: &word, to, more: &more, body: &body };
            raw.send(request.text("UDP", raw.address(), house.sip).as_bytes()).await;
            raw.send(format!("SIP/2.0 {n} {word}\r\nCSeq: 1 {word}\r\n\r\n").as_bytes()).await;
            if n % 20 == 0 {
                // So that nothing is dropped on the way: every one of them must be looked at.
                raw.status(&Request { call_id: &format!("pace{word}"), ..Request::default() }).await;
            }
        }
    };
    storm(0).await;
    let before = house.metrics().await;
    storm(1).await;
    let after = house.metrics().await;
    let (few, many) = (series(&before), series(&after));
    let new: Vec<_> = many.iter().filter(|series| !few.contains(series)).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(many.len() <= BUDGET, "{} series", many.len());
    let seen = "partyline_sip_messages_total{code_class=\"request\",direction=\"in\",method=\"other\"}";
    assert!(sample(&after, seen) >= 100.0, "{after}");
}

/// The rows of the table in docs/operations.md: name to type and labels.
fn documented() -> BTreeMap<String, (String, String)> {
    let text = std::fs::read_to_string(root().join("docs/operations.md")).expect("docs/operations.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, name, kind, labels, ..] = cells[..] else { return None };
        let is_metric = ["counter", "gauge", "histogram"].contains(&kind);
        is_metric.then(|| (name.to_owned(), (kind.to_owned(), labels.to_owned())))
    });
    rows.collect()
}

#[test]
fn the_documentation_lists_every_metric_with_its_type_and_labels_and_no_other() {
    let mut metrics = server::metrics::Metrics::new(std::iter::empty());
    metrics.observe(server::metrics::Sources::none());
    let real: BTreeMap<_, _> = metrics
        .families()
        .into_iter()
        .map(|family| (family.name, (family.kind.to_owned(), family.labels.join(", "))))
        .collect();
    assert_eq!(documented(), real);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_running_bridge_shows_documented_metrics_only() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let page = house.metrics().await;
    let documented = documented();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("name and type");
        assert_eq!(documented.get(name).map(|(kind, _)| kind.as_str()), Some(kind), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_scrapers_do_not_stop_a_good_one() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let mut stalled = Vec::new();
    for n in 0..50 {
        let mut stream = TcpStream::connect(house.http).await.expect("a connection");
        // Half of them never finish asking, the others never read.
        let request = if n % 2 == 0 { "GET /met" } else { "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" };
        stream.write_all(request.as_bytes()).await.expect("bytes are sent");
        stalled.push(stream);
    }
    for _ in 0..5 {
        assert!(house.count("partyline_mixer_ticks_total").await > 0);
    }
    drop(stalled);
}
