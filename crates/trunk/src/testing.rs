//! What the tests of this crate share: two trunks, and a moment to count from.

use std::sync::OnceLock;
use std::time::Instant;

use serde::Deserialize;
use toml::Spanned;

use crate::{Profile, ProfileError, ProfileSource, Trunks};

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

/// The trunks of a TOML document.
pub(crate) fn trunks(document: &str) -> Result<Trunks, Vec<ProfileError>> {
    let document: Document = toml::from_str(document).expect("the test's document is TOML with known keys");
    Trunks::build(&document.trunk)
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
