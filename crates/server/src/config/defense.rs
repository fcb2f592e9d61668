//! `[defense]`: the limits against guessed conference IDs and PINs.

use std::time::Duration;

use routing::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Check;

/// `[defense]`
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defense {
    /// How long what was wrong is remembered, in seconds.
    pub window_seconds: Spanned<u64>,
    /// How much later IDs are judged once there was too much wrong, in seconds.
    pub slow_down_seconds: Spanned<u64>,
    /// Wrong IDs and PINs of one caller within the window before he is slowed down.
    pub wrong_per_caller: Spanned<usize>,
    /// Wrong IDs and PINs of all callers of a trunk who hide their number, likewise.
    pub wrong_per_trunk_anonymous: Spanned<usize>,
    /// Wrong IDs and PINs of all callers of a trunk, likewise.
    pub wrong_per_trunk: Spanned<usize>,
    /// Wrong IDs and PINs of all callers of a tenant's dedicated numbers, likewise.
    pub wrong_per_tenant: Spanned<usize>,
    /// At so many times the number that slows down, most entries are refused unseen.
    pub refuse_factor: Spanned<usize>,
    /// IDs within the window from which on it counts how many of them exist.
    pub ratio_entries: Spanned<usize>,
    /// More wrong IDs of a hundred slow down.
    pub slow_misses_percent: Spanned<u8>,
    /// More wrong IDs of a hundred, and most entries are refused unseen.
    pub refuse_misses_percent: Spanned<u8>,
    /// Wrong PINs for one organizer within the window before there is a gap between two checks.
    pub pin_free_tries: Spanned<usize>,
    /// By how much each further one widens the gap, in seconds.
    pub pin_gap_seconds: Spanned<u64>,
    /// The widest gap, in seconds.
    pub pin_gap_most_seconds: Spanned<u64>,
    /// How long a line waits for its turn before it goes on without, in seconds.
    pub pin_wait_seconds: Spanned<u64>,
    /// More wrong PINs for one organizer within the window raise an alarm.
    pub pin_alarm: Spanned<usize>,
}

impl Default for Defense {
    fn default() -> Self {
        fn own<T>(value: T) -> Spanned<T> {
            Spanned::new(0..0, value)
        }
        let defense = bridge::DefenseConfig::default();
        Self {
            window_seconds: own(defense.window.as_secs()),
            slow_down_seconds: own(defense.slow_down.as_secs()),
            wrong_per_caller: own(defense.per_caller),
            wrong_per_trunk_anonymous: own(defense.per_anonymous),
            wrong_per_trunk: own(defense.per_trunk),
            wrong_per_tenant: own(defense.per_tenant),
            refuse_factor: own(defense.refuse_factor),
            ratio_entries: own(defense.ratio_entries),
            slow_misses_percent: own(defense.slow_misses_percent),
            refuse_misses_percent: own(defense.refuse_misses_percent),
            pin_free_tries: own(defense.pin_free),
            pin_gap_seconds: own(defense.pin_gap.as_secs()),
            pin_gap_most_seconds: own(defense.pin_gap_most.as_secs()),
            pin_wait_seconds: own(defense.pin_wait.as_secs()),
            pin_alarm: own(defense.pin_alarm),
        }
    }
}

impl Check<'_> {
    /// The limits; each has a range in which memory and waiting stay small and the defense is one.
    pub(super) fn defense(&mut self, written: &Defense) -> bridge::DefenseConfig {
        let wrong = 1..=10_000;
        let mut seconds = |key: &str, value: &Spanned<u64>, most: u64| {
            Duration::from_secs(self.within(&format!("defense.{key}"), value, 1..=most))
        };
        let window = seconds("window_seconds", &written.window_seconds, 86_400);
        let slow_down = seconds("slow_down_seconds", &written.slow_down_seconds, 30);
        let pin_gap = seconds("pin_gap_seconds", &written.pin_gap_seconds, 60);
        let pin_gap_most = seconds("pin_gap_most_seconds", &written.pin_gap_most_seconds, 60);
        let pin_wait = seconds("pin_wait_seconds", &written.pin_wait_seconds, 120);
        let mut count =
            |key: &str, value: &Spanned<usize>| self.within(&format!("defense.{key}"), value, wrong.clone());
        let defense = bridge::DefenseConfig {
            window,
            slow_down,
            per_caller: count("wrong_per_caller", &written.wrong_per_caller),
            per_anonymous: count("wrong_per_trunk_anonymous", &written.wrong_per_trunk_anonymous),
            per_trunk: count("wrong_per_trunk", &written.wrong_per_trunk),
            per_tenant: count("wrong_per_tenant", &written.wrong_per_tenant),
            refuse_factor: self.within("defense.refuse_factor", &written.refuse_factor, 1..=100),
            ratio_entries: self.within("defense.ratio_entries", &written.ratio_entries, 10..=10_000),
            slow_misses_percent: self.within(
                "defense.slow_misses_percent",
                &written.slow_misses_percent,
                1..=100,
            ),
            refuse_misses_percent: self.within(
                "defense.refuse_misses_percent",
                &written.refuse_misses_percent,
                1..=100,
            ),
            pin_free: self.within("defense.pin_free_tries", &written.pin_free_tries, 0..=60),
            pin_gap,
            pin_gap_most,
            pin_wait,
            pin_alarm: self.within("defense.pin_alarm", &written.pin_alarm, 1..=60),
            ..bridge::DefenseConfig::default()
        };
        let slow = *written.slow_misses_percent.as_ref();
        if defense.refuse_misses_percent < slow {
            let found = format!("{}, less than slow_misses_percent", defense.refuse_misses_percent);
            let expected = format!("{slow} to 100: who is refused was slowed down before");
            self.problem(
                written.refuse_misses_percent.span(),
                "defense.refuse_misses_percent",
                found,
                &expected,
            );
        }
        defense
    }
}
