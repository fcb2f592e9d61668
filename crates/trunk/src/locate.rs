//! From a peer's name to its addresses: the client procedures of RFC 3263 section 4, without a socket.
//!
//! [`locate`] is a plain function over the answers that are known so far. It says what to ask next, or where the peer is, or why
//! it is nowhere; whoever drives it asks, adds the answer and calls it again. That ends: each question is asked once, and the
//! number of questions is bounded by [`MOST_TARGETS`].

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;

use crate::profile::Transport;
use crate::turns::in_turn;

/// SRV records of one name that are looked at, and places that one name stands for; further ones are left out.
pub const MOST_TARGETS: usize = 16;
/// How long an answer counts at least, whatever its TTL says: a zone with a TTL of 0 must not make us ask without end.
const SHORTEST: Duration = Duration::from_secs(5);
/// How long an answer counts at most: a day.
const LONGEST: Duration = Duration::from_hours(24);

/// A peer as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// A domain name, lower case, without a dot at the end.
    pub host: String,
    /// With a port there is no SRV lookup (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// With a transport there is no NAPTR lookup (section 4.1).
    pub transport: Option<Transport>,
}

/// As it is written: `sip.example.net:5061`.
impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(out, "{}:{port}", self.host),
            None => out.write_str(&self.host),
        }
    }
}

/// What to ask the DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

/// The kinds of records that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// NAPTR (RFC 3403).
    Naptr,
    /// SRV (RFC 2782).
    Srv,
    /// A and AAAA together.
    Address,
}

/// One NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower comes first.
    pub order: u16,
    /// Within one order, lower comes first.
    pub preference: u16,
    /// `s` for an SRV name.
    pub flags: String,
    /// Such as `SIPS+D2T`.
    pub service: String,
    /// The SRV name.
    pub replacement: String,
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower comes first.
    pub priority: u16,
    /// The share of the calls within one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` says that the service is not offered.
    pub target: String,
}

/// What the DNS said. Empty lists say that there are no such records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// For [`Kind::Naptr`].
    Naptr(Vec<Naptr>),
    /// For [`Kind::Srv`].
    Srv(Vec<Srv>),
    /// For [`Kind::Address`].
    Addresses(Vec<IpAddr>),
}

/// An answer, and how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The records.
    pub records: Records,
    /// The shortest TTL of them, or that of their absence.
    pub ttl: Duration,
}

/// Everything that was answered so far.
pub type Answers = HashMap<Question, Answer>;

/// Where requests to a peer can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The address.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
}

/// For people: `tls:192.0.2.1:5061`.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.transport.as_str(), self.address)
    }
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this and come back.
    Ask(Question),
    /// The peer's places, in the order in which to try them; at least one.
    Located {
        /// The places.
        places: Vec<Place>,
        /// How long they count.
        ttl: Duration,
    },
    /// There is no such peer.
    Nowhere {
        /// What the operator has to look at.
        because: String,
        /// How long that counts.
        ttl: Duration,
    },
}

/// RFC 3263 section 4 for one name. `supported` are our own transports, the ones we like best first; SRV records of equal priority
/// are drawn by weight from `random` (RFC 2782), so that many bridges spread their calls as the operator wishes.
pub fn locate(name: &Name, supported: &[Transport], answers: &Answers, random: &mut impl Rng) -> Step {
    let mut ttl = LONGEST;
    let services = match services(name, supported, answers, &mut ttl) {
        Ok(services) => services,
        Err(question) => return Step::Ask(question),
    };
    let mut places = Vec::new();
    for (srv, transport) in &services {
        let hosts = match hosts(srv, answers, random, &mut ttl) {
            Ok(hosts) => hosts,
            Err(question) => return Step::Ask(question),
        };
        for (host, port) in hosts {
            match addresses(&host, answers, &mut ttl) {
                Ok(found) => places.extend(found.into_iter().map(|ip| place(ip, port, *transport))),
                Err(question) => return Step::Ask(question),
            }
        }
    }
    // Without a service: the host's own addresses (section 4.2, last paragraph).
    if places.is_empty() && services.iter().all(|(srv, _)| said(srv, answers).is_empty()) {
        let transport = name.transport.or(supported.first().copied()).unwrap_or(Transport::Udp);
        match addresses(&name.host, answers, &mut ttl) {
            Ok(found) => {
                let port = name.port.unwrap_or(transport.default_port());
                places.extend(found.into_iter().map(|ip| place(ip, port, transport)));
            }
            Err(question) => return Step::Ask(question),
        }
    }
    let mut seen = std::collections::HashSet::new();
    places.retain(|place| seen.insert(*place));
    places.truncate(MOST_TARGETS);
    let ttl = ttl.clamp(SHORTEST, LONGEST);
    if places.is_empty() {
        return Step::Nowhere { because: nowhere(name, &services), ttl };
    }
    Step::Located { places, ttl }
}

