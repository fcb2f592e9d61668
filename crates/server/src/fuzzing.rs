//! The bodies of this crate's fuzz targets. They live here so that they are compiled and run with every test, and do not rot.
//! Each takes arbitrary bytes and panics only if a promise of this crate is broken.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use sip::framing::{FramerEvent, StreamFramer};

use crate::tls::fuzzing::names;

/// Bytes of one record at most (RFC 8446 section 5.1).
const RECORD: usize = 16_384;

/// A certificate for `localhost` and its key (PKCS #8), DER, which the target makes once.
pub type Identity<'a> = (&'a [u8], &'a [u8]);

/// Any bytes as a certificate: no panic, and every name that comes out is one that a trunk could be called by.
pub fn tls_certificate(input: &[u8]) {
    for name in names(input) {
        assert!(
            name.len() <= 255 && !name.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' '),
            "{name:?}"
        );
        assert!(trunk::matches_name(&name, &name));
        assert!(
            !trunk::matches_name("sbc.trusted.example", &name) || name.ends_with("trusted.example"),
            "{name:?}"
        );
    }
}

/// Any bytes as a file to import into the directory: no panic, and what is wrong is said with its place.
pub fn directory_import(input: &[u8]) {
    crate::store::fuzz(input);
}

/// Any bytes as an operator's own records, compared with a call of ours: no panic, and what is disputed is said once.
pub fn operator_csv(input: &[u8]) {
    use crate::usage::reconcile::{Columns, Reconciliation, Rules};
    let plan = routing::DialPlan::of_country("49").expect("a country");
    let rules = Rules { tolerance_ms: 60_000, rounding_ms: 60_000, plan };
    let [caller, called, start, duration] = ["a", "b", "c", "d"].map(str::to_owned);
    let columns = Columns { caller, called, start, duration };
    let Ok(mut reconciliation) = Reconciliation::read(input, b',', &columns, rules) else { return };
    let row = crate::usage::Row {
        call_type: "conf_in".to_owned(),
        caller: Some("+4930111".to_owned()),
        service_number: Some("+496990009100".to_owned()),
        answer_time: Some("2026-11-23T10:00:00.000Z".to_owned()),
        end: Some(crate::usage::RowEnd { duration_ms: Some(60_000), ..Default::default() }),
        ..Default::default()
    };
    reconciliation.compare(&row);
    let agreed = reconciliation.agreed;
    let ours =
        reconciliation.disputes().iter().filter(|one| one.kind.word() != "missing-here").count() as u64;
    assert!(agreed + ours <= 1, "one call of ours is judged once");
}

/// Any bytes in any TLS records, and any damage to them: what the framer finds is what was sent, or a beginning of it. The first
/// byte says how: 0 is not encrypted at all; of the others the second byte says how long the records are, and the third which byte
/// on its way is damaged, if any.
pub fn tls_records(input: &[u8], identity: Identity<'_>) {
    let [how, size, damage, stream @ ..] = input else { return };
    if *how == 0 {
        let mut server = server(identity);
        let _ = server.read_tls(&mut &stream[..]);
        let _ = server.process_new_packets();
        return;
    }
    let Some((mut client, mut server)) = connected(identity) else { panic!("two ends of ours do not agree") };
    let sent = frames([stream]);
    let mut pieces = Vec::new();
    let size = (usize::from(*size) * 64).clamp(1, RECORD);
    let mut on_its_way = 0_usize;
    for record in stream.chunks(size) {
        client.writer().write_all(record).expect("room for a record");
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        let hit = usize::from(*damage).checked_sub(1 + on_its_way).filter(|at| *at < wire.len());
        on_its_way += wire.len();
        if let Some(at) = hit {
            wire[at] ^= 1 << (how % 8);
        }
        let before = pieces.len();
        let whole = read(&mut server, &wire, &mut pieces);
        assert!(whole || hit.is_some(), "a record as it was sent was refused");
        if hit.is_some() {
            // The type and version in a record's header are always the same (RFC 8446 section 5.2): rustls authenticates those, and
            // not what came, so that what the record carries is whole; its own type is inside.
            // One whose length has become larger is waited for.
            let constant = matches!(hit, Some(0..=2));
            assert!(pieces.len() == before || constant, "a damaged record was taken");
            break;
        }
    }
    let found = frames(pieces.iter().map(Vec::as_slice));
    assert!(sent.starts_with(&found), "something else was found than sent");
    assert!(*damage != 0 || sent == found, "something was lost");
}

