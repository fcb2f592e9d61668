//! The check of what concerns TLS: which files there must be, and whether they can be used.

use std::ops::Range;
use std::sync::Arc;

use trunk::{ProfileSource, Trunks};

use super::check::Check;
use super::document::Document;
use crate::sip_io::Listener;
use crate::tls::{Files, LoadError, Place, Tls};

impl Check<'_> {
    /// The certificates, where there is a `tls://` listener; without one nobody connects over TLS either way, since Via and
    /// Contact name a listener of ours.
    pub(super) fn tls(
        &mut self,
        document: &Document,
        listeners: &[Listener],
        trunks: Option<&Arc<Trunks>>,
    ) -> Option<Arc<Tls>> {
        let listens = listeners.iter().any(|own| own.transport == sip::Transport::Tls);
        let Some(own) = &document.sip.tls else {
            if listens {
                let found = "missing, while sip.listen has a tls:// entry".to_owned();
                let expected = "tls = { certificate = \"bridge.pem\", key = \"bridge.key\" } in [sip]";
                self.problem(0..0, "sip.tls", found, expected);
            }
            return None;
        };
        if !listens {
            let found = "certificates, while sip.listen has no tls:// entry".to_owned();
            let expected = "an entry like \"tls://192.0.2.1:5061\" in sip.listen, or no such key";
            self.problem(own.certificate.span(), "sip.tls", found, expected);
            return None;
        }
        let trunks = trunks?;
        let pair = (own.certificate.get_ref().clone(), own.key.get_ref().clone());
        let files = Files::new(self.folder(), pair, own.roots.get_ref().clone(), trunks);
        match Tls::load(files) {
            Ok(tls) => Some(Arc::new(tls)),
            Err(errors) => {
                for error in errors {
                    let (span, key) = place_of(document, &error);
                    self.problem(span, &key, error.found, error.expected);
                }
                None
            }
        }
    }
}

/// Where the file of an error is written, and under which key.
fn place_of(document: &Document, error: &LoadError) -> (Range<usize>, String) {
    match &error.place {
        Place::Sip => {
            let key = format!("sip.tls.{}", error.key);
            let Some(tls) = &document.sip.tls else { return (0..0, key) };
            let span = match error.key {
                "certificate" => tls.certificate.span(),
                "key" => tls.key.span(),
                _ => tls.roots.span(),
            };
            (span, key)
        }
        Place::Trunk(trunk) => {
            let tables = document.trunk.iter().map(routing::Spanned::get_ref);
            let table = tables.into_iter().find(|table| table.id.get_ref() == trunk.as_str());
            let span = table.and_then(|table| file_of(table, error.key)).unwrap_or(0..0);
            (span, format!("trunk.{trunk}.tls.{}", error.key))
        }
    }
}

fn file_of(table: &ProfileSource, key: &str) -> Option<Range<usize>> {
    let tls = table.tls.as_ref()?;
    let file = match key {
        "certificate" => &tls.certificate,
        "key" => &tls.key,
        _ => &tls.roots,
    };
    file.as_ref().map(routing::Spanned::span)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use crate::config::Config;

    const SIP: &str = "[sip]\nlisten = [\"tls://127.0.0.1:5061\"]\n";
    const TRUNK: &str = "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{ address = \"192.0.2.9\", transport = \"tls\" }]\n";

    /// A folder with `our.pem`, `our.key`, `other.key` and `roots.pem`.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let issued =
            rcgen::generate_simple_self_signed(["bridge.example.net".to_owned()]).expect("a certificate");
        let other = rcgen::KeyPair::generate().expect("a key");
        for (name, text) in [
            ("our.pem", issued.cert.pem()),
            ("our.key", issued.signing_key.serialize_pem()),
            ("other.key", other.serialize_pem()),
            ("roots.pem", issued.cert.pem()),
            ("empty", String::new()),
        ] {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    fn problems(folder: &Path, text: &str) -> Vec<String> {
        let found = match Config::parse(&folder.join("p.toml"), text) {
            Ok(_) => return Vec::new(),
            Err(problems) => problems.0,
        };
        let begin = format!("{}/", folder.display());
        found.iter().map(|problem| problem.to_string().replace(&begin, "")).collect()
    }

    #[test]
    fn certificates_are_found_beside_the_file_and_trunks_may_have_their_own() {
        let folder = folder();
        let tls = "tls = { certificate = \"our.pem\", key = \"our.key\", roots = \"roots.pem\" }\n";
        assert_eq!(problems(folder.path(), &format!("{SIP}{tls}{TRUNK}{tls}")), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_line_and_key() {
        let folder = folder();
        // (certificate, key, roots, what is said)
        let table = [
            (
                "gone.pem",
                "our.key",
                "roots.pem",
                "p.toml:3:23: `sip.tls.certificate`: gone.pem: No such file",
            ),
            ("empty", "our.key", "roots.pem", "p.toml:3:23: `sip.tls.certificate`: empty: no certificate"),
            ("our.pem", "empty", "roots.pem", "p.toml:3:40: `sip.tls.key`: empty: "),
            ("our.pem", "other.key", "roots.pem", "p.toml:3:40: `sip.tls.key`: other.key: "),
            (
                "our.pem",
                "our.key",
                "our.key",
                "p.toml:3:59: `sip.tls.roots`: our.key: no certificate in it; expected",
            ),
            (
                "our.pem",
                "our.key",
                "/dev/zero",
                "p.toml:3:59: `sip.tls.roots`: /dev/zero: not a file of at most",
            ),
        ];
        for (certificate, key, roots, said) in table {
            let tls = format!(
                "tls = {{ certificate = \"{certificate}\", key = \"{key}\", roots = \"{roots}\" }}\n"
            );
            let found = problems(folder.path(), &format!("{SIP}{tls}"));
            assert!(found.len() == 1 && found[0].starts_with(said), "{found:#?}");
        }
        let own = "tls = { certificate = \"our.pem\", key = \"our.key\", roots = \"roots.pem\" }\n";
        let found = problems(folder.path(), &format!("{SIP}{own}{TRUNK}tls = {{ roots = \"gone\" }}\n"));
        assert!(
            found.len() == 1 && found[0].starts_with("p.toml:8:17: `trunk.acme.tls.roots`: gone: "),
            "{found:#?}"
        );
    }

    #[test]
    fn a_tls_listener_and_certificates_need_each_other() {
        let folder = folder();
        let found = problems(folder.path(), SIP);
        assert!(found[0].contains("`sip.tls`: missing, while sip.listen has a tls:// entry"), "{found:#?}");
        let alone = "[sip]\ntls = { certificate = \"our.pem\", key = \"our.key\" }\n";
        let found = problems(folder.path(), alone);
        assert!(found[0].contains("while sip.listen has no tls:// entry"), "{found:#?}");
    }
}
