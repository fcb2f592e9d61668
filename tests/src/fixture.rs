//! The deployment that the scenarios play in: three trunks, two licenses, a handful of meetings.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use crate::gateway::Pairing;
use crate::network::Impairment;
use crate::people::SiteId;
use crate::prompts::Voice;

/// The SBC of the operator `rhein`.
pub const OPERATOR: SiteId = SiteId(0);
/// The Microsoft PSTN gateway.
pub const MICROSOFT: SiteId = SiteId(1);
/// The SBC of the operator `elbe`.
pub const ELBE: SiteId = SiteId(2);
/// An address that no trunk has.
pub const STRANGER: SiteId = SiteId(3);
/// A second peer of the operator `rhein`; in use where [`Setup::second_peer`] is set.
pub const OPERATOR_SPARE: SiteId = SiteId(4);

/// A service number of `rhein`.
pub const OPERATOR_NUMBER: &str = "+496990009100";
/// A service number of `elbe`.
pub const ELBE_NUMBER: &str = "+494099900100";
/// A service number of Microsoft.
pub const MICROSOFT_NUMBER: &str = "+14255550100";

/// Greta's meeting: operator numbers only, dial-out through operators only.
pub const GRETA: &str = "123456782";
/// Sam's meeting: all numbers, dial-out through operators where a route says so, else through Microsoft.
pub const SAM: &str = "205117394";
/// Sam's meeting whose ID has expired.
pub const EXPIRED: &str = "300000003";
/// Sam's meeting with room for two.
pub const SMALL: &str = "300000004";
/// Petra's meeting: neither switch of the lobby is on, so callers wait until they are let in.
pub const STRICT: &str = "300000006";
/// Petra's meeting in which callers are let in once it has started.
pub const BYPASS: &str = "300000007";
/// Petra's meeting that ends with her.
pub const HERS: &str = "300000008";
/// Petra's PIN.
pub const PIN: &str = "27182";
/// Sam's meeting, locked.
pub const LOCKED: &str = "300000005";

/// The bridge's SIP address.
pub const BRIDGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

/// The sites' names and SIP addresses, in the order of their [`SiteId`]s.
pub const SITES: [(&str, [u8; 4]); 5] = [
    ("rhein", [127, 0, 0, 2]),
    ("microsoft", [127, 0, 0, 3]),
    ("elbe", [127, 0, 0, 4]),
    ("stranger", [127, 0, 0, 9]),
    ("rhein-spare", [127, 0, 0, 5]),
];

/// Made once: it takes long on purpose.
static PIN_HASH: OnceLock<String> = OnceLock::new();

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything random comes from here.
    pub seed: u64,
    /// The network for signalling.
    pub sip: Impairment,
    /// The network for media.
    pub media: Impairment,
    /// How long a start record takes to become safe; `None`: the disk never answers.
    pub settles: Option<Duration>,
    /// How many commands fit into a shard's ring.
    pub ring: usize,
    /// How long a command lies in the ring before the shard sees it.
    pub command_delay: Duration,
    /// How long a report lies in the ring before control sees it.
    pub report_delay: Duration,
    /// Port range of media.
    pub ports: &'static str,
    /// Give the operator `rhein` a second peer.
    pub second_peer: bool,
    /// The transport of the trunk `rhein`, `udp` or `tcp`.
    pub operator_transport: &'static str,
    /// The codecs of the trunk `rhein`, as in the file.
    pub operator_codecs: &'static str,
    /// Lines added to the trunk `rhein`.
    pub operator_lines: &'static str,
    /// Lines added to the trunk `microsoft`.
    pub microsoft_lines: &'static str,
    /// Lines put before all tables of the configuration's end: further tables.
    pub tables: &'static str,
    /// `[attendant]` lines.
    pub attendant: &'static str,
    /// What the bridge says.
    pub voice: Voice,
    /// Break the mix on purpose.
    pub sabotage: Option<mixer::Sabotage>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            sip: Impairment::NONE,
            media: Impairment::NONE,
            settles: Some(Duration::from_millis(5)),
            ring: 1024,
            command_delay: Duration::ZERO,
            report_delay: Duration::from_millis(1),
            ports: "20000-20399",
            second_peer: false,
            operator_transport: "udp",
            operator_codecs: r#"["pcma", "pcmu"]"#,
            operator_lines: "",
            microsoft_lines: "",
            tables: "",
            attendant: "",
            voice: Voice::Marked,
            sabotage: None,
        }
    }
}

