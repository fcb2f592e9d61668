//! Hundreds of calls that do what callers do, over networks that do what networks do. Nothing may be left over.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use server::control::Input;
use tests::fixture::{EXPIRED, SMALL};
use tests::{
    Callee, Caller, ELBE, ELBE_NUMBER, GRETA, Impairment, KeyStyle, Line, MICROSOFT, MICROSOFT_NUMBER,
    OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, STRANGER, Setup, SiteId, Sound, World,
};

/// A storm.
#[derive(Clone, Copy)]
struct Storm {
    seed: u64,
    calls: usize,
    /// Everybody has called within this time.
    over: Duration,
    sip: Impairment,
    media: Impairment,
    /// Peers die and come back, threads stall, the disk is slow, messages come again and broken.
    chaos: bool,
}

fn pick<T: Clone>(random: &mut StdRng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())].clone()
}

fn millis(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

fn caller(random: &mut StdRng) -> Caller {
    let (site, number): (SiteId, &str) = pick(
        random,
        &[
            (OPERATOR, OPERATOR_NUMBER),
            (OPERATOR, OPERATOR_NUMBER),
            (OPERATOR, OPERATOR_NUMBER),
            (OPERATOR, OPERATOR_NUMBER),
            (MICROSOFT, MICROSOFT_NUMBER),
            (MICROSOFT, MICROSOFT_NUMBER),
            (MICROSOFT, MICROSOFT_NUMBER),
            (MICROSOFT, MICROSOFT_NUMBER),
            (ELBE, ELBE_NUMBER),
            (ELBE, ELBE_NUMBER),
            (ELBE, ELBE_NUMBER),
            (ELBE, OPERATOR_NUMBER),
            (STRANGER, OPERATOR_NUMBER),
            (OPERATOR, "+4930999"),
        ],
    );
    let sound = pick(
        random,
        &[Sound::ComfortNoise, Sound::ComfortNoise, Sound::Silence, Sound::Tone(700), Sound::Nothing],
    );
    let late_offer = random.random_bool(0.1);
    Caller { sound, late_offer, deaf: true, ..Caller::to(site, number) }
}

fn callee(random: &mut StdRng) -> Callee {
    let after = millis(random, 0..3000);
    match random.random_range(0..9) {
        0..3 => Callee::Answers { ring: random.random_bool(0.8), after },
        3 => Callee::AnswersEarly { after },
        4 => Callee::refuses(pick(random, &[486, 480, 603, 404])),
        5 => Callee::refuses(503),
        6 => Callee::Rings,
        7 => Callee::TryingOnly,
        _ => Callee::Challenges(Box::new(Callee::after(1))),
    }
}

/// What one caller will do and when, all decided now.
fn script(world: &mut World, random: &mut StdRng, phone: PhoneId) {
    let id = pick(random, &[SAM, SAM, GRETA, SMALL, EXPIRED, "111111111", "12#"]);
    let mut at = millis(random, 0..3000);
    world.phone_mut(phone).mouth.keys = pick(
        random,
        &[KeyStyle::Plain, KeyStyle::NoMarker, KeyStyle::EndsWithNewTimestamps, KeyStyle::OtherSsrc],
    );
    world.after(at, move |world| world.press(phone, id));
    for _ in 0..random.random_range(0..4) {
        at += millis(random, 300..4000);
        match random.random_range(0..4) {
            0 => world.after(at, move |world| world.press(phone, "*6")),
            1 => world.after(at, move |world| world.press(phone, "*1#7")),
            2 => {
                let word = pick(random, &["sendonly", "inactive", "recvonly", "sendrecv"]);
                world.after(at, move |world| {
                    world.reinvite(phone, Some(word));
                });
            }
            _ => world.after(at, move |world| {
                world.reinvite(phone, Some("sendrecv"));
            }),
        }
    }
    let soon = random.random_bool(0.1);
    let leaves = millis(random, if soon { 0..80 } else { 0..12_000 });
    match random.random_range(0..8) {
        // He does not hang up; the end of the storm does it for him.
        0 => {}
        // His phone is switched off.
        1 => world.after(leaves, move |world| {
            world.phone_mut(phone).remote = None;
            world.phone_mut(phone).mouth.sound = Sound::Nothing;
        }),
        _ => world.after(leaves, move |world| world.hang_up(phone)),
    }
}

/// A user of the API dials somebody, who does something, and leaves some time after.
fn dial(world: &mut World, random: &mut StdRng) {
    let ready = callee(random);
    for site in [OPERATOR, ELBE, MICROSOFT] {
        world.sites[site.0].callee = ready.clone();
    }
    let prefix = pick(random, &["+4930", "+331", "+3906", "+4420"]);
    let number = format!("{prefix}{}", random.random_range(1_000_000..9_999_999));
    let confirm = random.random_bool(0.3);
    world.dial_out(pick(random, &[SAM, SAM, GRETA, SMALL]), &number, Some(confirm));
    let (presses, leaves) = (random.random_bool(0.5), millis(random, 0..9000));
    world.after(Duration::from_millis(2500), move |world| {
        let callee = (0..world.phones.len()).rev().find(|&number| world.phones[number].request.is_some());
        let Some(callee) = callee.map(PhoneId) else { return };
        world.phone_mut(callee).ear.deaf = true;
        if presses {
            world.press(callee, "1");
        }
        world.after(leaves, move |world| world.hang_up(callee));
    });
}

/// Trouble at random moments.
fn chaos(world: &mut World, random: &mut StdRng, over: Duration) {
    let over = over.as_millis() as u64;
    world.strict = false;
    for _ in 0..40 {
        let at = millis(random, 0..over);
        let time = millis(random, 20..3000);
        match random.random_range(0..5) {
            0 => {
                let site = pick(random, &[OPERATOR, ELBE, MICROSOFT]);
                world.after(at, move |world| world.sites[site.0].alive = false);
                world.after(at + time, move |world| world.sites[site.0].alive = true);
            }
            1 => {
                let (shard, time) = (random.random_range(0..2), time / 10);
                world.after(at, move |world| world.stall(shard, time));
            }
            2 => {
                let slow = pick(random, &[5, 50, 800, 6000]);
                world.after(at, move |world| world.setup.settles = Some(Duration::from_millis(slow)));
            }
            3 => {
                let (delay, ring) = (millis(random, 0..60), pick(random, &[1, 3, 64]));
                world.after(at, move |world| {
                    world.setup.command_delay = delay;
                    world.setup.ring = ring;
                });
            }
            _ => {
                let flow = sip::Flow {
                    transport: sip::Transport::Udp,
                    local: tests::fixture::BRIDGE,
                    remote: world.sites[pick(random, &[OPERATOR, ELBE, MICROSOFT]).0].address,
                    connection: 0,
                };
                let why = "port unreachable".to_owned();
                world.after(at, move |world| world.feed(Input::FlowFailed { flow, why }));
            }
        }
    }
    for _ in 0..400 {
        let mut own = StdRng::seed_from_u64(random.random());
        world.after(millis(random, 0..over), move |world| parrot(world, &mut own));
    }
}

/// Somebody repeats a message that was sent before, as it was or broken, from where it came or from elsewhere.
fn parrot(world: &mut World, random: &mut StdRng) {
    if world.spoken.is_empty() {
        return;
    }
    let (from, bytes) = pick(random, &world.spoken);
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] = random.random(),
            1 => bytes.truncate(at.max(1)),
            2 => {
                let until = (at + random.random_range(1..40)).min(bytes.len());
                let copy = bytes[at..until].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
    let from = if random.random_bool(0.1) { world.sites[STRANGER.0].address } else { from };
    world.send_raw(from, bytes.into());
}

impl Storm {
    fn rage(self) -> World {
        let mut random = StdRng::seed_from_u64(self.seed ^ 0x5707);
        let setup = Setup {
            seed: self.seed,
            sip: self.sip,
            media: self.media,
            ports: "20000-20299",
            operator_lines: "credentials = { username = \"bridge\", password = \"s3cret\" }",
            settles: Some(millis(&mut random, 1..60)),
            ring: pick(&mut random, &[2, 8, 1024]),
            command_delay: millis(&mut random, 0..30),
            report_delay: millis(&mut random, 0..10),
            ..Setup::default()
        };
        let mut world = World::new(setup);
        for _ in 0..self.calls {
            let at = millis(&mut random, 0..self.over.as_millis() as u64);
            let caller = caller(&mut random);
            let mut own = StdRng::seed_from_u64(random.random());
            world.after(at, move |world| {
                let phone = world.call(&caller);
                script(world, &mut own, phone);
            });
        }
        if self.chaos {
            chaos(&mut world, &mut random, self.over);
        }
        for _ in 0..self.calls / 2 {
            let at = millis(&mut random, 0..self.over.as_millis() as u64);
            let mut own = StdRng::seed_from_u64(random.random());
            world.after(at, move |world| dial(world, &mut own));
        }
        world.run(self.over + Duration::from_secs(8));
        world
    }
}

fn storm(seed: u64, sip_loss: f64, media_loss: f64) {
    let storm = Storm {
        seed,
        calls: 120,
        over: Duration::from_secs(15),
        sip: if sip_loss > 0.0 { Impairment::lossy(sip_loss) } else { Impairment::NONE },
        media: if media_loss > 0.0 { Impairment::lossy(media_loss) } else { Impairment::NONE },
        chaos: false,
    };
    storm.rage().close();
}

fn chaotic(seed: u64) {
    let (sip, media) = (Impairment::lossy(0.03), Impairment::lossy(0.03));
    Storm { seed, calls: 100, over: Duration::from_secs(15), sip, media, chaos: true }.rage().close();
}

/// The seeds of a test: `PARTYLINE_STORMS=500` makes it run so many further ones, to look for trouble.
fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let more = std::env::var("PARTYLINE_STORMS").ok().and_then(|number| number.parse::<u64>().ok());
    usual.start..usual.end + more.unwrap_or(0)
}

