//! Header field names: the known ones as an enum, with their compact forms (RFC 3261 section 7.3.3 and the IANA registry).

use std::fmt;

macro_rules! names {
    ($($variant:ident = $text:literal,)* ; $($short:ident = $letter:literal,)*) => {
        /// A header field name that this crate knows by number instead of by text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the names are the documentation
        pub enum HeaderName {
            $($variant,)*
        }

        impl HeaderName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The long form as it is written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The name, if it is spelled as the RFC spells it, as almost everybody does.
            #[allow(non_upper_case_globals)] // the variants' own names
            fn exact(text: &[u8]) -> Option<Self> {
                $(const $variant: &[u8] = $text.as_bytes();)*
                match text {
                    $($variant => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn from_letter(letter: u8) -> Option<Self> {
                match letter.to_ascii_lowercase() {
                    $($letter => Some(Self::$short),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID",
    CallInfo = "Call-Info",
    Contact = "Contact",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event",
    Expires = "Expires",
    From = "From",
    HistoryInfo = "History-Info",
    Identity = "Identity",
    InReplyTo = "In-Reply-To",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    ReferTo = "Refer-To",
    ReferredBy = "Referred-By",
    RejectContact = "Reject-Contact",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition",
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    Server = "Server",
    SessionExpires = "Session-Expires",
    Subject = "Subject",
    SubscriptionState = "Subscription-State",
    Supported = "Supported",
    Timestamp = "Timestamp",
    To = "To",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    Via = "Via",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
    ;
    AcceptContact = b'a',
    AllowEvents = b'u',
    CallId = b'i',
    Contact = b'm',
    ContentEncoding = b'e',
    ContentLength = b'l',
    ContentType = b'c',
    Event = b'o',
    From = b'f',
    Identity = b'y',
    ReferTo = b'r',
    ReferredBy = b'b',
    RejectContact = b'j',
    RequestDisposition = b'd',
    SessionExpires = b'x',
    Subject = b's',
    Supported = b'k',
    To = b't',
    Via = b'v',
}

impl HeaderName {
    /// The name that `text` stands for: long or compact form, any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(text.as_bytes())
    }

    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        match text {
            [] => None,
            [letter] => Self::from_letter(*letter),
            [first, ..] => {
                let same = |name: &Self| name.as_str().as_bytes().eq_ignore_ascii_case(text);
                Self::exact(text).or_else(|| candidates(*first).iter().copied().find(same))
            }
        }
    }

    /// Whether the values of several header lines may also be written in one line with commas
    /// (RFC 3261 section 7.3.1; the challenge and credential headers are the exceptions).
    pub const fn is_list(self) -> bool {
        use HeaderName as H;
        matches!(
            self,
            H::Accept
                | H::AcceptContact
                | H::AcceptEncoding
                | H::AcceptLanguage
                | H::AlertInfo
                | H::Allow
                | H::AllowEvents
                | H::CallInfo
                | H::Contact
                | H::ContentEncoding
                | H::ContentLanguage
                | H::Diversion
                | H::ErrorInfo
                | H::HistoryInfo
                | H::InReplyTo
                | H::PAssertedIdentity
                | H::PPreferredIdentity
                | H::ProxyRequire
                | H::Reason
                | H::RecordRoute
                | H::RejectContact
                | H::RequestDisposition
                | H::Require
                | H::Route
                | H::Supported
                | H::Unsupported
                | H::Via
                | H::Warning
        )
    }

    /// Whether a second occurrence makes the message wrong: their RFCs give these exactly one value, and a
    /// receiver that picks the first where the next hop picks the last can be lied to.
    pub const fn is_single(self) -> bool {
        use HeaderName as H;
        matches!(
            self,
            H::CallId
                | H::ContentLength
                | H::ContentType
                | H::CSeq
                | H::Event
                | H::Expires
                | H::From
                | H::MaxForwards
                | H::MinSe
                | H::RAck
                | H::ReferTo
                | H::Replaces
                | H::RSeq
                | H::SessionExpires
                | H::To
        )
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a header can be looked up by: a [`HeaderName`] or its text.
pub trait AsHeaderName: Copy {
    /// The known name, if it is one.
    fn known(self) -> Option<HeaderName>;
    /// The text of the name.
    fn text(&self) -> &str;
}

impl AsHeaderName for HeaderName {
    fn known(self) -> Option<HeaderName> {
        Some(self)
    }

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl AsHeaderName for &str {
    fn known(self) -> Option<HeaderName> {
        HeaderName::parse(self)
    }

    fn text(&self) -> &str {
        self
    }
}

/// The known names that begin with this letter; the most frequent first.
fn candidates(first: u8) -> &'static [HeaderName] {
    use HeaderName as H;
    match first.to_ascii_lowercase() {
        b'a' => &[
            H::Accept,
            H::AcceptContact,
            H::AcceptEncoding,
            H::AcceptLanguage,
            H::AlertInfo,
            H::Allow,
            H::AllowEvents,
            H::AuthenticationInfo,
            H::Authorization,
        ],
        b'c' => &[
            H::CSeq,
            H::CallId,
            H::Contact,
            H::ContentLength,
            H::ContentType,
            H::CallInfo,
            H::ContentDisposition,
            H::ContentEncoding,
            H::ContentLanguage,
        ],
        b'd' => &[H::Date, H::Diversion],
        b'e' => &[H::ErrorInfo, H::Event, H::Expires],
        b'f' => &[H::From],
        b'h' => &[H::HistoryInfo],
        b'i' => &[H::Identity, H::InReplyTo],
        b'm' => &[H::MaxForwards, H::MimeVersion, H::MinExpires, H::MinSe],
        b'o' => &[H::Organization],
        b'p' => &[
            H::PAssertedIdentity,
            H::PPreferredIdentity,
            H::Priority,
            H::Privacy,
            H::ProxyAuthenticate,
            H::ProxyAuthorization,
            H::ProxyRequire,
        ],
        b'r' => &[
            H::RecordRoute,
            H::Require,
            H::Route,
            H::Reason,
            H::RAck,
            H::ReferTo,
            H::ReferredBy,
            H::RejectContact,
            H::Replaces,
            H::ReplyTo,
            H::RequestDisposition,
            H::RetryAfter,
            H::RSeq,
        ],
        b's' => &[H::Server, H::SessionExpires, H::Subject, H::SubscriptionState, H::Supported],
        b't' => &[H::Timestamp, H::To],
        b'u' => &[H::Unsupported, H::UserAgent],
        b'v' => &[H::Via],
        b'w' => &[H::Warning, H::WwwAuthenticate],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &name in HeaderName::ALL {
            assert_eq!(HeaderName::parse(name.as_str()), Some(name));
            assert_eq!(HeaderName::parse(&name.as_str().to_ascii_uppercase()), Some(name));
        }
    }

    #[test]
    fn compact_forms_are_the_same_header() {
        for (letter, name) in [
            ("v", "Via"),
            ("F", "From"),
            ("t", "To"),
            ("i", "Call-ID"),
            ("m", "Contact"),
            ("l", "Content-Length"),
            ("c", "Content-Type"),
            ("k", "Supported"),
            ("s", "Subject"),
            ("x", "Session-Expires"),
            ("r", "Refer-To"),
            ("b", "Referred-By"),
            ("o", "Event"),
            ("u", "Allow-Events"),
            ("e", "Content-Encoding"),
        ] {
            assert_eq!(HeaderName::parse(letter), HeaderName::parse(name), "{letter}");
            assert!(HeaderName::parse(letter).is_some());
        }
    }
}
