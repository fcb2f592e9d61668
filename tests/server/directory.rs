//! The directory in a database: callers join what stands only there, changes take hold while calls are up, and what is
//! wrong is refused.

use std::process::Output;

use super::bridge::{House, NUMBER, run};
use super::database::Database;
use super::postgres::Postgres;

/// The sections that the database has instead of the file: the configuration up to the first bridge, and the routes.
pub(crate) const STORE: (&str, &str) =
    ("[usage]\n", "[store]\nurl = \"@STORE@\"\npoll_seconds = 1\n\n[usage]\n");

/// What somebody with access to the database writes into it.
const PEOPLE: &str = "
    INSERT INTO organizers (id, tenant, license, policy, service_number,
            allow_pstn_users_to_bypass_lobby, allow_anonymous_users_to_start_meeting)
        VALUES ('nora', 'contoso', 'operator-connect-conferencing', 'germany-by-operator', '+496990009100', 1, 1);
    INSERT INTO meetings (conference_id, organizer, subject) VALUES ('271828182', 'nora', 'Only in the database');
    UPDATE directory_version SET version = version + 1";

/// What an administrator imports.
const NUMBERS: &str = "number,owner,tenant\n+496990009200,operator:rhein-telecom,contoso\n";
const ORGANIZERS: &str = "id,tenant,license,policy,service_number,allow_pstn_users_to_bypass_lobby,allow_anonymous_users_to_start_meeting\n\
    nora,contoso,operator-connect-conferencing,germany-by-operator,+49 69 9000 9200,yes,yes\n";

