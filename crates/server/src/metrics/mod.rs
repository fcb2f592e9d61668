//! What Prometheus scrapes: one struct, every metric named, documented and bounded.
//!
//! Labels hold configured names and closed sets only, never anything a peer sent.

mod footprint;
mod observed;

use prometheus::core::{Collector, Desc};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use observed::Sources;

/// Every metric of the bridge.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    families: Vec<Family>,
    /// `partyline_ready`
    pub ready: IntGauge,
    /// `partyline_draining`
    pub draining: IntGauge,
    /// `partyline_sip_messages_total{direction,method,code_class}`
    pub sip_messages: IntCounterVec,
    /// `partyline_hep_sent_total`
    pub hep_sent: IntCounter,
    /// `partyline_hep_dropped_total`
    pub hep_dropped: IntCounter,
    /// `partyline_sip_requests_rejected_total{reason}`
    pub sip_rejected: IntCounterVec,
    /// `partyline_sip_transactions`
    pub sip_transactions: IntGauge,
    /// `partyline_tls_cert_expiry_timestamp_seconds{certificate}`
    pub tls_expiry: IntGaugeVec,
    /// `partyline_tls_reload_failures_total`
    pub tls_reload_failures: IntCounter,
    /// `partyline_trunk_channels_max{trunk}`
    pub trunk_channels_max: IntGaugeVec,
    /// `partyline_trunk_up{trunk}`
    pub trunk_up: IntGaugeVec,
    /// `partyline_trunk_registered{trunk}`
    pub trunk_registered: IntGaugeVec,
    /// `partyline_trunk_registration_failures_total{trunk}`
    pub trunk_registration_failures: IntCounterVec,
    /// `partyline_trunk_options_rtt_seconds{trunk}`
    pub trunk_rtt: HistogramVec,
    /// `partyline_legs_refused_total{direction,reason}`
    pub legs_refused: IntCounterVec,
    /// `partyline_calls{direction,trunk}`
    pub calls: IntGaugeVec,
    /// `partyline_calls_total{direction,trunk,result}`
    pub calls_total: IntCounterVec,
    /// `partyline_call_end_total{reason}`
    pub call_end: IntCounterVec,
    /// `partyline_call_setup_seconds{direction}`
    pub call_setup: HistogramVec,
    /// `partyline_call_join_seconds{stage}`
    pub call_join: HistogramVec,
    /// `partyline_call_duration_seconds`
    pub call_duration: Histogram,
    /// `partyline_attendant_attempts_total{step,result}`
    pub attendant_attempts: IntCounterVec,
    /// `partyline_conferences`
    pub conferences: IntGauge,
    /// `partyline_conference_size`
    pub conference_size: Histogram,
    /// `partyline_participants`
    pub participants: IntGauge,
    /// `partyline_recordings`
    pub recordings: IntGauge,
    /// `partyline_recordings_failed_total`
    pub recordings_failed: IntCounter,
    /// `partyline_recording_frames_dropped_total`
    pub recording_dropped: IntCounter,
    /// `partyline_route_decisions_total{direction,result}`
    pub route_decisions: IntCounterVec,
    /// `partyline_budget_notices_total{budget,percent}`
    pub budget_notices: IntCounterVec,
    /// `partyline_spending_unread`
    pub spending_unread: IntGauge,
    /// `partyline_defense_alarms_total{guessed,scope,level}`
    pub defense_alarms: IntCounterVec,
    /// `partyline_rtp_bytes_total{direction,codec}`
    pub rtp_bytes: IntCounterVec,
    /// `partyline_rtp_jitter_seconds`
    pub rtp_jitter: Histogram,
    /// `partyline_rtp_packets_total{direction,codec}`
    pub rtp_packets: IntCounterVec,
    /// `partyline_rtp_packets_lost_total`
    pub rtp_lost: IntCounter,
    /// `partyline_rtp_packets_late_total`
    pub rtp_late: IntCounter,
    /// `partyline_rtp_packets_duplicate_total`
    pub rtp_duplicate: IntCounter,
    /// `partyline_rtp_packets_reordered_total`
    pub rtp_reordered: IntCounter,
    /// `partyline_rtp_concealed_frames_total`
    pub rtp_concealed: IntCounter,
    /// `partyline_rtp_packets_stranger_total`
    pub rtp_strangers: IntCounter,
    /// `partyline_srtp_packets_rejected_total`
    pub srtp_rejected: IntCounter,
    /// `partyline_echo_detected_total{trunk}`
    pub echo_detected: IntCounterVec,
    /// `partyline_rtp_zero_packet_calls_total{trunk}`
    pub rtp_zero_packet: IntCounterVec,
    /// `partyline_rtp_ports_used`
    pub ports_used: IntGauge,
    /// `partyline_rtp_ports_max`
    pub ports_max: IntGauge,
    /// `partyline_rtp_ports_reused_early_total`
    pub ports_reused: IntCounter,
    /// `partyline_cdr_spool_records`
    pub spool_waiting: IntGauge,
    /// `partyline_cdr_delivered_total`
    pub spool_delivered: IntCounter,
    /// `partyline_cdr_dropped_total`
    pub spool_dropped: IntCounter,
    /// `partyline_cdr_database_records`
    pub database_waiting: IntGauge,
    /// `partyline_cdr_database_oldest_seconds`
    pub database_oldest: IntGauge,
    /// `partyline_cdr_database_delivered_total{result}`
    pub database_delivered: IntCounterVec,
    /// `partyline_directory_up`
    pub directory_up: IntGauge,
    /// `partyline_directory_version`
    pub directory_version: IntGauge,
    /// `partyline_directory_reloads_total{result}`
    pub directory_reloads: IntCounterVec,
    /// `partyline_event_readers`
    pub event_readers: IntGauge,
    /// `partyline_event_readers_cut_off_total`
    pub event_readers_cut_off: IntCounter,
    /// `partyline_http_connections_shed_total`
    pub http_shed: IntCounter,
    /// `partyline_api_requests_total{result}`
    pub api_requests: IntCounterVec,
}

