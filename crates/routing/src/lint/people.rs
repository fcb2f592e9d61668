//! Suspicious numbers, bridges and organizers.

use super::{Lint, LintKind, add};
use crate::ids::TenantId;
use crate::license::License;
use crate::owner::{Owner, Provider};
use crate::table::{LeadsTo, Organizer, Table};
use std::collections::{HashMap, HashSet};

pub(super) fn lint(table: &Table, found: &mut Vec<Lint>) {
    numbers(table, found);
    bridges(table, found);
    let mut numberless = HashMap::new();
    for organizer in table.organizers.values().filter(|organizer| organizer.license != License::None) {
        number(table, organizer, &mut numberless, found);
        dial_out(table, organizer, found);
    }
}

fn numbers(table: &Table, found: &mut Vec<Lint>) {
    for (number, place) in table.numbers.iter().zip(&table.number_places) {
        let reached = match &number.owner {
            Owner::Microsoft => !table.microsoft.is_empty(),
            Owner::Operator(id) => table.operators.contains_key(id),
        };
        if !reached {
            let text = format!("no trunk belongs to {}, so no call can arrive on it", number.owner);
            add(found, LintKind::NumberWithoutTrunk, place, format!("number {}", number.number), text);
        }
    }
}

fn bridges(table: &Table, found: &mut Vec<Lint>) {
    let needing: HashSet<&TenantId> = table
        .organizers
        .values()
        .filter(|organizer| {
            matches!(organizer.license, License::AudioConferencingStandard | License::PayPerMinute)
        })
        .map(|organizer| &organizer.tenant)
        .collect();
    for bridge in table.bridges.values() {
        let subject = || format!("bridge {:?}", bridge.tenant.as_str());
        match &bridge.default_number {
            None if needing.contains(&bridge.tenant) => {
                let text =
                    "it has no default_service_number, so nothing is dialed through Microsoft or a gateway";
                add(found, LintKind::NoDefaultNumber, &bridge.place, subject(), text);
            }
            Some(number) if number.suspended => {
                let text = format!("its default number {} is suspended and cannot be shown", number.number);
                add(found, LintKind::Suspended, &bridge.place, subject(), text);
            }
            _ => {}
        }
    }
}

/// What decides whether there is a number for an organizer who has none of his own.
type Entitlement<'t> = (&'t TenantId, License, bool);

fn number<'t>(
    table: &'t Table,
    organizer: &'t Organizer,
    numberless: &mut HashMap<Entitlement<'t>, bool>,
    found: &mut Vec<Lint>,
) {
    let subject = || format!("organizer {:?}", organizer.id.as_str());
    let title = organizer.license.title();
    for invite in organizer.service_number.iter().chain(&organizer.toll_free_service_number) {
        if !organizer.license.includes(&invite.owner) {
            let text = format!(
                "{} on the invites is {}'s, which {title} does not include",
                invite.number, invite.owner
            );
            add(found, LintKind::ExcludedInviteNumber, &organizer.place, subject(), text);
        }
    }
    let entitlement = (&organizer.tenant, organizer.license, organizer.allow_toll_free_dial_in);
    let none =
        *numberless.entry(entitlement).or_insert_with(|| table.reachable_number(&organizer.id).is_none());
    if none {
        let text = format!(
            "no number in service that {title} includes serves {}, so nobody can dial in",
            organizer.tenant
        );
        add(found, LintKind::OrganizerWithoutNumber, &organizer.place, subject(), text);
    } else if organizer.license == License::OperatorConnectConferencing && organizer.service_number.is_none()
    {
        // The bridge's default number is Microsoft's, so such an organizer's invites need a number of their own.
        let text = format!(
            "{title} does not include the bridge's default number; set service_number to an operator's"
        );
        add(found, LintKind::OrganizerWithoutNumber, &organizer.place, subject(), text);
    }
}

/// An Operator Connect Conferencing license dials through operators or not at all.
fn dial_out(table: &Table, organizer: &Organizer, found: &mut Vec<Lint>) {
    if organizer.license != License::OperatorConnectConferencing {
        return;
    }
    let Some((policy, _)) = &organizer.policy else {
        let text = "no routing policy applies, so this organizer's meetings cannot dial out";
        let subject = format!("organizer {:?}", organizer.id.as_str());
        add(found, LintKind::NoDialOut, &organizer.place, subject, text);
        return;
    };
    let policy = &table.policies[*policy as usize];
    let leads_to_an_operator =
        policy.steps.iter().any(|step| match &table.routes[step.route as usize].leads_to {
            LeadsTo::Source { number, .. } => organizer.shares(&number.tenancy),
            LeadsTo::Gateways(trunks) => trunks.iter().any(|&trunk| match table.provider(trunk) {
                Provider::Operator(operator) => organizer
                    .service_number
                    .as_ref()
                    .is_some_and(|own| matches!(&own.owner, Owner::Operator(owner) if owner == operator)),
                _ => false,
            }),
        });
    if !leads_to_an_operator {
        let text = format!(
            "no route of policy {:?} leads to an operator this organizer may use, so its meetings cannot dial out",
            policy.name
        );
        let subject = format!("organizer {:?}", organizer.id.as_str());
        add(found, LintKind::NoDialOut, &organizer.place, subject, text);
    }
}
