//! What the tests of this crate share: two trunks, and a moment to count from.

use std::sync::OnceLock;
use std::time::Instant;

use routing::Spanned;
use serde::Deserialize;

use sip::{Host, Message, Method};

use crate::{DialOut, Local, Profile, ProfileError, ProfileSource, Shaped, Trunks};

/// An operator's trunk.
pub(crate) const OPERATOR: &str = r#"
[[trunk]]
id = "acme"
kind = "operator"
peers = [{ address = "203.0.113.10:5060", host = "sbc.acme.example" }]
"#;

/// The Microsoft gateway.
pub(crate) const MICROSOFT: &str = r#"
[[trunk]]
id = "teams"
kind = "microsoft"
fqdn = "sbc1.adatum.biz"
peers = [{ address = "52.114.75.24:5061", host = "sip.pstnhub.microsoft.com" }]
sources = ["52.112.0.0/14", "52.122.0.0/15"]
tls_names = ["sip.pstnhub.microsoft.com"]
"#;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    trunk: Vec<Spanned<ProfileSource>>,
}

/// The tables of a TOML document.
pub(crate) fn sources(document: &str) -> Vec<Spanned<ProfileSource>> {
    let document: Document = toml::from_str(document).expect("the test's document is TOML with known keys");
    document.trunk
}

/// The trunks of a TOML document.
pub(crate) fn trunks(document: &str) -> Result<Trunks, Vec<ProfileError>> {
    Trunks::build(&sources(document))
}

/// What the TOML reader itself says about a document.
pub(crate) fn syntax_error(document: &str) -> String {
    toml::from_str::<Document>(document).err().expect("the document is refused").to_string()
}

/// The only trunk of a TOML document.
pub(crate) fn profile(document: &str) -> Profile {
    let trunks = trunks(document).expect("the test's profile is right");
    trunks.profiles().first().expect("the document has a trunk").clone()
}

/// The moment from which a test counts; the same for the whole test binary.
pub(crate) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other beginning; tests only add to it")]
    *ORIGIN.get_or_init(Instant::now)
}

/// Our socket that faces the peer.
pub(crate) fn local() -> Local {
    Local { host: Host::parse("192.0.2.1").expect("an address is a host"), port: 5060 }
}

/// A dial-out of +1 425 555 0100 as +49 30 12345678.
pub(crate) fn dial_out() -> DialOut {
    DialOut {
        dialed: "+14255550100".parse().expect("E.164"),
        caller_id: "+493012345678".parse().expect("E.164"),
        display: None,
        withheld: false,
        local: local(),
    }
}

/// A shaped request as it goes on the wire, without what the endpoint adds.
pub(crate) fn text(method: Method, shaped: &Shaped) -> String {
    let mut message = Message::request(method, shaped.request_uri.clone());
    let headers = message.headers_mut();
    headers.push("From", &shaped.from);
    headers.push("To", &shaped.to);
    headers.push("Contact", &shaped.contact);
    for (name, value) in &shaped.headers {
        headers.push(name.as_str(), value);
    }
    String::from_utf8(message.to_bytes().to_vec()).expect("our requests are ASCII").replace("\r\n", "\n")
}

/// The INVITE for the first peer of a trunk.
pub(crate) fn invite_text(document: &str, call: &DialOut) -> String {
    let profile = profile(document);
    text(Method::INVITE, &crate::shape_invite(&profile, &profile.peers[0], call))
}

/// The OPTIONS for the first peer of a trunk.
pub(crate) fn options_text(document: &str) -> String {
    let profile = profile(document);
    text(Method::OPTIONS, &crate::shape_options(&profile, &profile.peers[0], &local()))
}