const SETUP: [f64; 10] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
const JOIN: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 180.0];
const SIZE: [f64; 11] = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
const JITTER: [f64; 8] = [0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2];
const DURATION: [f64; 9] = [1.0, 10.0, 60.0, 600.0, 1800.0, 3600.0, 21_600.0, 43_200.0, 86_400.0];

impl Metrics {
    /// All metrics, registered; `trunks` start as down so that a series exists before the first ping.
    pub fn new<'a>(trunks: impl Iterator<Item = &'a str>) -> Self {
        let r = &mut Builder { registry: Registry::new(), families: Vec::new() };
        let build = gauges(r, "build_info", "Always 1; the labels say what runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            ready: gauge(r, "ready", "1 while new calls are welcome."),
            draining: gauge(r, "draining", "1 after SIGTERM: no new legs."),
            sip_messages: counters(
                r,
                "sip_messages_total",
                "SIP messages by direction (in, out), method and class of the status code (request for requests).",
                &["direction", "method", "code_class"],
            ),
            hep_sent: counter(r, "hep_sent_total", "SIP messages sent to the collector of [hep]."),
            hep_dropped: counter(
                r,
                "hep_dropped_total",
                "SIP messages that never reached the collector: it or the network was too slow.",
            ),
            sip_rejected: counters(
                r,
                "sip_requests_rejected_total",
                "Requests that were refused or dropped, by reason.",
                &["reason"],
            ),
            sip_transactions: gauge(r, "sip_transactions", "SIP transactions alive, both roles."),
            tls_expiry: gauges(
                r,
                "tls_cert_expiry_timestamp_seconds",
                "When our certificate expires, in seconds since 1970: sip.tls, or a trunk with its own.",
                &["certificate"],
            ),
            tls_reload_failures: counter(
                r,
                "tls_reload_failures_total",
                "Times that certificates could not be read again; the old ones stayed.",
            ),
            trunk_channels_max: gauges(
                r,
                "trunk_channels_max",
                "The trunk's max_concurrent_sessions; no series for a trunk without a limit.",
                &["trunk"],
            ),
            trunk_up: gauges(
                r,
                "trunk_up",
                "1 while the trunk answers our OPTIONS or carries calls.",
                &["trunk"],
            ),
            trunk_registered: gauges(
                r,
                "trunk_registered",
                "1 while we are registered; no series for a trunk without register.",
                &["trunk"],
            ),
            trunk_registration_failures: counters(
                r,
                "trunk_registration_failures_total",
                "Attempts to register that came to nothing.",
                &["trunk"],
            ),
            trunk_rtt: histograms(
                r,
                "trunk_options_rtt_seconds",
                "How long the trunk took to answer an OPTIONS.",
                &["trunk"],
                &SETUP,
            ),
            legs_refused: counters(
                r,
                "legs_refused_total",
                "Legs refused for the sake of those that are up: media threads too busy (load) or run too late (lateness).",
                &["direction", "reason"],
            ),
            calls: gauges(r, "calls", "Legs up now, by direction and trunk.", &["direction", "trunk"]),
            calls_total: counters(
                r,
                "calls_total",
                "Legs ended, by direction, trunk and result.",
                &["direction", "trunk", "result"],
            ),
            call_end: counters(r, "call_end_total", "Why answered legs ended.", &["reason"]),
            call_setup: histograms(
                r,
                "call_setup_seconds",
                "INVITE to 200, by direction.",
                &["direction"],
                &SETUP,
            ),
            call_join: histograms(
                r,
                "call_join_seconds",
                "INVITE to the first prompt (prompt) and to the meeting's mix (mixed).",
                &["stage"],
                &JOIN,
            ),
            call_duration: histogram(r, "call_duration_seconds", "Answer to end.", &DURATION),
            attendant_attempts: counters(
                r,
                "attendant_attempts_total",
                "What callers keyed in the attendant, by step and result.",
                &["step", "result"],
            ),
            conferences: gauge(r, "conferences", "Meetings with at least one leg."),
            conference_size: histogram(
                r,
                "conference_size",
                "Most legs a meeting had at once, when it is over.",
                &SIZE,
            ),
            participants: gauge(r, "participants", "Legs in meetings."),
            recordings: gauge(r, "recordings", "Meetings being recorded."),
            recordings_failed: counter(
                r,
                "recordings_failed_total",
                "Recordings that ended because they could not be written.",
            ),
            recording_dropped: counter(
                r,
                "recording_frames_dropped_total",
                "Frames of 20 ms that are silence in a recording because they were not mixed or not written in time.",
            ),
            route_decisions: counters(
                r,
                "route_decisions_total",
                "Routing decisions by direction and result.",
                &["direction", "result"],
            ),
            budget_notices: counters(
                r,
                "budget_notices_total",
                "Times that the minute pool or a spending limit came to 80 or 100 per cent.",
                &["budget", "percent"],
            ),
            spending_unread: gauge(
                r,
                "spending_unread",
                "1 while what was spent this month is not all known: dial-outs that run against a limit are refused.",
            ),
            defense_alarms: counters(
                r,
                "defense_alarms_total",
                "Times that somebody seemed to guess, by what (conference_id, pin), where it was counted, and what was done.",
                &["guessed", "scope", "level"],
            ),
            rtp_bytes: counters(
                r,
                "rtp_bytes_total",
                "RTP payload of ended legs in bytes, by direction (in: towards the mixer) and codec.",
                &["direction", "codec"],
            ),
            rtp_jitter: histogram(
                r,
                "rtp_jitter_seconds",
                "Interarrival jitter (RFC 3550) of what legs sent us, at their end.",
                &JITTER,
            ),
            rtp_packets: counters(
                r,
                "rtp_packets_total",
                "RTP packets of ended legs, by direction (in: towards the mixer) and codec.",
                &["direction", "codec"],
            ),
            rtp_lost: counter(r, "rtp_packets_lost_total", "RTP packets that never came, of ended legs."),
            rtp_late: counter(
                r,
                "rtp_packets_late_total",
                "RTP packets that came too late to be heard, of ended legs.",
            ),
            rtp_duplicate: counter(
                r,
                "rtp_packets_duplicate_total",
                "RTP packets that came twice, of ended legs.",
            ),
            rtp_reordered: counter(
                r,
                "rtp_packets_reordered_total",
                "RTP packets that overtook others, of ended legs.",
            ),
            rtp_concealed: counter(
                r,
                "rtp_concealed_frames_total",
                "Frames of 20 ms made up where a packet was missing, of ended legs.",
            ),
            rtp_strangers: counter(
                r,
                "rtp_packets_stranger_total",
                "Datagrams from an address that is not the peer's, of ended legs.",
            ),
            srtp_rejected: counter(
                r,
                "srtp_packets_rejected_total",
                "Packets that SRTP did not take, not authentic or taken before, of ended legs.",
            ),
            echo_detected: counters(
                r,
                "echo_detected_total",
                "Times that a leg began to send back what it was sent.",
                &["trunk"],
            ),
            rtp_zero_packet: counters(
                r,
                "rtp_zero_packet_calls_total",
                "Answered legs that never sent a packet.",
                &["trunk"],
            ),
            ports_used: gauge(r, "rtp_ports_used", "Pairs of RTP ports in use."),
            ports_max: gauge(r, "rtp_ports_max", "Pairs of RTP ports in all."),
            ports_reused: counter(
                r,
                "rtp_ports_reused_early_total",
                "Pairs reused before they had rested for 30 s.",
            ),
            spool_waiting: gauge(r, "cdr_spool_records", "Usage records waiting for the disk."),
            spool_delivered: counter(r, "cdr_delivered_total", "Usage records written and synced."),
            spool_dropped: counter(r, "cdr_dropped_total", "Usage records given up because too many waited."),
            database_waiting: gauge(
                r,
                "cdr_database_records",
                "Usage records that are in the spool and not in the database yet.",
            ),
            database_oldest: gauge(
                r,
                "cdr_database_oldest_seconds",
                "For how long the database has refused usage records; 0 while it takes them.",
            ),
            database_delivered: counters(
                r,
                "cdr_database_delivered_total",
                "Usage records by what came of them: new, known (there already), unreadable, refused (tried again).",
                &["result"],
            ),
            directory_up: gauge(r, "directory_up", "1 while the database of [store] answers; 0 without one."),
            directory_version: gauge(
                r,
                "directory_version",
                "The change of the database's directory that is in force.",
            ),
            directory_reloads: counters(
                r,
                "directory_reloads_total",
                "Changes of the database's directory by result: taken, or refused because it was wrong.",
                &["result"],
            ),
            event_readers: gauge(r, "event_readers", "Connections that read the event stream."),
            http_shed: counter(
                r,
                "http_connections_shed_total",
                "Connections to the HTTP port that were ended or refused to make room.",
            ),
            event_readers_cut_off: counter(
                r,
                "event_readers_cut_off_total",
                "Readers of the event stream that were too slow and were let go.",
            ),
            api_requests: counters(
                r,
                "api_requests_total",
                "Requests to /v1 by result: ok, refused, unauthorized.",
                &["result"],
            ),
            registry: r.registry.clone(),
            families: Vec::new(),
        };
        let families = std::mem::take(&mut r.families);
        let metrics = Self { families, ..metrics };
        for trunk in trunks {
            metrics.trunk_up.with_label_values(&[trunk]).set(0);
        }
        metrics
    }

    /// Adds what other threads count on their own; it is read when the page is.
    pub fn observe(&mut self, sources: Sources) {
        let mut add = |families: Vec<Family>, collector: Box<dyn Collector>| {
            self.families.extend(families);
            self.registry.register(collector).expect(TWICE);
        };
        let observed = observed::Observed::new(sources);
        add(observed.families(), Box::new(observed));
        let footprint = footprint::Footprint::new();
        add(footprint.families(), Box::new(footprint));
    }

    /// Every metric there is, also those without a series yet, by name.
    pub fn families(&self) -> Vec<Family> {
        let mut families = self.families.clone();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    /// The page that Prometheus reads.
    pub fn page(&self) -> String {
        // The encoder fails only on a metric without samples of a wrong kind: our own bug, so it says so loudly.
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("every metric is well formed")
    }
}

