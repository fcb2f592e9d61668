//! `[http]`: the port and how much of it one peer or token may have.

use super::check::Check;
use super::{Http, document};
use crate::http::{AT_ONCE, READERS};

impl Check<'_> {
    pub(super) fn http(&mut self, written: &document::Http) -> Http {
        let pace = self.within("http.requests_per_second", &written.requests_per_second, 1..=10_000);
        let readers = &written.event_readers_per_token;
        let readers = self.within("http.event_readers_per_token", readers, 1..=READERS);
        let connections = &written.connections_per_address;
        let connections = self.within("http.connections_per_address", connections, 1..=AT_ONCE);
        if let Some(url) = &written.public_url
            && !is_base(url.get_ref())
        {
            let found = format!("{:?}", url.get_ref());
            let expected =
                "https:// or http://, a host, and what comes before /dialin, as https://meet.example.net";
            self.problem(url.span(), "http.public_url", found, expected);
        }
        Http {
            listen: written.listen,
            requests_per_second: pace,
            event_readers_per_token: readers,
            connections_per_address: connections,
            public_numbers: written.public_numbers,
        }
    }
}

/// What a link may begin with.
fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain))
}
