use super::*;
use crate::bridge::tests::table;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    billing: BillingSource,
    #[serde(default)]
    rate_plan: Vec<RatePlanSource>,
    #[serde(default)]
    dial_out_limit: Vec<DialOutLimitSource>,
}

pub(crate) fn tariffs(document: &str) -> Result<Tariffs, Vec<TableError>> {
    let written: Written = toml::from_str(document).expect("TOML");
    let source =
        TariffSource { billing: written.billing, plans: written.rate_plan, limits: written.dial_out_limit };
    Tariffs::build(&source, &table())
}

const PLAN: &str = r#"
[[rate_plan]]
biller = "operator:acme"
currency = "EUR"
rates = [
  { prefix = "+49", per_minute = "0.01" },
  { prefix = "+4915", per_minute = "0.05", connection_fee = "0.02" },
  { prefix = "+49800", per_minute = "0.03", direction = "in" },
  { prefix = "+", per_minute = "1" },
]
"#;

#[test]
fn the_longest_prefix_has_the_price() {
    let tariffs = tariffs(PLAN).expect("tariffs");
    let acme = "operator:acme".parse().expect("a biller");
    for (call_type, number, prefix) in [
        (CallType::ConfOut, "+4930123456", Some("+49")),
        (CallType::ConfOut, "+4915123456", Some("+4915")),
        (CallType::ConfOut, "+37120123456", Some("+")),
        (CallType::ConfIn, "+498001234567", Some("+49800")),
        (CallType::ConfIn, "+4930123456", None),
    ] {
        let rate = tariffs.rate(&acme, call_type, &number.parse().expect("a number"));
        assert_eq!(rate.as_ref().map(|rate| rate.prefix.as_str()), prefix, "{number}");
    }
    let number = "+4930123456".parse().expect("a number");
    assert_eq!(tariffs.rate(&Biller::Microsoft, CallType::ConfOut, &number), None);
}

#[test]
fn a_charge_is_exact_and_a_fraction_of_a_millionth_counts_whole() {
    let tariffs = tariffs(PLAN).expect("tariffs");
    let acme = "operator:acme".parse().expect("a biller");
    let rate =
        tariffs.rate(&acme, CallType::ConfOut, &"+4915123456".parse().expect("a number")).expect("a rate");
    for (seconds, fee, charge) in
        [(0, 0, 0), (60, 20_000, 70_000), (1, 20_000, 20_834), (3600, 20_000, 3_020_000)]
    {
        assert_eq!(rate.charge(seconds), (Micros(fee), Micros(charge)), "{seconds} s");
    }
    let dear = Rate { per_minute: Micros(u64::MAX), ..rate };
    assert_eq!(dear.charge(u64::MAX).1, Micros(u64::MAX), "no overflow");
}

#[test]
fn every_mistake_is_named_with_its_place() {
    for (document, key, expected) in [
        (PLAN.replace("operator:acme", "acme"), "rate_plan.biller", "operator:<id>"),
        (PLAN.replace("EUR", "euro"), "rate_plan \"operator:acme\".currency", "three capital letters"),
        (
            PLAN.replace("\"0.01\"", "\"0,01\""),
            "rate_plan \"operator:acme\".rates.per_minute",
            "at most 6 decimals",
        ),
        (PLAN.replace("\"0.02\"", "\"-1\""), "rate_plan \"operator:acme\".rates.connection_fee", "an amount"),
        (
            PLAN.replace("\"+4915\"", "\"0049\""),
            "rate_plan \"operator:acme\".rates.prefix",
            "with a country code",
        ),
        (
            PLAN.replace("\"+4915\"", "\"+49\""),
            "rate_plan \"operator:acme\".rates.prefix",
            "each prefix once",
        ),
        (format!("{PLAN}{PLAN}"), "rate_plan.biller", "one rate plan for each"),
        ("[billing]\ninterim_seconds = 86401".into(), "billing.interim_seconds", "0 to 86400"),
        (
            "[billing]\npool_minutes_per_license = 100001".into(),
            "billing.pool_minutes_per_license",
            "0 to 100000",
        ),
        (limit("each = \"user\"\nconcurrent = 1"), "dial_out_limit.each", "tenant, organizer or meeting"),
        (limit("each = \"tenant\""), "dial_out_limit.each", "at least one of concurrent"),
        (
            limit("each = \"tenant\"\nof = \"nobody\"\nconcurrent = 1"),
            "dial_out_limit.of",
            "a tenant that has",
        ),
        (limit("each = \"organizer\"\nof = \"nobody\"\nconcurrent = 1"), "dial_out_limit.of", "the id of an"),
        (limit("each = \"meeting\"\nof = \"1\"\nconcurrent = 1"), "dial_out_limit.of", "a conference ID"),
        (limit("each = \"tenant\"\nconcurrent = 100001"), "dial_out_limit.concurrent", "0 to 100000"),
        (
            limit("each = \"tenant\"\nspend_per_day = \"10\""),
            "dial_out_limit.spend_per_day",
            "such as \"100.00 EUR\"",
        ),
        (
            limit("each = \"tenant\"\nspend_per_month = \"10 USD\""),
            "dial_out_limit.spend_per_month",
            "the currency of a [[rate_plan]]",
        ),
    ] {
        let errors = tariffs(&document).expect_err(&document);
        let [error] = &errors[..] else { panic!("one mistake, one message: {errors:#?}") };
        assert_eq!(error.key, key, "{error}");
        assert!(error.expected.contains(expected), "{error}");
        assert!(error.span.is_some(), "{error}");
    }
}

fn limit(lines: &str) -> String {
    format!("{PLAN}[[dial_out_limit]]\n{lines}\n")
}

#[test]
fn what_a_limit_on_money_will_refuse_is_said_beforehand() {
    let billers = ["operator:acme", "microsoft", "customer"].map(|text| text.parse().expect("a biller"));
    let money = "each = \"tenant\"\nspend_per_day = \"10 EUR\"\n";
    let dollars = "[[rate_plan]]\nbiller = \"customer\"\ncurrency = \"USD\"\nrates = [{ prefix = \"+1\", per_minute = \"1\" }]\n";
    let said = tariffs(&format!("{}{dollars}", limit(money))).expect("tariffs").uncounted(&billers);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("each tenant") && said[0].contains("customer has its prices in USD"),
        "{said:?}"
    );
    assert!(
        said[1].contains("microsoft has no [[rate_plan]]") && said[1].contains("without_price"),
        "{said:?}"
    );
    let both = format!(
        "{}{dollars}{}",
        limit(money),
        "[[dial_out_limit]]\neach = \"tenant\"\nspend_per_month = \"9 USD\"\n"
    );
    let said = tariffs(&both).expect("tariffs").uncounted(&billers[2..]);
    assert!(said[0].contains("no price for every number"), "{said:?}");
    let lax = limit(&format!("{money}without_price = \"allow\"\n"));
    assert_eq!(tariffs(&lax).expect("tariffs").uncounted(&billers), [""; 0]);
    assert_eq!(
        tariffs(&limit("each = \"tenant\"\nconcurrent = 1")).expect("tariffs").uncounted(&billers),
        [""; 0]
    );
}
