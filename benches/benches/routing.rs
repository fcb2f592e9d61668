//! The routing decision and the building of its table at the size of a large deployment: 100,000 numbers, 10,000
//! routes, 1,000 policies of up to 20 routes. Goals: a decision in at most 2 us, the table in at most 1 s.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use routing::{E164, Initiator, LegRequest, OrganizerId, Outcome, Table, TableSource, TrunkId, TrunkRef};
use std::fmt::Write;
use std::hint::black_box;

const NUMBERS: usize = 100_000;
const ROUTES: usize = 10_000;
const POLICIES: usize = 1_000;
const OPERATORS: usize = 20;

/// Policy p lists usages p and p+1; usage u has ten routes, nine of them for two areas each, all patterns different.
fn document() -> String {
    let mut text = String::with_capacity(32 << 20);
    text.push_str(
        "[[bridge]]\ntenant = \"t\"\ncountry_code = \"49\"\ndefault_service_number = \"+4930000000\"\n",
    );
    for number in 0..NUMBERS {
        // Even numbers are an operator's, odd ones Microsoft's; the first is the default.
        let owner = match number {
            0 => "microsoft".to_owned(),
            even if even % 2 == 0 => format!("operator:o{}", even % OPERATORS),
            _ => "microsoft".to_owned(),
        };
        let _ = writeln!(text, "[[number]]\nnumber = \"+4930{number:06}\"\nowner = \"{owner}\"");
    }
    for route in 0..ROUTES {
        let (usage, area, exchange) = (route / 10, 200 + route % 797, 2 + route / 797 % 8);
        let _ = writeln!(
            text,
            "[[route]]\nname = \"route {route}\"\nnumber_pattern = '{}'\npriority = {route}\npstn_usages = [\"usage {usage}\"]\n\
             bridge_source_phone_number = \"+4930{:06}\"",
            // The last route of every usage takes what the others leave.
            if route % 10 == 9 {
                r"\d+".to_owned()
            } else {
                format!(r"^\+1({area}|{}){exchange}(\d{{6}})$", area + 1)
            },
            2 + 2 * route
        );
    }
    for policy in 0..POLICIES {
        let next = (policy + 1) % POLICIES;
        let _ = writeln!(
            text,
            "[[policy]]\nname = \"policy {policy}\"\npstn_usages = [\"usage {policy}\", \"usage {next}\"]\n\
             [[organizer]]\nid = \"organizer {policy}\"\ntenant = \"t\"\nlicense = \"{}\"\npolicy = \"policy {policy}\"",
            if policy % 2 == 0 { "audio-conferencing-standard" } else { "operator-connect-conferencing" }
        );
    }
    text
}

fn trunks() -> Vec<TrunkRef> {
    let operators = (0..OPERATORS).map(|id| (format!("o{id}"), format!("operator:o{id}")));
    std::iter::once(("ms".to_owned(), "microsoft".to_owned()))
        .chain(operators)
        .map(|(id, provider)| TrunkRef {
            id: TrunkId::new(id),
            provider: provider.parse().expect("a provider"),
        })
        .collect()
}

fn routing(criterion: &mut Criterion) {
    let document = document();
    let source = TableSource::from_toml(&document).expect("TOML");
    let trunks = trunks();
    let table = Table::build(&source, &trunks).unwrap_or_else(|errors| panic!("{:#?}", &errors[..3]));
    let organizers: Vec<OrganizerId> =
        (0..POLICIES).map(|policy| OrganizerId::new(format!("organizer {policy}"))).collect();
    let numbers: Vec<E164> =
        (0..NUMBERS).map(|number| format!("+4930{number:06}").parse().expect("a number")).collect();
    let up = |_: &TrunkId| false;
    // A stride that visits every organizer and number, never two neighbors: caches as cold as in service.
    let mut turn = 0usize;

    let mut group = criterion.benchmark_group("routing, 100,000 numbers, 10,000 routes, 1,000 policies");
    group.bench_function("dial-out decision, last of 20 routes matches", |bench| {
        bench.iter(|| {
            turn += 7919;
            let request = LegRequest::DialOut {
                organizer: &organizers[turn % POLICIES],
                dialed: "+43 1 1234567",
                initiator: Initiator::Member,
                down: &up,
            };
            let decision = routing::decide(&table, black_box(&request));
            assert!(matches!(decision.outcome, Outcome::Candidates(_)));
            decision
        });
    });
    group.bench_function("dial-out decision, North America", |bench| {
        bench.iter(|| {
            turn += 7919;
            let request = LegRequest::DialOut {
                organizer: &organizers[turn % POLICIES],
                dialed: "+1 425 555 1234",
                initiator: Initiator::Member,
                down: &up,
            };
            routing::decide(&table, black_box(&request))
        });
    });
    group.bench_function("dial-in decision", |bench| {
        bench.iter(|| {
            turn += 7919;
            let called = &numbers[turn % NUMBERS];
            let number = table.number(called).expect("a number");
            let trunk = TrunkId::new(match &number.owner {
                routing::Owner::Microsoft => "ms",
                routing::Owner::Operator(id) => id.as_str(),
            });
            let organizer = &organizers[turn % POLICIES];
            routing::decide(&table, black_box(&LegRequest::DialIn { called, trunk: &trunk, organizer }))
        });
    });
    group.sample_size(10);
    group.bench_function("table build", |bench| {
        bench.iter_batched(
            || (),
            |()| Table::build(black_box(&source), &trunks).expect("a table"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
