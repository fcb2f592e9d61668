//! A carrier's registrar (RFC 3261 section 10.3), as a site of the simulation has one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{Algorithm, Challenger, Framing, InboundCredentials, Message};

/// See the module.
pub struct Registrar {
    /// Less than this gets 423.
    pub least: u32,
    /// More than this is cut.
    pub most: u32,
    /// Everything is refused with this status.
    pub refuses: Option<u16>,
    /// A Service-Route in each 200.
    pub service_route: Option<&'static str>,
    /// Every Contact that is registered, and until when, since the beginning of the world.
    pub bindings: BTreeMap<String, Duration>,
    /// Every REGISTER that was in order: when, and for how many seconds.
    pub taken: Vec<(Duration, u32)>,
    challenger: Option<Challenger>,
}

impl Registrar {
    /// One that wants the credentials `4930123` and `secret`.
    pub fn strict(now: Instant) -> Self {
        Self { challenger: Some(Challenger::new(now, [9; 32])), ..Self::open() }
    }

    /// One that believes everybody.
    pub fn open() -> Self {
        Self {
            least: 60,
            most: 3600,
            refuses: None,
            service_route: None,
            bindings: BTreeMap::new(),
            taken: Vec::new(),
            challenger: None,
        }
    }

    /// Whether anybody is registered at this moment.
    pub fn knows_somebody(&self, at: Duration) -> bool {
        self.bindings.values().any(|until| *until > at)
    }

    pub(crate) fn answer(&mut self, now: Instant, at: Duration, bytes: &Bytes) -> Bytes {
        let request =
            Message::parse(bytes.clone(), Framing::Stream).expect("the bridge's REGISTER can be read");
        let (status, headers) = self.judge(now, at, &request);
        let mut response = Message::response_to(&request, status, None);
        response.set_to_tag("registrar");
        for (name, value) in headers {
            response.headers_mut().push(name.as_str(), value);
        }
        response.to_bytes()
    }

    fn judge(&mut self, now: Instant, at: Duration, request: &Message) -> (u16, Vec<(String, String)>) {
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        if let Some(status) = self.refuses {
            return (status, Vec::new());
        }
        if let Some(challenger) = &mut self.challenger {
            let expected = InboundCredentials {
                username: "4930123".to_owned(),
                password: "secret".to_owned(),
                realm: "carrier.example".to_owned(),
                algorithms: vec![Algorithm::Sha256],
            };
            if let Err(challenge) = challenger.check(now, request, "registrar", &expected) {
                return (401, challenge.headers);
            }
        }
        let asked = request.expires().expect("Expires");
        if asked > 0 && asked < self.least {
            return (423, header("Min-Expires", self.least.to_string()));
        }
        let contacts = request.contacts().expect("readable Contacts");
        let [contact] = contacts.as_slice() else { panic!("one Contact, not {contacts:?}") };
        let (uri, granted) = (contact.uri().to_string(), asked.min(self.most));
        self.taken.push((at, asked));
        if granted == 0 {
            self.bindings.remove(&uri);
            return (200, Vec::new());
        }
        self.bindings.insert(uri.clone(), at + Duration::from_secs(granted.into()));
        let mut headers = header("Contact", format!("<{uri}>;expires={granted}"));
        headers.extend(self.service_route.map(|route| ("Service-Route".to_owned(), route.to_owned())));
        (200, headers)
    }
}
