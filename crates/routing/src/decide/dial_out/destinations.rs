//! O1, the half that is a matter of money: premium rates, blocked prefixes, and the organizer's dial-out policy.

use super::refusal;
use crate::country::Country;
use crate::decision::{Refusal, RefusalKind, Rule};
use crate::dial_out_policy::Reach;
use crate::number::E164;
use crate::premium::is_premium;
use crate::table::{Organizer, Table};

/// Whether meetings of this organizer may dial this number, or why not and what would change it.
pub(super) fn allow(table: &Table, organizer: &Organizer, number: &E164) -> Result<(), Refusal> {
    let blocked = |text: String| Err(refusal(Rule::O1, RefusalKind::Blocked, text));
    if let Some(prefix) = table.blocked.iter().find(|prefix| number.as_str().starts_with(prefix.as_str())) {
        return blocked(format!(
            "{number} is never dialed: it begins with {prefix}, which [dial_out] blocked_prefixes lists"
        ));
    }
    if !table.allow_premium && is_premium(number) {
        return blocked(format!(
            "{number} is at a premium rate, which is not dialed; [dial_out] allow_premium = true would allow it"
        ));
    }
    let country = Country::of(number);
    let allowed = match organizer.dial_out_policy.conference {
        Reach::International => true,
        Reach::ZoneA => country.is_some_and(Country::is_zone_a),
        Reach::Domestic => country.is_some() && country == organizer.usage_location,
        Reach::Disabled => false,
    };
    if allowed { Ok(()) } else { Err(out_of_reach(table, organizer, number, country)) }
}

fn out_of_reach(table: &Table, organizer: &Organizer, number: &E164, country: Option<Country>) -> Refusal {
    let policy = organizer.dial_out_policy;
    let place =
        country.map_or_else(|| "in no country that is known".to_owned(), |country| format!("in {country}"));
    let reach = match policy.conference {
        Reach::Disabled => {
            let call_in = table.reachable_number(&organizer.id).map_or_else(String::new, |number| {
                format!("; whom they want to reach can call {}", number.number)
            });
            let text = format!("{policy} keeps meetings of {} from dialing out{call_in}", organizer.id);
            return refusal(Rule::O1, RefusalKind::DialOutPolicy, text);
        }
        Reach::ZoneA => "the countries of Zone A".to_owned(),
        Reach::Domestic => {
            organizer.usage_location.map_or_else(|| "no country".to_owned(), |home| format!("{home} only"))
        }
        Reach::International => "everywhere".to_owned(),
    };
    let text = format!(
        "{number} is {place}, and {policy} lets meetings of {} dial {reach}; another dial_out_policy would allow it",
        organizer.id
    );
    refusal(Rule::O1, RefusalKind::DialOutPolicy, text)
}
