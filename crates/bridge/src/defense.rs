//! The defense against guessed conference IDs and PINs. Pure; time is an argument, and every table has its limit.
//!
//! What is wrong is counted over a sliding window: by caller, by trunk for those who hide their number, and for all together by
//! trunk, by tenant (on its dedicated numbers) and for the whole bridge. Where too much is, or where IDs that exist become rare
//! among those keyed, judgments come later, right and wrong alike; beyond that only one in a while is judged at all. Who guesses
//! PINs stands in line with all others who do so for the same organizer ([`PinQueue`]).

mod alarm;
mod ids;
mod pins;
mod window;

use std::time::Duration;

pub use alarm::{Alarm, AlarmLevel, AlarmScope, Guessed};
pub use ids::WrongIds;
pub(crate) use ids::{IdGuard, Keyer, Verdict};
pub(crate) use pins::{Line, Outcome, PinQueue};

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefenseConfig {
    /// How long what was wrong is remembered.
    pub window: Duration,
    /// How much later a judgment comes once there was too much; and how far apart judgments are where most are refused.
    pub slow_down: Duration,
    /// So many wrong IDs and PINs of one caller within the window are a slip; more slow the caller down.
    pub per_caller: usize,
    /// The same for all callers of one trunk together who hide their number.
    pub per_anonymous: usize,
    /// The same for all callers of one trunk together.
    pub per_trunk: usize,
    /// The same for all callers together of the dedicated numbers of one tenant.
    pub per_tenant: usize,
    /// So many times as many: entries are refused without being looked at.
    pub refuse_factor: usize,
    /// From so many IDs within the window on, on a trunk or on the whole bridge, it counts how many of them exist.
    pub ratio_entries: usize,
    /// More wrong IDs of a hundred than this slow the trunk, or the bridge, down.
    pub slow_misses_percent: u8,
    /// More than this: entries are refused without being looked at.
    pub refuse_misses_percent: u8,
    /// The most callers, and the most organizers, remembered; past it the one who erred longest ago is forgotten.
    pub callers: usize,
    /// So many wrong PINs for one organizer within the window are a slip; each more widens the gap between two checks.
    pub pin_free: usize,
    /// By so much.
    pub pin_gap: Duration,
    /// Up to so much.
    pub pin_gap_most: Duration,
    /// So long a line waits for the check of a PIN; then it goes on without.
    pub pin_wait: Duration,
    /// More wrong PINs for one organizer within the window than this are told to whoever watches.
    pub pin_alarm: usize,
}

impl Default for DefenseConfig {
    /// Ten minutes, three seconds, and limits that people do not reach.
    fn default() -> Self {
        Self {
            window: Duration::from_mins(10),
            slow_down: Duration::from_secs(3),
            per_caller: 10,
            per_anonymous: 30,
            per_trunk: 1000,
            per_tenant: 300,
            refuse_factor: 3,
            ratio_entries: 60,
            slow_misses_percent: 60,
            refuse_misses_percent: 85,
            callers: 10_000,
            pin_free: 3,
            pin_gap: Duration::from_secs(1),
            pin_gap_most: Duration::from_secs(10),
            pin_wait: Duration::from_secs(30),
            pin_alarm: 10,
        }
    }
}