impl Setup {
    /// The default with another seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// What the Microsoft gateway knows of the bridge, and is strict about.
    pub fn pairing(&self) -> Pairing<'static> {
        Pairing {
            name: "bridge.example.net",
            port: BRIDGE.port(),
            transport: "udp",
            refer: self.microsoft_lines.contains("accept_refer = true"),
            srtp: self.microsoft_lines.contains("srtp = \"mandatory\""),
            inactive_only: false,
        }
    }

    /// The configuration, as an engineer would write it.
    pub fn toml(&self) -> String {
        let spare =
            if self.second_peer { ", { address = \"127.0.0.5:5060\", transport = \"udp\" }" } else { "" };
        let (ports, attendant, tables) = (self.ports, self.attendant, self.tables);
        let (operator_lines, transport) = (self.operator_lines, self.operator_transport);
        let pin_hash = PIN_HASH.get_or_init(|| server::pin::hash(PIN, [7; 16]));
        let (operator_codecs, microsoft_lines) = (self.operator_codecs, self.microsoft_lines);
        format!(
            r#"
[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]
[media]
address = "127.0.0.1"
ports = "{ports}"
prompts = "prompts/en-US"
shards = 2
[attendant]
{attendant}

[[trunk]]
id = "rhein"
kind = "operator"
provider = "operator:rhein"
peers = [{{ address = "127.0.0.2:5060", transport = "{transport}" }}{spare}]
codecs = {operator_codecs}
{operator_lines}

[[trunk]]
id = "microsoft"
kind = "microsoft"
fqdn = "bridge.example.net"
peers = [{{ address = "127.0.0.3:5060", transport = "udp", host = "sip.pstnhub.example.net" }}]
codecs = ["pcmu", "pcma"]
{microsoft_lines}

[[trunk]]
id = "elbe"
kind = "operator"
provider = "operator:elbe"
peers = [{{ address = "127.0.0.4:5060", transport = "udp" }}]
codecs = ["pcma"]

[[bridge]]
tenant = "contoso"
name = "Contoso"
default_service_number = "{MICROSOFT_NUMBER}"
country_code = "49"

[[number]]
number = "{OPERATOR_NUMBER}"
owner = "operator:rhein"
tenant = "contoso"
[[number]]
number = "{ELBE_NUMBER}"
owner = "operator:elbe"
tenant = "contoso"
[[number]]
number = "{MICROSOFT_NUMBER}"
owner = "microsoft"
tenant = "contoso"

[[organizer]]
id = "greta"
tenant = "contoso"
license = "operator-connect-conferencing"
policy = "by-operator"
service_number = "{OPERATOR_NUMBER}"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
[[organizer]]
id = "sam"
tenant = "contoso"
license = "audio-conferencing-standard"
policy = "by-operator"
service_number = "{MICROSOFT_NUMBER}"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
# She has a PIN, and left the lobby as it is.
[[organizer]]
id = "petra"
tenant = "contoso"
license = "audio-conferencing-standard"
service_number = "{MICROSOFT_NUMBER}"
pin_hash = "{pin_hash}"

[[policy]]
name = "by-operator"
pstn_usages = ["germany", "abroad"]

[[route]]
name = "germany"
number_pattern = '^\+49\d{{6,13}}$'
pstn_usages = ["germany"]
bridge_source_phone_number = "{OPERATOR_NUMBER}"
[[route]]
name = "france, in turn"
number_pattern = '^\+33\d{{6,13}}$'
pstn_usages = ["abroad"]
pstn_gateway_list = ["rhein", "elbe"]
[[route]]
name = "italy, or else Microsoft"
number_pattern = '^\+39\d{{6,13}}$'
pstn_usages = ["abroad"]
pstn_gateway_list = ["elbe"]
fallback = "microsoft"

[[meeting]]
conference_id = "{GRETA}"
organizer = "greta"
[[meeting]]
conference_id = "{SAM}"
organizer = "sam"
[[meeting]]
conference_id = "{EXPIRED}"
organizer = "sam"
expires = 2026-11-01T00:00:00Z
[[meeting]]
conference_id = "{SMALL}"
organizer = "sam"
capacity = 2
[[meeting]]
conference_id = "{LOCKED}"
organizer = "sam"
locked = true
[[meeting]]
conference_id = "{STRICT}"
organizer = "petra"
[[meeting]]
conference_id = "{BYPASS}"
organizer = "petra"
allow_pstn_users_to_bypass_lobby = true
[[meeting]]
conference_id = "{HERS}"
organizer = "petra"
end_when_organizer_leaves = true
{tables}
"#
        )
    }
}
