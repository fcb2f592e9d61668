//! Schemathesis makes requests of what `/v1/openapi.json` says, right ones and wrong ones, and looks whether the running
//! bridge answers as it is described.

use std::process::Stdio;

use tokio::process::Command;

use super::bridge::{House, TOKEN, binary};

/// Checks that are left out: which 4xx a right request may get is more than a schema can say (a reused Idempotency-Key, a
/// dial-in to be explained without its trunk).
const NOT: &str = "positive_data_acceptance";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_against_the_served_description() {
    // target/<profile>/partyline -> target/api/venv
    let target = binary().ancestors().nth(2).expect("a target folder").to_owned();
    let program = target.join("api/venv/bin/schemathesis");
    if !program.exists() {
        let advice = format!("{} is not installed: run ./x setup", program.display());
        assert!(std::env::var_os("CI").is_none(), "{advice}");
        eprintln!("skipped: {advice}");
        return;
    }
    let pace = ("token_file = \"token\"", "token_file = \"token\"\nrequests_per_second = 10000");
    let (house, _doorbell) = House::new(&[pace]).await;
    let mut bridge = house.start().await;
    let _alice = house.join("+493023125001").await;
    house.until_seated(1).await;
    let output = Command::new(&program)
        .args(["run", &format!("http://{}/v1/openapi.json", house.http)])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        // Made in the same way each time, without a database of what failed before; no more of them on a faster machine.
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--generation-deterministic"])
        .args(["--exclude-checks", NOT, "--request-timeout", "60", "--continue-on-failure", "--no-color"])
        .current_dir(house.path(""))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Tested: "), "{said}");
    assert!(bridge.runs(), "{}", house.log());
}