/// What a metric is, for the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its whole name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

/// Registers metrics and remembers what they are.
struct Builder {
    registry: Registry,
    families: Vec<Family>,
}

impl Builder {
    fn add(&mut self, kind: &'static str, metric: &(impl Collector + Clone + 'static)) {
        self.families.extend(describe(kind, metric.desc()));
        self.registry.register(Box::new(metric.clone())).expect(TWICE);
    }
}

/// The descriptions of metrics of one kind, for the documentation.
fn describe<'a>(
    kind: &'static str,
    descs: impl IntoIterator<Item = &'a Desc>,
) -> impl Iterator<Item = Family> {
    descs.into_iter().map(move |desc| Family {
        name: desc.fq_name.clone(),
        kind,
        labels: desc.variable_labels.clone(),
        help: desc.help.clone(),
    })
}

fn full(name: &str) -> String {
    format!("partyline_{name}")
}

/// Registration fails only for a name used twice, which the unit test below would show.
const TWICE: &str = "every metric is registered once, under a legal name";

fn gauge(r: &mut Builder, name: &str, help: &str) -> IntGauge {
    let metric = IntGauge::new(full(name), help).expect(TWICE);
    r.add("gauge", &metric);
    metric
}

fn counter(r: &mut Builder, name: &str, help: &str) -> IntCounter {
    let metric = IntCounter::new(full(name), help).expect(TWICE);
    r.add("counter", &metric);
    metric
}

