//! What dial-outs cost: prices in the records, limits, the warning and the end, and the minute pool.

use std::time::Duration;

use bridge::PromptId;
use serde_json::{Value, json};
use tests::{Caller, Line, MICROSOFT, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World};

use crate::cast::{join, participants};

/// Goes through the operator `rhein`.
const GERMAN: &str = "+4930111222";
/// No route matches: Microsoft.
const BRITISH: &str = "+442012345678";

/// Somebody waits in a meeting of Sam's.
fn meeting(tables: &'static str) -> (World, PhoneId) {
    let mut world = World::new(Setup { tables, ..Setup::default() });
    let host = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    world.seconds(6);
    (world, host)
}

/// Dials and waits until the callee is in the meeting.
fn dial(world: &mut World, id: &str, number: &str) {
    let before = participants(world, id);
    let ask = world.dial_out(id, number, None);
    assert_eq!(world.replies[&ask].status, 202, "{:?}", world.replies[&ask]);
    world.until("the callee is in", Duration::from_secs(10), |world| participants(world, id) > before);
}

fn refused(world: &mut World, id: &str, number: &str) -> String {
    refused_with(world, id, number, 429)
}

fn refused_with(world: &mut World, id: &str, number: &str, status: u16) -> String {
    let ask = world.dial_out(id, number, None);
    let reply = &world.replies[&ask];
    assert_eq!(reply.status, status, "{reply:?}");
    reply.body["detail"].as_str().expect("a detail").to_owned()
}

/// Records of dial-outs of one kind.
fn dialed(world: &World, kind: &str) -> Vec<Value> {
    let of_kind = |record: &&Value| record["call_type"] == "conf_out" && record["kind"] == kind;
    world.records.iter().filter(of_kind).cloned().collect()
}

const PRICES: &str = r#"
[[rate_plan]]
biller = "operator:rhein"
currency = "EUR"
rounding = "per-started-second"
rates = [{ prefix = "+49", per_minute = "0.60", connection_fee = "0.10" }]
[[dial_out_limit]]
each = "organizer"
spend_per_day = "2.00 EUR"
concurrent = 2
"#;

#[test]
fn a_call_is_warned_before_the_spending_limit_ends_it_and_the_next_one_is_refused() {
    let (mut world, host) = meeting(PRICES);
    dial(&mut world, SAM, GERMAN);
    let begin = world.elapsed();
    // 0.10 for the connection and a cent a second: 190 s are 2.00.
    world.seconds(125);
    let heard = world.phone(host).ear.prompts(&(begin..world.elapsed()));
    assert_eq!(heard, [], "nothing is near");
    world.seconds(15);
    let heard = world.phone(host).ear.prompts(&(begin..world.elapsed()));
    assert_eq!(heard, [PromptId::SpendingLimitNear]);
    world.until("the limit ends it", Duration::from_mins(1), |world| participants(world, SAM) == 1);
    let after = world.since(begin).as_secs();
    assert!((186..=190).contains(&after), "{after} s");
    assert_eq!(world.phone(host).line, Line::Up);
    world.seconds(1);
    let record = dialed(&world, "final").remove(0);
    let end = &record["end"];
    assert_eq!((&end["cause"], &end["ended_by"]), (&json!("spending limit of the day"), &json!("bridge")));
    let charge = end["charge_micros"].as_u64().expect("a charge");
    assert!((1_960_000..=2_000_000).contains(&charge), "{charge}");
    assert_eq!(charge, 100_000 + end["billed_seconds"].as_u64().expect("seconds") * 10_000);
    for (field, value) in [
        ("rate_prefix", json!("+49")),
        ("price_per_minute_micros", json!(600_000)),
        ("connection_fee_micros", json!(100_000)),
        ("currency", json!("EUR")),
        ("bill_to", json!("operator:rhein")),
        ("pool_seconds", json!(0)),
        ("rounding", json!("per-started-second")),
    ] {
        assert_eq!(end[field], value, "{field}");
    }
    assert_eq!((&record["zone"], &record["usage_country"]), (&json!("zone-a"), &json!("DE")));
    let said = refused(&mut world, SAM, GERMAN);
    assert!(said.starts_with("organizer sam has spent "), "{said}");
    assert!(said.contains("of 2.00 EUR today") && said.contains("it opens again at 2026-"), "{said}");
    // What Microsoft carries has no price here: the minute pool pays it, and outside Zone A nobody can count it.
    dial(&mut world, SAM, BRITISH);
    let said = refused_with(&mut world, SAM, "+37120123456", 403);
    assert!(said.starts_with("organizer sam has a limit in EUR, and this number has no price"), "{said}");
    world.hang_up(host);
    world.close();
}

/// For one connection and a few seconds, and not for two.
const NARROW: &str = r#"
[[rate_plan]]
biller = "operator:rhein"
currency = "EUR"
rounding = "per-started-second"
rates = [{ prefix = "+49", per_minute = "0.60", connection_fee = "0.10" }]
[[dial_out_limit]]
each = "tenant"
spend_per_month = "0.20 EUR"
"#;

