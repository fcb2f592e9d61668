//! Numbers that cost far more than others of their country: the usual prey of toll fraud.
//!
//! The table is small on purpose: premium-rate and personal numbers of the countries of Zone A, after Google's
//! libphonenumber 9.0.43 (November 2026), and the networks that belong to no country. A deployment adds its own with
//! `[dial_out] blocked_prefixes`; `allow_premium` lets the table's numbers be dialed, at their price.

use crate::number::E164;

/// Whether a number is at a premium rate, by the table below.
pub fn is_premium(number: &E164) -> bool {
    let (code, national) = number.split();
    if code == "1" {
        // 900 in every network, 976 behind every area code.
        return national.starts_with("900") || national.get(3..6) == Some("976");
    }
    let Ok(at) = RANGES.binary_search_by_key(&code, |range| range.0) else { return false };
    let (_, starts, shortest) = RANGES[at];
    national.len() >= shortest && starts.iter().any(|start| national.starts_with(start))
}

/// In the order of the text: country code; what the national number begins with; the fewest digits it has where shorter ones are ordinary.
#[rustfmt::skip]
const RANGES: &[(&str, &[&str], usize)] = &[
    ("27",  &["862", "863", "864", "865", "866", "867", "868", "869", "90", "91", "92"], 0),
    ("30",  &["901", "909"], 0),
    ("31",  &["900", "906", "909"], 0),
    ("32",  &["70", "90"], 0),
    ("33",  &["81", "82", "83", "84", "88", "89"], 0),
    ("34",  &["803", "806", "807", "905"], 0),
    ("351", &["601", "607", "608", "646", "648", "760", "761", "762"], 0),
    ("352", &["900", "901", "905"], 0),
    ("353", &["15"], 10),
    ("358", &["600", "700"], 0),
    ("359", &["90"], 0),
    ("36",  &["90", "91"], 0),
    ("372", &["900"], 0),
    ("385", &["60", "61", "64", "65", "69"], 0),
    ("386", &["90", "891", "892", "893"], 0),
    ("39",  &["144", "163", "164", "166", "199", "89"], 0),
    ("40",  &["900", "901", "903", "906"], 0),
    ("41",  &["900", "901", "906"], 0),
    ("420", &["900", "905", "906", "908", "909", "976"], 0),
    ("421", &["900", "97", "98"], 0),
    ("43",  &["900", "901", "930", "931", "939"], 0),
    // 70: personal numbers, which look like mobiles and are not.
    ("44",  &["70", "843", "844", "845", "870", "871", "872", "873", "90", "91", "98"], 0),
    ("45",  &["90"], 0),
    ("46",  &["900", "939", "944", "99"], 0),
    ("47",  &["820", "829"], 0),
    ("48",  &["700", "701", "703", "704", "706", "708"], 0),
    ("49",  &["137", "900"], 0),
    ("52",  &["900"], 0),
    ("55",  &["500", "900"], 0),
    ("60",  &["1600"], 0),
    ("61",  &["190"], 0),
    ("64",  &["900"], 0),
    ("65",  &["1900"], 0),
    ("66",  &["1900"], 0),
    ("7",   &["803", "809"], 0),
    ("81",  &["990"], 0),
    ("82",  &["60"], 0),
    ("852", &["900"], 9),
    // Satellites and international networks, and international premium rate.
    ("870", &[""], 0),
    ("878", &[""], 0),
    ("881", &[""], 0),
    ("882", &[""], 0),
    ("883", &[""], 0),
    ("888", &[""], 0),
    ("91",  &["186"], 0),
    ("979", &[""], 0),
];

#[cfg(test)]
mod tests {
    use super::{RANGES, is_premium};

    #[test]
    fn each_country_code_stands_once_where_it_is_looked_for() {
        assert!(RANGES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn premium_numbers_are_told_from_ordinary_ones() {
        for number in [
            "+499001234567",
            "+491371234567",
            "+447012345678",
            "+449012345678",
            "+19005551234",
            "+12129761234",
            "+33891234567",
            "+3531512345678",
            "+41900123456",
            "+8816123456789",
            "+979123456789",
        ] {
            assert!(is_premium(&number.parse().expect("a number")), "{number}");
        }
        for number in [
            "+4930123456",
            "+447912345678",
            "+442079461234",
            "+12125551234",
            "+33123456789",
            "+35315123456",
            "+41791234567",
            "+85290012345",
            "+80012345678",
        ] {
            assert!(!is_premium(&number.parse().expect("a number")), "{number}");
        }
    }
}