fn place(ip: IpAddr, port: u16, transport: Transport) -> Place {
    Place { address: SocketAddr::new(ip, port), transport }
}

/// The SRV names to look at, with their transports, in order. Empty where the name has a port.
fn services(
    name: &Name,
    supported: &[Transport],
    answers: &Answers,
    ttl: &mut Duration,
) -> Result<Vec<(String, Transport)>, Question> {
    if name.port.is_some() {
        return Ok(Vec::new());
    }
    if let Some(transport) = name.transport {
        return Ok(vec![(srv_name(&name.host, transport), transport)]);
    }
    let question = Question { name: name.host.clone(), kind: Kind::Naptr };
    let Some(answer) = answers.get(&question) else { return Err(question) };
    *ttl = (*ttl).min(answer.ttl);
    let Records::Naptr(records) = &answer.records else { return Ok(Vec::new()) };
    let mut records: Vec<&Naptr> = records.iter().collect();
    records.sort_by_key(|record| (record.order, record.preference));
    let usable = |record: &&Naptr| {
        let transport = transport_of(&record.service).filter(|one| supported.contains(one))?;
        let right = record.flags.eq_ignore_ascii_case("s") && !record.replacement.is_empty();
        right.then(|| (record.replacement.trim_end_matches('.').to_ascii_lowercase(), transport))
    };
    let chosen: Vec<_> = records.iter().filter_map(usable).take(MOST_TARGETS).collect();
    if chosen.is_empty() {
        // Section 4.1: without NAPTR records SRV is asked for each transport we support.
        return Ok(supported.iter().map(|&one| (srv_name(&name.host, one), one)).collect());
    }
    Ok(chosen)
}

fn transport_of(service: &str) -> Option<Transport> {
    let table = [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp), ("SIPS+D2T", Transport::Tls)];
    table.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, transport)| transport)
}

fn srv_name(host: &str, transport: Transport) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{host}"),
        Transport::Tcp => format!("_sip._tcp.{host}"),
        Transport::Tls => format!("_sips._tcp.{host}"),
    }
}

/// The SRV records of a name, where they were answered.
fn said<'a>(srv: &str, answers: &'a Answers) -> &'a [Srv] {
    let question = Question { name: srv.to_owned(), kind: Kind::Srv };
    match answers.get(&question).map(|answer| &answer.records) {
        Some(Records::Srv(records)) => records,
        _ => &[],
    }
}

/// The hosts of a service in the order of RFC 2782.
fn hosts(
    srv: &str,
    answers: &Answers,
    random: &mut impl Rng,
    ttl: &mut Duration,
) -> Result<Vec<(String, u16)>, Question> {
    let question = Question { name: srv.to_owned(), kind: Kind::Srv };
    let Some(answer) = answers.get(&question) else { return Err(question) };
    *ttl = (*ttl).min(answer.ttl);
    let mut left: Vec<&Srv> = said(srv, answers).iter().filter(|one| one.target != ".").collect();
    left.sort_by_key(|one| (one.priority, std::cmp::Reverse(one.weight)));
    left.truncate(MOST_TARGETS);
    let left = in_turn(left, |one| (one.priority, one.weight), random);
    Ok(left.iter().map(|one| (one.target.trim_end_matches('.').to_ascii_lowercase(), one.port)).collect())
}

fn addresses(host: &str, answers: &Answers, ttl: &mut Duration) -> Result<Vec<IpAddr>, Question> {
    let question = Question { name: host.to_owned(), kind: Kind::Address };
    let Some(answer) = answers.get(&question) else { return Err(question) };
    *ttl = (*ttl).min(answer.ttl);
    match &answer.records {
        Records::Addresses(found) => Ok(found.iter().copied().take(MOST_TARGETS).collect()),
        _ => Ok(Vec::new()),
    }
}

