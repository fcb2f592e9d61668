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
        match Tls::load(files, Arc::clone(trunks)) {
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
            let tables = document.trunk.iter().map(toml::Spanned::get_ref);
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
    file.as_ref().map(toml::Spanned::span)
}
