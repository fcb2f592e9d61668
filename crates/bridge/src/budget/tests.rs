use super::*;
use crate::bridge::tests::{epoch, noon, table};
use crate::money::Micros;
use crate::spending::SpentLeg;
use crate::tariff::tests::tariffs;

mod changing;
mod ringing;

const PRICES: &str = r#"
[[rate_plan]]
biller = "microsoft"
currency = "EUR"
rounding = "per-started-minute"
rates = [{ prefix = "+", per_minute = "0.60", connection_fee = "0.10" }]
[[rate_plan]]
biller = "operator:acme"
currency = "EUR"
rounding = "per-started-second"
rates = [{ prefix = "+49", per_minute = "0.06" }]
"#;

fn budget(limits: &str) -> Budget {
    let mut budget = Budget::new(Arc::default(), Rounding::default(), &table());
    let tariffs = tariffs(&format!("{PRICES}{limits}")).expect("tariffs");
    budget.set(Arc::new(tariffs), Spending::at(noon()), &table());
    budget
}

fn who(organizer: &str, credits: bool) -> Who {
    let who = Who::of(&table(), &organizer.into(), "111111111").expect("an organizer");
    Who { credits, ..who }
}

fn candidate(biller: &str, dialed: &str) -> Candidate {
    Candidate {
        trunk: "trunk".into(),
        dialed: dialed.parse().expect("a number"),
        caller_id: "+14255550100".parse().expect("a number"),
        biller: biller.parse().expect("a biller"),
        route: None,
        rule: routing::Rule::O6,
        down: false,
        because: String::new(),
    }
}

const GERMAN: &str = "+493012345678";
const LATVIAN: &str = "+37120123456";

/// Minutes and seconds after the beginning.
fn at(minutes: u64, seconds: u64) -> Instant {
    epoch() + Duration::from_secs(minutes * 60 + seconds)
}

/// A dial-out that rings.
fn ring(
    budget: &mut Budget,
    when: Instant,
    leg: u64,
    who: &Who,
    candidate: &Candidate,
) -> Result<(), DialOutRefusal> {
    let allowed = budget.check(when, noon(), who, vec![candidate.clone()])?;
    budget.begin(when, LegId(leg), who.clone(), &allowed[0]);
    budget.dialing(noon(), LegId(leg), &allowed[0])
}

/// A dial-out that is answered at once.
fn dial(
    budget: &mut Budget,
    when: Instant,
    leg: u64,
    who: &Who,
    candidate: &Candidate,
) -> Result<(), DialOutRefusal> {
    ring(budget, when, leg, who, candidate)?;
    budget.answered(when, LegId(leg));
    Ok(())
}

/// It is over; what it cost.
fn finish(budget: &mut Budget, leg: u64, lasted: u64) -> Bill {
    budget.finish(noon(), LegId(leg), Duration::from_secs(lasted)).0
}

fn refused(result: Result<(), DialOutRefusal>, said: &[&str]) {
    let because = result.expect_err("a limit").to_string();
    for words in said {
        assert!(because.contains(words), "{words} in {because}");
    }
}

#[test]
fn the_pool_pays_first_and_credits_what_it_does_not_cover() {
    let mut budget = budget("");
    // Fabrikam has one license: 60 minutes.
    let frida = who("frida", true);
    let microsoft = candidate("microsoft", GERMAN);
    dial(&mut budget, at(0, 0), 1, &frida, &microsoft).expect("allowed");
    let bill = finish(&mut budget, 1, 58 * 60 + 30);
    assert_eq!((bill.billed_seconds, bill.pool_seconds, bill.charge), (3540, 3540, Micros(0)));
    assert_eq!(bill.account.as_deref(), Some("pool"));
    dial(&mut budget, at(60, 0), 2, &frida, &microsoft).expect("allowed");
    let bill = finish(&mut budget, 2, 150);
    assert_eq!((bill.billed_seconds, bill.pool_seconds, bill.charge), (180, 60, Micros(1_300_000)));
    assert_eq!(bill.account.as_deref(), Some("communications-credits"));
    // Neither what an operator bills nor what is outside Zone A comes out of a pool; other tenants have their own.
    for (organizer, biller, dialed, pool, charge) in [
        ("megan", "operator:acme", GERMAN, 0, 1_000),
        ("megan", "microsoft", LATVIAN, 0, 700_000),
        ("megan", "microsoft", GERMAN, 60, 0),
        ("adele", "microsoft", GERMAN, 0, 700_000),
    ] {
        dial(&mut budget, at(70, 0), 3, &who(organizer, true), &candidate(biller, dialed)).expect("allowed");
        let bill = finish(&mut budget, 3, 1);
        assert_eq!((bill.pool_seconds, bill.charge), (pool, Micros(charge)), "{organizer} {biller} {dialed}");
    }
}

