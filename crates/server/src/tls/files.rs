//! Which files certificates, keys and roots come from, and whether they have changed.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use routing::TrunkId;
use trunk::Trunks;

/// Where operating systems keep the roots that they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which table of the configuration speaks of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `[sip.tls]`.
    Sip,
    /// `tls` of this trunk.
    Trunk(TrunkId),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip => write!(out, "sip.tls"),
            Self::Trunk(trunk) => write!(out, "trunk.{trunk}.tls"),
        }
    }
}

/// The files of `[sip.tls]` and of every trunk's `tls`.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
    /// As written; the files of `None` are those of `[sip.tls]`.
    pub(super) identities: Vec<(Place, Option<(PathBuf, PathBuf)>)>,
    pub(super) roots: Vec<(Place, Option<PathBuf>)>,
    own: (PathBuf, PathBuf),
    own_roots: PathBuf,
}

/// What files look like from outside.
pub(super) type Fingerprint = Vec<Option<(u64, u64, u64, Option<SystemTime>)>>;

impl Files {
    /// The files of `[sip.tls]` (`own` certificate and key, `roots`) and of the trunks; relative ones are in `folder`.
    pub fn new(folder: &Path, own: (PathBuf, PathBuf), roots: PathBuf, trunks: &Trunks) -> Self {
        let mut files = Self {
            folder: folder.to_owned(),
            identities: vec![(Place::Sip, None)],
            roots: vec![(Place::Sip, None)],
            own,
            own_roots: roots,
        };
        for profile in trunks.profiles() {
            let place = || Place::Trunk(profile.id.clone());
            let (identity, roots) = (&profile.tls.identity, &profile.tls.roots);
            if !files.identities.iter().any(|(_, known)| known == identity) {
                files.identities.push((place(), identity.clone()));
            }
            if !files.roots.iter().any(|(_, known)| known == roots) {
                files.roots.push((place(), roots.clone()));
            }
        }
        files
    }

    /// The files behind a certificate and its key.
    pub(super) fn identity(&self, written: Option<&(PathBuf, PathBuf)>) -> (PathBuf, PathBuf) {
        let (certificate, key) = written.unwrap_or(&self.own);
        (self.folder.join(certificate), self.folder.join(key))
    }

    /// The file behind roots.
    pub(super) fn roots(&self, written: Option<&PathBuf>) -> PathBuf {
        let written = written.unwrap_or(&self.own_roots);
        if written.as_os_str() != "system" {
            return self.folder.join(written);
        }
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let known = SYSTEM_ROOTS.iter().map(PathBuf::from);
        named.into_iter().chain(known).find(|path| path.exists()).unwrap_or_else(|| SYSTEM_ROOTS[0].into())
    }

    /// Changes when a file is written, replaced, or a link to it is turned elsewhere.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let pairs = self.identities.iter().map(|(_, written)| self.identity(written.as_ref()));
        let roots = self.roots.iter().map(|(_, written)| self.roots(written.as_ref()));
        let all = pairs.flat_map(|(certificate, key)| [certificate, key]).chain(roots);
        all.map(|path| {
            let seen = fs::metadata(path).ok()?;
            Some((seen.dev(), seen.ino(), seen.len(), seen.modified().ok()))
        })
        .collect()
    }
}
