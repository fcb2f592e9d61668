//! The public list of numbers: for whoever knows the bridge's name for it, and silent about meetings.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::bridge::{CONFERENCE, House};

/// What the bridge's list is found under.
const ID: &str = "5f0c2f6e-7a55-4f5b-9d8e-3f1c0a2b4d6e";
/// The list is there, the bridge has a wicked name, and there is another tenant with a number of its own.
const BRIDGE: (&str, &str) = (
    "[[bridge]]\ntenant = \"contoso\"\nname = \"Contoso conferencing bridge\"\n",
    "[[bridge]]\ntenant = \"fabrikam\"\n[[number]]\nnumber = \"+496990007777\"\nowner = \"operator:rhein-telecom\"\n\
     tenant = \"fabrikam\"\n[[bridge]]\ntenant = \"contoso\"\nname = \"<b>Contoso</b>\"\n\
     public_id = \"5f0c2f6e-7a55-4f5b-9d8e-3f1c0a2b4d6e\"\n",
);
const SHOWN: (&str, &str) = ("token_file = \"token\"", "token_file = \"token\"\npublic_numbers = true");

/// Head, in lower case, and body of the answer.
async fn ask(house: &House, path: &str, more: &str) -> (String, String) {
    let mut stream = TcpStream::connect(house.http).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let without_date = head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
    (without_date.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_list_s_name_sees_numbers_and_keys_and_nothing_of_meetings() {
    let (house, _doorbell) = House::new(&[BRIDGE, SHOWN]).await;
    let _bridge = house.start().await;
    let path = format!("/dialin/{ID}");
    let (head, page) = ask(&house, &format!("{path}?id={CONFERENCE}"), "").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(page.contains("tel:+496990009100,,912308576%23") && page.contains("912 308 576#"), "{page}");
    assert!(page.contains("&lt;b&gt;Contoso") && !page.contains("<b>") && page.contains("*6"), "{page}");
    assert!(!page.contains("+496990007777"), "another tenant's: {page}");
    let (other_head, other) = ask(&house, &format!("{path}?id=912308577"), "").await;
    let other = other.replace("912308577", CONFERENCE).replace("912 308 577", "912 308 576");
    assert_eq!((&head, &page), (&other_head, &other), "whether an ID exists is not to be seen");
    let (head, odd) = ask(&house, &format!("{path}?id=%3Cscript%3E"), "").await;
    assert!(head.starts_with("http/1.1 200 ") && !odd.contains("script"), "{odd}");

    let (_, listed) = ask(&house, &path, "Accept: application/json\r\n").await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let numbers: Vec<&Value> =
        listed["numbers"].as_array().expect("numbers").iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [&json!("+14255550100"), &json!("+496990009100")], "{listed}");

    let nobodys = ask(&house, "/dialin/00000000-0000-0000-0000-000000000000", "").await;
    assert!(nobodys.0.starts_with("http/1.1 404 "), "{nobodys:?}");
    let mut statuses = BTreeSet::new();
    for _ in 0..60 {
        statuses.insert(ask(&house, &path, "").await.0[9..12].to_owned());
    }
    assert!(statuses.contains("429"), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_list_of_numbers_unless_the_configuration_says_so() {
    let (house, _doorbell) = House::new(&[BRIDGE]).await;
    let _bridge = house.start().await;
    let there = ask(&house, &format!("/dialin/{ID}"), "").await;
    let nobodys = ask(&house, "/dialin/00000000-0000-0000-0000-000000000000", "").await;
    assert!(there.0.starts_with("http/1.1 404 "), "{there:?}");
    assert_eq!(there, nobodys);
}
