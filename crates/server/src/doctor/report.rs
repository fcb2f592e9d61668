//! What the exam found: one line a question, with the reason, and what to change where it failed.

use serde::Serialize;

use crate::trace::ladder::harmless;

/// How a question came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Pass,
    Fail,
    /// It could not be asked, or nothing can be concluded.
    Skip,
}

/// How a question came out, and why; where it failed, what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) change: Option<String>,
}

impl Judged {
    pub(super) fn pass(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, why: why.into(), change: None }
    }

    pub(super) fn fail(why: impl Into<String>, change: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, why: why.into(), change: Some(change.into()) }
    }

    pub(super) fn skip(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, why: why.into(), change: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) verdict: Verdict,
    pub(super) why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<String>,
}

/// The whole exam.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    trunk: String,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(trunk: &str) -> Self {
        Self { trunk: trunk.to_owned(), findings: Vec::new() }
    }

    pub(super) fn pass(&mut self, check: &str, why: impl Into<String>) {
        self.note(check, Judged::pass(why));
    }

    pub(super) fn fail(&mut self, check: &str, why: impl Into<String>, change: impl Into<String>) {
        self.note(check, Judged::fail(why, change));
    }

    pub(super) fn skip(&mut self, check: &str, why: impl Into<String>) {
        self.note(check, Judged::skip(why));
    }

    /// Passed, or failed for a reason with a remedy.
    pub(super) fn judge(&mut self, check: &str, judged: Result<String, (String, String)>) {
        match judged {
            Ok(why) => self.pass(check, why),
            Err((why, change)) => self.fail(check, why, change),
        }
    }

    /// Whether nothing failed.
    pub(super) fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Fail)
    }

    pub(super) fn note(&mut self, check: &str, judged: Judged) {
        let Judged { verdict, why, change } = judged;
        let why = harmless(&why);
        self.findings.push(Finding { check: check.to_owned(), verdict, why, change });
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let width = self.findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for Finding { check, verdict, why, change } in &self.findings {
            let word = match verdict {
                Verdict::Pass => "PASS",
                Verdict::Fail => "FAIL",
                Verdict::Skip => "SKIP",
            };
            lines.push(format!("{word}  {check:<width$}  {why}"));
            lines.extend(change.iter().map(|change| format!("      {:width$}  -> {change}", "")));
        }
        let count = |wanted| self.findings.iter().filter(|finding| finding.verdict == wanted).count();
        lines.push(format!(
            "trunk {}: {} passed, {} failed, {} skipped",
            self.trunk,
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::Skip)
        ));
        lines
    }

    pub(super) fn print(&self) {
        for line in self.lines() {
            say!("{line}");
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        shown["passed"] = self.is_good().into();
        format!("{shown:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_exam_and_says_what_to_change() {
        let mut report = Report::new("acme");
        report.pass("a", "good");
        report.skip("long name", "not asked");
        assert!(report.is_good());
        report.fail("b", "bad\x1b[2J", "do this");
        assert!(!report.is_good());
        assert_eq!(
            report.lines(),
            [
                "PASS  a          good",
                "SKIP  long name  not asked",
                "FAIL  b          bad\u{fffd}[2J",
                "                 -> do this",
                "trunk acme: 1 passed, 1 failed, 1 skipped",
            ]
        );
        let shown: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!((&shown["passed"], &shown["findings"][2]["change"]), (&false.into(), &"do this".into()));
    }
}
