//! Whose turn it is among several: the lowest priority first, and among equals a draw by weight (RFC 2782).

use rand::{Rng, RngExt as _};

/// Priority and weight.
pub(crate) type Rank = (u16, u16);

/// All of them in the order in which to try them. Who has weight 0 is drawn rarely. Nothing is drawn where nobody has equals.
pub(crate) fn in_turn<T>(mut left: Vec<T>, rank: impl Fn(&T) -> Rank, random: &mut impl Rng) -> Vec<T> {
    // As RFC 2782 draws them: those of weight 0 first. Otherwise in the order in which they came.
    left.sort_by_key(&rank);
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let priority = rank(first).0;
        let equals = left.iter().take_while(|one| rank(one).0 == priority).count();
        let at = if equals > 1 { draw(&left[..equals], &rank, random) } else { 0 };
        order.push(left.remove(at));
    }
    order
}

fn draw<T>(equals: &[T], rank: &impl Fn(&T) -> Rank, random: &mut impl Rng) -> usize {
    let total: u32 = equals.iter().map(|one| u32::from(rank(one).1)).sum();
    let drawn = random.random_range(0..=total);
    let mut running = 0;
    let at = equals.iter().position(|one| {
        running += u32::from(rank(one).1);
        running >= drawn
    });
    at.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn priorities_come_first_and_weights_share_what_is_equal() {
        let mut random = StdRng::seed_from_u64(1);
        let ranks: [(&str, Rank); 4] =
            [("spare", (2, 9)), ("big", (1, 3)), ("small", (1, 1)), ("last", (3, 0))];
        let mut big_first = 0;
        for _ in 0..4000 {
            let order = in_turn(ranks.to_vec(), |one| one.1, &mut random);
            assert_eq!((order[2].0, order[3].0), ("spare", "last"));
            big_first += usize::from(order[0].0 == "big");
        }
        // RFC 2782 draws from 0 to 4 inclusive: small has 0 and 1, big 2 to 4. 4000 draws of 0.6 deviate by 31.
        assert!(big_first.abs_diff(2400) < 155, "{big_first}");
    }
}