fn nowhere(name: &Name, services: &[(String, Transport)]) -> String {
    let asked: Vec<&str> = services.iter().map(|(srv, _)| srv.as_str()).collect();
    let srv =
        if asked.is_empty() { String::new() } else { format!(" no SRV records at {} and", asked.join(", ")) };
    format!("the DNS has{srv} no address for {}: correct the name, or write an address", name.host)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

    /// A zone, in lines: `name NAPTR order preference service replacement`, `name SRV priority weight port target`, `name A address`.
    fn zone(text: &str) -> Vec<(String, Records)> {
        let mut zone: Vec<(String, Records)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let records = match words[1] {
                "NAPTR" => Records::Naptr(vec![Naptr {
                    order: words[2].parse().unwrap(),
                    preference: words[3].parse().unwrap(),
                    flags: "s".to_owned(),
                    service: words[4].to_owned(),
                    replacement: words[5].to_owned(),
                }]),
                "SRV" => Records::Srv(vec![Srv {
                    priority: words[2].parse().unwrap(),
                    weight: words[3].parse().unwrap(),
                    port: words[4].parse().unwrap(),
                    target: words[5].to_owned(),
                }]),
                _ => Records::Addresses(vec![words[2].parse().unwrap()]),
            };
            zone.push((words[0].to_owned(), records));
        }
        zone
    }

    fn ask(zone: &[(String, Records)], question: &Question) -> Answer {
        let mut records = match question.kind {
            Kind::Naptr => Records::Naptr(Vec::new()),
            Kind::Srv => Records::Srv(Vec::new()),
            Kind::Address => Records::Addresses(Vec::new()),
        };
        for (_, more) in zone.iter().filter(|(name, _)| *name == question.name) {
            match (&mut records, more) {
                (Records::Naptr(all), Records::Naptr(more)) => all.extend(more.iter().cloned()),
                (Records::Srv(all), Records::Srv(more)) => all.extend(more.iter().cloned()),
                (Records::Addresses(all), Records::Addresses(more)) => all.extend(more),
                _ => {}
            }
        }
        Answer { records, ttl: Duration::from_mins(5) }
    }

    /// Asks until the end; what was found as `transport:address`, and the questions.
    fn run(name: &Name, text: &str, seed: u64) -> (Vec<String>, Vec<String>) {
        let (zone, mut answers, mut asked) = (zone(text), Answers::new(), Vec::new());
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..64 {
            match locate(name, &ALL, &answers, &mut random) {
                Step::Ask(question) => {
                    asked.push(format!("{:?} {}", question.kind, question.name));
                    let answer = ask(&zone, &question);
                    assert!(answers.insert(question, answer).is_none(), "asked twice: {asked:?}");
                }
                Step::Located { places, ttl } => {
                    assert_eq!(ttl, Duration::from_mins(5));
                    let shown = places.iter().map(Place::to_string);
                    return (shown.collect(), asked);
                }
                Step::Nowhere { because, .. } => return (vec![because], asked),
            }
        }
        panic!("it does not end: {asked:?}");
    }

    fn name(host: &str, port: Option<u16>, transport: Option<Transport>) -> Name {
        Name { host: host.to_owned(), port, transport }
    }

    #[test]
    fn a_name_with_a_port_is_its_addresses() {
        let teams = name("sip.pstnhub.example", Some(5061), Some(Transport::Tls));
        let (found, asked) =
            run(&teams, "sip.pstnhub.example A 192.0.2.1\nsip.pstnhub.example A 2001:db8::1", 1);
        assert_eq!(found, ["tls:192.0.2.1:5061", "tls:[2001:db8::1]:5061"]);
        assert_eq!(asked, ["Address sip.pstnhub.example"]);
    }

    #[test]
    fn a_name_with_a_transport_is_its_srv_records_and_else_its_addresses_at_the_default_port() {
        let zone = "_sip._tcp.acme.example SRV 10 0 5070 Two.acme.example.\n_sip._tcp.acme.example SRV 5 0 5060 one.acme.example\n\
                    one.acme.example A 192.0.2.1\ntwo.acme.example A 192.0.2.2\nacme.example A 192.0.2.9";
        let (found, asked) = run(&name("acme.example", None, Some(Transport::Tcp)), zone, 1);
        assert_eq!(found, ["tcp:192.0.2.1:5060", "tcp:192.0.2.2:5070"]);
        assert_eq!(asked.len(), 3);
        let (found, _) = run(&name("acme.example", None, Some(Transport::Tls)), zone, 1);
        assert_eq!(found, ["tls:192.0.2.9:5061"], "no SRV for TLS");
    }

    #[test]
    fn a_bare_name_follows_naptr_in_its_order_and_only_to_transports_we_have() {
        let zone = "acme.example NAPTR 20 1 SIP+D2U _sip._udp.acme.example\nacme.example NAPTR 10 2 SIP+D2T _sip._tcp.acme.example.\n\
                    acme.example NAPTR 10 1 SIP+D2S _sip._sctp.acme.example\nacme.example NAPTR 10 3 SIPS+D2T _sips._tcp.acme.example\n\
                    _sip._udp.acme.example SRV 1 1 5060 a.acme.example\n_sip._tcp.acme.example SRV 1 1 5062 a.acme.example\n\
                    _sips._tcp.acme.example SRV 1 1 5061 a.acme.example\na.acme.example A 192.0.2.1";
        let (found, asked) = run(&name("acme.example", None, None), zone, 1);
        assert_eq!(found, ["tcp:192.0.2.1:5062", "tls:192.0.2.1:5061", "udp:192.0.2.1:5060"]);
        assert!(!asked.iter().any(|one| one.contains("sctp")));
    }

    #[test]
    fn without_naptr_every_transport_of_ours_is_asked_for_and_then_the_address() {
        let (found, asked) = run(&name("acme.example", None, None), "acme.example A 192.0.2.9", 1);
        assert_eq!(found, ["tls:192.0.2.9:5061"]);
        assert_eq!(
            asked,
            [
                "Naptr acme.example",
                "Srv _sips._tcp.acme.example",
                "Srv _sip._tcp.acme.example",
                "Srv _sip._udp.acme.example",
                "Address acme.example"
            ]
        );
    }

    #[test]
    fn a_service_that_is_not_offered_and_a_name_that_is_not_there_are_nowhere_and_say_so() {
        let acme = name("acme.example", None, Some(Transport::Udp));
        let (found, _) = run(&acme, "_sip._udp.acme.example SRV 0 0 0 .\nacme.example A 192.0.2.9", 1);
        assert!(found[0].contains("no address for acme.example"), "{found:?}");
        let (found, _) = run(&acme, "", 1);
        assert!(
            found[0].contains("_sip._udp.acme.example") && found[0].contains("write an address"),
            "{found:?}"
        );
    }

    #[test]
    fn equal_priorities_are_drawn_by_weight_and_weight_zero_is_rare() {
        let zone = "_sip._udp.acme.example SRV 1 60 5060 a.acme.example\n_sip._udp.acme.example SRV 1 40 5060 b.acme.example\n\
                    _sip._udp.acme.example SRV 1 0 5060 c.acme.example\n_sip._udp.acme.example SRV 2 100 5060 d.acme.example\n\
                    a.acme.example A 192.0.2.1\nb.acme.example A 192.0.2.2\nc.acme.example A 192.0.2.3\nd.acme.example A 192.0.2.4";
        let mut first: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..2000 {
            let (found, _) = run(&name("acme.example", None, Some(Transport::Udp)), zone, seed);
            assert_eq!(found.len(), 4);
            assert_eq!(found[3], "udp:192.0.2.4:5060", "a lower priority comes last");
            *first.entry(found[0].clone()).or_default() += 1;
        }
        // 2000 draws: 60 % are 1200 with a deviation of 22; five of them are 110. Weight 0 is drawn once in 101.
        assert!(first["udp:192.0.2.1:5060"].abs_diff(1190) < 110, "{first:?}");
        assert!(first["udp:192.0.2.2:5060"].abs_diff(790) < 110, "{first:?}");
        assert!(first["udp:192.0.2.3:5060"] < 60, "{first:?}");
    }

    #[test]
    fn a_zone_of_a_thousand_records_is_cut() {
        let mut text = String::new();
        for n in 0..1000 {
            let (last, port) = (n % 250, 5000 + n);
            writeln!(text, "_sip._udp.acme.example SRV 1 1 {port} h{n}.acme.example").unwrap();
            writeln!(text, "h{n}.acme.example A 192.0.2.{last}").unwrap();
        }
        let (zone, mut answers) = (zone(&text), Answers::new());
        let mut random = StdRng::seed_from_u64(1);
        let acme = name("acme.example", None, Some(Transport::Udp));
        // Each call draws anew, so the hosts that are asked for change while answers come: still each question is asked once.
        for _ in 0..2000 {
            match locate(&acme, &ALL, &answers, &mut random) {
                Step::Ask(question) => {
                    let answer = ask(&zone, &question);
                    answers.insert(question, answer);
                }
                Step::Located { places, .. } => return assert_eq!(places.len(), MOST_TARGETS),
                Step::Nowhere { because, .. } => panic!("{because}"),
            }
        }
        panic!("it does not end");
    }
}
