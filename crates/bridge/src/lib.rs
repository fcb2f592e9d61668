//! WHY: the focus. Conferences, participants, attendant, dial-out.

mod prompt;

pub use prompt::PromptId;
