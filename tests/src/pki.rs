//! Certificates for tests: an authority of one's own, and what it issues.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};

/// What a certificate is to say; the default is one for clients and servers that expires in 2099.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The subject's common name.
    pub common_name: &'a str,
    /// Alternative names that are DNS names.
    pub dns: &'a [&'a str],
    /// Alternative names that are URIs.
    pub uris: &'a [&'a str],
    /// Alternative names that are addresses.
    pub addresses: &'a [IpAddr],
    /// What it may be used for.
    pub uses: &'a [ExtendedKeyUsagePurpose],
    /// The last year in which it is valid.
    pub until: i32,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            common_name: "somebody",
            dns: &[],
            uris: &[],
            addresses: &[],
            uses: &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            until: 2099,
        }
    }
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate alone; its issuer is a root.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    pub root: String,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name = named(name);
        let root = parameters.self_signed(&key).expect("a root certificate").pem();
        Self { issuer: Issuer::new(parameters, key), root }
    }

    /// Issues a certificate.
    pub fn issue(&self, wish: &Wish<'_>) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = named(wish.common_name);
        let text = |text: &&str| (*text).try_into().expect("ASCII");
        parameters.subject_alt_names = wish
            .dns
            .iter()
            .map(|name| SanType::DnsName(text(name)))
            .chain(wish.uris.iter().map(|uri| SanType::URI(text(uri))))
            .chain(wish.addresses.iter().map(|address| SanType::IpAddress(*address)))
            .collect();
        parameters.extended_key_usages = wish.uses.to_vec();
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(wish.until, 12, 31);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// The same for one DNS name.
    pub fn issue_for(&self, name: &str) -> Issued {
        self.issue(&Wish { dns: &[name], ..Wish::default() })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
