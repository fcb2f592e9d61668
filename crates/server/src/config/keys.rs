//! `[keys]`: what people key in a meeting.

use bridge::{KeyMap, KeypadCommand, Prefix};
use routing::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Check;

/// `[keys]`
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// What every command begins with, `*` or `#`. Then 1 to 3 digits follow, which begin no other command's; "" and nobody can key it.
    pub prefix: Spanned<String>,
    /// Mutes one's own line, or ends that.
    pub mute: Spanned<String>,
    /// Raises one's hand, or lowers it.
    pub hand: Spanned<String>,
    /// How many people are here, and who.
    pub roll_call: Spanned<String>,
    /// What can be keyed.
    pub help: Spanned<String>,
    /// Organizers: lets everybody in from the lobby.
    pub admit_all: Spanned<String>,
    /// Organizers: mutes everybody else, or ends that.
    pub mute_all: Spanned<String>,
    /// Organizers: announcements of coming and going, on or off.
    pub announcements: Spanned<String>,
    /// Organizers: locks the meeting, or unlocks it.
    pub lock: Spanned<String>,
}

impl Default for Keys {
    fn default() -> Self {
        let own = |command| Spanned::new(0..0, KeyMap::default().digits(command));
        Self {
            prefix: Spanned::new(0..0, "*".to_owned()),
            mute: own(KeypadCommand::Mute),
            hand: own(KeypadCommand::Hand),
            roll_call: own(KeypadCommand::RollCall),
            help: own(KeypadCommand::Help),
            admit_all: own(KeypadCommand::AdmitAll),
            mute_all: own(KeypadCommand::MuteAll),
            announcements: own(KeypadCommand::Announcements),
            lock: own(KeypadCommand::Lock),
        }
    }
}

impl Keys {
    fn of(&self, command: KeypadCommand) -> &Spanned<String> {
        match command {
            KeypadCommand::Mute => &self.mute,
            KeypadCommand::Hand => &self.hand,
            KeypadCommand::RollCall => &self.roll_call,
            KeypadCommand::Help => &self.help,
            KeypadCommand::AdmitAll => &self.admit_all,
            KeypadCommand::MuteAll => &self.mute_all,
            KeypadCommand::Announcements => &self.announcements,
            KeypadCommand::Lock => &self.lock,
        }
    }
}

impl Check<'_> {
    /// Which keys mean what.
    pub(super) fn keys(&mut self, written: &Keys) -> KeyMap {
        let prefix = match written.prefix.get_ref().as_str() {
            "*" => Prefix::Star,
            "#" => Prefix::Pound,
            other => {
                let found = format!("`{other}`");
                self.problem(written.prefix.span(), "keys.prefix", found, "\"*\" or \"#\"");
                Prefix::Star
            }
        };
        let mut map = KeyMap::empty(prefix);
        let mut commands = KeypadCommand::ALL;
        // Defaults come first: when one is in the way, what is written in the file is to be changed.
        commands.sort_by_key(|command| !written.of(*command).span().is_empty());
        for command in commands {
            let digits = written.of(command);
            if let Err(error) = map.set(command, digits.get_ref()) {
                let key = format!("keys.{}", command.name());
                self.problem(digits.span(), &key, format!("`{}`", digits.get_ref()), &error.to_string());
            }
        }
        map
    }
}