#[test]
fn a_call_that_was_never_answered_costs_nothing() {
    let mut budget = budget("");
    let megan = who("megan", true);
    ring(&mut budget, at(0, 0), 1, &megan, &candidate("microsoft", LATVIAN)).expect("allowed");
    let bill = finish(&mut budget, 1, 0);
    assert_eq!((bill.billed_seconds, bill.charge, bill.account), (0, Micros(0), None));
}

#[test]
fn dial_outs_at_once_and_within_a_minute_are_limited_for_each() {
    let limits = "[[dial_out_limit]]\neach = \"organizer\"\nconcurrent = 2\n\
                  [[dial_out_limit]]\neach = \"tenant\"\nof = \"contoso\"\nattempts_per_minute = 3\n";
    let mut budget = budget(limits);
    let (megan, adele, frida) = (who("megan", true), who("adele", true), who("frida", true));
    let operator = candidate("operator:acme", GERMAN);
    dial(&mut budget, at(0, 0), 1, &megan, &operator).expect("the first");
    dial(&mut budget, at(0, 10), 2, &megan, &operator).expect("the second");
    refused(
        dial(&mut budget, at(0, 20), 3, &megan, &operator),
        &["organizer megan has 2 dial-outs under way", "concurrent", "wait until one has ended"],
    );
    dial(&mut budget, at(0, 20), 3, &adele, &operator).expect("another organizer");
    finish(&mut budget, 1, 30);
    refused(
        dial(&mut budget, at(0, 40), 4, &megan, &operator),
        &["tenant contoso has begun 3 dial-outs", "attempts_per_minute", "try again in 21 s"],
    );
    dial(&mut budget, at(0, 40), 5, &frida, &operator).expect("another tenant");
    dial(&mut budget, at(1, 0), 6, &megan, &operator).expect("a minute after the first");
}

#[test]
fn a_spending_limit_refuses_what_it_cannot_pay_and_says_when_it_opens_again() {
    let limits = "[[dial_out_limit]]\neach = \"organizer\"\nspend_per_day = \"2.00 EUR\"\n\
                  [[dial_out_limit]]\neach = \"tenant\"\nspend_per_month = \"3.00 EUR\"\n";
    let mut budget = budget(limits);
    let (megan, adele) = (who("megan", true), who("adele", true));
    let (abroad, operator) = (candidate("microsoft", LATVIAN), candidate("operator:acme", GERMAN));
    dial(&mut budget, at(0, 0), 1, &megan, &abroad).expect("nothing is spent");
    finish(&mut budget, 1, 150);
    refused(
        dial(&mut budget, at(3, 0), 2, &megan, &abroad),
        &["organizer megan has spent 1.90 of 2.00 EUR today", "costs 0.70", "2026-11-24T00:00:00.000Z"],
    );
    dial(&mut budget, at(3, 0), 2, &megan, &operator)
        .expect("a second at the operator costs a tenth of a cent");
    finish(&mut budget, 2, 30);
    dial(&mut budget, at(4, 0), 3, &adele, &abroad).expect("another organizer");
    // What runs counts too: 1.93 are settled, 0.70 accrue.
    refused(
        dial(&mut budget, at(4, 1), 4, &adele, &abroad),
        &["tenant contoso has spent 2.63 of 3.00 EUR this month", "2026-12-01T00:00:00.000Z"],
    );
    finish(&mut budget, 3, 30);
    let tomorrow = noon() + Duration::from_hours(24);
    let allowed = budget.check(at(0, 0), tomorrow, &megan, vec![operator.clone()]).expect("another day");
    assert_eq!(allowed.len(), 1);
}

