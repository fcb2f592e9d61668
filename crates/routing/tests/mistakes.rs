//! Tables that must not load, each with the line, the key and the expectation an administrator is shown.

use routing::{Table, TableError, TableSource, TrunkRef};

const SOUND: &str = r#"
[[bridge]]
tenant = "contoso"
default_service_number = "+4930100001"
[[bridge]]
tenant = "fabrikam"
[[number]]
number = "+4930100001"
owner = "microsoft"
tenant = "contoso"
[[number]]
number = "+498001000002"
owner = "microsoft"
kind = "toll-free"
tenant = "contoso"
[[number]]
number = "+4930200001"
owner = "operator:acme"
tenant = "contoso"
[[number]]
number = "+4930300001"
owner = "operator:unheard"
[[route]]
name = "Acme"
priority = 1
pstn_usages = ["Operator"]
bridge_source_phone_number = "+4930200001"
[[policy]]
name = "Through acme"
pstn_usages = ["Operator"]
"#;

fn build(addition: &str) -> Result<Table, Vec<(usize, TableError)>> {
    let document = format!("{SOUND}{addition}");
    let trunks = [("ms", "microsoft"), ("acme", "operator:acme"), ("office", "customer")]
        .map(|(id, provider)| TrunkRef { id: id.into(), provider: provider.parse().expect("a provider") });
    let line = |error: &TableError| match &error.span {
        Some(span) => document[SOUND.len().min(span.start)..span.start].matches('\n').count() + 1,
        None => 0,
    };
    match TableSource::from_toml(&document) {
        Err(error) => Err(vec![(line(&error), error)]),
        Ok(source) => Table::build(&source, &trunks)
            .map_err(|errors| errors.into_iter().map(|error| (line(&error), error)).collect()),
    }
}

/// One mistake gives one message: on this line of the addition, for this key, with this in the expectation.
fn refused(addition: &str, line: usize, key: &str, expected: &str) {
    let errors = build(addition).expect_err(addition);
    let [(found_line, error)] = &errors[..] else { panic!("one mistake, one message: {errors:#?}") };
    assert_eq!(*found_line, line, "{error}\n{addition}");
    assert_eq!(error.key, key, "{error}");
    assert!(error.expected.contains(expected), "{error}");
}

#[test]
fn the_sound_table_loads() {
    build("").expect("sound");
}

#[test]
fn a_toll_free_or_operator_number_is_never_the_default_of_a_bridge() {
    for (number, expected) in [
        ("+498001000002", "a toll-free number cannot be the default"),
        ("+4930200001", "an operator's number cannot be the default"),
        ("+4930100001", "a number of this tenant or a shared one"),
        ("+4930999999", "a number listed under [[number]]"),
        ("+0", "a number with + and country code"),
    ] {
        let addition = format!("[[bridge]]\ntenant = \"initech\"\ndefault_service_number = \"{number}\"\n");
        refused(&addition, 3, "bridge \"initech\".default_service_number", expected);
    }
}

#[test]
fn a_number_speaks_up_to_five_languages_and_a_shared_one_the_bridge_s_own() {
    let number = |tenant: &str, languages: &str| {
        format!(
            "[[number]]\nnumber = \"+4930200009\"\nowner = \"operator:acme\"\n{tenant}\nlanguages = [{languages}]\n"
        )
    };
    let dedicated = "tenant = \"contoso\"";
    let five = "\"de-DE\", \"en-US\", \"fr-FR\", \"it-IT\", \"es-ES\"";
    let table = build(&number(dedicated, five)).expect("five languages");
    let spoken =
        table.numbers().iter().find(|one| one.number.to_string() == "+4930200009").expect("the number");
    assert_eq!(spoken.languages.iter().map(ToString::to_string).collect::<Vec<_>>().len(), 5);
    let key = "number \"+4930200009\".languages";
    refused(&number(dedicated, "\"german\""), 5, key, "such as en-US");
    refused(&number(dedicated, "\"de-DE\", \"de-DE\""), 5, key, "each language once");
    refused(&number(dedicated, &format!("{five}, \"pt-BR\"")), 5, key, "at most 5");
    refused(&number("", "\"de-DE\""), 5, key, "no languages at a shared number");
}