/// What comes out of some bytes of the wire, in pieces as the reader of a connection gets them; `false`: the connection is over.
fn read(server: &mut ServerConnection, wire: &[u8], pieces: &mut Vec<Vec<u8>>) -> bool {
    let mut rest = wire;
    while !rest.is_empty() {
        if server.read_tls(&mut rest).is_err() || server.process_new_packets().is_err() {
            return false;
        }
        let mut buffer = vec![0; RECORD];
        while let Ok(length @ 1..) = server.reader().read(&mut buffer) {
            pieces.push(buffer[..length].to_vec());
        }
    }
    true
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<FramerEvent> {
    let mut framer = StreamFramer::new();
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(Ok(event)) = framer.next() {
            // How many keep-alives are seen depends on how many arrive at once.
            if event != FramerEvent::KeepAlive {
                found.push(event);
            }
        }
    }
    found
}

fn server(identity: Identity<'_>) -> ServerConnection {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let key = PrivateKeyDer::Pkcs8(identity.1.to_vec().into());
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(chain(identity), key).expect("the target's certificate"))
    });
    ServerConnection::new(Arc::clone(config)).expect("a connection")
}

/// A handshake in memory.
fn connected(identity: Identity<'_>) -> Option<(ClientConnection, ServerConnection)> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain(identity));
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    });
    let name = ServerName::try_from("localhost").ok()?;
    let mut client = ClientConnection::new(Arc::clone(config), name).ok()?;
    let mut server = server(identity);
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).ok()?;
        let mut rest = &wire[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).ok()?;
            server.process_new_packets().ok()?;
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).ok()?;
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).ok()?;
            client.process_new_packets().ok()?;
        }
    }
    Some((client, server))
}

fn chain(identity: Identity<'_>) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(identity.0.to_vec())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS c;branch=z9hG4bK1\r\nl: 4\r\n\r\nabcd";

    fn identity() -> (Vec<u8>, Vec<u8>) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        (issued.cert.der().to_vec(), issued.signing_key.serialize_der())
    }

    #[test]
    fn an_operator_s_records_cut_or_bent_anywhere_do_not_panic() {
        let seed = b"a,b,c,d\r\n+4930111,0699000 9100,2026-11-23T10:00:10Z,61.5\r\n\"0049,30111\",\"x\"\"y\",2026-11-23 10:00:00,0:01:00\n";
        super::operator_csv(seed);
        for at in 0..seed.len() {
            super::operator_csv(&seed[..at]);
            for byte in [b'"', b',', b'\n', 0xff, seed[at].wrapping_mul(31)] {
                let mut bent = seed.to_vec();
                bent[at] = byte;
                super::operator_csv(&bent);
            }
        }
    }

    #[test]
    fn records_of_every_size_and_damage_anywhere_keep_the_promise() {
        let (certificate, key) = identity();
        let stream = format!("\r\n\r\n{OPTIONS}{OPTIONS}\r\n{OPTIONS}x");
        for (how, size, damage) in
            [(1, 0, 0), (1, 1, 0), (2, 255, 0), (3, 1, 1), (4, 0, 30), (5, 1, 9), (0, 9, 9)]
        {
            let mut input = vec![how, size, damage];
            input.extend_from_slice(stream.as_bytes());
            tls_records(&input, (&certificate, &key));
        }
        tls_records(&[], (&certificate, &key));
        // Found by the fuzzer: the damage is in the version of the header, which nobody looks at.
        tls_records(&[0x0a, 0x62, 3, 0x27], (&certificate, &key));
        // And this: in the length, so that the record is waited for.
        tls_records(&[0x8b, 0x9b, 4, 0xd7], (&certificate, &key));
        // And this: in the type of the header.
        tls_records(&[1, 1, 1, 0x1a], (&certificate, &key));
    }

    #[test]
    fn certificates_and_what_is_left_of_them_keep_the_promise() {
        let (certificate, _) = identity();
        assert_eq!(names(&certificate), ["localhost"]);
        for at in 0..certificate.len() {
            tls_certificate(&certificate[..at]);
            for flip in [1, 0x20, 0x80] {
                let mut damaged = certificate.clone();
                damaged[at] ^= flip;
                tls_certificate(&damaged);
            }
        }
    }
}