#[test]
fn a_candidate_that_a_limit_rules_out_is_left_out_and_the_next_is_dialed() {
    let mut budget = budget("[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"0.50 EUR\"\n");
    let candidates = vec![candidate("microsoft", LATVIAN), candidate("operator:acme", GERMAN)];
    let allowed = budget.check(at(0, 0), noon(), &who("megan", true), candidates).expect("one is left");
    assert_eq!(allowed.iter().map(|one| one.biller.to_string()).collect::<Vec<_>>(), ["operator:acme"]);
}

#[test]
fn without_credits_microsoft_dials_no_further_than_the_pool_reaches() {
    let mut budget = budget("");
    let frida = who("frida", false);
    refused(
        dial(&mut budget, at(0, 0), 1, &frida, &candidate("microsoft", LATVIAN)),
        &["fabrikam has no Communications Credits", "Zone A only"],
    );
    let microsoft = candidate("microsoft", GERMAN);
    dial(&mut budget, at(0, 0), 1, &frida, &microsoft).expect("the pool is full");
    assert!(budget.must_guard());
    assert_eq!(budget.guard(at(30, 0), noon()), Verdict::default());
    let percent = |verdict: &Verdict| verdict.notices.iter().map(|notice| notice.percent).collect::<Vec<_>>();
    let verdict = budget.guard(at(47, 30), noon());
    assert_eq!((percent(&verdict), verdict.notices[0].used.as_str()), (vec![80], "48 of 60 minutes"));
    let verdict = budget.guard(at(59, 10), noon());
    assert_eq!((verdict.warn, verdict.stop), (vec![LegId(1)], vec![]));
    assert_eq!(budget.guard(at(59, 20), noon()).warn, [], "once");
    let verdict = budget.guard(at(59, 58), noon());
    assert_eq!(verdict.stop, [], "the sixtieth minute is paid for");
    let verdict = budget.guard(at(59, 59), noon());
    assert_eq!(verdict.stop, [(LegId(1), BudgetKind::MinutePool)]);
    let bill = finish(&mut budget, 1, 59 * 60 + 59);
    assert_eq!((bill.pool_seconds, bill.charge), (3600, Micros(0)));
    refused(
        dial(&mut budget, at(61, 0), 2, &frida, &microsoft),
        &["the minute pool of fabrikam is used up (60 minutes for this month)", "2026-12-01T00:00:00.000Z"],
    );
    let next_month = noon() + Duration::from_hours(24 * 8);
    assert!(budget.check(at(61, 0), next_month, &frida, vec![microsoft]).is_ok());
}

#[test]
fn what_runs_is_warned_a_minute_ahead_and_ended_before_the_limit_is_passed() {
    for rounding in ["microsoft", "operator:acme"] {
        let mut budget = budget("[[dial_out_limit]]\neach = \"meeting\"\nspend_per_day = \"1.00 EUR\"\n");
        let dialed = if rounding == "microsoft" { LATVIAN } else { GERMAN };
        let megan = who("megan", true);
        let (mut warned, mut running) = (Vec::new(), Vec::new());
        let (mut settled, mut second) = (0, 0);
        for leg in 1..=9 {
            if dial(&mut budget, at(0, leg), leg, &megan, &candidate(rounding, dialed)).is_ok() {
                running.push(leg);
            }
        }
        let began = running.clone();
        while !running.is_empty() {
            second += 1;
            assert!(second < 3_600, "{rounding}: it ends");
            let now = at(0, 10) + Duration::from_secs(second);
            let verdict = budget.guard(now, noon());
            warned.extend(verdict.warn.iter().map(|leg| (leg.0, second)));
            for (leg, _) in verdict.stop {
                let lasted = now - at(0, leg.0);
                settled += budget.finish(noon(), leg, lasted).0.charge.0;
                running.retain(|other| *other != leg.0);
                if let Some((_, then)) = warned.iter().find(|(other, _)| *other == leg.0) {
                    assert!(second - then <= 60, "{rounding}: warned {} s ahead", second - then);
                }
            }
        }
        assert!(settled <= 1_000_000, "{rounding}: {settled}");
        assert!(settled > 600_000, "{rounding}: {settled} of a million were used");
        let mut heard: Vec<_> = warned.iter().map(|(leg, _)| *leg).collect();
        heard.sort_unstable();
        heard.dedup();
        assert_eq!(heard.len(), warned.len(), "each is warned once");
        assert!(rounding == "microsoft" || heard == began, "whoever has a minute left is warned: {heard:?}");
    }
}

