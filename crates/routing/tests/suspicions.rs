//! What lint says about a table, as an administrator reads it.

use routing::{Table, TableSource, TrunkRef, lint};

const HOUSE: &str = r#"
[[bridge]]
tenant = "contoso"
default_service_number = "+4930100001"
[[number]]
number = "+4930100001"
owner = "microsoft"
[[number]]
number = "+4930200001"
owner = "operator:acme"
tenant = "contoso"
[[organizer]]
id = "anna"
tenant = "contoso"
license = "audio-conferencing-standard"
policy = "P"
[[policy]]
name = "P"
pstn_usages = ["U"]
"#;

/// The lints of the house with these additions, which hold at least one route of usage U.
fn lints(addition: &str) -> Vec<String> {
    let source = TableSource::from_toml(&format!("{HOUSE}{addition}")).expect("TOML");
    let trunks = [("ms", "microsoft"), ("acme", "operator:acme"), ("office", "customer")]
        .map(|(id, provider)| TrunkRef { id: id.into(), provider: provider.parse().expect("a provider") });
    let table = Table::build(&source, &trunks).expect("a table");
    lint(&table).iter().map(ToString::to_string).collect()
}

fn route(name: &str, pattern: &str, to: &str) -> String {
    let leads_to = match to {
        "office" => "pstn_gateway_list = [\"office\"]".to_owned(),
        number => format!("bridge_source_phone_number = \"{number}\""),
    };
    format!("[[route]]\nname = \"{name}\"\nnumber_pattern = '{pattern}'\npstn_usages = [\"U\"]\n{leads_to}\n")
}

#[test]
fn a_table_without_mistakes_is_not_suspected() {
    for pattern in [r"\d+", ".*", r"^\+1(425|206)(\d{7})$", r"^\+49", r"\+49", r"^\+49\d+", r"^\+4[39]"] {
        assert_eq!(lints(&route("R", pattern, "office")), [""; 0], "{pattern}");
    }
}

