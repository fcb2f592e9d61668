//! A carrier that wants us to register: credentials, refreshes, failover, and how it ends.

use std::time::Duration;

use server::control::{Ask, Input};
use tests::fixture::OPERATOR_SPARE;
use tests::registrar::Registrar;
use tests::{Caller, Impairment, OPERATOR, OPERATOR_NUMBER, SAM, Setup, World};

use crate::cast::join;

const REGISTERS: &str = "credentials = { username = \"4930123\", password = \"secret\" }\n\
                         register = { domain = \"carrier.example\", expires_seconds = 300 }";
/// A number that goes through the operator.
const GERMAN: &str = "+4930111222";

fn setup() -> Setup {
    Setup { operator_lines: REGISTERS, ..Setup::default() }
}

fn world(setup: Setup) -> World {
    let mut world = World::new(setup);
    let strict = Registrar::strict(world.instant());
    world.sites[OPERATOR.0].registrar = Some(strict);
    world
}

fn registrar(world: &World) -> &Registrar {
    world.sites[OPERATOR.0].registrar.as_ref().expect("it has one")
}

fn is_known(world: &World) -> bool {
    registrar(world).knows_somebody(world.elapsed())
}

fn metric(world: &World, series: &str) -> u64 {
    let page = world.metrics.page();
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series}"))
}

const REGISTERED: &str = "partyline_trunk_registered{trunk=\"rhein\"}";
const FAILURES: &str = "partyline_trunk_registration_failures_total{trunk=\"rhein\"}";

#[test]
fn a_trunk_is_registered_with_its_credentials_and_stays_so_for_hours() {
    let mut world = world(setup());
    assert_eq!(metric(&world, REGISTERED), 0);
    world.seconds(2);
    assert_eq!(metric(&world, REGISTERED), 1);
    assert_eq!(registrar(&world).bindings.keys().collect::<Vec<_>>(), ["sip:4930123@127.0.0.1:5060"]);
    for _ in 0..720 {
        world.seconds(10);
        assert!(is_known(&world), "at {:?}", world.elapsed());
    }
    let taken = &registrar(&world).taken;
    assert!(
        taken.windows(2).all(|pair| (209..=241).contains(&pair[1].0.saturating_sub(pair[0].0).as_secs())),
        "{taken:?}"
    );
    // One challenge at the beginning; then every request is signed at once, until its nonce is too old.
    let asked = world.sites[OPERATOR.0].got("REGISTER ").len();
    assert!(asked <= 2 * taken.len(), "{asked} requests for {} grants", taken.len());
    let first = world.sites[OPERATOR.0].got("REGISTER ")[0].message();
    assert_eq!(first.uri().map(ToString::to_string).as_deref(), Some("sip:carrier.example"));
    world.judge();
}

#[test]
fn on_a_network_that_loses_a_fifth_of_all_messages_the_registration_never_runs_out() {
    let mut world = world(Setup { sip: Impairment::lossy(0.2), seed: 11, ..setup() });
    world.seconds(40);
    for _ in 0..360 {
        world.seconds(10);
        assert!(is_known(&world), "at {:?}", world.elapsed());
    }
}

#[test]
fn a_registrar_that_wants_longer_registrations_gets_them() {
    let mut world = world(setup());
    if let Some(registrar) = &mut world.sites[OPERATOR.0].registrar {
        registrar.least = 900;
    }
    world.seconds(2);
    assert!(is_known(&world));
    assert_eq!(registrar(&world).taken[0].1, 900);
    world.judge();
}

#[test]
fn a_registrar_that_does_not_answer_leads_to_the_next_peer_within_nine_seconds() {
    let mut world = world(Setup { second_peer: true, ..setup() });
    world.sites[OPERATOR.0].alive = false;
    world.sites[OPERATOR_SPARE.0].registrar = Some(Registrar::open());
    world.seconds(10);
    let spare = world.sites[OPERATOR_SPARE.0].registrar.as_ref().expect("it has one");
    assert!(spare.knows_somebody(world.elapsed()));
    assert_eq!(metric(&world, FAILURES), 0, "somebody took it");
}

