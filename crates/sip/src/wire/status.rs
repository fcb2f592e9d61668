use std::fmt;

/// A response status code, 100 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// `None` outside 100..=699 (RFC 3261 section 7.2: six classes).
    pub fn new(code: u16) -> Option<Self> {
        (100..=699).contains(&code).then_some(Self(code))
    }

    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// 2xx to 6xx.
    pub const fn is_final(self) -> bool {
        self.0 >= 200
    }

    /// The registered reason phrase, or the name of the class for a code that has none.
    pub fn reason(self) -> String {
        reason_phrase(self.0)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<StatusCode> for u16 {
    fn from(status: StatusCode) -> Self {
        status.0
    }
}

impl PartialEq<u16> for StatusCode {
    fn eq(&self, other: &u16) -> bool {
        self.0 == *other
    }
}

/// The phrase of a code. `rsip` knows the registry but only as `CamelCase` names; the ones that do not
/// come out right by splitting them are listed here.
fn reason_phrase(code: u16) -> String {
    match code {
        414 => return "Request-URI Too Long".into(),
        416 => return "Unsupported URI Scheme".into(),
        481 => return "Call/Transaction Does Not Exist".into(),
        504 => return "Server Time-out".into(),
        606 => return "Not Acceptable".into(),
        _ => {}
    }
    let known = rsip::StatusCode::from(code);
    let name = match &known {
        rsip::StatusCode::OK => return "OK".into(),
        rsip::StatusCode::Other(..) => return class_name(code).into(),
        // Display is "404 NotFound".
        other => other.to_string(),
    };
    let camel = name.split_once(' ').map_or("", |(_, camel)| camel);
    let mut phrase = String::with_capacity(camel.len() + 6);
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !phrase.is_empty() {
            phrase.push(' ');
        }
        phrase.push(c);
    }
    phrase
}

fn class_name(code: u16) -> &'static str {
    match code / 100 {
        1 => "Progress",
        2 => "Success",
        3 => "Redirection",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Global Failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_phrases_are_those_of_the_rfc() {
        for (code, phrase) in [
            (100, "Trying"),
            (183, "Session Progress"),
            (200, "OK"),
            (405, "Method Not Allowed"),
            (414, "Request-URI Too Long"),
            (420, "Bad Extension"),
            (480, "Temporarily Unavailable"),
            (481, "Call/Transaction Does Not Exist"),
            (486, "Busy Here"),
            (488, "Not Acceptable Here"),
            (503, "Service Unavailable"),
            (505, "Version Not Supported"),
            (513, "Message Too Large"),
            (477, "Request Failure"),
        ] {
            assert_eq!(StatusCode::new(code).map(StatusCode::reason).as_deref(), Some(phrase));
        }
    }

    #[test]
    fn codes_outside_the_six_classes_do_not_exist() {
        assert!(StatusCode::new(99).is_none() && StatusCode::new(700).is_none());
    }
}
