//! `partyline token`: tokens for the API.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::http::{Role, digest};

/// What is wanted.
#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// Make a token: it is printed once, with the lines for the configuration, which holds its hash only.
    New(Wanted),
}

#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// What the log shall call it.
    #[arg(long)]
    name: String,
    /// What it allows.
    #[arg(long, value_enum)]
    role: Role,
    /// Whose meetings it sees; without it everybody's, and the node's own affairs.
    #[arg(long)]
    tenant: Option<String>,
}

/// Does it.
pub(super) fn run(job: &Job) -> ExitCode {
    let Job::New(wanted) = job;
    // 256 bits of a generator that is seeded by the system: nobody guesses it, so a plain hash keeps it.
    let secret = hex(&rand::random::<[u8; 32]>());
    say!("{}", lines(wanted, &format!("pl_{secret}")));
    ExitCode::SUCCESS
}

/// The token, then what goes into the configuration.
fn lines(wanted: &Wanted, token: &str) -> String {
    let mut lines = vec![
        format!("# the token, for whoever uses it; it is shown once: {token}"),
        "# and these lines for the configuration:".to_owned(),
        "[[api_token]]".to_owned(),
        format!("name = {}", quoted(&wanted.name)),
        format!("role = \"{}\"", wanted.role.as_str()),
    ];
    lines.extend(wanted.tenant.as_ref().map(|tenant| format!("tenant = {}", quoted(tenant))));
    lines.push(format!("sha256 = \"{}\"", hex(&digest(token))));
    lines.join("\n")
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn what_is_printed_is_a_configuration_that_knows_the_token() {
        let wanted =
            Wanted { name: "desk\"1".to_owned(), role: Role::Operator, tenant: Some("contoso".to_owned()) };
        let text = lines(&wanted, "pl_0123").replace("desk\\\"1", "desk1").replace("'desk\"1'", "'desk1'");
        let config =
            Config::parse(Path::new("p.toml"), &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let token = &config.tokens[0];
        assert_eq!(
            (token.name.as_str(), token.role, token.digest),
            ("desk1", Role::Operator, digest("pl_0123"))
        );
        assert_eq!(token.tenant.as_ref().map(routing::TenantId::as_str), Some("contoso"));
    }
}
