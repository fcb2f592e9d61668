use super::*;
use crate::usage::records::RowEnd;

fn columns() -> Columns {
    let [caller, called, start, duration] = ["caller", "called", "start", "duration"].map(str::to_owned);
    Columns { caller, called, start, duration }
}

fn rules() -> Rules {
    let plan = DialPlan::of_country("49").expect("a country");
    Rules { tolerance_ms: 60_000, rounding_ms: 2_000, plan }
}

fn read(text: &str) -> Result<Reconciliation, ReconcileError> {
    Reconciliation::read(text.as_bytes(), b',', &columns(), rules())
}

fn ours(id: &str, caller: Option<&str>, start: &str, millis: Option<u64>) -> Row {
    Row {
        usage_id: id.into(),
        call_type: "conf_in".into(),
        caller: caller.map(str::to_owned),
        service_number: Some("+496990009100".into()),
        invite_time: start.into(),
        answer_time: millis.map(|_| start.into()),
        end: Some(RowEnd {
            result: if millis.is_some() { "answered" } else { "unknown" }.into(),
            duration_ms: millis,
            ..RowEnd::default()
        }),
        ..Row::default()
    }
}

fn found(reconciliation: Reconciliation) -> Vec<(&'static str, Option<u64>, Option<String>)> {
    let disputes = reconciliation.disputes().into_iter();
    disputes.map(|dispute| (dispute.kind.word(), dispute.line, dispute.usage_id)).collect()
}

const THEIRS: &str = "Caller,CALLED,Start,Duration\r\n\
    +49301110,+496990009100,2026-11-23T10:00:00Z,60\r\n\
    0049 30 1110,06990009100,2026-11-23 10:30:00,90.5\r\n\
    0301110,496990009100,2026-11-23T12:00:00+01:00,0:01:40\r\n\
    ,+496990009100,2026-11-23T11:30:00Z,10\r\n\
    +4930222,+496990009100,2026-11-23T11:40:00Z,33\r\n\
    +4930333,+496990009100,2026-11-23T11:50:00Z,0\r\n";

#[test]
fn what_both_have_agrees_and_the_rest_is_disputed() {
    let mut reconciliation = read(THEIRS).expect("a file");
    for row in [
        ours("agrees", Some("+49301110"), "2026-11-23T10:00:00.900Z", Some(59_300)),
        ours("longer", Some("+49301110"), "2026-11-23T10:30:10.000Z", Some(95_000)),
        ours("forgot", Some("+49301110"), "2026-11-23T11:00:05.000Z", None),
        ours("hidden", Some("+4930999"), "2026-11-23T11:30:00.000Z", Some(10_000)),
        ours("not-billed", Some("+4930222"), "2026-11-23T11:20:00.000Z", Some(5_000)),
        ours("next-day", Some("+4930222"), "2026-11-24T11:20:00.000Z", Some(5_000)),
    ] {
        reconciliation.compare(&row);
    }
    // A call that nobody answered is nobody's.
    let mut rang = ours("rang", Some("+4930222"), "2026-11-23T11:00:00.000Z", Some(0));
    rang.answer_time = None;
    rang.end = Some(RowEnd { result: "cancelled".into(), duration_ms: Some(0), ..RowEnd::default() });
    reconciliation.compare(&rang);
    assert_eq!(reconciliation.agreed, 2);
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(
        found(reconciliation),
        [
            ("duration", Some(3), id("longer")),
            ("unknown-here", Some(4), id("forgot")),
            ("missing-there", None, id("not-billed")),
            ("missing-here", Some(6), None),
        ]
    );
}

#[test]
fn of_several_calls_of_one_number_the_nearest_is_taken_and_each_once() {
    let text = "caller,called,start,duration\n1,496990009100,2026-11-23T10:00:00Z,5\n1,496990009100,2026-11-23T10:00:30Z,9\n";
    let mut reconciliation = read(text).expect("a file");
    reconciliation.compare(&ours("second", Some("+1"), "2026-11-23T10:00:29.000Z", Some(9_000)));
    reconciliation.compare(&ours("first", Some("+1"), "2026-11-23T10:00:20.000Z", Some(5_000)));
    reconciliation.compare(&ours("third", Some("+1"), "2026-11-23T10:00:31.000Z", Some(5_000)));
    assert_eq!(reconciliation.agreed, 2);
    assert_eq!(found(reconciliation), [("missing-there", None, Some("third".to_owned()))]);
}

#[test]
fn a_file_that_cannot_be_compared_says_why_and_what_to_do() {
    for (text, said) in [
        ("", "there is no column \"caller\" but ; name it with --caller-column"),
        (
            "caller,called,begin,duration\n",
            "there is no column \"start\" but caller, called, begin, duration; name it with --start-column",
        ),
        (
            "caller,called,start,duration\n1,2,yesterday,5\n",
            "line 2: start: found \"yesterday\", expected 2026-",
        ),
        (
            "caller,called,start,duration\n1,2,2026-11-23T10:00:00Z,long\n",
            "line 2: duration: found \"long\", expected seconds",
        ),
        ("caller,called,start,duration\n1,2\n", "line 2: start: found \"\", expected 2026-"),
        ("caller,called,start,duration\n\"1,2\n", "line 2: a quote is not closed"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(said), "{error}");
    }
    for (text, millis) in [
        ("75", Some(75_000)),
        ("75.2512", Some(75_251)),
        ("1:15", Some(75_000)),
        ("1:00:15", Some(3_615_000)),
        ("", None),
        ("-5", None),
        ("5s", None),
        ("1:2:3:4", None),
        ("999999999", None),
        ("99999999:99999999:99999999", None),
    ] {
        assert_eq!(duration_ms(text), millis, "{text}");
    }
}
