//! What rings holds what its first minute costs.

use super::*;

const DAY: &str = "[[dial_out_limit]]\neach = \"organizer\"\nspend_per_day = \"2.00 EUR\"\n";

#[test]
fn telephones_that_ring_together_are_not_let_through_by_the_same_last_minute() {
    let mut budget = budget(DAY);
    let megan = who("megan", true);
    // 0.70 each for the connection and the first minute.
    let abroad = candidate("microsoft", LATVIAN);
    ring(&mut budget, at(0, 0), 1, &megan, &abroad).expect("nothing is spent");
    ring(&mut budget, at(0, 0), 2, &megan, &abroad).expect("0.70 are reserved");
    refused(ring(&mut budget, at(0, 0), 3, &megan, &abroad), &["1.40 of 2.00 EUR today", "costs 0.70"]);
    // Nobody answered the first: what it held is free again.
    budget.finish(noon(), LegId(1), Duration::ZERO);
    ring(&mut budget, at(0, 31), 3, &megan, &abroad).expect("0.70 are free");
    refused(ring(&mut budget, at(0, 31), 4, &megan, &abroad), &["1.40 of 2.00 EUR today"]);
}

#[test]
fn the_pool_keeps_the_first_minute_of_what_rings() {
    let mut budget = budget("");
    let frida = who("frida", false);
    let microsoft = candidate("microsoft", GERMAN);
    // Fabrikam has 60 minutes and no credits.
    for leg in 1..=60 {
        ring(&mut budget, at(0, 0), leg, &frida, &microsoft).expect("a minute is left");
    }
    refused(ring(&mut budget, at(0, 0), 61, &frida, &microsoft), &["the minute pool of fabrikam is used up"]);
    for leg in 1..=60 {
        assert_eq!(finish(&mut budget, leg, 0).pool_seconds, 0);
    }
    ring(&mut budget, at(0, 1), 61, &frida, &microsoft).expect("nobody answered");
    finish(&mut budget, 61, 0);
    assert_eq!(budget.claims.len(), 0, "nothing is kept for nobody");
}

#[test]
fn what_rings_is_not_used_yet_so_nobody_is_told_of_it() {
    let mut budget = budget(DAY);
    let megan = who("megan", true);
    for leg in [1, 2] {
        ring(&mut budget, at(0, 0), leg, &megan, &candidate("microsoft", LATVIAN)).expect("allowed");
    }
    assert_eq!(budget.guard(at(0, 1), noon()), Verdict::default());
    budget.answered(at(0, 2), LegId(1));
    budget.answered(at(0, 2), LegId(2));
    let verdict = budget.guard(at(0, 2), noon());
    assert_eq!((verdict.stop, verdict.notices), (vec![], vec![]), "1.40 of 2.00 are 70 per cent");
}

#[test]
fn who_answers_when_the_limit_is_passed_already_is_ended_at_once() {
    let mut budget = budget(DAY);
    let megan = who("megan", true);
    let abroad = candidate("microsoft", LATVIAN);
    dial(&mut budget, at(0, 0), 1, &megan, &abroad).expect("nothing is spent");
    ring(&mut budget, at(0, 0), 2, &megan, &abroad).expect("0.70 are reserved");
    // The first lasted longer than anybody looked at it: 1.90 are spent, and 0.70 were promised.
    assert_eq!(finish(&mut budget, 1, 150).charge, Micros(1_900_000));
    budget.answered(at(2, 31), LegId(2));
    assert_eq!(budget.guard(at(2, 31), noon()).stop, [(LegId(2), BudgetKind::SpendPerDay)]);
    // A license was given back while it rang.
    let mut budget = super::budget("");
    let frida = who("frida", false);
    ring(&mut budget, at(0, 0), 1, &frida, &candidate("microsoft", GERMAN)).expect("the pool is full");
    budget.pools.clear();
    budget.answered(at(0, 5), LegId(1));
    assert_eq!(budget.guard(at(0, 5), noon()).stop, [(LegId(1), BudgetKind::MinutePool)]);
}