#[test]
fn a_storm_on_a_perfect_network_leaves_nothing_behind() {
    seeds(0..2).for_each(|seed| storm(1_000_000 + seed, 0.0, 0.0));
}

#[test]
fn a_storm_at_five_percent_loss_leaves_nothing_behind() {
    seeds(0..2).for_each(|seed| storm(2_000_000 + seed, 0.05, 0.05));
}

#[test]
fn a_storm_at_twenty_percent_loss_of_signalling_leaves_nothing_behind() {
    seeds(0..2).for_each(|seed| storm(3_000_000 + seed, 0.2, 0.0));
}

#[test]
fn a_storm_at_twenty_percent_loss_of_everything_leaves_nothing_behind() {
    seeds(0..1).for_each(|seed| storm(4_000_000 + seed, 0.2, 0.2));
}

#[test]
fn a_storm_with_dying_peers_stalled_threads_and_broken_messages_leaves_nothing_behind() {
    seeds(0..2).for_each(|seed| chaotic(5_000_000 + seed));
}

#[test]
fn the_second_signal_in_the_middle_of_a_storm_leaves_nothing_behind() {
    let lossy = Impairment::lossy(0.1);
    let storm =
        Storm { seed: 7, calls: 120, over: Duration::from_secs(15), sip: lossy, media: lossy, chaos: false };
    let mut world = storm.rage();
    world.feed(Input::DrainNow);
    world.close();
}

