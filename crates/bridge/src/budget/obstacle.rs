//! What stands against a dial-out, or against its next minute.

use super::{Budget, BudgetKind, Price, Who, kind, words};
use crate::command::DialOutRefusal;
use crate::money::{Amount, Currency, Micros};
use crate::spending::Period;
use crate::tariff::Scope;
use std::time::{Duration, SystemTime};

/// See the module.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Microsoft, beyond where the pool reaches, and no credits.
    NoCredits,
    /// The pool is used up, and there are no credits.
    Pool,
    /// A limit on money cannot count it.
    Unpriced { scope: Scope, limit: Currency, price: Option<Currency> },
    /// What was spent is not known.
    Unread(BudgetKind),
    /// A limit cannot pay it.
    Spent { scope: Scope, period: Period, most: Amount, spent: u64, ringing: u64, cost: u64 },
}

impl Obstacle {
    /// What a running leg has come to its end by.
    pub(super) fn kind(&self) -> BudgetKind {
        match self {
            // Whatever has no price and runs was paid by the pool until now.
            Self::NoCredits | Self::Pool | Self::Unpriced { .. } => BudgetKind::MinutePool,
            Self::Unread(kind) => *kind,
            Self::Spent { period, .. } => kind(*period),
        }
    }
}

impl Budget {
    /// The same for whoever asked.
    pub(super) fn refusal(
        &self,
        wall: SystemTime,
        who: &Who,
        price: &Price,
        obstacle: &Obstacle,
    ) -> DialOutRefusal {
        let tenant = &who.tenant;
        let opens = |period| {
            let left = self.spending.ends(period).0.duration_since(wall).unwrap_or_default();
            // A whole number of seconds, and not one too early.
            Some(Duration::from_secs(left.as_secs() + 1))
        };
        match obstacle {
            Obstacle::NoCredits => DialOutRefusal::Unpriced {
                because: format!(
                    "{tenant} has no Communications Credits, and its minute pool covers dial-out into Zone A only: buy \
                     credits, or give a route to an operator"
                ),
            },
            Obstacle::Pool => {
                let minutes = self.pools.get(tenant).copied().unwrap_or(0) / 60;
                let because = format!(
                    "the minute pool of {tenant} is used up ({minutes} minutes for this month) and there are no \
                     Communications Credits: it opens again at {}",
                    self.spending.ends(Period::Month)
                );
                DialOutRefusal::Limit { because, retry_after: opens(Period::Month) }
            }
            Obstacle::Unpriced { scope, limit, price: known } => {
                let biller = &price.biller;
                let has = match known {
                    Some(currency) => format!("is priced in {currency}"),
                    None => "has no price".to_owned(),
                };
                DialOutRefusal::Unpriced {
                    because: format!(
                        "{scope} has a limit in {limit}, and this number {has} where {biller} bills it: give the \
                         [[rate_plan]] of {biller} its price in {limit}, or the [[dial_out_limit]] without_price = \"allow\""
                    ),
                }
            }
            Obstacle::Unread(_) => DialOutRefusal::Uncounted,
            Obstacle::Spent { scope, period, most, spent, ringing, cost } => {
                let (word, key) = words(*period);
                let kept = match ringing {
                    0 => String::new(),
                    ringing => format!(" ({} of it kept for calls that ring)", Micros(*ringing)),
                };
                let because = format!(
                    "{scope} has spent {} of {most} {word} on dial-outs{kept}, and this one costs {} at least \
                     ([[dial_out_limit]] {key}): it opens again at {}",
                    Micros(*spent),
                    Micros(*cost),
                    self.spending.ends(*period)
                );
                DialOutRefusal::Limit { because, retry_after: opens(*period) }
            }
        }
    }
}
