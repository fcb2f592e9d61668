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
        Http {
            listen: written.listen,
            requests_per_second: pace,
            event_readers_per_token: readers,
            connections_per_address: connections,
        }
    }
}