#[test]
fn a_further_candidate_is_dialed_only_if_there_is_still_enough_for_it() {
    let mut budget = budget(DAY);
    let megan = who("megan", true);
    let (cheap, dear) = (candidate("operator:acme", GERMAN), candidate("microsoft", LATVIAN));
    let both = budget.check(at(0, 0), noon(), &megan, vec![cheap.clone(), dear.clone()]).expect("both");
    budget.begin(at(0, 0), LegId(1), megan.clone(), &both[0]);
    budget.dialing(noon(), LegId(1), &both[0]).expect("a tenth of a cent");
    for leg in [2, 3] {
        ring(&mut budget, at(0, 1), leg, &megan, &dear).expect("1.40 of 2.00");
    }
    let refusal = budget.dialing(noon(), LegId(1), &both[1]).expect_err("0.60 are left");
    assert!(
        refusal.to_string().contains("2.00 EUR today on dial-outs (1.40 of it kept for calls"),
        "{refusal}"
    );
    finish(&mut budget, 1, 0);
    ring(&mut budget, at(0, 2), 1, &megan, &cheap).expect("it keeps nothing");
}

#[test]
fn what_has_no_price_that_a_limit_can_count_is_refused_unless_the_limit_says_otherwise() {
    let megan = who("megan", true);
    let latvian = candidate("operator:acme", LATVIAN);
    let mut strict = budget(DAY);
    let refusal = ring(&mut strict, at(0, 0), 1, &megan, &latvian).expect_err("no price");
    assert!(matches!(refusal, DialOutRefusal::Unpriced { .. }), "{refusal:?}");
    refused(Err(refusal), &["organizer megan has a limit in EUR", "has no price", "without_price"]);
    let mut lax = budget(&format!("{DAY}without_price = \"allow\"\n"));
    dial(&mut lax, at(0, 0), 1, &megan, &latvian).expect("as it is written");
    assert_eq!(lax.guard(at(9, 0), noon()).stop, []);
    // A price in another currency is none, unless a limit for the same counts that too.
    let dollars = "[[rate_plan]]\nbiller = \"customer\"\ncurrency = \"USD\"\nrates = [{ prefix = \"+\", per_minute = \"1\" }]\n";
    let own = candidate("customer", LATVIAN);
    let mut budget = super::budget(&format!("{DAY}{dollars}"));
    refused(ring(&mut budget, at(0, 0), 1, &megan, &own), &["a limit in EUR", "is priced in USD"]);
    let both =
        format!("{DAY}[[dial_out_limit]]\neach = \"organizer\"\nspend_per_month = \"1.50 USD\"\n{dollars}");
    let mut budget = super::budget(&both);
    ring(&mut budget, at(0, 0), 1, &megan, &own).expect("counted in dollars");
    refused(ring(&mut budget, at(0, 0), 2, &megan, &own), &["has spent 1.00 of 1.50 USD this month"]);
}

#[test]
fn the_pool_pays_what_has_no_price_and_then_it_ends() {
    let without = "[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"2.00 EUR\"\n";
    let plan = "[[rate_plan]]\nbiller = \"operator:acme\"\ncurrency = \"EUR\"\nrates = [{ prefix = \"+\", per_minute = \"1\" }]\n";
    let mut budget = Budget::new(Arc::default(), Rounding::default(), &table());
    let tariffs = tariffs(&format!("{plan}{without}")).expect("tariffs");
    budget.set(Arc::new(tariffs), Spending::at(noon()), &table());
    let frida = who("frida", true);
    dial(&mut budget, at(0, 0), 1, &frida, &candidate("microsoft", GERMAN)).expect("60 minutes in the pool");
    assert_eq!(budget.guard(at(58, 58), noon()).warn, []);
    assert_eq!(budget.guard(at(59, 30), noon()).warn, [LegId(1)]);
    assert_eq!(budget.guard(at(59, 59), noon()).stop, [(LegId(1), BudgetKind::MinutePool)]);
}