#[test]
fn the_numbers_of_an_invitation_are_such_that_callers_reach_the_organizer_there() {
    let organizer = |numbers: &str, more: &str| {
        format!(
            "[[organizer]]\nid = \"o\"\ntenant = \"contoso\"\nlicense = \"operator-connect-conferencing\"\n\
             meeting_invite_phone_numbers = [{numbers}]\n{more}"
        )
    };
    let table =
        build(&organizer("\"+49 30 300001\", \"+49 30 200001\"", "")).expect("both are an operator's");
    let of = table.organizer(&"o".into()).expect("the organizer");
    let order: Vec<String> =
        of.meeting_invite_phone_numbers.iter().map(|one| one.number.to_string()).collect();
    assert_eq!(order, ["+4930300001", "+4930200001"], "in the order of the list");
    let key = "organizer \"o\".meeting_invite_phone_numbers";
    for (numbers, expected) in [
        ("\"+4930999999\"", "a number listed under [[number]]"),
        ("\"+4930100001\"", "a number that the organizer's license includes"),
        ("\"+4930200001\", \"+4930200001\"", "each number once"),
    ] {
        refused(&organizer(numbers, ""), 5, key, expected);
    }
    let standard = |more: &str| {
        organizer("\"+498001000002\"", more)
            .replace("operator-connect-conferencing", "audio-conferencing-standard")
    };
    build(&standard("")).expect("toll-free");
    refused(&standard("allow_toll_free_dial_in = false\n"), 5, key, "does not allow toll-free dial-in");
    refused(&standard("").replace("contoso", "fabrikam"), 5, key, "a number of the organizer's tenant");
}

#[test]
fn the_name_of_a_public_list_of_numbers_is_long_plain_and_one_bridge_s() {
    let bridge =
        |tenant: &str, id: &str| format!("[[bridge]]\ntenant = \"{tenant}\"\npublic_id = \"{id}\"\n");
    let good = "5f0c2f6e-7a55-4f5b-9d8e-3f1c0a2b4d6e";
    let table = build(&bridge("initech", good)).expect("a name");
    assert_eq!(table.public_bridge(good).map(|found| found.tenant.as_str()), Some("initech"));
    assert!(table.public_bridge("").is_none());
    for wrong in ["short", "0123456789abcde/", "", &"a".repeat(65)] {
        refused(&bridge("initech", wrong), 3, "bridge \"initech\".public_id", "16 to 64 letters");
    }
    let twice = bridge("initech", good) + &bridge("umbrella", good);
    refused(&twice, 6, "bridge \"umbrella\".public_id", "a name of its own");
}

#[test]
fn a_route_has_either_a_source_number_or_gateways() {
    let expected = "either bridge_source_phone_number or pstn_gateway_list";
    refused("[[route]]\nname = \"Lost\"\npstn_usages = [\"Lost\"]\n", 2, "route.name", expected);
    let both = "[[route]]\nname = \"Both\"\npstn_usages = [\"Both\"]\npstn_gateway_list = [\"office\"]\n\
                bridge_source_phone_number = \"+4930200001\"\n";
    refused(both, 5, "route \"Both\".bridge_source_phone_number", expected);
}

#[test]
fn a_source_number_is_an_operators_with_a_trunk() {
    for (number, expected) in [
        ("+4930100001", "an operator's number"),
        ("+4930300001", "operator:unheard has none"),
        ("+4930999999", "listed under [[number]]"),
    ] {
        let addition = format!(
            "[[route]]\nname = \"R\"\npstn_usages = [\"R\"]\nbridge_source_phone_number = \"{number}\"\n"
        );
        refused(&addition, 4, "route \"R\".bridge_source_phone_number", expected);
    }
}

#[test]
fn a_usage_is_not_shared_between_routes_with_and_without_a_source_number() {
    let addition =
        "[[route]]\nname = \"Office\"\npstn_usages = [\"Operator\"]\npstn_gateway_list = [\"office\"]\n";
    refused(addition, 3, "route \"Office\".pstn_usages", "give this route a usage of its own");
}

#[test]
fn a_route_that_leads_nowhere_does_not_load() {
    for (list, line, expected) in [
        ("[]", 2, "at least one trunk"),
        ("[\"nowhere\"]", 4, "a trunk that is configured"),
        ("[\"office\", \"office\"]", 4, "each trunk once"),
    ] {
        let addition =
            format!("[[route]]\nname = \"R\"\npstn_usages = [\"R\"]\npstn_gateway_list = {list}\n");
        refused(&addition, line, "route \"R\".pstn_gateway_list", expected);
    }
    let unused = "[[route]]\nname = \"R\"\npstn_usages = []\npstn_gateway_list = [\"office\"]\n";
    refused(unused, 2, "route \"R\".pstn_usages", "at least one PSTN usage");
}