#[test]
fn eighty_and_a_hundred_per_cent_are_said_once_a_period() {
    let mut budget = budget("[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"1.00 EUR\"\n");
    let megan = who("megan", true);
    for (leg, micros_before) in [(1, 0), (2, 700_000)] {
        assert_eq!(
            budget.spending.spent(&Scope::Tenant("contoso".into()), "EUR".parse().expect("EUR"), Period::Day),
            micros_before
        );
        let _ = dial(&mut budget, at(leg, 0), leg, &megan, &candidate("microsoft", LATVIAN));
        finish(&mut budget, leg, 30);
        assert_eq!(budget.notices_of(&megan), [], "70 %");
    }
    dial(&mut budget, at(5, 0), 5, &megan, &candidate("operator:acme", GERMAN)).expect("allowed");
    let percents: Vec<(u8, String)> = (0..400)
        .flat_map(|second| budget.guard(at(5, second), noon()).notices)
        .map(|notice| (notice.percent, notice.used))
        .collect();
    assert_eq!(
        percents,
        [(80, "0.80 of 1.00 EUR today".to_owned()), (100, "1.00 of 1.00 EUR today".to_owned())]
    );
}

#[test]
fn what_an_earlier_run_has_spent_counts() {
    let mut budget = budget("");
    let tariffs =
        tariffs(&format!("{PRICES}[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"1.00 EUR\"\n"));
    let mut spent = Spending::at(noon());
    let charge = Some((Micros(500_000), "EUR".parse().expect("EUR")));
    spent.add(&SpentLeg {
        tenant: "contoso".into(),
        organizer: "adele".into(),
        ended: noon(),
        charge,
        pool_seconds: 0,
    });
    budget.set(Arc::new(tariffs.expect("tariffs")), spent, &table());
    refused(
        dial(&mut budget, at(0, 0), 1, &who("megan", true), &candidate("microsoft", LATVIAN)),
        &["tenant contoso has spent 0.50 of 1.00 EUR today"],
    );
}

#[test]
fn what_check_says_of_limits_is_what_a_dial_out_meets() {
    let dollars = "[[rate_plan]]\nbiller = \"customer\"\ncurrency = \"USD\"\n\
                   rates = [{ prefix = \"+\", per_minute = \"1\" }]\n";
    let each = |more: &str| format!("[[dial_out_limit]]\neach = \"tenant\"\n{more}\n");
    let one = |more: &str| each(&format!("of = \"contoso\"\n{more}"));
    let (euro, dollar) = ("spend_per_day = \"10 EUR\"", "spend_per_day = \"10 USD\"");
    let lax = "without_price = \"allow\"";
    // What is refused to contoso, which is named, and to fabrikam, which is not.
    for (limits, contoso, fabrikam) in [
        (format!("{}{}", each(euro), one(dollar)), false, true),
        (format!("{}{}", each(dollar), one(euro)), false, false),
        (one(euro), true, false),
        (format!("{}{}", each(&format!("{euro}\n{lax}")), one(euro)), true, false),
        (format!("{}{}", each(euro), one(&format!("{dollar}\n{lax}"))), false, true),
        (format!("{}{}", each(euro), one(&format!("{euro}\n{lax}"))), true, true),
        (each(&format!("{euro}\n{lax}")), false, false),
        (format!("{}{}", each(euro), each(dollar)), false, false),
    ] {
        let mut budget = budget(&format!("{dollars}{limits}"));
        for (organizer, expected) in [("megan", contoso), ("frida", fabrikam)] {
            let allowed =
                budget.check(at(0, 0), noon(), &who(organizer, true), vec![candidate("customer", GERMAN)]);
            assert_eq!(allowed.is_err(), expected, "{organizer}: {limits}");
        }
        let said = budget.tariffs().uncounted(&["customer".parse().expect("a biller")]);
        for (whose, expected) in [("the tenant contoso", contoso), ("each tenant", fabrikam)] {
            assert_eq!(said.iter().any(|line| line.contains(whose)), expected, "{whose}: {limits}{said:?}");
        }
    }
}
