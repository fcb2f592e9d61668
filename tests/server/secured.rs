//! A bridge that speaks SIP over TLS with its trunk.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tests::pki::{Authority, Issued};

use super::bridge::{House, PEERS};

/// What the bridge calls itself.
pub(crate) const OUR_NAME: &str = "bridge.example.net";
/// What the operator's SBC is called.
pub(crate) const SBC: &str = "sbc.rhein.example";

/// A bridge with a TLS listener whose one trunk, at `peer`, is `SBC` and speaks TLS. `lines` are added to the trunk.
pub(crate) async fn house(authority: &Authority, peer: SocketAddr, lines: &str) -> House {
    let peers = format!("{{ address = \"{peer}\", transport = \"tls\", host = \"{SBC}\" }}");
    house_with(authority, &peers, lines).await
}

/// The same with all of its `peers`.
pub(crate) async fn house_with(authority: &Authority, peers: &str, lines: &str) -> House {
    house_of(authority, "", &format!("peers = [{peers}]\n{lines}\nsources = [\"127.0.0.1/32\"]")).await
}

/// The same with `sip` added to `[sip]`, and with everything that says where the trunk is.
pub(crate) async fn house_of(authority: &Authority, sip: &str, trunk: &str) -> House {
    let certificates = "tls = { certificate = \"our.pem\", key = \"our.key\", roots = \"roots.pem\" }";
    let (house, _doorbell) = House::new(&[
        ("\"tcp://127.0.0.1:@SIP@\"", "\"tcp://127.0.0.1:@SIP@\", \"tls://127.0.0.1:@TLS@\""),
        (
            "tcp_connections_per_address = 50",
            &format!("tcp_connections_per_address = 50\n{sip}\n{certificates}"),
        ),
        (&format!("{PEERS}\nsources = [\"127.0.0.1/32\"]"), trunk),
    ])
    .await;
    house.write("roots.pem", &authority.root);
    furnish(&house, &authority.issue_for(OUR_NAME));
    house
}

/// A bridge whose one trunk is of kind `microsoft`, over TLS; all numbers are Microsoft's, and Sam's meeting dials through it.
pub(crate) async fn paired_house(authority: &Authority, peers: &str, lines: &str) -> House {
    let sources = "sources = [\"127.0.0.1/32\"]";
    let trunk = format!("peers = [{peers}]\nfqdn = \"{OUR_NAME}\"\n{sources}\n{lines}");
    let house = house_of(authority, "", &trunk).await;
    let text = fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let greta = "license = \"operator-connect-conferencing\"\npolicy = \"germany-by-operator\"";
    let sam = "[[organizer]]\nid = \"sam\"\ntenant = \"contoso\"\nlicense = \"audio-conferencing-standard\"\n\
               service_number = \"+14255550100\"\nallow_pstn_users_to_bypass_lobby = true\n\
               allow_anonymous_users_to_start_meeting = true\n[[meeting]]\nconference_id = \"205117394\"\norganizer = \"sam\"\n";
    let changes = [
        ("kind = \"operator\"", "kind = \"microsoft\"".to_owned()),
        ("provider = \"operator:rhein-telecom\"\n", String::new()),
        ("id = \"rhein-telecom\"", "id = \"teams\"".to_owned()),
        ("owner = \"operator:rhein-telecom\"", "owner = \"microsoft\"".to_owned()),
        ("send_sip_options = false\n", String::new()),
        (greta, "license = \"audio-conferencing-standard\"".to_owned()),
        ("[[meeting]]", format!("{sam}[[meeting]]")),
    ];
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the configuration");
        text.replacen(from, to, 1)
    });
    // What leads to an operator leads nowhere here.
    let (before, after) = text.split_once("[[policy]]").expect("a policy");
    let (_, meetings) = after.split_once("[[organizer]]").expect("Sam");
    house.write("partyline.toml", &format!("{before}[[organizer]]{meetings}"));
    house
}

/// Gives the bridge its certificate.
pub(crate) fn furnish(house: &House, issued: &Issued) {
    house.write("our.pem", &issued.certificate);
    house.write("our.key", &issued.key);
}

/// Writes a certificate as `NAME.pem`, its key as `NAME.key`, and both together as `NAME.both.pem`.
#[allow(dead_code, reason = "programs that take files need it, tests that speak TLS themselves do not")]
pub(crate) fn write_pair(folder: &Path, name: &str, issued: &Issued) {
    fs::create_dir_all(folder).expect("a folder");
    let both = format!("{}{}", issued.certificate, issued.key);
    for (file, text) in [("pem", &issued.certificate), ("key", &issued.key), ("both.pem", &both)] {
        fs::write(folder.join(format!("{name}.{file}")), text).expect("a file");
    }
}
