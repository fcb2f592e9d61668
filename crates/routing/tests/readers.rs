//! What somebody of one tenant is told of a decision: nothing about trunks, and nothing about other tenants' numbers.

use routing::{Decision, Initiator, LegRequest, Table, TableSource, TrunkRef, explain, explain_to};

const SOURCE: &str = r#"
[[bridge]]
tenant = "contoso"
country_code = "49"
[[bridge]]
tenant = "fabrikam"
country_code = "49"

[[number]]
number = "+49 30 200001"
owner = "operator:acme"
tenant = "contoso"
[[number]]
number = "+49 30 700007"
owner = "operator:zenith"
tenant = "fabrikam"

[[organizer]]
id = "clara"
tenant = "contoso"
license = "operator-connect-conferencing"
policy = "International Policy"
service_number = "+49 30 200001"

[[policy]]
name = "International Policy"
pstn_usages = ["International", "Gateways"]

[[route]]
name = "theirs"
number_pattern = '^\+49'
pstn_usages = ["International"]
bridge_source_phone_number = "+49 30 700007"
[[route]]
name = "theirs in Italy"
number_pattern = '^\+39'
pstn_usages = ["International"]
bridge_source_phone_number = "+49 30 700007"
[[route]]
name = "ours"
number_pattern = '^\+49'
pstn_usages = ["Gateways"]
pstn_gateway_list = ["zenith-1", "acme-1"]
"#;

fn table() -> Table {
    let trunk = |id: &str, of: &str| TrunkRef { id: id.into(), provider: of.parse().expect("a provider") };
    let trunks = [trunk("acme-1", "operator:acme"), trunk("zenith-1", "operator:zenith")];
    let source = TableSource::from_toml(SOURCE).expect("TOML");
    Table::build(&source, &trunks).expect("a table")
}

/// Both: as the deployment's own see it, and as Contoso does.
fn told(request: &LegRequest<'_>) -> (Decision, Decision) {
    let table = table();
    (explain(&table, request), explain_to(&table, request, &"contoso".into()))
}

fn dial_out(dialed: &str, is_down: bool) -> (Decision, Decision) {
    let down = |_: &routing::TrunkId| is_down;
    told(&LegRequest::DialOut {
        organizer: &"clara".into(),
        dialed,
        initiator: Initiator::Member,
        down: &down,
    })
}

fn texts(decision: &Decision) -> String {
    let mut said: Vec<String> = decision.because.iter().map(ToString::to_string).collect();
    match &decision.outcome {
        routing::Outcome::Refuse(no) => said.push(no.because.clone()),
        routing::Outcome::Candidates(all) => said.extend(all.iter().map(|one| one.because.clone())),
        routing::Outcome::Admit { .. } => {}
    }
    said.join("\n")
}

#[test]
fn a_tenant_s_reader_is_told_no_trunk_and_no_number_of_another_tenant() {
    let called = "+4930200001".parse().expect("E.164");
    let (trunk, organizer) = ("acme-1".into(), "clara".into());
    let dial_in = told(&LegRequest::DialIn { called: &called, trunk: &trunk, organizer: &organizer });
    for (own, tenants) in [dial_out("+4940765432", false), dial_out("+4940765432", true), dial_in] {
        let (own, tenants) = (texts(&own), texts(&tenants));
        assert!(own.contains("acme-1") || own.contains("zenith-1"), "{own}");
        for secret in ["acme-1", "zenith-1", "+4930700007", "theirs"] {
            assert!(!tenants.contains(secret), "{secret}: {tenants}");
        }
        assert!(!tenants.is_empty());
    }
}

#[test]
fn another_tenant_s_number_is_explained_like_one_that_no_bridge_has() {
    let (own, foreign) = dial_out("+4930700007", false);
    let (_, nobodys) = dial_out("+4930700008", false);
    assert!(texts(&own).contains("a dial-in number of this bridge"), "{own:?}");
    let unlike = |decision: &Decision| format!("{decision:?}").replace("+4930700008", "+4930700007");
    assert_eq!(unlike(&foreign), unlike(&nobodys));
    let (_, ours) = dial_out("+4930200001", false);
    assert!(texts(&ours).contains("a dial-in number of this bridge"), "his own is his to know: {ours:?}");
}
