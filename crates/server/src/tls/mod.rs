//! Certificates: ours, and whom we believe. Loaded from files, all or nothing, and loaded again when those change.
//!
//! A handshake takes what is there at its moment; connections that are up are not touched by a reload, so that no call ends
//! because a certificate was renewed.

mod certificate;
mod examine;
mod files;
mod material;
mod verify;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, IpAddr as NameIp, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use trunk::{TlsPeer, TlsTarget, Trunks};

pub(crate) use examine::Described;
pub use files::{Files, Place};
pub use material::{Expiry, LoadError};
pub(crate) use watch::SOON;
pub use watch::{TlsMetrics, watch};

use files::Fingerprint;
use material::Material;

/// From the first byte of a handshake to its last.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// The certificates of the process.
pub struct Tls {
    files: Files,
    current: RwLock<Arc<Material>>,
    /// What the files looked like when they were last read, whatever came of it.
    seen: RwLock<Fingerprint>,
}

/// An encrypted connection, and who is at its other end, where that was asked.
pub(crate) type Secured<S> = (TlsStream<S>, Option<Arc<TlsPeer>>);

impl Tls {
    /// Reads every file, or says what is wrong with each.
    pub fn load(files: Files) -> Result<Self, Vec<LoadError>> {
        let seen = files.fingerprint();
        let material = Material::load(&files)?;
        Ok(Self { files, current: RwLock::new(Arc::new(material)), seen: RwLock::new(seen) })
    }

    /// Reads every file again. When one is wrong everything stays as it was.
    pub fn reload(&self) -> Result<(), Vec<LoadError>> {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = self.files.fingerprint();
        let fresh = Arc::new(Material::load(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Whether a file has changed since it was last read.
    pub fn is_stale(&self) -> bool {
        *self.seen.read().unwrap_or_else(PoisonError::into_inner) != self.files.fingerprint()
    }

    /// When each of our certificates expires.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.material().expiries(&self.files)
    }

    /// The server's side of a handshake. A peer must show a certificate unless one of `trunks` at its address need not.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        from: IpAddr,
        trunks: &Trunks,
    ) -> Result<Secured<S>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let material = self.material();
        let config = server_config(&material, from, trunks)?;
        let stream = within(TlsAcceptor::from(Arc::new(config)).accept(stream)).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let peer = proven(&material, &chain, from, trunks)?;
        Ok((TlsStream::Server(stream), peer))
    }

    /// The client's side of a handshake: the other end must be who `target` says. Which of `trunks` it may be is told by who
    /// vouches for it.
    pub(crate) async fn connect<S>(
        &self,
        stream: S,
        remote: SocketAddr,
        target: &TlsTarget,
        trunks: &Trunks,
    ) -> Result<Secured<S>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let material = self.material();
        let config = client_config(&material, target)?;
        let stream = call(config, stream, remote, target).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let peer = proven(&material, &chain, remote.ip(), trunks)?;
        Ok((TlsStream::Client(stream), peer))
    }

    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A handshake to its end.
async fn within<S>(shake: impl Future<Output = std::io::Result<S>>) -> Result<S, String> {
    match timeout(HANDSHAKE_WITHIN, shake).await {
        Ok(shaken) => shaken.map_err(|error| format!("handshake: {error}")),
        Err(_) => Err(format!("handshake: not done within {} s", HANDSHAKE_WITHIN.as_secs())),
    }
}

/// The client's side of a handshake, as `config` has it.
async fn call<S>(
    config: ClientConfig,
    stream: S,
    remote: SocketAddr,
    target: &TlsTarget,
) -> Result<tokio_rustls::client::TlsStream<S>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // An address as a name is sent to nobody: then no name is asked for (RFC 6066 section 3).
    let address = || ServerName::IpAddress(NameIp::from(remote.ip()));
    let asked_for = target.asked_for.as_ref().map(|name| ServerName::try_from(name.clone()));
    let name = asked_for.and_then(Result::ok).unwrap_or_else(address);
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

fn server_config(material: &Material, from: IpAddr, trunks: &Trunks) -> Result<ServerConfig, String> {
    let here: Vec<&trunk::Profile> = trunks.at(from).collect();
    let roots = here.iter().filter_map(|profile| material.roots(profile.tls.roots.as_ref())).collect();
    let mandatory = here.iter().all(|profile| profile.tls.require_certificate);
    let check = verify::ClientCheck::new(roots, mandatory, material.provider());
    let own: Vec<_> =
        here.iter().filter_map(|profile| material.identity(profile.tls.identity.as_ref())).collect();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(material.provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(Arc::new(check))
        .with_cert_resolver(Arc::new(material.by_name(own)));
    // Every handshake proves everything anew: a resumed one would trust what was loaded when the ticket was made.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Who is at the other end, by the certificate that it was verified with.
fn proven(
    material: &Material,
    chain: &[CertificateDer<'_>],
    address: IpAddr,
    trunks: &Trunks,
) -> Result<Option<Arc<TlsPeer>>, String> {
    let Some((own, rest)) = chain.split_first() else { return Ok(None) };
    let mut peer = certificate::peer_of(own)?;
    let now = rustls::pki_types::UnixTime::since_unix_epoch(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
    );
    for profile in trunks.at(address) {
        let Some(roots) = material.roots(profile.tls.roots.as_ref()) else { continue };
        if !peer.vouched_by.contains(&profile.tls.roots) && roots.vouch_for(own, rest, now).is_ok() {
            peer.vouched_by.push(profile.tls.roots.clone());
        }
    }
    Ok(Some(Arc::new(peer)))
}

/// A door for [`crate::fuzzing`].
pub(crate) mod fuzzing {
    use rustls::pki_types::CertificateDer;

    /// The names in any bytes that are taken for a certificate.
    pub(crate) fn names(der: &[u8]) -> Vec<String> {
        super::certificate::peer_of(&CertificateDer::from(der)).map(|peer| peer.names).unwrap_or_default()
    }
}

fn client_config(material: &Material, target: &TlsTarget) -> Result<ClientConfig, String> {
    let roots = material.roots(target.roots.as_ref()).ok_or("its roots are not loaded")?;
    let identity = material.identity(target.identity.as_ref()).ok_or("our certificate is not loaded")?;
    let check = verify::ServerCheck::new(roots, target.names.clone(), material.provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(material.provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check))
        .with_client_cert_resolver(identity);
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}
