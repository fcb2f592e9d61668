//! Every row of the decision table as data: `docs/decisions.md` is meant to be read, and extended, without reading Rust.

use routing::{
    Candidate, Decision, E164, Initiator, LegRequest, License, NumberKind, OrganizerId, Outcome, Reach, Rule,
    Table, TableSource, TrunkId, TrunkRef, decide, explain,
};
use std::fmt::Write;

fn trunks() -> Vec<TrunkRef> {
    [
        ("ms-1", "microsoft"),
        ("ms-2", "microsoft"),
        ("acme-1", "operator:acme"),
        ("acme-2", "operator:acme"),
        ("zenith-1", "operator:zenith"),
        ("office", "customer"),
    ]
    .into_iter()
    .map(|(id, provider)| TrunkRef { id: id.into(), provider: provider.parse().expect("a provider") })
    .collect()
}

fn table() -> Table {
    let source = TableSource::from_toml(include_str!("rows.toml")).expect("rows.toml is TOML");
    Table::build(&source, &trunks()).expect("rows.toml is a table")
}

const DECISIONS: &str = include_str!("../../../docs/decisions.md");

/// The rows of the table under one heading of the document, each as its cells.
fn rows(part: &str) -> Vec<Vec<&'static str>> {
    let text = DECISIONS.split(part).nth(1).expect("the part's title");
    let lines =
        text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn license(table: &Table, organizer: &OrganizerId) -> &'static str {
    match table.organizer(organizer).map(|organizer| organizer.license) {
        Some(License::AudioConferencingStandard) => "Standard",
        Some(License::OperatorConnectConferencing) => "Operator Connect",
        Some(License::PayPerMinute) => "pay-per-minute",
        Some(License::None) => "none",
        None => "",
    }
}

fn may_dial(table: &Table, organizer: &OrganizerId) -> String {
    let Some(organizer) = table.organizer(organizer) else { return String::new() };
    match organizer.dial_out_policy.conference {
        Reach::International => "everywhere".to_owned(),
        Reach::ZoneA => "Zone A".to_owned(),
        Reach::Domestic => format!("home ({})", organizer.usage_location.expect("a home")),
        Reach::Disabled => "nowhere".to_owned(),
    }
}

fn described(table: &Table, number: &E164) -> String {
    let Some(number) = table.number(number) else { return "nobody's".to_owned() };
    let kind = if number.kind == NumberKind::Toll { "toll" } else { "toll-free" };
    format!("{}, {kind}{}", number.owner, if number.suspended { ", suspended" } else { "" })
}

#[test]
fn every_rule_is_in_the_document_with_its_meaning() {
    let said = rows("## The rules");
    let rules = [
        Rule::D1,
        Rule::D2,
        Rule::D3,
        Rule::D4,
        Rule::D5,
        Rule::D6,
        Rule::D7,
        Rule::D8,
        Rule::D9,
        Rule::D10,
        Rule::D11,
        Rule::O1,
        Rule::O2,
        Rule::O3,
        Rule::O4,
        Rule::O5,
        Rule::O6,
        Rule::O7,
        Rule::O8,
    ];
    let meant: Vec<_> = rules.iter().map(|rule| (rule.to_string(), rule.meaning())).collect();
    let said: Vec<_> = said.iter().map(|row| (row[0].to_owned(), row[1])).collect();
    assert_eq!(said, meant);
}

fn shown(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Admit { biller, .. } => format!("admits, {biller} bills"),
        Outcome::Refuse(refusal) => format!("{} {}", refusal.status, refusal.kind.label()),
        Outcome::Candidates(candidates) => candidates.iter().map(candidate).collect::<Vec<_>>().join(", "),
    }
}

fn candidate(candidate: &Candidate) -> String {
    let down = if candidate.down { ", down" } else { "" };
    format!("{} as {} ({}{down})", candidate.trunk, candidate.caller_id, candidate.biller)
}

#[test]
fn every_dial_in_row_decides_as_written() {
    let table = table();
    let rows = rows("## Dial-in");
    assert!(rows.len() > 20, "the rows were read");
    for row in rows {
        let [rule, called, which, trunk, organizer, licensed, expected] = row[..] else {
            panic!("seven columns: {row:?}")
        };
        let called: E164 = called.parse().expect("a number");
        let (trunk, organizer) = (TrunkId::new(trunk), OrganizerId::new(organizer));
        assert_eq!(described(&table, &called), which, "{row:?}");
        assert_eq!(license(&table, &organizer), licensed, "{row:?}");
        let request = LegRequest::DialIn { called: &called, trunk: &trunk, organizer: &organizer };
        let decision = decide(&table, &request);
        assert_eq!(
            shown(&decision),
            expected.trim_start_matches("refuses, "),
            "{row:?} {:?}",
            decision.because
        );
        assert_eq!(decision.rule().to_string(), rule, "{row:?} {:?}", decision.because);
        assert_eq!(explain(&table, &request).outcome, decision.outcome);
    }
}

#[test]
fn every_dial_out_row_decides_as_written() {
    let table = table();
    let rows = rows("## Dial-out");
    assert!(rows.len() > 60, "the rows were read");
    for row in rows {
        let [rule, organizer, licensed, reach, policy, asks, dialed, down, expected] = row[..] else {
            panic!("nine columns: {row:?}")
        };
        let initiator = match asks {
            "member" => Initiator::Member,
            "guest" => Initiator::Guest { member_present: true },
            "guest, alone" => Initiator::Guest { member_present: false },
            "phone" => Initiator::Anonymous { member_present: true },
            "phone, alone" => Initiator::Anonymous { member_present: false },
            other => panic!("who is {other:?}?"),
        };
        let organizer = OrganizerId::new(organizer);
        assert_eq!(license(&table, &organizer), licensed, "{row:?}");
        assert_eq!(may_dial(&table, &organizer), reach, "{row:?}");
        assert_eq!(table.routing_policy(&organizer).unwrap_or_default(), policy, "{row:?}");
        let down = |trunk: &TrunkId| down.split(' ').any(|name| name == trunk.as_str());
        let request = LegRequest::DialOut { organizer: &organizer, dialed, initiator, down: &down };
        let decision = decide(&table, &request);
        assert_eq!(
            shown(&decision),
            expected.trim_start_matches("nobody, "),
            "{row:?} {:?}",
            decision.because
        );
        assert_eq!(decision.rule().to_string(), rule, "{row:?} {:?}", decision.because);
        assert_eq!(explain(&table, &request).outcome, decision.outcome);
    }
}