#[test]
fn two_telephones_that_ring_at_once_do_not_pass_a_limit_that_pays_for_one() {
    let (mut world, host) = meeting(NARROW);
    let first = world.dial_out(SAM, GERMAN, None);
    let second = world.dial_out(SAM, "+4930111223", None);
    assert_eq!(world.replies[&first].status, 202, "{:?}", world.replies[&first]);
    let refused = &world.replies[&second];
    assert_eq!(refused.status, 429, "{refused:?}");
    let said = refused.body["detail"].as_str().expect("a detail");
    assert!(
        said.contains("0.11 of 0.20 EUR this month on dial-outs (0.11 of it kept for calls that ring)"),
        "{said}"
    );
    let after = refused.body["retry_after"].as_u64().expect("until the end of the month");
    assert!(after > 60 && after <= 31 * 86_400, "{after}");
    world.until("the limit ends the first", Duration::from_mins(1), |world| {
        !dialed(world, "final").is_empty()
    });
    world.seconds(1);
    let charge = dialed(&world, "final")[0]["end"]["charge_micros"].as_u64().expect("a charge");
    assert!((100_000..=200_000).contains(&charge), "{charge}");
    world.hang_up(host);
    world.seconds(1);
    world.close();
}

#[test]
fn a_running_call_writes_an_interim_record_every_minute_and_one_final_one() {
    let (mut world, host) = meeting(PRICES);
    dial(&mut world, SAM, BRITISH);
    world.seconds(150);
    let interim = dialed(&world, "interim");
    let lasted: Vec<_> = interim.iter().map(|record| record["interim"]["duration_ms"].clone()).collect();
    assert_eq!(lasted, [60_000, 120_000]);
    assert_eq!(interim[1]["interim"]["billed_seconds"], 120);
    assert_eq!(
        (&interim[1]["interim"]["pool_seconds"], &interim[1]["interim"]["bill_to"]),
        (&json!(120), &json!("pool"))
    );
    let of_host = |record: &&Value| record["call_type"] == "conf_in" && record["kind"] == "interim";
    assert_eq!(world.records.iter().filter(of_host).count(), 2, "dial-ins write them too");
    world.hang_up(PhoneId(world.phones.len() - 1));
    world.seconds(1);
    let last = dialed(&world, "final").remove(0);
    assert_eq!(last["usage_id"], interim[0]["usage_id"]);
    assert!(
        last["interim"].is_null() && last["end"]["pool_seconds"] == last["end"]["billed_seconds"],
        "{last}"
    );
    world.hang_up(host);
    world.seconds(1);
    world.close();
}

#[test]
fn an_organizer_s_dial_outs_at_once_are_limited() {
    let (mut world, host) = meeting(PRICES);
    dial(&mut world, SAM, "+4930111221");
    dial(&mut world, SAM, "+4930111222");
    let said = refused(&mut world, SAM, "+4930111223");
    assert!(said.starts_with("organizer sam has 2 dial-outs under way and may have 2 at once"), "{said}");
    world.hang_up(host);
    world.seconds(1);
    world.close();
}

/// Fabrikam: one license of two minutes, and no credits.
const POOL: &str = r#"
[billing]
pool_minutes_per_license = 2
[[bridge]]
tenant = "fabrikam"
default_service_number = "+14255550999"
communications_credits = false
[[number]]
number = "+14255550999"
owner = "microsoft"
tenant = "fabrikam"
[[organizer]]
id = "frida"
tenant = "fabrikam"
license = "audio-conferencing-standard"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
[[meeting]]
conference_id = "400000009"
organizer = "frida"
"#;

#[test]
fn when_the_minute_pool_runs_out_the_meeting_is_warned_and_microsoft_dials_no_more() {
    let mut world = World::new(Setup { tables: POOL, ..Setup::default() });
    let id = "400000009";
    let host = join(&mut world, &Caller::to(MICROSOFT, "+14255550999").tone(2100), id);
    world.seconds(6);
    let said = refused_with(&mut world, id, "+37120123456", 403);
    assert!(said.contains("fabrikam has no Communications Credits"), "{said}");
    dial(&mut world, id, BRITISH);
    let begin = world.elapsed();
    world.seconds(70);
    assert_eq!(world.phone(host).ear.prompts(&(begin..world.elapsed())), [PromptId::SpendingLimitNear]);
    world.until("the pool is empty", Duration::from_mins(1), |world| participants(world, id) == 1);
    let after = world.since(begin).as_secs();
    assert!((117..=120).contains(&after), "{after} s");
    world.seconds(1);
    let end = dialed(&world, "final").remove(0)["end"].clone();
    assert_eq!(
        (&end["billed_seconds"], &end["pool_seconds"], &end["bill_to"]),
        (&json!(120), &json!(120), &json!("pool"))
    );
    assert_eq!(end["cause"], "the minute pool is used up");
    let said = refused(&mut world, id, BRITISH);
    assert!(said.starts_with("the minute pool of fabrikam is used up (2 minutes for this month)"), "{said}");
    world.hang_up(host);
    world.seconds(1);
    world.close();
}
