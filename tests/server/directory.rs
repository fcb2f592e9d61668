//! The directory in a database: callers join what stands only there, changes take hold while calls are up, and what is
//! wrong is refused.

use super::bridge::{House, NUMBER, run};
use super::database::Database;

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
