//! Who guesses conference IDs and PINs, against the real binary.

use super::bridge::{House, PETRA, STRICT};

const EVE: &str = "+493023125002";
const LIMITS: (&str, &str) = (
    "[drain]",
    "[defense]\nwrong_per_caller = 2\nslow_down_seconds = 1\npin_free_tries = 1\npin_alarm = 3\n[drain]",
);

async fn attempts(house: &House, step: &str, result: &str) -> u64 {
    house.count(&format!("partyline_attendant_attempts_total{{result=\"{result}\",step=\"{step}\"}}")).await
}

async fn alarms(house: &House, guessed: &str, level: &str, scope: &str) -> u64 {
    let labels = format!("guessed=\"{guessed}\",level=\"{level}\",scope=\"{scope}\"");
    house.count(&format!("partyline_defense_alarms_total{{{labels}}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_raises_an_alarm_in_metrics_log_and_events() {
    let (house, _doorbell) = House::new(&[PETRA, LIMITS]).await;
    let _bridge = house.start().await;
    let eve = house.call(EVE).await;
    for wrong in 1..=3 {
        eve.media().key("123456789#").await;
        house
            .until("the ID is judged", async || attempts(&house, "conference_id", "wrong").await == wrong)
            .await;
    }
    house.until("it is told", async || alarms(&house, "conference_id", "slowed", "caller").await == 1).await;
    eve.hang_up().await.expect("an answer to BYE");

    let mut lines = Vec::new();
    for caller in ["+493023125011", "+493023125012"] {
        let line = house.call(caller).await;
        line.media().key(&format!("{STRICT}#")).await;
        line.media().key("*").await;
        for _ in 0..2 {
            let before = attempts(&house, "pin", "wrong").await;
            line.media().key("11111#").await;
            house.until("the PIN is checked", async || attempts(&house, "pin", "wrong").await > before).await;
        }
        lines.push(line);
    }
    assert!(attempts(&house, "pin", "slowed").await > 0);
    house.until("it is told", async || alarms(&house, "pin", "slowed", "organizer").await == 1).await;
    let (_, told) = house.api("GET", "/v1/events?since=0&limit=1000", None).await;
    let events = told["events"].as_array().expect("events");
    let alarms: Vec<_> = events.iter().filter(|event| event["type"] == "guessing.alarm").collect();
    assert_eq!(alarms.len(), 2, "{told}");
    assert_eq!(alarms[0]["trunk"], "rhein-telecom");
    assert_eq!(alarms[0]["details"]["scope"], "caller");
    assert_eq!(alarms[1]["tenant"], "contoso");
    assert_eq!(alarms[1]["details"]["organizer"], "petra");
    assert_eq!(house.log().matches("somebody seems to guess").count(), 2, "{}", house.log());
    assert!(!told.to_string().contains("123456789"), "{told}");
    for line in lines {
        line.hang_up().await.expect("an answer to BYE");
    }
    house.until_empty().await;
}
