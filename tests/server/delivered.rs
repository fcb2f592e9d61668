//! Usage records in the database: each once, whatever is stopped, killed or gone on the way.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::bridge::House;
use super::database::Database;
use super::directory::STORE;
use super::postgres::Postgres;
use super::raw::{Raw, Request, status};

const RECORDS: &str = "SELECT COUNT(*) FROM usage_records";
const FINALS: &str = "SELECT COUNT(*) FROM usage_records WHERE kind = 'final'";
const WAITING: &str = "partyline_cdr_database_records";
const OLDEST: &str = "partyline_cdr_database_oldest_seconds";

async fn house_with(url: &str) -> House {
    House::new(&[STORE, ("@STORE@", url)]).await.0
}

/// Every record of the spool is in the database once, and what bills is in its columns.
async fn is_complete(house: &House, database: &Database) {
    let records = house.usage();
    let count = i64::try_from(records.len()).expect("a number");
    house.until("all records are in the database", async || database.number(RECORDS).await >= count).await;
    assert_eq!(database.number(RECORDS).await, count);
    for record in &records {
        let text = |place: &str| record.pointer(place).and_then(|value| value.as_str()).map(str::to_owned);
        let found = database.record(&text("/record_id").expect("an ID")).await;
        let expected = ["/usage_id", "/kind", "/trunk", "/caller", "/end/result"].map(text);
        assert_eq!(found, expected, "{record}");
    }
}

/// Calls, a crash under all of them, and a restart.
async fn killed(house: &House, database: &Database) {
    let bridge = house.start().await;
    let mut calls = Vec::new();
    for n in 0..30 {
        calls.push(house.call(&format!("+4930231250{n:02}")).await);
        if n % 3 == 0 {
            // Some have ended when it dies, and some are on their way into the database.
            calls.remove(0).hang_up().await.expect("an answer to BYE");
        }
    }
    assert_eq!(house.records("start").len(), 30);
    bridge.die().await;
    // Killed again while it takes records over, at any moment.
    for patience in [150, 300, 450, 600] {
        let bridge = house.spawn(&[]);
        tokio::time::sleep(Duration::from_millis(patience)).await;
        bridge.die().await;
    }
    let mut bridge = house.start().await;
    is_complete(house, database).await;
    assert_eq!(database.number(FINALS).await, 30);
    let legs = "SELECT COUNT(DISTINCT usage_id) FROM usage_records WHERE kind = 'final'";
    assert_eq!(database.number(legs).await, 30);
    house.until("nothing waits", async || house.count(WAITING).await == 0).await;
    // What ends last is there too, when it ends well.
    let call = house.call("+493023125099").await;
    call.hang_up().await.expect("an answer to BYE");
    bridge.signal(Signal::SIGTERM);
    assert!(bridge.ended().await.success());
    assert_eq!(database.number(FINALS).await, 31);
    is_complete(house, database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_under_thirty_calls_every_leg_has_one_final_record_in_the_database() {
    let house = house_with("sqlite:partyline.db").await;
    drop(house.start().await);
    let database = Database::file(&house.path("partyline.db")).await;
    killed(&house, &database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_every_leg_has_one_final_record_in_postgresql() {
    let Some(postgres) = Postgres::start().await else { return };
    let house = house_with(&postgres.url()).await;
    drop(house.start().await);
    let database = Database::open(&postgres.url()).await;
    killed(&house, &database).await;
}

/// So many calls are up when it dies.
const CROWD: usize = 200;

/// Calls by hand: answered, and nothing more than that is done about most of them, so that any machine has them all up at once.
async fn crowd(house: &House) {
    let raw = Raw::open(house.sip).await;
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let port = sink.local_addr().expect("its address").port();
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    );
    let (mut answered, mut asked) = (0, 0);
    while answered < CROWD {
        let call_id = format!("crowd-{asked:05}");
        asked += 1;
        let invite = Request { method: "INVITE", call_id: &call_id, body: &body, ..Request::default() };
        let answer = raw.ask(&invite).await;
        if status(&answer) != 200 {
            // The bridge may be too busy for a moment; then the call comes again.
            assert!(status(&answer) == 503 && asked < 20 * CROWD, "{answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        answered += 1;
        if answered % 10 == 0 {
            // These hear the attendant.
            let to = answer.lines().find(|line| line.starts_with("To: ")).expect("a To");
            let ack = Request { method: "ACK", call_id: &call_id, ..Request::default() };
            let text = ack.text("UDP", raw.address(), house.sip);
            let plain = text.lines().find(|line| line.starts_with("To: ")).expect("a To").to_owned();
            raw.send(text.replace(&plain, to).as_bytes()).await;
        }
    }
}

/// A crash under two hundred calls, and another one while they are closed.
async fn killed_under_a_crowd(url: &str) {
    let changes = [STORE, ("@STORE@", url)];
    let (house, _doorbell) = House::with_media_ports(2 * CROWD as u16 + 40, &changes).await;
    let bridge = house.start().await;
    crowd(&house).await;
    let starts = house.records("start").len();
    assert!(starts >= CROWD, "{starts}: whoever is answered has a start record on disk");
    bridge.die().await;
    let again = house.spawn(&[]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    again.die().await;
    let _bridge = house.start().await;
    let mut finals = HashMap::new();
    for record in house.records("final") {
        *finals.entry(record["usage_id"].to_string()).or_insert(0) += 1;
    }
    for start in house.records("start") {
        assert_eq!(finals.get(&start["usage_id"].to_string()), Some(&1), "{start}");
    }
    // Whom it was too busy for may have a final record and no start.
    assert!(finals.values().all(|count| *count == 1), "{finals:?}");
    let database =
        Database::open(&url.replace("partyline.db", &house.path("partyline.db").display().to_string())).await;
    let legs = i64::try_from(finals.len()).expect("a number");
    house.until("all ends are in the database", async || database.number(FINALS).await >= legs).await;
    let distinct = "SELECT COUNT(DISTINCT usage_id) FROM usage_records WHERE kind = 'final'";
    assert_eq!((database.number(FINALS).await, database.number(distinct).await), (legs, legs));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_under_two_hundred_calls_every_one_has_one_final_record() {
    killed_under_a_crowd("sqlite:partyline.db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_under_two_hundred_calls_every_one_has_one_final_record_in_postgresql() {
    let Some(postgres) = Postgres::start().await else { return };
    killed_under_a_crowd(&postgres.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_gone_calls_go_on_and_the_records_come_later() {
    let Some(mut postgres) = Postgres::start().await else { return };
    let house = house_with(&postgres.url()).await;
    let _bridge = house.start().await;
    let before = house.call("+493023125001").await;
    house
        .until("it is in the database", async || {
            house.count("partyline_cdr_database_delivered_total{result=\"new\"}").await == 1
        })
        .await;
    postgres.stop();
    let during = house.join("+493023125002").await;
    house.until_seated(1).await;
    before.hang_up().await.expect("an answer to BYE");
    during.hang_up().await.expect("an answer to BYE");
    house.until("all ends are in the spool", async || house.records("final").len() == 2).await;
    house.until("three records wait", async || house.count(WAITING).await == 3).await;
    house.until("their age shows", async || house.count(OLDEST).await > 0).await;
    assert_eq!(house.count("partyline_cdr_spool_records").await, 0, "the disk has taken all of them");
    postgres.go_on().await;
    let database = Database::open(&postgres.url()).await;
    is_complete(&house, &database).await;
    assert_eq!(database.number(FINALS).await, 2);
    house.until("nothing waits", async || house.count(WAITING).await + house.count(OLDEST).await == 0).await;
}
