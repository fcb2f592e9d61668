//! Which country a number belongs to, and which countries are in Zone A.
//!
//! Country codes: ITU-T E.164, list of assigned country codes. Codes that several countries share are split: North
//! America by area code (NANPA and CNA), the others by the beginning of the national number. All of it as in Google's
//! libphonenumber 9.0.43 (metadata of November 2026, Apache-2.0), from which the tables below were written.
//!
//! A number whose country is not known, such as one in an area code that was opened later, is nobody's domestic number
//! and in no zone: a table that has aged refuses too much, never too little.

use crate::number::E164;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A country as ISO 3166-1 alpha-2 names it: two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The text is no country; the message says what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a country as two capital letters (ISO 3166-1 alpha-2), such as \"DE\"")]
pub struct UnknownCountry;

impl Country {
    /// The country that a number belongs to. `None` for codes that belong to none (freephone, satellites, networks) and
    /// for area codes that are not known here.
    ///
    /// Guernsey, Jersey and the Isle of Man are countries of their own, not the United Kingdom; so are Kazakhstan behind
    /// +7 and every Caribbean and Pacific area code behind +1. Freephone numbers behind +1 count as the United States.
    /// Territories at their country's own rates count as the country (Aland, Svalbard, the Vatican, Christmas Island).
    pub fn of(number: &E164) -> Option<Self> {
        let (code, national) = number.split();
        match code {
            "1" => north_american(national),
            "7" => Some(Self(if national.starts_with(['6', '7']) { *b"KZ" } else { *b"RU" })),
            "44" => Some(british(national)),
            "262" if ["2696", "639", "7093", "269"].iter().any(|start| national.starts_with(start)) => {
                Some(Self(*b"YT"))
            }
            "599" if national.starts_with(['3', '4', '7']) => Some(Self(*b"BQ")),
            _ => {
                let code: u16 = code.parse().ok()?;
                let at = CODES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
                Some(Self(CODES[at].1))
            }
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        // Made of capital letters only, here and in `from_str`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether it is one of the 44 countries of Zone A, which Microsoft's dial-out minutes and the Zone A policies reach.
    pub fn is_zone_a(self) -> bool {
        ZONE_A.contains(&&self.0)
    }
}

/// Dialing under +1.
fn north_american(national: &str) -> Option<Country> {
    let area: u16 = national.get(..3)?.parse().ok()?;
    if let Ok(at) = ISLANDS.binary_search_by_key(&area, |(area, _)| *area) {
        return Some(Country(ISLANDS[at].1));
    }
    if CANADA.binary_search(&area).is_ok() {
        return Some(Country(*b"CA"));
    }
    let american = UNITED_STATES.binary_search(&area).is_ok() || FREEPHONE.contains(&area);
    american.then_some(Country(*b"US"))
}

/// Dialing under +44.
fn british(national: &str) -> Country {
    let starts = |with: &[&str]| with.iter().any(|start| national.starts_with(start));
    Country(if starts(&["1481", "7781", "7839", "79111", "79117"]) {
        *b"GG"
    } else if starts(&["1534", "7509", "7700", "7797", "7829", "7937"]) {
        *b"JE"
    } else if starts(&["1624", "74576", "7524", "7624"]) {
        *b"IM"
    } else {
        *b"GB"
    })
}

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        match text.as_bytes() {
            [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Ok(Self([*first, *second])),
            _ => Err(UnknownCountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Microsoft, "Audio Conferencing subscription dial-out", list of Zone A countries, as read in 2026.
#[rustfmt::skip]
const ZONE_A: [&[u8; 2]; 44] = [
    b"AU", b"AT", b"BE", b"BR", b"BG", b"CA", b"CN", b"HR", b"CZ", b"DK", b"EE", b"FI", b"FR", b"DE", b"GR",
    b"HK", b"HU", b"IN", b"IE", b"IT", b"JP", b"LU", b"MY", b"MX", b"NL", b"NZ", b"NO", b"PL", b"PT", b"PR",
    b"RO", b"RU", b"SG", b"SK", b"SI", b"ZA", b"KR", b"ES", b"SE", b"CH", b"TW", b"TH", b"GB", b"US",
];

/// Area codes of North America that are neither the United States' nor Canada's.
#[rustfmt::skip]
const ISLANDS: [(u16, [u8; 2]); 27] = [
    (242, *b"BS"), (246, *b"BB"), (264, *b"AI"), (268, *b"AG"), (284, *b"VG"), (340, *b"VI"),
    (345, *b"KY"), (441, *b"BM"), (473, *b"GD"), (649, *b"TC"), (658, *b"JM"), (664, *b"MS"),
    (670, *b"MP"), (671, *b"GU"), (684, *b"AS"), (721, *b"SX"), (758, *b"LC"), (767, *b"DM"),
    (784, *b"VC"), (787, *b"PR"), (809, *b"DO"), (829, *b"DO"), (849, *b"DO"), (868, *b"TT"),
    (869, *b"KN"), (876, *b"JM"), (939, *b"PR"),
];

/// Canada's geographic area codes.
#[rustfmt::skip]
const CANADA: [u16; 56] = [
    204, 226, 236, 249, 250, 257, 263, 273, 289, 306, 343, 354, 365, 367, 368, 382, 403, 416, 418, 428, 431, 437,
    438, 450, 468, 474, 506, 514, 519, 548, 579, 581, 584, 587, 604, 613, 639, 647, 672, 683, 705, 709, 742, 753,
    778, 780, 782, 807, 819, 825, 867, 873, 879, 902, 905, 942,
];

/// The United States' geographic area codes. Personal numbers (500, 52x, 533 ...) are not among them.
#[rustfmt::skip]
const UNITED_STATES: [u16; 359] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220, 223, 224, 225, 227,
    228, 229, 231, 234, 235, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 272, 274, 276, 279,
    281, 283, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323,
    324, 325, 326, 327, 329, 330, 331, 332, 334, 336, 337, 339, 341, 346, 347, 350, 351, 352, 353, 360, 361, 363,
    364, 369, 380, 385, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424,
    425, 430, 432, 434, 435, 440, 442, 443, 445, 447, 448, 458, 463, 464, 469, 470, 472, 475, 478, 479, 480, 484,
    501, 502, 503, 504, 505, 507, 508, 509, 510, 512, 513, 515, 516, 517, 518, 520, 530, 531, 534, 539, 540, 541,
    551, 557, 559, 561, 562, 563, 564, 567, 570, 571, 572, 573, 574, 575, 580, 582, 585, 586, 601, 602, 603, 605,
    606, 607, 608, 609, 610, 612, 614, 615, 616, 617, 618, 619, 620, 623, 626, 628, 629, 630, 631, 636, 640, 641,
    645, 646, 650, 651, 656, 657, 659, 660, 661, 662, 667, 669, 678, 680, 681, 682, 686, 689, 701, 702, 703, 704,
    706, 707, 708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 725, 726, 727, 728, 730, 731, 732, 734, 737,
    738, 740, 743, 747, 748, 754, 757, 760, 762, 763, 765, 769, 770, 771, 772, 773, 774, 775, 779, 781, 785, 786,
    801, 802, 803, 804, 805, 806, 808, 810, 812, 813, 814, 815, 816, 817, 818, 820, 821, 826, 828, 830, 831, 832,
    835, 838, 839, 840, 843, 845, 847, 848, 850, 854, 856, 857, 858, 859, 860, 862, 863, 864, 865, 870, 872, 878,
    901, 903, 904, 906, 907, 908, 909, 910, 912, 913, 914, 915, 916, 917, 918, 919, 920, 925, 928, 929, 930, 931,
    934, 936, 937, 938, 940, 941, 943, 945, 947, 948, 949, 951, 952, 954, 956, 959, 970, 971, 972, 973, 975, 978,
    979, 980, 983, 984, 985, 986, 989,
];

const FREEPHONE: [u16; 7] = [800, 833, 844, 855, 866, 877, 888];

/// Country codes of one country each, or of the one that has most of it.
#[rustfmt::skip]
const CODES: [(u16, [u8; 2]); 205] = [
    (7, *b"RU"), (20, *b"EG"), (27, *b"ZA"), (30, *b"GR"), (31, *b"NL"), (32, *b"BE"), (33, *b"FR"),
    (34, *b"ES"), (36, *b"HU"), (39, *b"IT"), (40, *b"RO"), (41, *b"CH"), (43, *b"AT"), (44, *b"GB"),
    (45, *b"DK"), (46, *b"SE"), (47, *b"NO"), (48, *b"PL"), (49, *b"DE"), (51, *b"PE"), (52, *b"MX"),
    (53, *b"CU"), (54, *b"AR"), (55, *b"BR"), (56, *b"CL"), (57, *b"CO"), (58, *b"VE"), (60, *b"MY"),
    (61, *b"AU"), (62, *b"ID"), (63, *b"PH"), (64, *b"NZ"), (65, *b"SG"), (66, *b"TH"), (81, *b"JP"),
    (82, *b"KR"), (84, *b"VN"), (86, *b"CN"), (90, *b"TR"), (91, *b"IN"), (92, *b"PK"), (93, *b"AF"),
    (94, *b"LK"), (95, *b"MM"), (98, *b"IR"), (211, *b"SS"), (212, *b"MA"), (213, *b"DZ"), (216, *b"TN"),
    (218, *b"LY"), (220, *b"GM"), (221, *b"SN"), (222, *b"MR"), (223, *b"ML"), (224, *b"GN"), (225, *b"CI"),
    (226, *b"BF"), (227, *b"NE"), (228, *b"TG"), (229, *b"BJ"), (230, *b"MU"), (231, *b"LR"), (232, *b"SL"),
    (233, *b"GH"), (234, *b"NG"), (235, *b"TD"), (236, *b"CF"), (237, *b"CM"), (238, *b"CV"), (239, *b"ST"),
    (240, *b"GQ"), (241, *b"GA"), (242, *b"CG"), (243, *b"CD"), (244, *b"AO"), (245, *b"GW"), (246, *b"IO"),
    (247, *b"AC"), (248, *b"SC"), (249, *b"SD"), (250, *b"RW"), (251, *b"ET"), (252, *b"SO"), (253, *b"DJ"),
    (254, *b"KE"), (255, *b"TZ"), (256, *b"UG"), (257, *b"BI"), (258, *b"MZ"), (260, *b"ZM"), (261, *b"MG"),
    (262, *b"RE"), (263, *b"ZW"), (264, *b"NA"), (265, *b"MW"), (266, *b"LS"), (267, *b"BW"), (268, *b"SZ"),
    (269, *b"KM"), (290, *b"SH"), (291, *b"ER"), (297, *b"AW"), (298, *b"FO"), (299, *b"GL"), (350, *b"GI"),
    (351, *b"PT"), (352, *b"LU"), (353, *b"IE"), (354, *b"IS"), (355, *b"AL"), (356, *b"MT"), (357, *b"CY"),
    (358, *b"FI"), (359, *b"BG"), (370, *b"LT"), (371, *b"LV"), (372, *b"EE"), (373, *b"MD"), (374, *b"AM"),
    (375, *b"BY"), (376, *b"AD"), (377, *b"MC"), (378, *b"SM"), (380, *b"UA"), (381, *b"RS"), (382, *b"ME"),
    (383, *b"XK"), (385, *b"HR"), (386, *b"SI"), (387, *b"BA"), (389, *b"MK"), (420, *b"CZ"), (421, *b"SK"),
    (423, *b"LI"), (500, *b"FK"), (501, *b"BZ"), (502, *b"GT"), (503, *b"SV"), (504, *b"HN"), (505, *b"NI"),
    (506, *b"CR"), (507, *b"PA"), (508, *b"PM"), (509, *b"HT"), (590, *b"GP"), (591, *b"BO"), (592, *b"GY"),
    (593, *b"EC"), (594, *b"GF"), (595, *b"PY"), (596, *b"MQ"), (597, *b"SR"), (598, *b"UY"), (599, *b"CW"),
    (670, *b"TL"), (672, *b"NF"), (673, *b"BN"), (674, *b"NR"), (675, *b"PG"), (676, *b"TO"), (677, *b"SB"),
    (678, *b"VU"), (679, *b"FJ"), (680, *b"PW"), (681, *b"WF"), (682, *b"CK"), (683, *b"NU"), (685, *b"WS"),
    (686, *b"KI"), (687, *b"NC"), (688, *b"TV"), (689, *b"PF"), (690, *b"TK"), (691, *b"FM"), (692, *b"MH"),
    (850, *b"KP"), (852, *b"HK"), (853, *b"MO"), (855, *b"KH"), (856, *b"LA"), (880, *b"BD"), (886, *b"TW"),
    (960, *b"MV"), (961, *b"LB"), (962, *b"JO"), (963, *b"SY"), (964, *b"IQ"), (965, *b"KW"), (966, *b"SA"),
    (967, *b"YE"), (968, *b"OM"), (970, *b"PS"), (971, *b"AE"), (972, *b"IL"), (973, *b"BH"), (974, *b"QA"),
    (975, *b"BT"), (976, *b"MN"), (977, *b"NP"), (992, *b"TJ"), (993, *b"TM"), (994, *b"AZ"), (995, *b"GE"),
    (996, *b"KG"), (998, *b"UZ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn country(number: &str) -> Option<String> {
        Country::of(&number.parse().expect("a number")).map(|country| country.to_string())
    }

    #[test]
    fn a_number_belongs_to_the_country_of_its_code() {
        for (number, expected) in [
            ("+4930123456", "DE"),
            ("+390669812345", "IT"),
            ("+35312345678", "IE"),
            ("+85223456789", "HK"),
            ("+886223456789", "TW"),
            ("+262262123456", "RE"),
            ("+262639123456", "YT"),
            ("+5997123456", "BQ"),
            ("+59991234567", "CW"),
        ] {
            assert_eq!(country(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn north_america_is_split_by_area_code() {
        for (number, expected) in [
            ("+14255551234", "US"),
            ("+12125551234", "US"),
            ("+18005551234", "US"),
            ("+16045551234", "CA"),
            ("+18675551234", "CA"),
            ("+18765551234", "JM"),
            ("+18095551234", "DO"),
            ("+14415551234", "BM"),
            ("+17875551234", "PR"),
            ("+16715551234", "GU"),
        ] {
            assert_eq!(country(number).as_deref(), Some(expected), "{number}");
        }
        // Personal numbers and area codes that nobody has opened yet belong to no country.
        for number in ["+15005551234", "+15215551234", "+19995551234", "+12"] {
            assert_eq!(country(number), None, "{number}");
        }
    }

    #[test]
    fn shared_codes_of_the_old_world_are_split_too() {
        for (number, expected) in [
            ("+74951234567", "RU"),
            ("+77271234567", "KZ"),
            ("+76001234567", "KZ"),
            ("+442012345678", "GB"),
            ("+441481123456", "GG"),
            ("+447781123456", "GG"),
            ("+441534123456", "JE"),
            ("+447797123456", "JE"),
            ("+441624123456", "IM"),
            ("+447624123456", "IM"),
        ] {
            assert_eq!(country(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn satellites_and_networks_belong_to_no_country() {
        for number in ["+80012345678", "+881612345678", "+882123456789", "+97912345678", "+87012345678"] {
            assert_eq!(country(number), None, "{number}");
        }
    }

    #[test]
    fn zone_a_is_forty_four_countries() {
        let zone_a = |text: &str| text.parse::<Country>().expect("a country").is_zone_a();
        assert!(["DE", "US", "PR", "ZA", "GB"].into_iter().all(zone_a));
        assert!(!["JE", "KZ", "JM", "GU", "TR", "LV"].into_iter().any(zone_a));
        assert_eq!(ZONE_A.iter().collect::<std::collections::BTreeSet<_>>().len(), 44);
    }

    #[test]
    fn tables_are_sorted_and_no_area_code_is_in_two_of_them() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(ISLANDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CANADA.is_sorted_by(|a, b| a < b) && UNITED_STATES.is_sorted_by(|a, b| a < b));
        for area in UNITED_STATES.iter().chain(&FREEPHONE) {
            assert!(!CANADA.contains(area) && !ISLANDS.iter().any(|(other, _)| other == area), "{area}");
        }
    }

    #[test]
    fn a_country_is_two_capital_letters() {
        assert_eq!("DE".parse::<Country>().map(|country| country.to_string()), Ok("DE".to_owned()));
        for text in ["", "D", "de", "DEU", "D1", "É"] {
            assert_eq!(text.parse::<Country>(), Err(UnknownCountry), "{text}");
        }
    }
}