#[test]
fn a_refused_license_is_told_a_number_that_serves() {
    let table = table();
    let called: E164 = "+4930100001".parse().expect("a number");
    let (trunk, organizer) = (TrunkId::new("ms-1"), OrganizerId::new("clara"));
    let decision =
        decide(&table, &LegRequest::DialIn { called: &called, trunk: &trunk, organizer: &organizer });
    let Outcome::Refuse(refusal) = decision.outcome else { panic!("{decision:?}") };
    assert_eq!(
        refusal.because,
        "clara's license, Operator Connect Conferencing, does not include phone numbers from Microsoft; \
         dial +4930200001 instead"
    );
}

#[test]
fn a_refused_destination_is_told_with_the_rule_and_what_to_do() {
    let table = table();
    for (organizer, dialed, said) in [
        (
            "hugo",
            "+43 1 1234567",
            "+4311234567 is in AT, and DialoutCPCandPSTNDomestic lets meetings of hugo dial DE only; another \
             dial_out_policy would allow it",
        ),
        (
            "zoe",
            "+371 20123456",
            "+37120123456 is in LV, and DialoutCPCZoneAPSTNInternational lets meetings of zoe dial the countries of \
             Zone A; another dial_out_policy would allow it",
        ),
        (
            "noel",
            "+4930123456",
            "DialoutCPCandPSTNDisabled keeps meetings of noel from dialing out; whom they want to reach can call \
             +4930200001",
        ),
        (
            "anna",
            "+447012345678",
            "+447012345678 is at a premium rate, which is not dialed; [dial_out] allow_premium = true would allow it",
        ),
        (
            "anna",
            "+25261234567",
            "+25261234567 is never dialed: it begins with +252, which [dial_out] blocked_prefixes lists",
        ),
    ] {
        let organizer = OrganizerId::new(organizer);
        let request = LegRequest::DialOut {
            organizer: &organizer,
            dialed,
            initiator: Initiator::Member,
            down: &|_| false,
        };
        let Outcome::Refuse(refusal) = decide(&table, &request).outcome else { panic!("{dialed}") };
        assert_eq!(refusal.because, said);
    }
}

#[test]
fn an_explanation_names_every_route_and_why_it_was_left_out() {
    let table = table();
    let organizer = OrganizerId::new("cecil");
    let request = LegRequest::DialOut {
        organizer: &organizer,
        dialed: "+43 1 1234567",
        initiator: Initiator::Member,
        down: &|_| false,
    };
    let steps: Vec<String> = explain(&table, &request).because.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "O1: \"+43 1 1234567\" is +4311234567, which may be dialed",
            "O2: a member may dial out of cecil's meeting",
            "O4: policy \"Gateways\" applies, granted to the organizer",
            "O5: route \"Everything\": trunk ms-1 is left out, Operator Connect Conferencing dials through operators only",
            "O5: route \"Everything\": trunk office is left out, Operator Connect Conferencing dials through operators only",
            "O5: route \"Everything\": trunk zenith-1 is left out, the organizer has no service_number of this operator to show",
            "O5: route \"Everything\" (All gateways, priority 30) matches: 1 candidate",
            "O5: route \"Everything\" matches +4311234567; operator:acme carries it, showing +4930200001",
        ]
    );
}

#[test]
fn a_policy_of_many_matching_routes_gives_sixteen_candidates_and_no_more() {
    let mut document =
        String::from("[[bridge]]\ntenant = \"t\"\n[[organizer]]\nid = \"o\"\ntenant = \"t\"\n");
    document += "license = \"operator-connect-conferencing\"\npolicy = \"p\"\n[[policy]]\nname = \"p\"\npstn_usages = [\"u\"]\n";
    for index in 10..60 {
        let _ = write!(document, "[[number]]\nnumber = \"+49302000{index}\"\nowner = \"operator:acme\"\n");
        let _ = write!(
            document,
            "[[route]]\nname = \"r{index}\"\nnumber_pattern = '.*'\npstn_usages = [\"u\"]\n"
        );
        let _ = writeln!(document, "bridge_source_phone_number = \"+49302000{index}\"");
    }
    let table = Table::build(&TableSource::from_toml(&document).expect("TOML"), &trunks()).expect("a table");
    let organizer = OrganizerId::new("o");
    let candidates = |down: &dyn Fn(&TrunkId) -> bool| {
        let request = LegRequest::DialOut {
            organizer: &organizer,
            dialed: "+4311234567",
            initiator: Initiator::Member,
            down,
        };
        let decision = decide(&table, &request);
        assert_eq!(explain(&table, &request).outcome, decision.outcome);
        match decision.outcome {
            Outcome::Candidates(candidates) => candidates,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(candidates(&|_| false).len(), 16);
    let some = candidates(&|trunk| trunk.as_str() == "acme-1");
    assert_eq!(some.iter().filter(|candidate| !candidate.down).count(), 16);
    assert_eq!(some.iter().filter(|candidate| candidate.down).count(), 16, "and those that are down follow");
}
