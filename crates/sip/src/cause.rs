//! Q.850 causes in Reason headers (RFC 3326), and those that belong to SIP statuses (RFC 3398 section 8.2.6.1).

/// The Q.850 cause for a final status of 300 and above, for the far side of a gateway that knows nothing of SIP.
pub fn q850(status: u16) -> u16 {
    match status {
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        410 => 22,
        483 | 482 => 25,
        484 => 28,
        501 | 420 | 405 => 79,
        502 | 500 | 481 => 41,
        503 => 42,
        408 | 504 => 102,
        487 => 16,
        488 | 606 | 415 => 65,
        _ => 127,
    }
}

/// The Q.850 cause in the value of a Reason header, whichever other protocols it names too.
pub fn q850_in(value: &str) -> Option<u16> {
    value.split(',').find_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next().filter(|protocol| protocol.eq_ignore_ascii_case("Q.850"))?;
        parts.find_map(|part| {
            let (name, cause) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| cause.trim().parse().ok())?
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_causes_are_those_of_rfc_3398() {
        for (status, cause) in [
            (404, 1),
            (486, 17),
            (600, 17),
            (480, 18),
            (603, 21),
            (403, 21),
            (408, 102),
            (503, 42),
            (487, 16),
            (699, 127),
        ] {
            assert_eq!(q850(status), cause, "{status}");
        }
    }

    #[test]
    fn a_reason_header_tells_its_q850_cause_among_others() {
        assert_eq!(q850_in("Q.850;cause=17;text=\"User busy\""), Some(17));
        assert_eq!(q850_in("SIP;cause=486, q.850; Cause = 63;text=\"x\""), Some(63));
        assert_eq!(q850_in("SIP;cause=486"), None);
        assert_eq!(q850_in("Q.850;cause=99999999"), None);
    }
}