#[test]
fn an_ambiguous_table_does_not_load() {
    let same_priority = "[[route]]\nname = \"Other\"\npriority = 1\npstn_usages = [\"Operator\"]\n\
                         bridge_source_phone_number = \"+4930200001\"\n";
    refused(same_priority, 3, "route \"Other\".priority", "another priority than route \"Acme\"");
    for (addition, line, key, expected) in [
        ("[[bridge]]\ntenant = \"contoso\"\n", 2, "bridge.tenant", "one bridge per tenant"),
        (
            "[[number]]\nnumber = \"+49 30 100001\"\nowner = \"microsoft\"\n",
            2,
            "number.number",
            "each number once",
        ),
        (
            "[[policy]]\nname = \"Through acme\"\npstn_usages = [\"Operator\"]\n",
            2,
            "policy.name",
            "a name of its own",
        ),
        (
            "[[route]]\nname = \"Acme\"\npstn_usages = [\"Home\"]\npstn_gateway_list = [\"office\"]\n",
            2,
            "route.name",
            "a name of its own",
        ),
        (
            "[[organizer]]\nid = \"a\"\ntenant = \"contoso\"\nlicense = \"none\"\n\
             [[organizer]]\nid = \"a\"\ntenant = \"contoso\"\nlicense = \"none\"\n",
            6,
            "organizer.id",
            "each organizer once",
        ),
        (
            "[[group_policy]]\ngroup = \"A\"\npolicy = \"Through acme\"\nrank = 1\n\
             [[group_policy]]\ngroup = \"B\"\npolicy = \"Through acme\"\nrank = 1\n",
            8,
            "group_policy \"B\".rank",
            "a rank no other group has",
        ),
    ] {
        refused(addition, line, key, expected);
    }
}

#[test]
fn routes_without_priority_follow_the_highest_so_far() {
    let addition = "[[route]]\nname = \"Next\"\npstn_usages = [\"Operator\"]\nbridge_source_phone_number = \"+4930200001\"\n";
    build(addition).expect("its priority is 2");
}

#[test]
fn what_is_named_must_exist_and_be_spelled_right() {
    let organizer =
        |more: &str| format!("[[organizer]]\nid = \"a\"\ntenant = \"contoso\"\nlicense = \"none\"\n{more}\n");
    for (addition, line, key, expected) in [
        (organizer("policy = \"None such\""), 5, "organizer \"a\".policy", "the name of a [[policy]]"),
        (organizer("service_number = \"+4930999999\""), 5, "organizer \"a\".service_number", "listed under [[number]]"),
        (organizer("service_number = \"+498001000002\""), 5, "organizer \"a\".service_number", "a toll number"),
        (
            organizer("toll_free_service_number = \"+4930100001\""),
            5,
            "organizer \"a\".toll_free_service_number",
            "a toll-free number",
        ),
        (
            organizer("").replace("contoso", "fabrikam") + "service_number = \"+4930100001\"\n",
            6,
            "organizer \"a\".service_number",
            "of the organizer's tenant",
        ),
        (organizer("").replace("contoso", "nobody"), 3, "organizer \"a\".tenant", "a tenant that has a [[bridge]]"),
        (organizer("").replace("none", "E5"), 4, "organizer \"a\".license", "pay-per-minute"),
        ("[[number]]\nnumber = \"112\"\nowner = \"microsoft\"\n".into(), 2, "number.number", "short number"),
        ("[[number]]\nnumber = \"+1234567\"\nowner = \"me\"\n".into(), 3, "number \"+1234567\".owner", "operator:<id>"),
        (
            "[[number]]\nnumber = \"+1234567\"\nowner = \"microsoft\"\nkind = \"free\"\n".into(),
            4,
            "number \"+1234567\".kind",
            "toll or toll-free",
        ),
        (
            "[[number]]\nnumber = \"+1234567\"\nowner = \"microsoft\"\ntenant = \"x\"\n".into(),
            4,
            "number \"+1234567\".tenant",
            "a tenant that has a [[bridge]]",
        ),
        (
            "[[policy]]\nname = \"P\"\npstn_usages = [\"Operator\", \"Oprator\"]\n".into(),
            3,
            "policy \"P\".pstn_usages",
            "a usage that some route carries",
        ),
        ("[[policy]]\nname = \"P\"\npstn_usages = []\n".into(), 2, "policy \"P\".pstn_usages", "at least one PSTN usage"),
        ("[[bridge]]\ntenant = \"x\"\ncountry_code = \"+49\"\n".into(), 3, "bridge \"x\".country_code", "1 to 3 digits"),
        (
            "[[bridge]]\ntenant = \"x\"\ninternational_prefix = \"\"\n".into(),
            3,
            "bridge \"x\".international_prefix",
            "such as \"00\"",
        ),
        ("[[bridge]]\ntenant = \"x\"\nglobal_policy = \"y\"\n".into(), 3, "bridge \"x\".global_policy", "[[policy]]"),
        (
            "[[route]]\nname = \"R\"\npstn_usages = [\"R\"]\npstn_gateway_list = [\"office\"]\nfallback = \"any\"\n".into(),
            5,
            "route \"R\".fallback",
            "none or microsoft",
        ),
        (
            "[[route]]\nname = \"R\"\nnumber_pattern = '^(?!\\+1)'\npstn_usages = [\"R\"]\npstn_gateway_list = [\"office\"]\n"
                .into(),
            3,
            "route \"R\".number_pattern",
            "no negative lookahead",
        ),
        ("[[route]]\nnaame = \"R\"\n".into(), 2, "routing", "unknown field `naame`"),
        ("[[rout]]\nname = \"R\"\n".into(), 1, "routing", "unknown field `rout`"),
    ] {
        refused(&addition, line, key, expected);
    }
}

