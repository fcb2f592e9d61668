//! What is in the files: our certificates with their keys, and the roots. Immutable; a reload makes another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use trunk::matches_name;

use super::certificate::peer_of;
use super::files::{Files, Place};
use super::verify::Roots;

/// The largest file of certificates that is read; those of operating systems have a quarter of that.
const LARGEST: u64 = 1 << 20;

/// A file that cannot be used: whose it is, what was found in it, what should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found}; expected {expected}")]
pub struct LoadError {
    /// Which table names the file.
    pub place: Place,
    /// Which key of it: `certificate`, `key` or `roots`.
    pub key: &'static str,
    /// The file, and what is wrong with it.
    pub found: String,
    /// What would be right.
    pub expected: &'static str,
}

/// One of our certificates, and when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Which table names it.
    pub place: Place,
    /// When it expires.
    pub at: SystemTime,
}

/// A certificate of ours.
#[derive(Debug)]
pub(super) struct Identity {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_after: SystemTime,
}

impl ResolvesClientCert for Identity {
    /// Whatever authorities the server hints at: there is one certificate for it, and a refusal says more than none.
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Which of our certificates a caller gets: the one with the name that it asks for, first among those of the trunks at its
/// address; else that of the first of these; else that of `[sip.tls]`.
#[derive(Debug)]
pub(super) struct ByName {
    here: Vec<Arc<Identity>>,
    all: Vec<Arc<Identity>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl ByName {
    fn choose(&self, asked_for: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = |identity: &&Arc<Identity>| {
            asked_for.is_some_and(|name| identity.names.iter().any(|own| matches_name(name, own)))
        };
        let mut all = self.here.iter().chain(&self.all);
        let chosen = all.find(named).or_else(|| self.here.first()).or_else(|| self.all.first());
        chosen.map(|identity| Arc::clone(&identity.key))
    }
}

/// A certificate's file and its key's, as written.
type Pair = (PathBuf, PathBuf);

/// Everything that was in the files at one moment.
pub(super) struct Material {
    provider: Arc<CryptoProvider>,
    identities: Vec<(Option<Pair>, Arc<Identity>)>,
    roots: Vec<Arc<Roots>>,
}

impl Material {
    /// Reads all files and notes everything that is wrong.
    pub(super) fn load(files: &Files) -> Result<Self, Vec<LoadError>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mut identities, mut roots, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (place, written) in &files.identities {
            let (certificate, key) = files.identity(written.as_ref());
            match Identity::load(&certificate, &key, &provider) {
                Ok(identity) => identities.push((written.clone(), Arc::new(identity))),
                Err((key, found, expected)) => {
                    errors.push(LoadError { place: place.clone(), key, found, expected });
                }
            }
        }
        for (place, written) in &files.roots {
            let path = files.roots(written.as_ref());
            match load_roots(&path).and_then(|store| Roots::new(written.clone(), store, &provider)) {
                Ok(found) => roots.push(Arc::new(found)),
                Err(why) => errors.push(LoadError {
                    place: place.clone(),
                    key: "roots",
                    found: format!("{}: {why}", path.display()),
                    expected: "a PEM file with the certificates of the authorities to believe, or \"system\"",
                }),
            }
        }
        if errors.is_empty() { Ok(Self { provider, identities, roots }) } else { Err(errors) }
    }

    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// The certificate that the configuration names so.
    pub(super) fn identity(&self, written: Option<&Pair>) -> Option<Arc<Identity>> {
        let found = self.identities.iter().find(|(known, _)| known.as_ref() == written);
        found.map(|(_, identity)| Arc::clone(identity))
    }

    /// The roots that the configuration names so.
    pub(super) fn roots(&self, written: Option<&PathBuf>) -> Option<Arc<Roots>> {
        self.roots.iter().find(|roots| roots.written.as_ref() == written).map(Arc::clone)
    }

    /// Our certificates for callers from an address whose trunks have the certificates `here`.
    pub(super) fn by_name(&self, here: Vec<Arc<Identity>>) -> ByName {
        ByName { here, all: self.identities.iter().map(|(_, identity)| Arc::clone(identity)).collect() }
    }

    pub(super) fn expiries(&self, files: &Files) -> Vec<Expiry> {
        let places = files.identities.iter().map(|(place, _)| place.clone());
        let times = self.identities.iter().map(|(_, identity)| identity.not_after);
        places.zip(times).map(|(place, at)| Expiry { place, at }).collect()
    }
}

impl Identity {
    /// What we send: the certificate, then those of its issuers.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// Fails with the key that is to blame, what was found, and what is expected.
    fn load(
        certificate: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<Self, (&'static str, String, &'static str)> {
        const CHAIN: &str =
            "a PEM file with our certificate first and those of its issuers after it, without the root";
        const KEY: &str = "a PEM file with the key of the certificate, not encrypted";
        let chain = read_certificates(certificate)
            .map_err(|why| ("certificate", format!("{}: {why}", certificate.display()), CHAIN))?;
        let holder = chain.first().ok_or_else(|| "no certificate".to_owned()).and_then(peer_of);
        let holder =
            holder.map_err(|why| ("certificate", format!("{}: {why}", certificate.display()), CHAIN))?;
        let secret = read(key)
            .and_then(|text| PrivateKeyDer::from_pem_slice(&text).map_err(|error| error.to_string()))
            .map_err(|why| ("key", format!("{}: {why}", key.display()), KEY))?;
        let pair = CertifiedKey::from_der(chain, secret, provider)
            .map_err(|error| ("key", format!("{}: {error}", key.display()), KEY))?;
        Ok(Self { key: Arc::new(pair), names: holder.names, not_after: holder.not_after })
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// A whole file, which must be one and of a size that certificates have.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let seen = fs::metadata(path).map_err(|error| error.to_string())?;
    if !seen.is_file() || seen.len() > LARGEST {
        return Err(format!("not a file of at most {LARGEST} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

fn load_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    // The system's file may hold an oddity or two; an operator's own file is all believed or refused.
    let all = read_certificates(path)?;
    let total = all.len();
    let (added, ignored) = store.add_parsable_certificates(all);
    match (added, ignored) {
        (0, 0) => Err("no certificate in it".to_owned()),
        (0, _) => Err(format!("none of its {total} certificates can be an authority")),
        (_, 0) => Ok(store),
        (_, ignored) => {
            tracing::warn!(path = %path.display(), ignored, "certificates in the roots cannot be read");
            Ok(store)
        }
    }
}
