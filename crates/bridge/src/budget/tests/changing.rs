//! Other prices and limits while telephones ring and people talk.

use super::*;

fn change(budget: &mut Budget, document: &str) {
    budget.change(Arc::new(tariffs(document).expect("tariffs")), &table());
}

#[test]
fn who_runs_keeps_the_price_that_he_began_with_and_the_next_one_has_the_new_one() {
    let mut budget = budget("");
    let (megan, operator) = (who("megan", true), candidate("operator:acme", GERMAN));
    dial(&mut budget, at(0, 0), 1, &megan, &operator).expect("allowed");
    let dearer = PRICES.replace("\"0.06\"", "\"6\"").replace("per-started-second", "per-started-minute");
    change(&mut budget, &dearer);
    dial(&mut budget, at(0, 0), 2, &megan, &operator).expect("allowed");
    let bills = [1, 2].map(|leg| finish(&mut budget, leg, 30));
    assert_eq!(bills.each_ref().map(|bill| bill.billed_seconds), [30, 60]);
    assert_eq!(bills.map(|bill| bill.charge), [Micros(30_000), Micros(6_000_000)]);
}

#[test]
fn what_was_spent_before_a_limit_came_counts_and_what_runs_counts_too() {
    let mut budget = budget("");
    let (megan, abroad) = (who("megan", true), candidate("microsoft", LATVIAN));
    dial(&mut budget, at(0, 0), 1, &megan, &abroad).expect("allowed");
    finish(&mut budget, 1, 30);
    dial(&mut budget, at(1, 0), 2, &megan, &abroad).expect("allowed");
    assert!(!budget.must_guard());
    change(
        &mut budget,
        &format!("{PRICES}[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"2.00 EUR\"\n"),
    );
    refused(
        dial(&mut budget, at(1, 1), 3, &megan, &abroad),
        &["tenant contoso has spent 1.40 of 2.00 EUR today"],
    );
    assert!(budget.must_guard(), "the limit is its too");
    let warned: Vec<_> = (0..=65).flat_map(|second| budget.guard(at(1, second), noon()).warn).collect();
    assert_eq!(warned, [LegId(2)], "its next minute is paid for, no third one is");
    let stopped: Vec<_> = (66..=180).flat_map(|second| budget.guard(at(1, second), noon()).stop).collect();
    assert_eq!(stopped.first(), Some(&(LegId(2), BudgetKind::SpendPerDay)));
    finish(&mut budget, 2, 60);
    assert_eq!((budget.claims.len(), budget.running.len(), budget.must_guard()), (0, 0, false));
}

#[test]
fn a_limit_that_goes_binds_nobody_and_one_that_cannot_count_a_running_leg_does_not_end_it() {
    let limit = "[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"0.75 EUR\"\n";
    let mut budget = budget(limit);
    let (megan, abroad) = (who("megan", true), candidate("microsoft", LATVIAN));
    dial(&mut budget, at(0, 0), 1, &megan, &abroad).expect("allowed");
    let dollars = "[[rate_plan]]\nbiller = \"customer\"\ncurrency = \"USD\"\nrates = [{ prefix = \"+\", per_minute = \"1\" }]\n";
    change(&mut budget, &format!("{PRICES}{dollars}{}", limit.replace("0.75 EUR", "0.75 USD")));
    for second in 0..300 {
        assert_eq!(budget.guard(at(0, second), noon()).stop, []);
    }
    assert!(dial(&mut budget, at(5, 0), 2, &megan, &abroad).is_err(), "a new one is not counted, so refused");
    change(&mut budget, PRICES);
    dial(&mut budget, at(5, 0), 2, &megan, &abroad).expect("no limit any more");
    for leg in [1, 2] {
        finish(&mut budget, leg, 30);
    }
    assert_eq!((budget.claims.len(), budget.must_guard()), (0, false));
}
