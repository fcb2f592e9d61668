//! Bodies of the fuzz targets, kept here so that they compile and run with the ordinary tests.

use crate::decision::{Initiator, LegRequest, Outcome};
use crate::ids::{OrganizerId, TrunkId};
use crate::license::License;
use crate::number::{DialPlan, E164};
use crate::owner::Provider;
use crate::source::TableSource;
use crate::table::{Table, TrunkRef};
use crate::{decide, explain, lint};

/// A document, a zero byte, and what is dialed in every meeting of the table that the document makes. Promises: no
/// panic whatever the bytes; the explanation decides as the decision; an Operator Connect Conferencing organizer is
/// never carried by anybody but an operator.
pub fn routing_table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (document, dialed) = text.split_once('\0').unwrap_or((&text, "+4930123456"));
    let Ok(source) = TableSource::from_toml(document) else { return };
    let trunks = trunks();
    let table = match Table::build(&source, &trunks) {
        Ok(table) => table,
        Err(errors) => {
            assert!(!errors.is_empty(), "a table that does not load says why");
            for error in errors {
                let place = error.span.clone().unwrap_or_default();
                assert!(document.get(place).is_some(), "{error} points outside the document");
            }
            return;
        }
    };
    // Exact comparison of patterns is for people, who have a few; a fuzzer would only measure it.
    if table.routes.len() <= 4 {
        let _ = lint(&table);
    }
    for source in source.organizers.iter().take(8) {
        let organizer = OrganizerId::new(source.id.get_ref().as_str());
        dial_out(&table, &organizer, dialed);
        dial_in(&table, &organizer);
    }
}

/// One of each kind.
fn trunks() -> [TrunkRef; 4] {
    [
        ("ms", Provider::Microsoft),
        ("acme", Provider::Operator("acme".into())),
        ("zenith", Provider::Operator("zenith".into())),
        ("office", Provider::Customer),
    ]
    .map(|(id, provider)| TrunkRef { id: id.into(), provider })
}

fn dial_out(table: &Table, organizer: &OrganizerId, dialed: &str) {
    let license = table.organizer(organizer).map(|organizer| organizer.license);
    for down in [None, Some("acme"), Some("ms")] {
        let is_down = |trunk: &TrunkId| Some(trunk.as_str()) == down;
        let request = LegRequest::DialOut { organizer, dialed, initiator: Initiator::Member, down: &is_down };
        let decision = decide(table, &request);
        assert_eq!(explain(table, &request).outcome, decision.outcome);
        let Outcome::Candidates(candidates) = decision.outcome else { continue };
        assert!(!candidates.is_empty());
        if license == Some(License::OperatorConnectConferencing) {
            for candidate in candidates {
                let provider = table.trunk(&candidate.trunk).map(|trunk| &trunk.provider);
                assert!(matches!(provider, Some(Provider::Operator(_))), "{candidate:?}");
            }
        }
    }
}

fn dial_in(table: &Table, organizer: &OrganizerId) {
    for number in table.numbers.iter().take(8) {
        for trunk in &table.trunks {
            let request = LegRequest::DialIn { called: &number.number, trunk: &trunk.id, organizer };
            assert_eq!(explain(table, &request).outcome, decide(table, &request).outcome);
        }
    }
}

/// What is keyed becomes a number or is refused, under every kind of dial plan; a number stays itself.
pub fn number(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let plans = ["1", "39", "49", "7"].map(|code| DialPlan::of_country(code).expect("a country code"));
    for plan in plans.iter().chain(&[DialPlan::international()]) {
        if let Ok(number) = E164::normalize(&text, plan) {
            assert_eq!(E164::normalize(number.as_str(), plan), Ok(number.clone()));
            assert_eq!(number.as_str().parse(), Ok(number.clone()));
            let _ = number.never_dialed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../tests/rows.toml");

    #[test]
    fn the_seeds_pass() {
        // The seed's trunks have other names; with these it is a table, without it is refused with places.
        let ours = SEED
            .replace("[\"ms-1\", \"office\", \"acme-1\", \"zenith-1\"]", "[\"ms\", \"office\", \"acme\"]");
        let source = TableSource::from_toml(&ours).expect("TOML");
        assert_eq!(Table::build(&source, &trunks()).map(|_| ()), Ok(()));
        for dialed in ["+14255551234", "030 123456", "112", "", "tel:+4930123456;npdi", "\u{0}", "x"] {
            routing_table(format!("{SEED}\0{dialed}").as_bytes());
            routing_table(format!("{ours}\0{dialed}").as_bytes());
            number(dialed.as_bytes());
        }
    }

    #[test]
    fn a_seed_cut_or_bent_anywhere_does_not_panic() {
        for at in (0..SEED.len()).step_by(211) {
            routing_table(&SEED.as_bytes()[..at]);
            let mut bent = SEED.as_bytes().to_vec();
            bent[at] = bent[at].wrapping_mul(31).wrapping_add(7);
            routing_table(&bent);
        }
        routing_table(&[0xff, 0, 0xfe]);
        number(&[0xff, b'+', b'1']);
    }
}
