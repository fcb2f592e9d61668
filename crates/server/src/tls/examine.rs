//! A look at what a peer shows, whoever it is: for the exam of a trunk. Nothing is sent over such a connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use trunk::{TlsTarget, matches_name};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Tls;
use super::certificate::peer_of;

/// A certificate in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    subject: String,
    issuer: String,
    names: Vec<String>,
    /// When it begins to be valid.
    pub(crate) not_before: SystemTime,
    /// When it ends.
    pub(crate) not_after: SystemTime,
    /// Whether its extended key usage lets a server show it; without that extension everybody may.
    pub(crate) for_servers: bool,
    /// The same for a client.
    pub(crate) for_clients: bool,
}

/// What a handshake showed.
pub(crate) struct Examined {
    /// TLS 1.2 or 1.3.
    pub(crate) version: String,
    /// The cipher suite.
    pub(crate) suite: String,
    /// The peer's certificate and what it sent with it; at least one.
    pub(crate) chain: Vec<Described>,
}

impl Described {
    fn of(der: &CertificateDer<'_>) -> Result<Self, String> {
        let peer = peer_of(der)?;
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| format!("certificate: {error}"))?;
        let time =
            |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let usage = parsed.extended_key_usage().ok().flatten().map(|extension| extension.value);
        let words = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
        Ok(Self {
            subject: peer.subject,
            issuer: words(parsed.issuer().to_string()),
            names: peer.names,
            not_before: time(parsed.validity().not_before.timestamp()),
            not_after: peer.not_after,
            for_servers: usage.is_none_or(|usage| usage.any || usage.server_auth),
            for_clients: usage.is_none_or(|usage| usage.any || usage.client_auth),
        })
    }

    /// Whether it carries this name, by RFC 5922 and a wildcard for one label.
    pub(crate) fn has_name(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| matches_name(&wanted.to_ascii_lowercase(), name))
    }
}

impl fmt::Display for Described {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} by {}", self.subject, self.issuer)?;
        if self.names.is_empty() { Ok(()) } else { write!(out, " for {}", self.names.join(", ")) }
    }
}

impl Tls {
    /// Our certificate towards a target, with its chain; at least one.
    pub(crate) fn own_chain(&self, target: &TlsTarget) -> Result<Vec<Described>, String> {
        let identity = self.material().identity(target.identity.as_ref()).ok_or("it is not loaded")?;
        identity.chain().iter().map(Described::of).collect()
    }

    /// What the other end shows, believed or not.
    pub(crate) async fn examine<S>(
        &self,
        stream: S,
        remote: SocketAddr,
        target: &TlsTarget,
    ) -> Result<Examined, String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let material = self.material();
        let identity = material.identity(target.identity.as_ref()).ok_or("our certificate is not loaded")?;
        let provider = Arc::clone(material.provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_client_cert_resolver(identity);
        let stream = super::call(config, stream, remote, target).await?;
        let (_, shown) = stream.get_ref();
        let chain: Result<Vec<Described>, String> =
            shown.peer_certificates().unwrap_or_default().iter().map(Described::of).collect();
        let chain = chain?;
        if chain.is_empty() {
            return Err("it shows no certificate".to_owned());
        }
        let words = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned()).replace('_', " ");
        Ok(Examined {
            version: words(shown.protocol_version().and_then(|version| version.as_str().map(str::to_owned)))
                .replace("TLSv1 ", "TLS 1."),
            suite: shown
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str().map(str::to_owned))
                .unwrap_or_else(|| "?".to_owned()),
            chain,
        })
    }
}

/// Believes every chain, so that it can be looked at; that whoever shows it has its key is verified.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _asked_for: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
