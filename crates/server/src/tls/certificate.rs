//! What a certificate says of its holder (RFC 5922 section 7.1).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use sip::{Host, Uri};
use trunk::TlsPeer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Names of one certificate that are read; the gateways of large carriers have some dozens.
const NAMES: usize = 256;
/// Characters of a subject that are kept for the log.
const SUBJECT: usize = 200;

/// The holder of a certificate. Nothing is said here of who vouches for it.
pub(super) fn peer_of(der: &CertificateDer<'_>) -> Result<TlsPeer, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("certificate: {error}"))?;
    let subject: String = certificate
        .subject()
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUBJECT)
        .collect();
    let expires = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(TlsPeer {
        names: names_of(&certificate),
        subject,
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
        vouched_by: Vec::new(),
    })
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let general = alternative.map(|extension| &extension.value.general_names);
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for name in general.into_iter().flatten().take(NAMES) {
        match name {
            GeneralName::DNSName(name) => names.extend(host_name(name)),
            GeneralName::URI(uri) => names.extend(sip_host(uri)),
            GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
            _ => {}
        }
    }
    // The common name speaks only where no alternative name names a domain (RFC 5922 section 7.1).
    if names.is_empty() {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.take(1).filter_map(host_name));
    }
    names.extend(addresses);
    names
}

/// A DNS name, perhaps with `*.` in front; anything else is no name.
fn host_name(text: &str) -> Option<String> {
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let host = Host::parse(bare).ok().filter(|host| host.ip().is_none() && bare.len() <= 253);
    host.map(|_| text.to_ascii_lowercase())
}

/// The domain of a SIP URI. One with a user part names a person and not a server (RFC 5922 section 7.1).
fn sip_host(text: &str) -> Option<String> {
    let uri = Uri::parse(text).ok().filter(|uri| uri.scheme().as_str() == "sip" && uri.user().is_none())?;
    host_name(&uri.host()?.to_string())
}

fn address(octets: &[u8]) -> Option<String> {
    let address = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    Some(address.to_canonical().to_string())
}