#[test]
fn a_route_that_no_number_reaches_is_named() {
    assert_eq!(
        lints(&route("R", "^49", "office")),
        ["route \"R\" [unreachable]: ^49 matches no number that can be dialed; \
          the dialed number begins with + (write \\+)"]
    );
    assert_eq!(
        lints(&route("R", r"^\+49112$", "office")),
        [r#"route "R" [unreachable]: ^\+49112$ matches no number that can be dialed"#]
    );
}

#[test]
fn a_route_behind_a_wider_one_is_named_with_the_one_before_it() {
    let wide = route("Wide", r"^\+1\d{10}$", "office");
    let narrow = route("Narrow", r"^\+1425\d{7}$", "office");
    assert_eq!(
        lints(&format!("{wide}{narrow}")),
        [
            "route \"Narrow\" [shadowed]: in usage \"U\", route \"Wide\" (priority 1) comes before priority 2 and matches \
          all its numbers, and leads where this one leads, so this one has no effect"
        ]
    );
    assert_eq!(lints(&format!("{narrow}{wide}")), [""; 0], "the most specific first");
    let operator = route("Acme", r"\d+", "+4930200001") + &route("Backup", r"^\+49", "+4930200001");
    assert_eq!(lints(&operator).len(), 1);
}

#[test]
fn a_second_operator_behind_the_first_is_tried_when_the_first_fails() {
    let number = "[[number]]\nnumber = \"+4930200002\"\nowner = \"operator:acme\"\n";
    let found =
        lints(&format!("{number}{}{}", route("A", ".*", "+4930200001"), route("B", ".*", "+4930200002")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("so this one is tried only when that one fails"), "{found:?}");
}

#[test]
fn a_pattern_without_anchors_is_named_with_a_number_it_should_not_match() {
    for (pattern, expected) in [
        ("425", "425 is not anchored at the start and also matches +1000425; begin with ^\\+"),
        (
            r"1425\d{7}$",
            "1425\\d{7}$ is not anchored at the start and also matches +114250000000; begin with ^\\+",
        ),
        (
            r"^\+1(\d{10})",
            "^\\+1(\\d{10}) is not anchored at the end and also matches +100000000000; end with $",
        ),
        ("[0-9]{10}", "[0-9]{10} is not anchored at the end and also matches +10000000000; end with $"),
    ] {
        assert_eq!(lints(&route("R", pattern, "office")), [format!("route \"R\" [unanchored]: {expected}")]);
    }
}

#[test]
fn a_usage_or_policy_nobody_uses_is_named() {
    let used = route("R", ".*", "office");
    let unused = "[[route]]\nname = \"Q\"\nnumber_pattern = '.*'\npstn_usages = [\"V\"]\npstn_gateway_list = [\"office\"]\n";
    assert_eq!(
        lints(&format!("{used}{unused}")),
        ["usage \"V\" [unused-usage]: no policy lists it, so route \"Q\" is not reached by it"]
    );
    assert_eq!(
        lints(&format!("{used}[[policy]]\nname = \"Q\"\npstn_usages = [\"U\"]\n")),
        ["policy \"Q\" [unused-policy]: it applies to no organizer; grant it to a user, a group or all"]
    );
}

#[test]
fn an_organizer_whose_license_leaves_no_number_is_named() {
    let route = route("R", ".*", "+4930200001");
    let organizer = |license: &str, more: &str| {
        format!(
            "{route}[[organizer]]\nid = \"o\"\ntenant = \"contoso\"\nlicense = \"{license}\"\npolicy = \"P\"\n{more}\n"
        )
    };
    let occ = "operator-connect-conferencing";
    assert_eq!(lints(&organizer(occ, "service_number = \"+4930200001\"")), [""; 0]);
    assert_eq!(
        lints(&organizer(occ, "")),
        [
            "organizer \"o\" [organizer-without-number]: Operator Connect Conferencing does not include the bridge's \
          default number; set service_number to an operator's"
        ]
    );
    assert_eq!(
        lints(&organizer(occ, "service_number = \"+4930100001\"")),
        [
            "organizer \"o\" [excluded-invite-number]: +4930100001 on the invites is microsoft's, which Operator Connect \
          Conferencing does not include"
        ]
    );
    assert_eq!(lints(&organizer("none", "")), [""; 0]);
    let other = "[[bridge]]\ntenant = \"initech\"\n[[organizer]]\nid = \"o\"\ntenant = \"initech\"\n";
    assert_eq!(
        lints(&format!("{route}{other}license = \"{occ}\"\npolicy = \"P\"\n")),
        [
            "policy \"P\" [foreign-route]: it applies to organizers of initech, but route \"R\" shows +4930200001, which \
             is not theirs; it is passed by",
            "organizer \"o\" [organizer-without-number]: no number in service that Operator Connect Conferencing \
             includes serves initech, so nobody can dial in",
            "organizer \"o\" [no-dial-out]: no route of policy \"P\" leads to an operator this organizer may use, so its \
             meetings cannot dial out",
        ]
    );
}

#[test]
fn numbers_out_of_service_are_named() {
    let route = route("R", ".*", "+4930200002");
    let found = lints(&format!(
        "{route}[[number]]\nnumber = \"+4930200002\"\nowner = \"operator:acme\"\nsuspended = true\n\
         [[number]]\nnumber = \"+4930300001\"\nowner = \"operator:zenith\"\n"
    ));
    assert_eq!(
        found,
        [
            "route \"R\" [suspended]: +4930200002 is suspended, so whatever this route matches is not dialed",
            "number +4930300001 [number-without-trunk]: no trunk belongs to operator:zenith, so no call can arrive on it",
        ]
    );
    let bridge = "[[bridge]]\ntenant = \"initech\"\n[[organizer]]\nid = \"o\"\ntenant = \"initech\"\n\
                  license = \"pay-per-minute\"\n";
    assert_eq!(
        lints(&format!("{}{bridge}", self::route("R", ".*", "office"))),
        [
            "bridge \"initech\" [no-default-number]: it has no default_service_number, so nothing is dialed through \
          Microsoft or a gateway"
        ]
    );
}
