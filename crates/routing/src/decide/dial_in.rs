//! Rows D1 to D9 and D11: a caller dialed one of our numbers.

use super::{Trace, refusal};
use crate::decision::{Outcome, Refusal, RefusalKind, Rule};
use crate::ids::{OrganizerId, TrunkId};
use crate::license::License;
use crate::number::E164;
use crate::owner::{Biller, Owner};
use crate::service_number::{NumberKind, ServiceNumber, Tenancy};
use crate::table::{Organizer, Table, is_charged};
use std::sync::Arc;

/// D1 to D3.
pub(super) fn admit<'t>(
    table: &'t Table,
    called: &E164,
    trunk: &TrunkId,
) -> Result<&'t Arc<ServiceNumber>, Refusal> {
    let Some(number) = table.number(called) else {
        let text = format!("{called} belongs to no bridge; list it under [[number]] if it should");
        return Err(refusal(Rule::D1, RefusalKind::UnknownNumber, text));
    };
    let owned = table.trunk(trunk).is_some_and(|trunk| number.owner.is_behind(&trunk.provider));
    if !owned {
        let text = format!("{called} is {}'s, and trunk {trunk} is not", number.owner);
        return Err(refusal(Rule::D2, RefusalKind::WrongTrunk, text));
    }
    if number.suspended {
        let text = format!("{called} is suspended by {}", number.owner);
        return Err(refusal(Rule::D3, RefusalKind::Suspended, text));
    }
    Ok(number)
}

/// D1 to D9 and D11 for the organizer whose conference ID was keyed.
pub(super) fn decide(
    table: &Table,
    called: &E164,
    trunk: &TrunkId,
    organizer: &OrganizerId,
    trace: &mut Trace<'_>,
) -> Result<Outcome, Refusal> {
    let number = admit(table, called, trunk)?;
    trace.secret(Rule::D2, || format!("{called} is {}'s, as is trunk {trunk}", number.owner));
    trace.detail(Rule::D4, || match &number.tenancy {
        Tenancy::Dedicated(tenant) => format!("{called} is dedicated to {tenant}"),
        Tenancy::Shared => format!("{called} is shared, so the conference ID decides the tenant"),
    });
    let Some(organizer) = table.organizer(organizer) else {
        let text = format!("{organizer} is not an organizer, so has no conferencing license");
        return Err(refusal(Rule::D6, RefusalKind::License, text));
    };
    may_serve(table, organizer, number)?;
    let license = organizer.license.title();
    trace.step(
        Rule::D11,
        format!("{called} is {}'s and {}'s license, {license}, includes it", number.owner, organizer.id),
    );
    Ok(Outcome::Admit { number: number.clone(), biller: Biller::from(number.owner.clone()) })
}

/// D5 to D9.
fn may_serve(table: &Table, organizer: &Organizer, number: &ServiceNumber) -> Result<(), Refusal> {
    let (called, who) = (&number.number, &organizer.id);
    if !number.tenancy.serves(&organizer.tenant) {
        let text = format!("{called} is not a number of {}, whose meeting this is", organizer.tenant);
        return Err(refusal(Rule::D5, RefusalKind::UnknownNumber, text));
    }
    if organizer.license == License::None {
        let text = format!("{who} has no conferencing license");
        return Err(refusal(Rule::D6, RefusalKind::License, text));
    }
    if !organizer.license.includes(&number.owner) {
        let whose = match number.owner {
            Owner::Microsoft => "Microsoft",
            Owner::Operator(_) => "an operator",
        };
        let instead = match table.reachable_number(who) {
            Some(other) => format!("; dial {} instead", other.number),
            None => String::new(),
        };
        let license = organizer.license.title();
        let text =
            format!("{who}'s license, {license}, does not include phone numbers from {whose}{instead}");
        return Err(refusal(Rule::D7, RefusalKind::License, text));
    }
    if number.kind == NumberKind::TollFree && !organizer.allow_toll_free_dial_in {
        let text = format!("{called} is toll-free and {who} does not allow toll-free dial-in");
        return Err(refusal(Rule::D8, RefusalKind::TollFree, text));
    }
    let credits = table.bridge(&organizer.tenant).is_some_and(|bridge| bridge.communications_credits);
    if is_charged(organizer.license, number) && !credits {
        let text =
            format!("minutes on {called} are charged and {} has no Communications Credits", organizer.tenant);
        return Err(refusal(Rule::D9, RefusalKind::Credits, text));
    }
    Ok(())
}
