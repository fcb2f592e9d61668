//! `partyline usage export --format pstn-csv`: Microsoft's PSTN usage columns.

use std::io::{self, Write};

use bridge::Micros;

use super::csv;
use super::records::Row;

/// The columns of Microsoft's PSTN usage report, in its order.
pub const COLUMNS: [&str; 20] = [
    "UsageId",
    "Call ID",
    "Conference ID",
    "User Location",
    "AAD ObjectId",
    "UPN",
    "User Display Name",
    "Caller ID",
    "Call Type",
    "Number Type",
    "Domestic/International",
    "Destination Dialed",
    "Destination Number",
    "Start Time",
    "End Time",
    "Duration Seconds",
    "Connection Fee",
    "Charge",
    "Currency",
    "Capability",
];

/// The headline.
pub fn headline(out: &mut impl Write) -> io::Result<()> {
    csv::write(out, &COLUMNS.map(str::to_owned))
}

/// One answered leg; whether it was one. Microsoft's report has no others.
pub fn write(out: &mut impl Write, row: &Row) -> io::Result<bool> {
    let (Some(answered), Some(end)) = (&row.answer_time, &row.end) else { return Ok(false) };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let inward = row.call_type == "conf_in";
    let caller = if row.caller_anonymous { "anonymous".to_owned() } else { text(&row.caller) };
    let reach = match row.zone.as_deref() {
        Some("domestic") => "Domestic",
        Some(_) => "International",
        None => "",
    };
    let money = |micros: Option<u64>| micros.map_or_else(String::new, cents);
    let fields = [
        row.usage_id.clone(),
        row.sip_call_id.clone().unwrap_or_else(|| row.usage_id.clone()),
        text(&row.conference_id),
        // Neither is in a usage record: organizers are known by the names of the configuration.
        String::new(),
        String::new(),
        text(&row.organizer),
        String::new(),
        if inward { caller } else { text(&row.caller_id) },
        row.call_type.clone(),
        text(&row.number_kind),
        reach.to_owned(),
        text(&row.usage_country),
        if inward { text(&row.service_number) } else { text(&row.destination) },
        answered.clone(),
        end.end_time.clone().unwrap_or_else(|| row.written.clone()),
        end.duration_ms.map_or_else(String::new, |millis| millis.div_ceil(1000).to_string()),
        money(end.connection_fee_micros),
        money(end.charge_micros),
        text(&end.currency),
        capability(row.license.as_deref()).to_owned(),
    ];
    csv::write(out, &fields)?;
    Ok(true)
}

/// numeric(16,2): a half cent counts whole.
fn cents(micros: u64) -> String {
    Micros((micros.saturating_add(5_000)) / 10_000 * 10_000).to_string()
}

/// Microsoft's word for a license.
fn capability(license: Option<&str>) -> &'static str {
    match license {
        Some("audio-conferencing-standard") => "MCOMEETADD",
        Some("pay-per-minute") => "MCOMEETACPEA",
        Some("operator-connect-conferencing") => "Operator Connect Conferencing",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::records::RowEnd;

    #[test]
    fn an_answered_leg_is_a_row_of_twenty_columns_and_another_is_none() {
        let row = Row {
            usage_id: "01a2070d".into(),
            call_type: "conf_out".into(),
            caller: None,
            caller_id: Some("+496990009100".into()),
            destination: Some("+4930901820".into()),
            conference_id: Some("912308576".into()),
            organizer: Some("=HYPERLINK(\"http://x\")".into()),
            license: Some("audio-conferencing-standard".into()),
            zone: Some("domestic".into()),
            usage_country: Some("DE".into()),
            answer_time: Some("2026-11-23T10:00:05.000Z".into()),
            end: Some(RowEnd {
                end_time: Some("2026-11-23T10:01:05.001Z".into()),
                duration_ms: Some(60_001),
                charge_micros: Some(125_000),
                connection_fee_micros: Some(20_000),
                currency: Some("EUR".into()),
                ..RowEnd::default()
            }),
            ..Row::default()
        };
        let mut out = Vec::new();
        headline(&mut out).expect("memory");
        assert!(write(&mut out, &row).expect("memory"));
        assert!(!write(&mut out, &Row { answer_time: None, ..row.clone() }).expect("memory"));
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text.lines().nth(1),
            Some(
                "01a2070d,01a2070d,912308576,,,\"'=HYPERLINK(\"\"http://x\"\")\",,+496990009100,conf_out,,Domestic,DE,\
                 +4930901820,2026-11-23T10:00:05.000Z,2026-11-23T10:01:05.001Z,61,0.02,0.13,EUR,MCOMEETADD"
            )
        );
        assert_eq!(text.lines().next().map(|line| line.split(',').count()), Some(20));
        assert_eq!(text.lines().count(), 2);
        let hidden = Row {
            call_type: "conf_in".into(),
            caller: Some("+4930123456".into()),
            caller_anonymous: true,
            ..row
        };
        let mut out = Vec::new();
        write(&mut out, &hidden).expect("memory");
        assert!(!String::from_utf8_lossy(&out).contains("+4930123456"), "who asked for privacy is not shown");
    }
}
