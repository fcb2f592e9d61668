//! Whether a certificate is believed: its chain by webpki (RFC 5280), its names by RFC 5922.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use super::certificate::peer_of;

/// Whom we believe: certificates that these roots have issued, through whomever.
#[derive(Debug)]
pub(super) struct Roots {
    /// As the configuration names them.
    pub(super) written: Option<PathBuf>,
    store: Arc<RootCertStore>,
    client: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Roots {
    pub(super) fn new(
        written: Option<PathBuf>,
        store: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let store = Arc::new(store);
        let client = WebPkiClientVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(provider))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { written, store, client, algorithms: provider.signature_verification_algorithms })
    }

    /// Whether a chain leads to one of the roots. SIP peers are clients and servers by turns, and public authorities issue
    /// certificates for servers only: so either use will do for both.
    pub(super) fn vouch_for(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(own)?;
        let algorithms = self.algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &self.store, rest, now, algorithms) {
            Ok(()) => Ok(()),
            Err(why) => self.client.verify_client_cert(own, rest, now).map(|_| ()).map_err(|_| why),
        }
    }
}

/// What a peer that connects to us must show.
#[derive(Debug)]
pub(super) struct ClientCheck {
    roots: Vec<Arc<Roots>>,
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCheck {
    /// A certificate that one of `roots` vouches for; whose it is, is the trunk layer's question.
    pub(super) fn new(roots: Vec<Arc<Roots>>, mandatory: bool, provider: &CryptoProvider) -> Self {
        Self { roots, mandatory, algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for ClientCheck {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// None: some hundred names of authorities would only make some peers stumble.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut why = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for roots in &self.roots {
            match roots.vouch_for(own, rest, now) {
                Ok(()) => return Ok(ClientCertVerified::assertion()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a peer that we connect to must show.
#[derive(Debug)]
pub(super) struct ServerCheck {
    roots: Arc<Roots>,
    names: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCheck {
    /// A certificate that `roots` vouch for and that carries one of `names`.
    pub(super) fn new(roots: Arc<Roots>, names: Vec<String>, provider: &CryptoProvider) -> Self {
        Self { roots, names, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for ServerCheck {
    /// The name that rustls asks about is the one in the handshake; ours may be several, and found by RFC 5922.
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        asked_for: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.roots.vouch_for(own, rest, now)?;
        let peer = peer_of(own).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if peer.has_name(&self.names) {
            return Ok(ServerCertVerified::assertion());
        }
        let presented = peer.names;
        let expected = asked_for.to_owned();
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
