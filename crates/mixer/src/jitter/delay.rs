//! The target delay: how much later than the fastest packets the slow ones come, and so how long to wait for them. All times are
//! in units of the timeline.

use super::timeline::MILLISECOND;

/// The longest we wait for jitter. A packet later than that is lost: conversation suffers more from delay than from gaps.
const MAX_TARGET: i64 = 120 * MILLISECOND;

/// The shortest we wait; it covers the shell's own wake-up jitter.
const MIN_TARGET: i64 = 3 * MILLISECOND;

/// What a stream is trusted with before anything is known of it.
const FIRST_TARGET: i64 = 8 * MILLISECOND;

/// A baseline is the fastest transit of the last one to two windows, so that it follows a drifting clock and a changed route.
const WINDOW: i64 = 5_000 * MILLISECOND;

/// The estimate falls by 1/e in ten seconds, so it halves in seven.
const DECAY: i64 = 10_000 * MILLISECOND;

/// After a loss the next packet is waited for as long as this, in milliseconds of sound that came; where it holds a copy of the one
/// before it, longer: that is worth more.
const LOSING_MS: u16 = 15_000;
const LOSING_COPIED_MS: u16 = 60_000;

/// The next packet may be late too. Where packets are later than this, most of them wait long enough anyway.
const LATE_NEXT: i64 = 20 * MILLISECOND;

/// Packets longer than this are not waited for beyond their time.
const LONGEST_NEXT: i64 = 30 * MILLISECOND;

/// Transit here is arrival minus the media time of the packet's last sample, from an unknown common beginning: only
/// differences mean anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    fastest: [i64; 2],
    window_end: i64,
    /// In 1/1024 units, so that the slow decay does not stop at small values.
    deviation: i32,
    /// How much longer to wait while packets are lost, and for how many milliseconds more if no other is.
    next: u16,
    losing: u16,
}

impl Delay {
    pub(super) fn new() -> Self {
        Self { fastest: [0; 2], window_end: 0, deviation: (FIRST_TARGET << 10) as i32, next: 0, losing: 0 }
    }

    /// A stream begins, or its timestamps jumped: the baseline starts over, the jitter learnt so far stays.
    pub(super) fn restart(&mut self, arrival: i64, transit: i64) {
        self.fastest = [transit; 2];
        self.window_end = arrival.saturating_add(WINDOW);
    }

    /// A packet of `length` arrived.
    pub(super) fn observe(&mut self, arrival: i64, transit: i64, length: i64) {
        if arrival >= self.window_end {
            self.fastest = [self.fastest[1], transit];
            self.window_end = arrival.saturating_add(WINDOW);
        }
        self.fastest[1] = self.fastest[1].min(transit);
        self.losing = self.losing.saturating_sub((length / MILLISECOND) as u16);
        let late = self.deviation_of(transit).clamp(0, MAX_TARGET) << 10;
        let before = i64::from(self.deviation);
        self.deviation = late.max(before - before * length / DECAY) as i32;
    }

    /// A packet is missing, and the next one, of `length`, tells what it was like, or holds a copy: while packets are lost, the next
    /// one is waited for too.
    pub(super) fn wait_for_next(&mut self, length: i64, copied: bool) {
        if length <= LONGEST_NEXT {
            (self.next, self.losing) = (length as u16, if copied { LOSING_COPIED_MS } else { LOSING_MS });
        }
    }

    /// How much longer than for slow packets to wait, so that the next one is there when one is missing.
    pub(super) fn for_next(&self) -> i64 {
        self.target() - self.late()
    }

    /// The transit of the fastest packets.
    pub(super) fn baseline(&self) -> i64 {
        self.fastest[0].min(self.fastest[1])
    }

    /// How much slower than the fastest.
    pub(super) fn deviation_of(&self, transit: i64) -> i64 {
        transit.saturating_sub(self.baseline())
    }

    /// How long to wait beyond the fastest packets.
    pub(super) fn target(&self) -> i64 {
        let late = self.late();
        if self.losing == 0 { late } else { late.max(i64::from(self.next) + late.min(LATE_NEXT)) }
    }

    fn late(&self) -> i64 {
        i64::from(self.deviation >> 10).clamp(MIN_TARGET, MAX_TARGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds packets every 20 ms with the given lateness (in milliseconds) and returns the target in milliseconds.
    fn after(delay: &mut Delay, from: i64, packets: i64, late: impl Fn(i64) -> i64) -> i64 {
        for n in from..from + packets {
            delay.observe(n * 20 * MILLISECOND, late(n) * MILLISECOND, 20 * MILLISECOND);
        }
        delay.target() / MILLISECOND
    }

    #[test]
    fn the_target_grows_at_once_is_bounded_and_falls_back_when_it_is_calm() {
        let mut delay = Delay::new();
        delay.restart(0, 0);
        assert_eq!(after(&mut delay, 0, 100, |_| 0), 6, "calm from the first");
        assert_eq!(after(&mut delay, 100, 100, |n| (n % 5) * 25), 100, "jitter of 100 ms");
        assert_eq!(after(&mut delay, 200, 10, |n| (n % 2) * 10_000), 120, "the bound");
        assert!(after(&mut delay, 210, 1500, |_| 0) < 10, "calm for 30 s");
    }

    #[test]
    fn while_packets_are_lost_the_next_one_is_waited_for_too_if_that_is_not_long() {
        let mut delay = Delay::new();
        delay.restart(0, 0);
        let calm = after(&mut delay, 0, 500, |_| 0);
        delay.wait_for_next(60 * MILLISECOND, false);
        assert_eq!(after(&mut delay, 500, 1, |_| 0), calm, "packets of 60 ms");
        delay.wait_for_next(20 * MILLISECOND, false);
        assert_eq!(after(&mut delay, 500, 700, |_| 0), calm + 20, "for 15 s, with nothing later");
        assert_eq!(after(&mut delay, 1_200, 60, |_| 0), calm, "then no more");
        delay.wait_for_next(20 * MILLISECOND, true);
        assert_eq!(delay.for_next(), 20 * MILLISECOND);
        assert_eq!(after(&mut delay, 1_260, 10, |n| n % 2 * 15), 35, "what comes late is waited for besides");
        assert_eq!(
            after(&mut delay, 1_270, 10, |n| n % 2 * 100),
            100,
            "and needs nothing more where it is long"
        );
    }

    #[test]
    fn a_slower_route_becomes_the_baseline_and_is_not_taken_for_jitter() {
        let mut delay = Delay::new();
        delay.restart(0, 0);
        after(&mut delay, 0, 100, |_| 0);
        after(&mut delay, 100, 600, |_| 50);
        assert_eq!(delay.baseline(), 50 * MILLISECOND);
    }

    #[test]
    fn a_drift_of_200_ppm_over_eight_hours_does_not_look_like_jitter() {
        for sign in [1, -1] {
            let mut delay = Delay::new();
            delay.restart(0, 0);
            for n in 0..8 * 3600 * 50 {
                delay.observe(n * 960, sign * n * 960 / 5_000, 960);
            }
            assert!(delay.target() <= 4 * MILLISECOND, "{}", delay.target());
        }
    }
}
