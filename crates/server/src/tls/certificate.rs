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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    /// The names of a certificate with this common name and these alternative names.
    fn named(common: &str, alternative: Vec<SanType>) -> Vec<String> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, common);
        parameters.subject_alt_names = alternative;
        let certificate =
            parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        peer_of(certificate.der()).expect("it can be read").names
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().expect("ASCII"))
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().expect("ASCII"))
    }

    #[test]
    fn dns_names_and_sip_hosts_are_names_and_the_common_name_only_without_them() {
        assert_eq!(named("SBC.acme.example", vec![]), ["sbc.acme.example"]);
        assert_eq!(
            named("sbc.acme.example", vec![dns("A.example"), dns("*.b.example")]),
            ["a.example", "*.b.example"]
        );
        assert_eq!(named("sbc.acme.example", vec![uri("sip:acme.example;transport=tls")]), ["acme.example"]);
        let address = SanType::IpAddress([192, 0, 2, 9].into());
        assert_eq!(named("sbc.acme.example", vec![address]), ["sbc.acme.example", "192.0.2.9"]);
    }

    #[test]
    fn what_names_no_server_is_no_name() {
        let odd = vec![
            uri("sip:bob@acme.example"),
            uri("sips:acme.example"),
            uri("https://acme.example"),
            uri("sip:192.0.2.9"),
            dns("a b"),
            dns("*"),
            dns("sbc.*.example"),
            dns("192.0.2.9"),
            dns(""),
        ];
        for one in odd {
            assert_eq!(named("common.example", vec![one.clone()]), ["common.example"], "{one:?}");
        }
        assert_eq!(named("Acme Corp. (SBC)", vec![]), Vec::<String>::new());
    }

    #[test]
    fn a_subject_with_line_ends_is_one_line_in_the_log() {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "a\r\nERROR forged \u{1b}[31m");
        let certificate =
            parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        let subject = peer_of(certificate.der()).expect("it can be read").subject;
        assert!(!subject.chars().any(char::is_control), "{subject:?}");
    }
}