fn gauges(r: &mut Builder, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let metric = IntGaugeVec::new(Opts::new(full(name), help), labels).expect(TWICE);
    r.add("gauge", &metric);
    metric
}

fn counters(r: &mut Builder, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let metric = IntCounterVec::new(Opts::new(full(name), help), labels).expect(TWICE);
    r.add("counter", &metric);
    metric
}

fn histogram(r: &mut Builder, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(full(name), help).buckets(buckets.to_vec());
    let metric = Histogram::with_opts(options).expect(TWICE);
    r.add("histogram", &metric);
    metric
}

fn histograms(r: &mut Builder, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(full(name), help).buckets(buckets.to_vec());
    let metric = HistogramVec::new(options, labels).expect(TWICE);
    r.add("histogram", &metric);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_and_a_trunk_has_its_series_before_the_first_ping() {
        let page = Metrics::new(["acme", "microsoft"].into_iter()).page();
        assert!(page.contains("partyline_trunk_up{trunk=\"acme\"} 0"));
        assert!(page.contains("# HELP partyline_ready"));
    }

    #[test]
    fn a_counter_says_total_and_nothing_else_does() {
        let mut metrics = Metrics::new(std::iter::empty());
        metrics.observe(Sources::none());
        for family in metrics.families() {
            assert_eq!(family.kind == "counter", family.name.ends_with("_total"), "{family:?}");
        }
    }
}
