//! SIP over TLS by hand: a peer that connects, one that is connected to, and a bridge that has certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tests::pki::{Authority, Issued};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::bridge::PATIENCE;
use super::raw::Request;
use super::secured::OUR_NAME;

/// A connection over which SIP is spoken by hand.
pub(crate) struct Line {
    stream: TlsStream<TcpStream>,
    pub(crate) own: SocketAddr,
    pub(crate) remote: SocketAddr,
    read: Vec<u8>,
}

/// A client with this certificate, or none, that believes `authority`.
pub(crate) fn client(authority: &Authority, own: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder().with_root_certificates(roots(authority));
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = pair(own);
            builder.with_client_auth_cert(chain, key).expect("a key that fits its certificate")
        }
    }
}

/// A client with this certificate that believes whatever it is shown.
pub(crate) fn unchecked(own: &Issued) -> ClientConfig {
    let (chain, key) = pair(own);
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_client_auth_cert(chain, key)
        .expect("a key that fits its certificate")
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _own: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _own: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.root.as_bytes()).expect("a root");
    roots.add(root).expect("a root");
    roots
}

fn pair(own: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("a certificate")];
    (chain, PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key"))
}

impl Line {
    /// Connects to the bridge. The handshake may fail later only: in TLS 1.3 the client is done before the server has looked
    /// at its certificate.
    pub(crate) async fn open(bridge: SocketAddr, config: ClientConfig) -> Result<Self, String> {
        Self::open_as(bridge, config, OUR_NAME).await
    }

    /// The same, asking for another name of the bridge.
    pub(crate) async fn open_as(
        bridge: SocketAddr,
        config: ClientConfig,
        name: &str,
    ) -> Result<Self, String> {
        let stream = TcpStream::connect(bridge).await.expect("a connection");
        let own = stream.local_addr().expect("its address");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let shake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        match timeout(PATIENCE, shake).await.expect("an end of the handshake") {
            Ok(stream) => Ok(Self { stream: stream.into(), own, remote: bridge, read: Vec::new() }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The certificate of the other end.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        let chain = self.stream.get_ref().1.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    }

    pub(crate) fn text(&self, request: &Request<'_>) -> String {
        request.text("TLS", self.own, self.remote)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        // Whoever was refused may find the connection closed already.
        let _ = self.stream.write_all(text.as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    /// Asks, and gives the final answer, or why there is none.
    pub(crate) async fn ask(&mut self, request: &Request<'_>) -> Result<String, String> {
        let text = self.text(request);
        self.send(&text).await;
        loop {
            let message = self.message().await?;
            if message.starts_with("SIP/2.0") && !message.starts_with("SIP/2.0 1") {
                return Ok(message);
            }
        }
    }

    /// The next message, whatever it is; or why the connection has ended.
    pub(crate) async fn message(&mut self) -> Result<String, String> {
        loop {
            while self.read.starts_with(b"\r\n") {
                self.read.drain(..2);
            }
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
                let length: usize = length.and_then(|text| text.trim().parse().ok()).expect("Content-Length");
                if rest.len() >= length {
                    let message = format!("{head}\r\n\r\n{}", &rest[..length]);
                    self.read.drain(..message.len());
                    return Ok(message);
                }
            }
            let more = self.more().await?;
            self.read.extend_from_slice(&more);
        }
    }

    /// The next bytes; or why the connection has ended.
    pub(crate) async fn more(&mut self) -> Result<Vec<u8>, String> {
        let mut buffer = vec![0; 8192];
        match timeout(PATIENCE, self.stream.read(&mut buffer))
            .await
            .expect("bytes from the bridge, or an end")
        {
            Ok(0) => Err("closed".to_owned()),
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether nothing comes for so long.
    pub(crate) async fn is_quiet(&mut self, within: Duration) -> bool {
        let mut buffer = [0; 1];
        timeout(within, self.stream.read(&mut buffer)).await.is_err()
    }
}

/// An SBC that the bridge connects to.
pub(crate) struct Sbc {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Sbc {
    /// On a free port, with this certificate; whoever connects must have one of `authority`.
    pub(crate) async fn open(authority: &Authority, own: &Issued) -> Self {
        let check = WebPkiClientVerifier::builder(Arc::new(roots(authority))).build().expect("a root");
        let (chain, key) = pair(own);
        let config = ServerConfig::builder().with_client_cert_verifier(check);
        let config = config.with_single_cert(chain, key).expect("a key that fits its certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("its address")
    }

    /// Takes the next connection and the name that was asked for; or says why the handshake failed.
    pub(crate) async fn accept(&self) -> Result<(Line, Option<String>), String> {
        let (stream, remote) =
            timeout(PATIENCE, self.listener.accept()).await.expect("a connection").expect("a connection");
        let own = stream.local_addr().expect("its address");
        match timeout(PATIENCE, self.acceptor.accept(stream)).await.expect("an end of the handshake") {
            Ok(stream) => {
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                Ok((Line { stream: stream.into(), own, remote, read: Vec::new() }, name))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
