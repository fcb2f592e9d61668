//! What holds for every table, not only for those somebody thought of.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use routing::{
    Biller, Decision, E164, Initiator, LegRequest, License, OrganizerId, Outcome, Provider, Table,
    TableSource, TrunkId, TrunkRef, decide, explain, lint,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

const NUMBERS: [(&str, &str, &str); 6] = [
    ("+4930100001", "microsoft", "toll"),
    ("+498001000002", "microsoft", "toll-free"),
    ("+4930200001", "operator:acme", "toll"),
    ("+4930200002", "operator:acme", "toll"),
    ("+4930300001", "operator:zenith", "toll"),
    ("+498003000002", "operator:zenith", "toll-free"),
];
const TRUNKS: [(&str, &str); 6] = [
    ("ms-1", "microsoft"),
    ("ms-2", "microsoft"),
    ("acme-1", "operator:acme"),
    ("acme-2", "operator:acme"),
    ("zenith-1", "operator:zenith"),
    ("office", "customer"),
];
const PATTERNS: [&str; 6] = [".*", r"\d+", r"^\+1(\d{10})$", r"^\+1(425|206)(\d{7})$", r"^\+49", "[0-9]{12}"];
const DIALED: [&str; 5] = ["+14255551234", "+13605551234", "+4930123456", "+493012345678", "+4311234567"];
const LICENSES: [&str; 4] =
    ["audio-conferencing-standard", "operator-connect-conferencing", "pay-per-minute", "none"];

/// A drawn route: pattern, gateways or (for even values) a source number, fallback, usage.
#[derive(Clone, Debug)]
struct Drawn {
    pattern: usize,
    source: Option<usize>,
    gateways: Vec<usize>,
    fallback: bool,
    usage: usize,
}

fn route() -> impl Strategy<Value = Drawn> {
    let gateways =
        prop::sample::subsequence((0..TRUNKS.len()).collect::<Vec<_>>(), 1..=TRUNKS.len()).prop_shuffle();
    (0..PATTERNS.len(), prop::option::of(2..NUMBERS.len()), gateways, any::<bool>(), 0..2usize).prop_map(
        |(pattern, source, gateways, fallback, usage)| Drawn { pattern, source, gateways, fallback, usage },
    )
}

/// A table of up to eight routes over four usages, with one organizer per license (o0 to o3) under one policy, and
/// the same again (n0 to n3) under none. `twin` gives every organizer acme's number.
fn document(routes: &[Drawn], twin: bool, suspended: usize, order: bool) -> String {
    let mut text = String::from("[[bridge]]\ntenant = \"t\"\ndefault_service_number = \"+4930100001\"\n");
    for (index, (number, owner, kind)) in NUMBERS.iter().enumerate() {
        let _ = write!(
            text,
            "[[number]]\nnumber = \"{number}\"\nowner = \"{owner}\"\nkind = \"{kind}\"\nsuspended = {}\n",
            index == suspended && index != 0
        );
    }
    let mut usages = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        // Usages with and without source numbers are kept apart, as the table demands.
        let usage = format!("{}{}", if route.source.is_some() { "source" } else { "gateways" }, route.usage);
        let leads_to = match route.source {
            Some(number) => format!("bridge_source_phone_number = \"{}\"", NUMBERS[number].0),
            None => format!(
                "pstn_gateway_list = {:?}",
                route.gateways.iter().map(|&i| TRUNKS[i].0).collect::<Vec<_>>()
            ),
        };
        let fallback = if route.fallback { "microsoft" } else { "none" };
        let _ = write!(
            text,
            "[[route]]\nname = \"r{index}\"\nnumber_pattern = '{}'\npstn_usages = [\"{usage}\"]\n{leads_to}\nfallback = \"{fallback}\"\n",
            PATTERNS[route.pattern]
        );
        if !usages.contains(&usage) {
            usages.push(usage);
        }
    }
    if order {
        usages.reverse();
    }
    if !usages.is_empty() {
        let _ = write!(text, "[[policy]]\nname = \"p\"\npstn_usages = {usages:?}\n");
    }
    for (index, license) in LICENSES.iter().enumerate() {
        let number = if twin { "service_number = \"+4930200001\"\n" } else { "" };
        let policy = if usages.is_empty() { "" } else { "policy = \"p\"\n" };
        let _ = write!(
            text,
            "[[organizer]]\nid = \"o{index}\"\ntenant = \"t\"\nlicense = \"{license}\"\n{number}{policy}"
        );
        let _ = write!(
            text,
            "[[organizer]]\nid = \"n{index}\"\ntenant = \"t\"\nlicense = \"{license}\"\n{number}"
        );
    }
    text
}

fn trunks() -> Vec<TrunkRef> {
    TRUNKS
        .iter()
        .map(|(id, provider)| TrunkRef { id: (*id).into(), provider: provider.parse().expect("a provider") })
        .collect()
}