async fn partyline(house: &House, words: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = run(words, house.path("").as_path()).await;
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// The same on every database; the IDs that it has left there.
async fn an_administrator_runs_the_directory(house: &House) -> [String; 2] {
    let _bridge = house.start().await;
    house.write("numbers.csv", NUMBERS);
    house.write("people.csv", ORGANIZERS);
    let wrong = ORGANIZERS.replace("germany-by-operator", "nowhere").replace("nora", "nina");
    house.write("wrong.csv", &wrong);
    let say = async |words: &[&str]| {
        let (code, said) = partyline(house, words).await;
        assert_eq!(code, Some(0), "{words:?}: {said}");
        said
    };
    // Her number is not there yet: nothing is written, and the place is named.
    let (code, said) = partyline(house, &["directory", "import", "people.csv"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("people.csv:2:5: `organizer \"nora\".service_number`"), "{said}");
    let dry = say(&["directory", "import", "numbers.csv", "--dry-run"]).await;
    assert!(dry.contains("add     numbers  +496990009200") && dry.contains("1 added, 0 changed"), "{dry}");
    assert!(say(&["directory", "ls"]).await.contains("numbers: 0"));
    say(&["directory", "import", "numbers.csv"]).await;
    say(&["directory", "import", "people.csv"]).await;
    let (code, said) = partyline(house, &["directory", "import", "wrong.csv"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("wrong.csv:2:4: `organizer \"nina\".policy`: \"nowhere\""), "{said}");
    assert!(!say(&["directory", "ls", "organizers"]).await.contains("nina"));
    assert!(say(&["directory", "import", "people.csv"]).await.contains("0 added, 0 changed, 1 as they were"));
    house.write("people.csv", &ORGANIZERS.replace(",yes\n", ",no\n"));
    let dry = say(&["directory", "import", "people.csv", "--dry-run"]).await;
    assert!(dry.contains("allow_anonymous_users_to_start_meeting  true  false"), "{dry}");

    let made = say(&["meeting", "create", "--organizer", "nora", "--subject", "At once"]).await;
    let id = made.lines().next().and_then(|line| line.strip_prefix("+496990009200,,")?.strip_suffix('#'));
    let id = id.unwrap_or_else(|| panic!("{made}"));
    let spoken = format!("Phone Conference ID: {} {} {}#", &id[..3], &id[3..6], &id[6..]);
    assert_eq!((id.len(), made.lines().nth(1)), (9, Some(spoken.as_str())));
    let version = "partyline_directory_version";
    house.until("the meeting is in force", async || house.count(version).await == 3).await;
    joins(house, id).await;
    let moved = say(&["meeting", "reset-id", id]).await;
    let new = moved.lines().next().and_then(|line| line.strip_prefix("+496990009200,,")?.strip_suffix('#'));
    let new = new.unwrap_or_else(|| panic!("{moved}"));
    assert_ne!(new, id);
    house.until("the other ID is in force", async || house.count(version).await == 4).await;
    joins(house, new).await;
    let (code, said) = partyline(house, &["meeting", "reset-id", id]).await;
    assert!(code == Some(2) && said.contains("has expired, or was reset before"), "{said}");
    is_explained(house, id).await;

    let said = say(&["organizer", "reset-pin", "nora"]).await;
    let pin = said.strip_prefix("PIN of nora: ").and_then(|rest| rest.get(..5)).expect("the PIN");
    let shown = say(&["directory", "ls", "--json"]).await;
    assert!(!shown.contains(pin) || !pin.bytes().all(|byte| byte.is_ascii_digit()), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        (&shown["organizers"][0]["pin_hash"], shown["meetings"].as_array().map(Vec::len)),
        (&"set".into(), Some(2))
    );
    house.until("the PIN is in force", async || house.count(version).await == 5).await;
    is_told(house, (id, new), pin).await;
    [id, new].map(str::to_owned)
}

/// Who keys the ID that a meeting had hears that he wants another one, and is not told which.
async fn is_explained(house: &House, old: &str) {
    let call = house.call("+493023125001").await;
    call.media().key(&format!("{old}#")).await;
    let expired = "partyline_attendant_attempts_total{result=\"expired\",step=\"conference_id\"}";
    house.until("the old ID is explained", async || house.count(expired).await == 1).await;
    call.hang_up().await.expect("an answer to BYE");
}

/// Rows are taken away with those that refer to them, or before them, and not otherwise.
async fn what_is_not_referred_to_goes(house: &House, meetings: &[String; 2]) {
    let number = "+496990009200";
    for (table, key, named) in
        [("number", number, "organizer \"nora\".service_number"), ("organizer", "nora", "organizer")]
    {
        let (code, said) = partyline(house, &["directory", "rm", table, key]).await;
        assert!(code == Some(2) && said.contains(named) && said.contains("still refers to"), "{said}");
        assert!(said.contains("nothing was changed"), "{said}");
    }
    let (code, said) = partyline(house, &["directory", "rm", "meeting", "123123123"]).await;
    assert!(code == Some(2) && said.contains("has no row \"123123123\" in meetings"), "{said}");
    let rm = async |words: &[&str]| {
        let (code, said) = partyline(house, &[&["directory", "rm"], words].concat()).await;
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let both = ["meetings", &meetings[0], &meetings[1]];
    let dry = rm(&[&both[..], &["--dry-run"]].concat()).await;
    assert!(dry.contains("would go:") && dry.contains("nothing was changed"), "{dry}");
    assert!(rm(&both).await.contains("gone:"), "it was still there");
    rm(&["organizer", "nora"]).await;
    rm(&["number", number]).await;
    let (_, left) = partyline(house, &["directory", "ls"]).await;
    for table in ["numbers", "organizers", "meetings"] {
        assert!(left.contains(&format!("{table}: 0")), "{left}");
    }
}

/// Whoever mails people learns it from the stream, but for the PIN.
async fn is_told(house: &House, (old, new): (&str, &str), pin: &str) {
    let told = async || house.api("GET", "/v1/events?since=0&limit=1000", None).await.1;
    house.until("the PIN's reset is told", async || told().await.to_string().contains("pin.reset")).await;
    let told = told().await;
    let events = told["events"].as_array().expect("events");
    let of = |kind: &str| {
        let found = events.iter().find(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {told}"))
    };
    for kind in ["organizer.created", "pin.reset", "conference_id.reset"] {
        let event = of(kind);
        assert_eq!((&event["tenant"], &event["details"]["organizer"]), (&"contoso".into(), &"nora".into()));
    }
    let reset = of("conference_id.reset");
    assert_eq!((&reset["conference_id"], &reset["details"]["before"]), (&new.into(), &old.into()));
    assert_eq!(of("directory.changed")["tenant"], serde_json::Value::Null);
    let details: Vec<_> = events.iter().map(|event| event["details"].to_string()).collect();
    assert!(!details.iter().any(|text| text.contains(pin) || text.contains("argon2")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_imports_people_makes_meetings_and_resets_ids_and_pins() {
    let house = house_with("sqlite:partyline.db").await;
    let meetings = an_administrator_runs_the_directory(&house).await;
    let database = Database::file(&house.path("partyline.db")).await;
    let hashed = "SELECT COUNT(*) FROM organizers WHERE pin_hash LIKE '$argon2id$%'";
    assert_eq!(database.number(hashed).await, 1);
    what_is_not_referred_to_goes(&house, &meetings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_it_is_the_same() {
    let Some(mut postgres) = Postgres::start().await else { return };
    let house = house_with(&postgres.url()).await;
    let meetings = an_administrator_runs_the_directory(&house).await;
    what_is_not_referred_to_goes(&house, &meetings).await;
    // Gone, the directory stays as it was; back, changes take hold again.
    let bridge = house.start().await;
    postgres.stop();
    house.until("it shows", async || house.count("partyline_directory_up").await == 0).await;
    joins(&house, "912308576").await;
    postgres.go_on().await;
    let database = Database::open(&postgres.url()).await;
    database.run(PEOPLE.replace("nora", "nele").as_str()).await;
    house
        .until("the change is in force", async || house.count("partyline_directory_version").await == 9)
        .await;
    joins(&house, "271828182").await;
    drop(bridge);
}

async fn house_with(url: &str) -> House {
    House::new(&[STORE, ("@STORE@", url)]).await.0
}

/// Keys a conference ID and waits until somebody is in that meeting.
async fn joins(house: &House, conference: &str) {
    let call = house.call("+493023125001").await;
    call.media().key(&format!("{conference}#")).await;
    house
        .until("the caller is in the meeting", async || {
            let (_, shown) = house.api("GET", &format!("/v1/conferences/{conference}"), None).await;
            shown["participants"].as_array().is_some_and(|people| people.len() == 1)
        })
        .await;
    call.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_only_the_database_has_is_joined_also_after_a_restart() {
    let house = house_with("sqlite:partyline.db").await;
    let bridge = house.start().await;
    joins(&house, "912308576").await;
    let database = Database::file(&house.path("partyline.db")).await;
    database.run(PEOPLE).await;
    house
        .until("the change is in force", async || house.count("partyline_directory_version").await == 1)
        .await;
    joins(&house, "271828182").await;
    joins(&house, "912308576").await;
    bridge.die().await;
    let _bridge = house.start().await;
    assert_eq!(house.count("partyline_directory_version").await, 1);
    joins(&house, "271828182").await;
    assert!(house.usage().iter().all(|record| record["service_number"] == NUMBER));
    let good = run(&["check", "partyline.toml"], house.path("").as_path()).await;
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(said.contains("2 meetings"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_wrong_leaves_the_last_good_one_in_force_and_names_the_row() {
    let house = house_with("sqlite:partyline.db").await;
    let _bridge = house.start().await;
    let database = Database::file(&house.path("partyline.db")).await;
    database.run(PEOPLE).await;
    house
        .until("the change is in force", async || house.count("partyline_directory_version").await == 1)
        .await;
    database
        .run(
            "UPDATE organizers SET license = 'golden' WHERE id = 'nora';
             UPDATE directory_version SET version = version + 1",
        )
        .await;
    let refused = "partyline_directory_reloads_total{result=\"refused\"}";
    house.until("the change is refused", async || house.count(refused).await == 1).await;
    let log = house.log();
    assert!(log.contains("database: organizers \\\"nora\\\""), "{log}");
    assert!(log.contains("golden"), "{log}");
    joins(&house, "271828182").await;
    assert_eq!(house.count("partyline_directory_version").await, 1);
    // What stands in the file too is refused with both places.
    database
        .run(
            "UPDATE organizers SET license = 'none' WHERE id = 'nora';
             INSERT INTO meetings (conference_id, organizer) VALUES ('912308576', 'nora');
             UPDATE directory_version SET version = version + 1",
        )
        .await;
    house.until("the change is refused", async || house.count(refused).await == 2).await;
    let check = run(&["check", "partyline.toml"], house.path("").as_path()).await;
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2), "{said}");
    assert!(
        said.contains("database: meetings \"912308576\"") && said.contains("is also in partyline.toml:"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_had_is_said_before_anything_is_started() {
    let house = house_with("postgres://party:hidden@127.0.0.1:1/line").await;
    for words in [&["check", "partyline.toml"][..], &["serve", "--config", "partyline.toml"]] {
        let output = run(words, house.path("").as_path()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("`store.url`: the database: ") && !said.contains("hidden"), "{said}");
    }
}
