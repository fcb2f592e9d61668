//! Wall-clock time for records: UTC, milliseconds, RFC 3339. Durations never come from here: a wall clock may step.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// The last second that four digits of year can say: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

/// A moment of the wall clock. Before 1970 and after 9999 it is clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub SystemTime);

impl Stamp {
    /// Milliseconds since the start of 1970, UTC.
    pub fn unix_millis(self) -> u64 {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_secs().min(LAST_SECOND) * 1000 + u64::from(since.subsec_millis())
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.unix_millis();
        let second = millis / 1000;
        let (year, month, day) = civil_from_days(second / DAY);
        let of_day = second % DAY;
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
            millis % 1000
        )
    }
}

/// The text is no moment that a record can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time with an offset, from 1970 on, as 2026-11-23T10:00:00Z")]
pub struct NotAStamp;

impl FromStr for Stamp {
    type Err = NotAStamp;

    /// Reads a moment as RFC 3339 writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = text.parse().ok().as_ref().and_then(crate::directory::utc);
        read.map(Self).ok_or(NotAStamp)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The moment of a UTC date and time, `None` before 1970 or when a part is out of range. A leap second is the second
/// after it.
pub(crate) fn moment(date: (u16, u8, u8), time: (u8, u8, u8), nanosecond: u32) -> Option<SystemTime> {
    let (year, month, day) = date;
    let (hour, minute, second) = time;
    if year < 1970 || hour > 23 || minute > 59 || second > 60 || nanosecond > 999_999_999 {
        return None;
    }
    let days = days_from_civil(u64::from(year), u64::from(month), u64::from(day));
    let back = civil_from_days(days);
    if back != (u64::from(year), u64::from(month), u64::from(day)) {
        return None;
    }
    let seconds = days * DAY + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanosecond))
}

/// Days since 1970-01-01 to (year, month, day) of the Gregorian calendar. The year is taken to begin in March, so that
/// the leap day is its last one.
pub(crate) fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`], for years from 1970. A day that does not exist gives another day's number.
pub(crate) fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let era = march_year / 400;
    let year_of_era = march_year % 400;
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day.saturating_sub(1);
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::{Stamp, moment};

    #[test]
    fn what_is_written_is_read_and_a_moment_without_offset_is_none() {
        for text in ["2026-11-23T10:00:00.000Z", "1970-01-01T00:00:00.000Z", "2028-02-29T23:59:59.999Z"] {
            assert_eq!(text.parse::<Stamp>().unwrap().to_string(), text);
        }
        assert_eq!(
            "2026-11-23T11:00:00+01:00".parse::<Stamp>().unwrap().to_string(),
            "2026-11-23T10:00:00.000Z"
        );
        for wrong in ["", "2026-11-23", "2026-11-23T10:00:00", "1969-12-31T23:59:59Z", "2026-02-29T00:00:00Z"]
        {
            assert!(wrong.parse::<Stamp>().is_err(), "{wrong}");
        }
    }

    use std::time::{Duration, SystemTime};

    fn at(seconds: u64, millis: u64) -> String {
        Stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis))
            .to_string()
    }

    #[test]
    fn known_moments_are_written_as_rfc_3339() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_700_000_000, 999), "2023-11-14T22:13:20.999Z");
        assert_eq!(at(u64::from(u32::MAX) * 1000, 0), "9999-12-31T23:59:59.000Z");
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(Stamp(before).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_date_and_its_moment_are_inverse_and_impossible_dates_are_refused() {
        for day in [0_u64, 58, 59, 60, 365, 11_016, 19_675, 20_000, 47_540] {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400 + 3_723);
            let text = Stamp(wall).to_string();
            let part = |range: std::ops::Range<usize>| text[range].parse::<u16>().unwrap();
            let date = (part(0..4), part(5..7) as u8, part(8..10) as u8);
            let time = (part(11..13) as u8, part(14..16) as u8, part(17..19) as u8);
            assert_eq!(moment(date, time, 0), Some(wall), "{text}");
        }
        for date in [(2023, 2, 29), (2024, 13, 1), (2024, 0, 1), (2024, 4, 31), (1969, 12, 31), (2024, 1, 0)]
        {
            assert_eq!(moment(date, (0, 0, 0), 0), None, "{date:?}");
        }
    }
}
