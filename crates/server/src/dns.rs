//! Asks the DNS where the peers are that the configuration names. What to ask, and what the answers mean, `trunk::Names` decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use trunk::locate::{Answer, Kind, Naptr, Place, Question, Records, Srv};
use trunk::{NameChange, Names, Trunks};

use crate::config::{Config, sip_transport};

/// A server that does not answer is asked again after so long, and so often.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// How long a start waits for the first answers.
const LOCATED_WITHIN: Duration = Duration::from_secs(6);
/// For how long "there is no such record" counts where the zone does not say.
const NOTHING_FOR: Duration = Duration::from_mins(1);

/// The DNS as this machine sees it, or certain servers.
#[derive(Clone)]
pub(crate) struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    /// Asks `servers`; without any, those of `/etc/resolv.conf`.
    ///
    /// # Errors
    ///
    /// `/etc/resolv.conf` cannot be read.
    pub(crate) fn new(servers: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
                .context("/etc/resolv.conf cannot be read; name the servers in sip.dns")?
        } else {
            let servers = servers.iter().map(|&server| name_server(server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = ANSWER_WITHIN;
        options.attempts = ATTEMPTS;
        options.cache_size = 0; // `trunk::Names` keeps answers, and for how long
        Ok(Self { resolver: builder.build()? })
    }

    /// The answer to a question; `Err` when the DNS says nothing, with why.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Answer, String> {
        // With the dot the search domains of resolv.conf are left out.
        let name = format!("{}.", question.name);
        match question.kind {
            Kind::Naptr => answer(self.resolver.lookup(name, RecordType::NAPTR).await, naptr),
            Kind::Srv => answer(self.resolver.lookup(name, RecordType::SRV).await, srv),
            Kind::Address => {
                let (four, six) = tokio::join!(
                    self.resolver.lookup(name.clone(), RecordType::A),
                    self.resolver.lookup(name, RecordType::AAAA)
                );
                both(answer(four, addresses), answer(six, addresses))
            }
        }
        .map_err(|error| format!("{:?} of {}: {error}", question.kind, question.name))
    }
}

/// The trunks with their names looked up, and where further changes come from. A name server that does not answer holds the start up
/// for a moment and no longer: the trunk is Down then, and comes up when it is found.
pub(crate) async fn locate(config: &Config) -> anyhow::Result<(Arc<Trunks>, mpsc::Receiver<Arc<Trunks>>)> {
    let (settled, mut located) = mpsc::channel(1);
    let names = config.trunks.names();
    if names.is_empty() {
        return Ok((Arc::clone(&config.trunks), located));
    }
    let dns = Dns::new(&config.dns)?;
    let mut supported = vec![trunk::Transport::Tls, trunk::Transport::Tcp, trunk::Transport::Udp];
    supported.retain(|own| config.listeners.iter().any(|listener| sip_transport(*own) == listener.transport));
    let names = Names::new(names, supported, Instant::now(), rand::random());
    tokio::spawn(follow(Arc::clone(&config.trunks), names, dns, settled));
    let first = tokio::time::timeout(LOCATED_WITHIN, located.recv()).await.ok().flatten();
    Ok((first.unwrap_or_else(|| Arc::clone(&config.trunks)), located))
}

/// Keeps the trunks' names up to date: sends the trunks as they are once every name was asked for, found or not, and again
/// whenever one leads elsewhere. Ends when nobody receives them any more.
pub(crate) async fn follow(
    trunks: Arc<Trunks>,
    mut names: Names,
    dns: Dns,
    settled: mpsc::Sender<Arc<Trunks>>,
) {
    let mut asking = JoinSet::new();
    let mut told = false;
    loop {
        while let Some((name, question)) = names.poll_question() {
            let dns = dns.clone();
            asking.spawn(async move {
                let answer = dns.ask(&question).await;
                (name, question, answer)
            });
        }
        let mut moved = !told;
        while let Some(change) = names.poll_change() {
            moved |= matches!(change, NameChange::Moved { .. });
            tell(&change);
        }
        if moved && names.is_settled() {
            told = true;
            if settled.send(Arc::new(trunks.settled(&names.places()))).await.is_err() {
                return;
            }
        }
        let wake = names.poll_timeout().unwrap_or_else(|| Instant::now() + ANSWER_WITHIN);
        tokio::select! {
            Some(Ok((name, question, answer))) = asking.join_next() => {
                names.handle_answer(Instant::now(), &name, question, answer);
            }
            () = sleep_until(wake.into()) => names.handle_timeout(Instant::now()),
            () = settled.closed() => return,
        }
    }
}

fn tell(change: &NameChange) {
    match change {
        NameChange::Moved { name, places } => {
            let places: Vec<String> = places.iter().map(Place::to_string).collect();
            tracing::info!(%name, places = places.join(" "), "peer located");
        }
        NameChange::Lost { name, because, kept } => {
            tracing::warn!(%name, because, kept, "the DNS does not say where this peer is; the last answer counts on");
        }
        NameChange::Found { name } => tracing::info!(%name, "the DNS says again where this peer is"),
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections)
}

fn answer(found: Result<Lookup, NetError>, read: fn(&[&RData]) -> Records) -> Result<Answer, NetError> {
    match found {
        Ok(found) => {
            let all: Vec<&RData> = found.answers().iter().map(|record| &record.data).collect();
            let ttl = found.valid_until().saturating_duration_since(Instant::now());
            Ok(Answer { records: read(&all), ttl })
        }
        Err(error) if error.is_no_records_found() => Ok(Answer { records: read(&[]), ttl: NOTHING_FOR }),
        Err(error) => Err(error),
    }
}

/// One family is enough: a name server that knows no AAAA, or breaks at it, is no reason not to call.
fn both(four: Result<Answer, NetError>, six: Result<Answer, NetError>) -> Result<Answer, NetError> {
    let (mut four, six) = match (four, six) {
        (Ok(four), Ok(six)) => (four, six),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => return Ok(one),
        (Err(error), Err(_)) => return Err(error),
    };
    if let (Records::Addresses(all), Records::Addresses(more)) = (&mut four.records, &six.records) {
        // That there is none of a family says nothing about how long the others count.
        four.ttl = match (all.is_empty(), more.is_empty()) {
            (false, true) => four.ttl,
            (true, false) => six.ttl,
            _ => four.ttl.min(six.ttl),
        };
        all.extend(more);
    }
    Ok(four)
}

fn addresses(all: &[&RData]) -> Records {
    let address = |data: &&RData| match data {
        RData::A(four) => Some(four.0.into()),
        RData::AAAA(six) => Some(six.0.into()),
        _ => None, // a CNAME on the way
    };
    Records::Addresses(all.iter().filter_map(address).collect())
}

fn srv(all: &[&RData]) -> Records {
    let read = |data: &&RData| match data {
        RData::SRV(srv) => Some(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        }),
        _ => None,
    };
    Records::Srv(all.iter().filter_map(read).collect())
}

fn naptr(all: &[&RData]) -> Records {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = |data: &&RData| match data {
        RData::NAPTR(naptr) => Some(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            replacement: naptr.replacement.to_ascii(),
        }),
        _ => None,
    };
    Records::Naptr(all.iter().filter_map(read).collect())
}
