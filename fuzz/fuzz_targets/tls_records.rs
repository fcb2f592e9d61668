//! Any bytes in any TLS records, and any damage to them.
#![no_main]
use std::sync::OnceLock;

static IDENTITY: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (certificate, key) = IDENTITY.get_or_init(|| {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        (issued.cert.der().to_vec(), issued.signing_key.serialize_der())
    });
    server::fuzzing::tls_records(data, (certificate, key));
});