#[test]
fn what_was_spent_and_cannot_be_read_is_not_taken_for_nothing() {
    let limits = tariffs(&format!("{PRICES}{DAY}")).expect("tariffs");
    let mut budget = Budget::new(Arc::default(), Rounding::default(), &table());
    budget.set(Arc::new(limits), Spending::unread(noon()), &table());
    let abroad = candidate("microsoft", LATVIAN);
    let refusal = ring(&mut budget, at(0, 0), 1, &who("megan", true), &abroad).expect_err("it is not known");
    assert_eq!(refusal, DialOutRefusal::Uncounted);
    let pooled = ring(&mut budget, at(0, 0), 1, &who("frida", false), &candidate("microsoft", GERMAN));
    assert_eq!(pooled.expect_err("nor is the pool"), DialOutRefusal::Uncounted);
    // Of tomorrow all is known, of this month it is not.
    let tomorrow = noon() + Duration::from_hours(24);
    assert!(budget.check(at(0, 0), tomorrow, &who("megan", true), vec![abroad]).is_ok());
    let pooled = vec![candidate("microsoft", GERMAN)];
    assert!(budget.check(at(0, 0), tomorrow, &who("frida", false), pooled.clone()).is_err());
    let december = noon() + Duration::from_hours(24 * 8);
    assert!(budget.check(at(0, 0), december, &who("frida", false), pooled).is_ok());
    // Without a limit nothing has to be known.
    let mut budget = super::budget("");
    budget.spending = Spending::unread(noon());
    ring(&mut budget, at(0, 0), 1, &who("megan", true), &candidate("operator:acme", GERMAN))
        .expect("no limit");
}

#[test]
fn what_no_limit_counts_any_more_is_forgotten() {
    let each =
        "[[dial_out_limit]]\neach = \"meeting\"\nattempts_per_minute = 9\nspend_per_day = \"9.00 EUR\"\n";
    let mut budget = budget(each);
    let megan = who("megan", true);
    for leg in 0..2_000_u64 {
        let meeting = Who { meeting: leg.to_string().into(), ..megan.clone() };
        // Ten begin each second.
        let when = epoch() + Duration::from_millis(leg * 100);
        dial(&mut budget, when, leg, &meeting, &candidate("operator:acme", GERMAN)).expect("allowed");
        finish(&mut budget, leg, 5);
    }
    assert_eq!((budget.claims.len(), budget.running.len(), budget.must_guard()), (0, 0, false));
    assert!(budget.begun.len() < 2 * 896, "{} meetings have begun some within a minute", budget.begun.len());
    assert_eq!(budget.spending.sums(), 2_002, "the meetings, their tenant and their organizer");
    let tomorrow = noon() + Duration::from_hours(24);
    budget.check(at(9, 0), tomorrow, &megan, Vec::new()).expect("nothing to refuse");
    assert_eq!(budget.spending.sums(), 2, "a limit for the month may come, for all but meetings");
}

#[test]
fn a_refusal_says_after_how_long_it_opens_again_where_that_is_known() {
    let limits = "[[dial_out_limit]]\neach = \"tenant\"\nconcurrent = 2\nattempts_per_minute = 9\nspend_per_month = \"0.75 EUR\"\n\
                  [[dial_out_limit]]\neach = \"meeting\"\nattempts_per_minute = 1\n";
    let after = |refusal: DialOutRefusal| match refusal {
        DialOutRefusal::Limit { retry_after, .. } => retry_after.map(|after| after.as_secs()),
        other => panic!("{other:?}"),
    };
    let mut budget = budget(limits);
    let megan = who("megan", true);
    let elsewhere = Who { meeting: "222222222".into(), ..megan.clone() };
    let abroad = candidate("microsoft", LATVIAN);
    ring(&mut budget, at(0, 0), 1, &megan, &abroad).expect("allowed");
    let pace = ring(&mut budget, at(0, 20), 2, &megan, &abroad).expect_err("one a minute");
    assert_eq!(after(pace), Some(41));
    let money = ring(&mut budget, at(0, 20), 2, &elsewhere, &abroad).expect_err("0.05 are left");
    assert_eq!(after(money), Some(7 * 86_400 + 43_200 + 1), "noon of the 23rd to the end of November");
    ring(&mut budget, at(0, 20), 2, &elsewhere, &candidate("operator:acme", GERMAN)).expect("allowed");
    let third = Who { meeting: "333333333".into(), ..megan };
    let busy = ring(&mut budget, at(0, 20), 3, &third, &abroad).expect_err("two at once");
    assert_eq!(after(busy), None, "when one ends nobody knows");
}