#[test]
fn three_hundred_calls_at_once_all_join() {
    let mut world = World::new(Setup { ports: "20000-20699", ..Setup::default() });
    let mut phones = Vec::new();
    for number in 0..300_u64 {
        let site = [(OPERATOR, OPERATOR_NUMBER), (MICROSOFT, MICROSOFT_NUMBER), (ELBE, ELBE_NUMBER)]
            [number as usize % 3];
        let caller = Caller { sound: Sound::ComfortNoise, deaf: true, ..Caller::to(site.0, site.1) };
        let phone = world.call(&caller);
        phones.push(phone);
        world.after(Duration::from_millis(800 + 7 * number), move |world| world.press(phone, SAM));
    }
    world.seconds(6);
    assert!(phones.iter().all(|&phone| world.phone(phone).line == Line::Up));
    assert_eq!(crate::cast::participants(&world, SAM), 300);
    world.close();
}

#[test]
fn at_five_percent_loss_every_key_counts_exactly_once() {
    for seed in 0..4 {
        let media = Impairment { loss: 0.05, duplicate: 0.02, late: 0.02, ..Impairment::lossy(0.05) };
        let mut world = World::new(Setup { seed, media, ..Setup::default() });
        let mut keys = Vec::new();
        for number in 0..20_usize {
            let phone = world.call(&Caller { deaf: true, ..Caller::to(OPERATOR, OPERATOR_NUMBER) });
            let styles =
                [KeyStyle::Plain, KeyStyle::NoMarker, KeyStyle::EndsWithNewTimestamps, KeyStyle::OtherSsrc];
            world.phone_mut(phone).mouth.keys = styles[number % styles.len()];
            // Twice the same key in a row, and all the others; then the meeting, where keys mean nothing.
            let text = format!("{SAM}1122334455667788990012");
            keys.push((phone, text.len() as u64));
            world.after(Duration::from_millis(900), move |world| world.press(phone, &text));
        }
        world.seconds(10);
        for &(phone, _) in &keys {
            world.hang_up(phone);
        }
        world.seconds(1);
        for (record, (phone, pressed)) in world.finals().into_iter().zip(&keys) {
            assert_eq!(record["end"]["keys_pressed"], *pressed, "seed {seed}, {phone:?}: {record}");
        }
        world.close();
    }
}