#[test]
fn a_refusal_is_counted_shown_and_not_repeated_soon() {
    let mut world = world(setup());
    if let Some(registrar) = &mut world.sites[OPERATOR.0].registrar {
        registrar.refuses = Some(403);
    }
    world.seconds(600);
    let asked = world.sites[OPERATOR.0].got("REGISTER ").len();
    assert!((3..=6).contains(&asked), "{asked} in ten minutes");
    assert_eq!((metric(&world, REGISTERED), metric(&world, FAILURES)), (0, asked as u64));
    let ask = world.ask(Ask::Trunk { name: "rhein".to_owned() });
    let shown = &world.replies[&ask].body["registration"];
    assert_eq!((&shown["registered"], &shown["failures"]), (&false.into(), &asked.into()), "{shown}");
    assert!(shown["because"].as_str().is_some_and(|why| why.contains("403 Forbidden")), "{shown}");
    if let Some(registrar) = &mut world.sites[OPERATOR.0].registrar {
        registrar.refuses = None;
    }
    world.until("it is registered after all", Duration::from_mins(20), is_known);
}

#[test]
fn a_drained_trunk_takes_its_contact_back_and_comes_again() {
    let mut world = world(setup());
    world.seconds(2);
    let drain = |draining| Ask::DrainTrunk { name: "rhein".to_owned(), draining };
    world.ask(drain(true));
    world.seconds(1);
    assert!(registrar(&world).bindings.is_empty());
    assert_eq!(metric(&world, REGISTERED), 0);
    world.seconds(600);
    assert!(registrar(&world).bindings.is_empty());
    world.ask(drain(false));
    world.seconds(2);
    assert!(is_known(&world));
    world.judge();
}

#[test]
fn a_bridge_that_drains_takes_its_contact_back_while_calls_go_on() {
    let mut world = world(setup());
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    assert!(is_known(&world));
    world.feed(Input::Drain);
    world.seconds(1);
    assert!(registrar(&world).bindings.is_empty());
    assert!(!world.phone(phone).is_over());
    world.close();
}

#[test]
fn the_service_route_of_the_registrar_is_what_our_calls_carry() {
    let mut world = world(setup());
    let route = "<sip:127.0.0.2:5060;lr>";
    if let Some(registrar) = &mut world.sites[OPERATOR.0].registrar {
        registrar.service_route = Some(route);
    }
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    world.dial_out(SAM, GERMAN, None);
    world.seconds(1);
    let invite = world.sites[OPERATOR.0].got("INVITE ")[0].message();
    assert_eq!(invite.headers().get("Route"), Some(route));
    world.seconds(3);
    world.close();
}

#[test]
fn a_reload_without_register_leaves_nothing_of_it_behind_whatever_was_under_way() {
    // Registered; while the REGISTER is under way; in the pause after a refusal.
    for (alive, refuses) in [(true, None), (false, None), (true, Some(403))] {
        let mut world = world(setup());
        let site = &mut world.sites[OPERATOR.0];
        site.alive = alive;
        site.registrar.as_mut().expect("it has one").refuses = refuses;
        world.seconds(2);
        assert_eq!(
            (is_known(&world), metric(&world, REGISTERED)),
            (alive && refuses.is_none(), u64::from(alive && refuses.is_none()))
        );
        assert_eq!(metric(&world, FAILURES) > 0, refuses.is_some());
        world.sites[OPERATOR.0].alive = true;
        world.reload(&Setup::default());
        world.seconds(60);
        assert!(!is_known(&world), "the Contact was taken back");
        let page = world.metrics.page();
        assert!(!page.contains(REGISTERED) && !page.contains(FAILURES), "an alert that never ends");
        let asked = world.sites[OPERATOR.0].got("REGISTER ").len();
        world.seconds(3600);
        assert_eq!(world.sites[OPERATOR.0].got("REGISTER ").len(), asked, "it asked again");
    }
}