#[test]
fn where_meetings_may_dial_is_spelled_right_and_domestic_has_a_home() {
    let organizer =
        |more: &str| format!("[[organizer]]\nid = \"a\"\ntenant = \"contoso\"\nlicense = \"none\"\n{more}\n");
    let domestic = "dial_out_policy = \"DialoutCPCandPSTNDomestic\"";
    for (addition, line, key, expected) in [
        (
            organizer("dial_out_policy = \"Domestic\""),
            5,
            "organizer \"a\".dial_out_policy",
            "DialoutCPCandPSTNDomestic",
        ),
        (organizer(domestic), 5, "organizer \"a\".dial_out_policy", "a usage_location"),
        (
            organizer("usage_location = \"Germany\""),
            5,
            "organizer \"a\".usage_location",
            "two capital letters",
        ),
        (
            organizer(&format!("{domestic}\nusage_location = \"de\"")),
            6,
            "organizer \"a\".usage_location",
            "two capital letters",
        ),
        (
            format!("[[bridge]]\ntenant = \"x\"\n{domestic}\n") + &organizer("").replace("contoso", "x"),
            5,
            "organizer \"a\".usage_location",
            "a usage_location",
        ),
        (
            "[[bridge]]\ntenant = \"x\"\ndial_out_policy = \"y\"\n".into(),
            3,
            "bridge \"x\".dial_out_policy",
            "one of Dialout",
        ),
        (
            "[[bridge]]\ntenant = \"x\"\nusage_location = \"49\"\n".into(),
            3,
            "bridge \"x\".usage_location",
            "two capital letters",
        ),
        (
            "[dial_out]\nblocked_prefixes = [\"+44\", \"0900\"]\n".into(),
            2,
            "dial_out.blocked_prefixes",
            "such as \"+4487\"",
        ),
        ("[dial_out]\nallow_premiums = true\n".into(), 2, "routing", "unknown field `allow_premiums`"),
    ] {
        refused(&addition, line, key, expected);
    }
    build(&organizer(&format!("{domestic}\nusage_location = \"DE\""))).expect("a home of his own");
}

#[test]
fn a_fallback_to_microsoft_needs_a_microsoft_trunk() {
    let document = SOUND.replace("priority = 1", "priority = 1\nfallback = \"microsoft\"");
    let source = TableSource::from_toml(&document).expect("TOML");
    let acme = TrunkRef { id: "acme".into(), provider: "operator:acme".parse().expect("a provider") };
    let errors = Table::build(&source, &[acme]).expect_err("no Microsoft trunk");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].key, "route \"Acme\".fallback");
}

#[test]
fn all_mistakes_are_named_at_once_in_reading_order() {
    let addition = "[[route]]\nname = \"A\"\nnumber_pattern = \"(\"\npstn_usages = [\"A\"]\npstn_gateway_list = [\"gone\"]\n\
                    [[policy]]\nname = \"P\"\npstn_usages = [\"None\"]\n\
                    [[organizer]]\nid = \"a\"\ntenant = \"x\"\nlicense = \"y\"\npolicy = \"z\"\n";
    let lines: Vec<usize> =
        build(addition).expect_err("six mistakes").into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [3, 5, 8, 11, 12, 13]);
}

#[test]
fn a_wrong_number_is_one_message_not_one_for_each_reference() {
    let document = SOUND.replacen("owner = \"microsoft\"", "owner = \"nobody\"", 1);
    let source = TableSource::from_toml(&document).expect("TOML");
    let trunks = [TrunkRef { id: "acme".into(), provider: "operator:acme".parse().expect("a provider") }];
    let errors = Table::build(&source, &trunks).expect_err("an owner nobody knows");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn two_trunks_of_one_name_are_refused() {
    let trunk = TrunkRef { id: "ms".into(), provider: "microsoft".parse().expect("a provider") };
    let errors = Table::build(&TableSource::default(), &[trunk.clone(), trunk]).expect_err("twice");
    assert_eq!(errors[0].to_string(), "trunk: found \"ms\" twice, expected a name of its own for each trunk");
}