fn build(document: &str) -> Table {
    let source = TableSource::from_toml(document).expect("TOML");
    Table::build(&source, &trunks()).unwrap_or_else(|errors| panic!("{errors:#?}\n{document}"))
}

/// A drawn world: a table and who is down.
fn world() -> impl Strategy<Value = (String, HashSet<&'static str>)> {
    let down =
        prop::collection::hash_set(prop::sample::select(TRUNKS.map(|(id, _)| id).to_vec()), 0..=TRUNKS.len());
    (prop::collection::vec(route(), 0..8), any::<bool>(), 0..NUMBERS.len(), any::<bool>(), down)
        .prop_map(|(routes, twin, suspended, order, down)| (document(&routes, twin, suspended, order), down))
}

fn dial_out(table: &Table, organizer: &str, dialed: &str, down: &HashSet<&str>) -> Decision {
    let organizer = OrganizerId::new(organizer);
    let down = |trunk: &TrunkId| down.contains(trunk.as_str());
    decide(
        table,
        &LegRequest::DialOut { organizer: &organizer, dialed, initiator: Initiator::Member, down: &down },
    )
}

/// Runs a property over a fixed sequence of worlds, so that a run is repeated exactly.
fn for_worlds(cases: u32, mut property: impl FnMut(&Table, &HashSet<&'static str>)) {
    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let property = std::cell::RefCell::new(&mut property);
    runner
        .run(&world(), |(document, down)| {
            (property.borrow_mut())(&build(&document), &down);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_operator_connect_organizer_ever_gets_a_microsoft_trunk() {
    let mut microsoft_for_standard = HashMap::<_, u32>::new();
    let mut operator_for_occ = 0;
    for_worlds(250, |table, down| {
        for dialed in DIALED {
            for organizer in ["o1", "n1"] {
                let decision = dial_out(table, organizer, dialed, down);
                let Outcome::Candidates(candidates) = decision.outcome else { continue };
                for candidate in candidates {
                    let provider = &table.trunk(&candidate.trunk).expect("a trunk").provider;
                    let Provider::Operator(operator) = provider else {
                        panic!("{organizer} dials {dialed} through {provider}")
                    };
                    assert_eq!(candidate.biller, Biller::Operator(operator.clone()));
                    // What is shown is the number of whoever carries the call, never Microsoft's.
                    let shown = table.number(&candidate.caller_id).expect("a service number");
                    assert!(
                        shown.owner.is_behind(provider),
                        "{} is shown on {}",
                        shown.number,
                        candidate.trunk
                    );
                    operator_for_occ += 1;
                }
            }
            // The same routes do lead a Standard organizer to Microsoft, so that the above is not true of nothing.
            let standard = dial_out(table, "o0", dialed, down);
            if let Outcome::Candidates(candidates) = standard.outcome {
                for candidate in candidates.iter().filter(|candidate| candidate.biller == Biller::Microsoft) {
                    let by = (candidate.rule.to_string(), candidate.route.is_some());
                    *microsoft_for_standard.entry(by).or_default() += 1;
                }
            }
        }
    });
    let reached =
        |rule: &str, route| microsoft_for_standard.get(&(rule.to_owned(), route)).copied().unwrap_or(0);
    assert!(reached("O5", true) > 200, "a gateway list leads to Microsoft: {microsoft_for_standard:?}");
    assert!(reached("O6", true) > 100, "a fallback leads to Microsoft: {microsoft_for_standard:?}");
    assert!(reached("O6", false) > 100, "no match leads to Microsoft: {microsoft_for_standard:?}");
    assert!(operator_for_occ > 200, "Operator Connect organizers do dial: {operator_for_occ}");
}

#[test]
fn a_decision_is_a_pure_function() {
    for_worlds(100, |table, down| {
        for organizer in ["o0", "o1", "o2", "o3", "n0", "n1"] {
            for dialed in DIALED {
                let first = dial_out(table, organizer, dialed, down);
                assert_eq!(first, dial_out(table, organizer, dialed, down));
            }
        }
    });
    // Also across two builds of the same document, whose hash maps differ.
    let mut runner = TestRunner::deterministic();
    runner
        .run(&world(), |(document, down)| {
            let (one, other) = (build(&document), build(&document));
            for dialed in DIALED {
                prop_assert_eq!(dial_out(&one, "o0", dialed, &down), dial_out(&other, "o0", dialed, &down));
            }
            prop_assert_eq!(lint(&one), lint(&other));
            Ok(())
        })
        .expect("equal");
}

#[test]
fn every_decision_names_its_rule_and_its_reason() {
    for_worlds(200, |table, down| {
        for organizer in ["o0", "o1", "o2", "o3", "n0", "n1", "stranger"] {
            for dialed in DIALED.into_iter().chain(["112", "", "x", "00", "+1"]) {
                let decision = dial_out(table, organizer, dialed, down);
                assert!(decision.because.iter().all(|because| !because.text.is_empty()), "{decision:?}");
                let rule = decision.because.last().expect("a reason").rule;
                match &decision.outcome {
                    Outcome::Admit { .. } => panic!("a dial-out is not admitted"),
                    Outcome::Candidates(candidates) => assert_eq!(rule, candidates[0].rule),
                    Outcome::Refuse(refusal) => {
                        assert_eq!(rule, refusal.rule);
                        assert_eq!(refusal.status, refusal.kind.status());
                    }
                }
                let id = OrganizerId::new(organizer);
                let is_down = |trunk: &TrunkId| down.contains(trunk.as_str());
                let request = LegRequest::DialOut {
                    organizer: &id,
                    dialed,
                    initiator: Initiator::Member,
                    down: &is_down,
                };
                assert_eq!(explain(table, &request).outcome, decision.outcome);
            }
        }
    });
}

#[test]
fn trunks_that_are_down_come_last_and_no_candidate_twice() {
    for_worlds(200, |table, down| {
        for organizer in ["o0", "o1"] {
            for dialed in DIALED {
                let Outcome::Candidates(candidates) = dial_out(table, organizer, dialed, down).outcome else {
                    continue;
                };
                assert!(!candidates[0].down, "something is up, else it is a refusal");
                assert!(candidates.is_sorted_by_key(|candidate| candidate.down), "{candidates:?}");
                for candidate in &candidates {
                    assert_eq!(candidate.down, down.contains(candidate.trunk.as_str()));
                    assert_eq!(candidate.dialed.as_str(), dialed);
                }
                let distinct: HashSet<_> =
                    candidates.iter().map(|one| (&one.trunk, &one.caller_id)).collect();
                assert_eq!(distinct.len(), candidates.len());
            }
        }
    });
}

#[test]
fn a_caller_is_admitted_only_by_a_number_the_license_includes_on_its_owners_trunk() {
    let mut admitted = HashMap::<License, u32>::new();
    for_worlds(50, |table, _| {
        for (number, ..) in NUMBERS {
            for (trunk, _) in TRUNKS {
                for organizer in ["o0", "o1", "o2", "o3"] {
                    let called: E164 = number.parse().expect("a number");
                    let (trunk, organizer) = (TrunkId::new(trunk), OrganizerId::new(organizer));
                    let request =
                        LegRequest::DialIn { called: &called, trunk: &trunk, organizer: &organizer };
                    let decision = decide(table, &request);
                    let Outcome::Admit { number, biller } = &decision.outcome else { continue };
                    let license = table.organizer(&organizer).expect("an organizer").license;
                    assert!(license.includes(&number.owner), "{decision:?}");
                    assert!(
                        number.owner.is_behind(&table.trunk(&trunk).expect("a trunk").provider),
                        "{decision:?}"
                    );
                    assert!(!number.suspended);
                    assert_eq!(*biller, Biller::from(number.owner.clone()));
                    *admitted.entry(license).or_default() += 1;
                }
            }
        }
    });
    let mut licenses: Vec<_> = admitted.keys().map(|license| license.as_str()).collect();
    licenses.sort_unstable();
    assert_eq!(licenses, ["audio-conferencing-standard", "operator-connect-conferencing", "pay-per-minute"]);
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_text_is_either_a_number_or_refused(text in any::<String>(), country in "[1-9][0-9]{0,2}") {
        let plan = routing::DialPlan::of_country(&country).expect("a country code");
        if let Ok(number) = E164::normalize(&text, &plan) {
            prop_assert!((1..=15).contains(&number.digits().len()));
            prop_assert!(number.digits().bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert_eq!(number.as_str().parse(), Ok(number.clone()));
            prop_assert_eq!(E164::normalize(number.as_str(), &plan), Ok(number));
        }
    }

    #[test]
    fn a_keyed_number_means_the_same_with_any_separators(digits in "[1-9][0-9]{6,14}", at in 0usize..7, sep in "[-. ()/]{0,3}") {
        let plan = routing::DialPlan::international();
        let (head, tail) = digits.split_at(at);
        // "(0)" is the one thing in parentheses that means something.
        prop_assume!(!format!("{head}{sep}{tail}").contains("(0)"));
        let plain = E164::normalize(&format!("+{digits}"), &plan).expect("a number");
        prop_assert_eq!(E164::normalize(&format!("00{head}{sep}{tail}"), &plan), Ok(plain.clone()));
        prop_assert_eq!(E164::normalize(&format!("tel:+{head}{sep}{tail};npdi"), &plan), Ok(plain));
    }
}
