//! What another configuration would have made of the calls there were: asked before anybody's calls depend on it.

use serde_json::json;

use super::bridge::{House, run};

#[tokio::test(flavor = "multi_thread")]
async fn what_if_tells_which_of_the_last_calls_another_configuration_would_carry_otherwise() {
    let (house, mut doorbell) =
        House::new(&[("[usage]\n", "[ctl]\nsocket = \"ctl.sock\"\n\n[usage]\n")]).await;
    let _bridge = house.start().await;
    let (status, said) = house.dial_out("+4930901820").await;
    assert_eq!(status, 202, "{said}");
    doorbell.ring().await.expect("the bridge calls").refuse(486);
    let (status, said) = house.dial_out("+41446681800").await;
    assert_eq!(status, 403, "no route leads to Switzerland: {said}");
    let alice = house.join("+493023125001").await;
    house.until_seated(1).await;
    alice.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let ask = async |name: &str, text: &str| {
        house.write(name, text);
        run(&["ctl", "--config", "partyline.toml", "--json", "what-if", name], &house.path("")).await
    };

    let same = ask("same.toml", &text).await;
    let told: serde_json::Value = serde_json::from_slice(&same.stdout).expect("JSON");
    assert_eq!((&told["decisions"], &told["changed"]), (&json!(3), &json!(0)), "{told}");

    // The number is suspended, and the route leads to Switzerland and no more to Germany.
    let number = "number = \"+496990009100\"\n";
    let other = text.replace("^\\+49", "^\\+41").replacen(number, &format!("{number}suspended = true\n"), 1);
    let told = ask("other.toml", &other).await;
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let rows = told["rows"].as_array().expect("rows");
    let differs: Vec<_> =
        rows.iter().map(|row| (row["number"].as_str().expect("a number"), &row["differs"][0])).collect();
    assert!(differs.contains(&("+496990009100", &json!("fails"))), "{told:#}");
    assert!(differs.contains(&("+4930901820", &json!("fails"))), "{told:#}");
    let (status, posted) =
        house.api("POST", "/v1/what-if", Some(&json!({ "config": other }).to_string())).await;
    assert_eq!((status, &posted), (200, &told));
    let shown = run(&["ctl", "--config", "partyline.toml", "what-if", "other.toml"], &house.path("")).await;
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert!(shown.contains("of 3 decisions") && shown.contains("+496990009100"), "{shown}");

    let wrong = ask("wrong.toml", "[[route]]\nname = 5\n").await;
    let why = String::from_utf8(wrong.stderr).expect("UTF-8");
    assert!(wrong.status.code() == Some(1) && why.contains("partyline.toml:2:8"), "{why}");
    let (status, _) = house.api("POST", "/v1/what-if", Some("{\"config\":\"[[trunk]]\"}")).await;
    assert_eq!(status, 400);
    // Nothing has changed.
    assert_eq!(house.dial_out("+41446681800").await.0, 403);
}
