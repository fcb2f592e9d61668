//! The answers of the control socket, for people.

use serde_json::Value;

use super::table::Table;
use crate::trace::ladder::{Call, harmless};

/// A JSON value as a word: nothing is a dash.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

fn all(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn of(value: &Value, limit: &Value) -> String {
    if limit.is_null() { word(value) } else { format!("{} of {}", word(value), word(limit)) }
}

pub(super) fn status(body: &Value) {
    let calls = &body["calls"];
    let trunks = &body["trunks"];
    let state = if body["draining"] == true { "draining: no new calls" } else { "ready" };
    let mut table = Table::new(&["node", &harmless(&word(&body["node"]))]);
    for (name, value) in [
        ("state", state.to_owned()),
        ("version", format!("{}, process {}", word(&body["version"]), word(&body["process"]))),
        ("started", word(&body["started"])),
        ("calls", format!("{} in, {} out", word(&calls["in"]), word(&calls["out"]))),
        (
            "conferences",
            format!("{} with {} people", word(&body["conferences"]), word(&body["participants"])),
        ),
        ("recordings", word(&body["recordings"])),
        ("RTP ports", of(&body["rtp_ports"]["used"], &body["rtp_ports"]["max"])),
        (
            "trunks",
            format!(
                "{} up, {} suspect, {} down, {} draining",
                word(&trunks["up"]),
                word(&trunks["suspect"]),
                word(&trunks["down"]),
                word(&trunks["draining"])
            ),
        ),
    ] {
        table.row(&[name.to_owned(), value]);
    }
    table.print();
}

/// The configurations that were taken, the one in force marked.
pub(super) fn versions(body: &Value) {
    let in_force = &body["in_force"];
    let mut table = Table::new(&["version", "taken", "hash", ""]);
    for version in all(&body["versions"]) {
        let mark = if version["number"] == in_force["number"] { "in force" } else { "" };
        let hash: String = word(&version["hash"]).chars().take(16).collect();
        table.row(&[word(&version["number"]), word(&version["taken"]), hash, mark.to_owned()]);
    }
    table.print();
    restart(in_force);
}

/// What else than the bridge runs with the file says.
pub(super) fn restart(in_force: &Value) {
    let sections: Vec<String> = all(&in_force["needs_restart"]).map(word).collect();
    if !sections.is_empty() {
        say!("a restart is needed for what the file says of: {}", sections.join(", "));
    }
}

/// How many of the last decisions would be others, and which.
pub(super) fn what_if(body: &Value) {
    let count = |key: &str| body[key].as_u64().unwrap_or_default();
    say!(
        "{} of {} decisions since {} would be others",
        count("changed"),
        count("decisions"),
        word(&body["since"])
    );
    say!(
        "{} would fail, {} would succeed; {} take another trunk, {} show another number, {} are billed by somebody else",
        count("fails"),
        count("succeeds"),
        count("trunk"),
        count("caller_id"),
        count("biller")
    );
    let mut table = Table::new(&["when", "leg", "organizer", "number", "differs", "was", "would be"]);
    let came = |came: &Value| {
        if came["carried"] == true {
            let shows = match &came["caller_id"] {
                Value::Null => String::new(),
                number => format!(" as {}", word(number)),
            };
            format!("{}{shows}, {}", word(&came["trunk"]), word(&came["biller"]))
        } else {
            format!("refused by {}", word(&came["rule"]))
        }
    };
    for row in all(&body["rows"]) {
        let differs: Vec<String> = all(&row["differs"]).map(word).collect();
        table.row(&[
            word(&row["at"]),
            word(&row["direction"]),
            word(&row["organizer"]),
            word(&row["number"]),
            differs.join(", "),
            came(&row["was"]),
            came(&row["would"]),
        ]);
    }
    if count("changed") > 0 {
        table.print();
    }
}

pub(super) fn trunks(body: &Value) {
    let mut table = Table::new(&["trunk", "kind", "state", "channels", "peers"]);
    for trunk in all(&body["trunks"]) {
        let peers: Vec<String> = all(&trunk["peers"])
            .map(|peer| {
                format!("{}:{} {}", word(&peer["transport"]), word(&peer["address"]), word(&peer["state"]))
            })
            .collect();
        table.row(&[
            word(&trunk["name"]),
            word(&trunk["kind"]),
            word(&trunk["state"]),
            of(&trunk["channels"], &trunk["max_concurrent_sessions"]),
            peers.join(", "),
        ]);
    }
    table.print();
}

pub(super) fn trunk(trunk: &Value) {
    let mut table = Table::new(&["trunk", &word(&trunk["name"])]);
    for name in ["kind", "provider", "state", "enabled"] {
        table.row(&[name.to_owned(), word(&trunk[name])]);
    }
    table.row(&["channels".to_owned(), of(&trunk["channels"], &trunk["max_concurrent_sessions"])]);
    if trunk["registration"].is_object() {
        table.row(&["registered".to_owned(), registered(&trunk["registration"])]);
    }
    let sources: Vec<String> = all(&trunk["sources"]).map(word).collect();
    table.row(&["sources".to_owned(), sources.join(", ")]);
    table.print();
    say!("");
    let mut table = Table::new(&["peer", "state", "last OPTIONS", "answer", "took"]);
    for peer in all(&trunk["peers"]) {
        let last = &peer["last_options"];
        let answer = if last["status"].is_null() { &last["failure"] } else { &last["status"] };
        let took =
            if last["rtt_ms"].is_null() { "-".to_owned() } else { format!("{} ms", word(&last["rtt_ms"])) };
        table.row(&[
            format!("{}:{}", word(&peer["transport"]), word(&peer["address"])),
            word(&peer["state"]),
            word(&last["at"]),
            word(answer),
            took,
        ]);
    }
    table.print();
}

/// Where a trunk is registered, or why it is not.
fn registered(registration: &Value) -> String {
    let why = match &registration["because"] {
        Value::Null => String::new(),
        because => format!("; last attempt: {}", harmless(&word(because))),
    };
    if registration["registered"] == true {
        let left = word(&registration["expires_in_seconds"]);
        return format!("at {}, for {left} s still{why}", word(&registration["registrar"]));
    }
    format!("no, {} failures{why}", word(&registration["failures"]))
}

pub(super) fn conferences(body: &Value) {
    let mut table = Table::new(&["conference", "people", "subject", "organizer", "recording"]);
    for conference in all(&body["conferences"]) {
        table.row(&[
            word(&conference["conference_id"]),
            all(&conference["participants"]).count().to_string(),
            word(&conference["subject"]),
            word(&conference["organizer"]),
            word(&conference["recording"]),
        ]);
    }
    table.print();
}

pub(super) fn conference(body: &Value) {
    let mut table = Table::new(&["leg", "number", "name", "muted", "codec", "SRTP", "joined"]);
    for person in all(&body["participants"]) {
        let keys = ["leg", "number", "display", "muted", "codec", "srtp", "joined"];
        table.row(&keys.map(|key| word(&person[key])));
    }
    for waiting in all(&body["lobby"]) {
        table.row(&[word(&waiting["leg"]), word(&waiting["number"]), "in the lobby".to_owned()]);
    }
    for callee in all(&body["callees"]) {
        let state = match (&callee["confirming"], &callee["ringing"]) {
            (Value::Bool(true), _) => "confirming",
            (_, Value::Bool(true)) => "ringing",
            _ => "calling",
        };
        table.row(&[word(&callee["leg"]), word(&callee["destination"]), state.to_owned()]);
    }
    table.print();
}

/// What was done: the members of the answer that are words.
pub(super) fn done(body: &Value) {
    let mut table = Table::new(&["done", ""]);
    for (name, value) in body.as_object().into_iter().flatten() {
        if !value.is_object() && !value.is_array() {
            table.row(&[name.clone(), word(value)]);
        }
    }
    table.print();
}

pub(super) fn calls(body: &Value) {
    let mut table = Table::new(&["began", "trunk", "messages", "first", "latest", "Call-ID"]);
    for call in all(&body["calls"]) {
        let trunk = if call["trunk"].is_null() { &call["remote"] } else { &call["trunk"] };
        let way = if call["direction"] == "in" { "from" } else { "to" };
        table.row(&[
            word(&call["began"]),
            format!("{way} {}", word(trunk)),
            word(&call["messages"]),
            word(&call["first"]),
            word(&call["latest"]),
            word(&call["call_id"]),
        ]);
    }
    table.print();
}

pub(super) fn messages(call: &Call) {
    for one in &call.messages {
        let flow = &one.flow;
        let (way, from, to) =
            if one.ingress { ("in", flow.remote, flow.local) } else { ("out", flow.local, flow.remote) };
        say!("\n--- {way} {} {from} -> {to} {}", flow.transport.via_token(), bridge::Stamp(one.at));
        for line in String::from_utf8_lossy(&one.bytes).lines() {
            say!("{}", harmless(line));
        }
    }
}
