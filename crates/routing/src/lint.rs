//! What in a valid table is still suspicious. A lint never changes a decision and never keeps a table from loading.

mod people;
mod routes;

use crate::table::Table;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// One suspicion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// What kind.
    pub kind: LintKind,
    /// Bytes of the TOML document where the subject is named.
    pub span: Range<usize>,
    /// What it is about: `route "International"`.
    pub subject: String,
    /// What is suspicious and what to do about it.
    pub text: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} [{}]: {}", self.subject, self.kind.label(), self.text)
    }
}

/// The kinds of suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LintKind {
    /// A route whose pattern matches no number that can be dialed.
    Unreachable,
    /// A route whose numbers are all matched by a route that comes before it in the same usage.
    Shadowed,
    /// A pattern that matches longer numbers than it spells out.
    Unanchored,
    /// A usage that no policy lists.
    UnusedUsage,
    /// A policy that applies to no organizer.
    UnusedPolicy,
    /// A route whose source number is another tenant's, under a policy that applies here.
    ForeignRoute,
    /// A number, caller ID included, that is suspended.
    Suspended,
    /// A number on which no call can arrive, because its owner has no trunk.
    NumberWithoutTrunk,
    /// A bridge without default number, so that its organizers cannot dial out through Microsoft or a gateway.
    NoDefaultNumber,
    /// An organizer whose license leaves no number for callers.
    OrganizerWithoutNumber,
    /// A number on invites that the organizer's license does not include.
    ExcludedInviteNumber,
    /// An organizer whose license needs a route to an operator, and has none.
    NoDialOut,
}

impl LintKind {
    /// A word for it, as in `partyline lint`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Shadowed => "shadowed",
            Self::Unanchored => "unanchored",
            Self::UnusedUsage => "unused-usage",
            Self::UnusedPolicy => "unused-policy",
            Self::ForeignRoute => "foreign-route",
            Self::Suspended => "suspended",
            Self::NumberWithoutTrunk => "number-without-trunk",
            Self::NoDefaultNumber => "no-default-number",
            Self::OrganizerWithoutNumber => "organizer-without-number",
            Self::ExcludedInviteNumber => "excluded-invite-number",
            Self::NoDialOut => "no-dial-out",
        }
    }
}

/// Every suspicion about a table, in reading order.
pub fn lint(table: &Table) -> Vec<Lint> {
    let mut found = Vec::new();
    routes::lint(table, &mut found);
    people::lint(table, &mut found);
    found.sort_by(|a, b| {
        (a.span.start, a.kind, &a.subject, &a.text).cmp(&(b.span.start, b.kind, &b.subject, &b.text))
    });
    found
}

fn add(
    found: &mut Vec<Lint>,
    kind: LintKind,
    place: &Range<usize>,
    subject: String,
    text: impl Into<String>,
) {
    found.push(Lint { kind, span: place.clone(), subject, text: text.into() });
}
