//! Decisions that were made are made again on another table, and told apart by what differs.

use routing::{Asked, Difference, Table, TableSource, TrunkRef};

const BEFORE: &str = r#"
[[bridge]]
tenant = "contoso"
country_code = "49"
[[number]]
number = "+49 30 200001"
owner = "operator:acme"
tenant = "contoso"
[[number]]
number = "+49 30 200002"
owner = "operator:zenith"
tenant = "contoso"
[[organizer]]
id = "clara"
tenant = "contoso"
license = "operator-connect-conferencing"
policy = "out"
service_number = "+49 30 200001"
[[policy]]
name = "out"
pstn_usages = ["out"]
[[route]]
name = "germany"
number_pattern = '^\+49'
pstn_usages = ["out"]
bridge_source_phone_number = "+49 30 200001"
"#;

fn table(text: &str) -> Table {
    let trunk = |id: &str, of: &str| TrunkRef { id: id.into(), provider: of.parse().expect("a provider") };
    let trunks = [
        trunk("acme-1", "operator:acme"),
        trunk("acme-2", "operator:acme"),
        trunk("zenith-1", "operator:zenith"),
    ];
    Table::build(&TableSource::from_toml(text).expect("TOML"), &trunks).expect("a table")
}

fn out(number: &str) -> Asked {
    Asked::DialOut { organizer: "clara".into(), number: number.to_owned(), down: Vec::new() }
}

/// What differs for each of these between the table and the one with `from` replaced by `to`.
fn differs(asked: &Asked, from: &str, to: &str) -> Vec<Difference> {
    assert!(BEFORE.contains(from), "{from}");
    let (before, after) = (table(BEFORE), table(&BEFORE.replace(from, to)));
    asked.on(&before).against(&asked.on(&after))
}

#[test]
fn a_decision_is_told_by_what_another_table_would_change_of_it() {
    let source = "bridge_source_phone_number = \"+49 30 200001\"";
    let (here, abroad) = (out("030 901820"), out("+41446681800"));
    assert_eq!(differs(&here, "^\\+49", "^\\+49"), vec![]);
    let other = "bridge_source_phone_number = \"+49 30 200002\"";
    assert_eq!(differs(&here, source, other), [Difference::Trunk, Difference::CallerId, Difference::Biller]);
    assert_eq!(differs(&here, "^\\+49", "^\\+43"), [Difference::Fails]);
    assert_eq!(differs(&abroad, "^\\+49", "^\\+4"), [Difference::Succeeds]);
    assert_eq!(differs(&abroad, "^\\+49", "^\\+43"), vec![], "refused before and after");
    let down = Asked::DialOut {
        organizer: "clara".into(),
        number: "030 901820".to_owned(),
        down: vec!["acme-1".into()],
    };
    assert_eq!(down.on(&table(BEFORE)).trunk, Some("acme-2".into()), "what was down then is down again");
}

#[test]
fn a_caller_is_let_in_or_not_whether_he_has_keyed_an_id_or_none() {
    let dial_in = |organizer: Option<&str>| Asked::DialIn {
        number: "+4930200001".parse().expect("E.164"),
        trunk: "acme-1".into(),
        organizer: organizer.map(Into::into),
    };
    let license = "license = \"operator-connect-conferencing\"";
    let taken = "number = \"+49 30 200001\"\nowner = \"operator:acme\"\n";
    let suspended = format!("{taken}suspended = true\n");
    for asked in [dial_in(None), dial_in(Some("clara"))] {
        assert!(asked.on(&table(BEFORE)).carried);
        assert_eq!(differs(&asked, taken, &suspended), [Difference::Fails]);
    }
    assert_eq!(differs(&dial_in(Some("clara")), license, "license = \"none\""), [Difference::Fails]);
    assert_eq!(differs(&dial_in(None), license, "license = \"none\""), vec![]);
}
