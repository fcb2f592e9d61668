//! Session-ID (RFC 7989): one name for a call through all the boxes on its way, for whoever reads their logs.
//!
//! Our half is a function of the Call-ID that nobody outside can compute: it needs no memory, and is the same in every
//! message of a call.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::Endpoint;
use crate::wire::Message;

/// What stands for the half that is not known yet (RFC 7989 section 5).
const NIL: &str = "00000000000000000000000000000000";
const NAME: &str = "Session-ID";

impl Endpoint {
    /// Our half of the Session-ID of a call: 32 hexadecimal digits.
    pub fn session_id(&self, call_id: &str) -> String {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (self.secret, salt, call_id).hash(&mut hasher);
            hasher.finish()
        };
        format!("{:016x}{:016x}", half(1), half(2))
    }

    /// Adds the header to a response, where its request has one.
    pub(super) fn name_response(&self, request: &Message, response: &mut Message) {
        if let (Some(theirs), Some(call_id)) = (of_peer(request), request.call_id()) {
            response.headers_mut().push(NAME, format!("{};remote={theirs}", self.session_id(call_id)));
        }
    }

    /// Adds the header to a request of ours; `theirs` is the peer's half, where it has one.
    pub(super) fn name_request(&self, request: &mut Message, theirs: Option<&str>) {
        let call_id = request.call_id().unwrap_or_default();
        let value = format!("{};remote={}", self.session_id(call_id), theirs.unwrap_or(NIL));
        request.headers_mut().push(NAME, value);
    }
}

/// The half of whoever sent a message; anything but 32 lower-case hexadecimal digits is none.
pub(crate) fn of_peer(message: &Message) -> Option<String> {
    let value = message.headers().get(NAME)?;
    let half = value.split(';').next().unwrap_or_default().trim();
    let digits = half.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (half.len() == NIL.len() && digits && half != NIL).then(|| half.to_owned())
}
