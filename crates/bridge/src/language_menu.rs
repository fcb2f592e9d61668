//! "For English, press 1": the greeting of a number that speaks more than one language. A pure machine.
//!
//! Invitations carry strings such as `+14255550100,,314159265#`: a telephone keys the conference ID at once, whatever is
//! being said. So a digit of the menu is a choice only when nothing follows it for a moment; digits in quick succession are
//! the beginning of a conference ID, in the number's primary language.

use crate::digit::Digit;
use crate::prompt::PromptId;
use routing::Language;
use std::time::{Duration, Instant};

/// For so long a digit must stand alone to be a choice. Telephones that key a stored number take less from key to key.
const ALONE: Duration = Duration::from_millis(1500);

/// What the menu wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Say this in that language.
    Say(Language, Vec<PromptId>),
    /// Stop what is being said.
    Stop,
    /// Go on in this language, with these digits keyed already.
    Chosen(Language, Vec<Digit>),
}

/// One caller's choice.
#[derive(Debug)]
pub(crate) struct LanguageMenu {
    /// The primary one first; at most nine can be chosen.
    languages: Vec<Language>,
    /// How many have been offered.
    offered: usize,
    /// A digit that may become a choice.
    pending: Option<Digit>,
    due: Instant,
    patience: Duration,
    longest_prompt: Duration,
}

impl LanguageMenu {
    /// Greets in the primary language. `patience` is the time to choose after the last offer; then the primary language is
    /// taken. `None` where there is nothing to choose.
    pub(crate) fn start(
        now: Instant,
        languages: &[Language],
        patience: Duration,
        longest_prompt: Duration,
    ) -> Option<(Self, Step)> {
        let [primary, _, ..] = languages else { return None };
        let languages = languages.iter().take(9).cloned().collect();
        let menu = Self {
            languages,
            offered: 1,
            pending: None,
            due: now + longest_prompt,
            patience,
            longest_prompt,
        };
        let mut prompts = vec![PromptId::Welcome];
        prompts.extend(offer(1));
        Some((menu, Step::Say(primary.clone(), prompts)))
    }

    /// The next deadline, and whether it is for the end of a prompt.
    pub(crate) fn deadline(&self) -> (Instant, bool) {
        (self.due, self.pending.is_none() && self.offered <= self.languages.len())
    }

    /// What was being said ran to its end: the next language is offered, after the last one we wait.
    pub(crate) fn prompt_ended(&mut self, now: Instant) -> Option<Step> {
        if self.pending.is_some() {
            return None;
        }
        self.offered += 1;
        if let Some(language) = self.languages.get(self.offered - 1) {
            self.due = now + self.longest_prompt;
            return Some(Step::Say(language.clone(), offer(self.offered)));
        }
        self.due = now + self.patience;
        None
    }

    /// A key was pressed.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit) -> Step {
        match self.pending.take() {
            // "1#" is a choice that does not want to wait.
            Some(choice) if digit.key() == '#' => self.choose(choice),
            Some(first) => Step::Chosen(self.languages[0].clone(), vec![first, digit]),
            None if self.language(digit).is_some() => {
                self.pending = Some(digit);
                self.due = now + ALONE;
                Step::Stop
            }
            None => Step::Chosen(self.languages[0].clone(), vec![digit]),
        }
    }

    /// The deadline may have come.
    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Step> {
        if now < self.due {
            return None;
        }
        match self.pending.take() {
            Some(choice) => Some(self.choose(choice)),
            None if self.offered <= self.languages.len() => self.prompt_ended(now),
            None => Some(Step::Chosen(self.languages[0].clone(), Vec::new())),
        }
    }

    fn choose(&self, choice: Digit) -> Step {
        let language = self.language(choice).unwrap_or(&self.languages[0]);
        Step::Chosen(language.clone(), Vec::new())
    }

    fn language(&self, digit: Digit) -> Option<&Language> {
        self.languages.get((digit.key().to_digit(10)? as usize).checked_sub(1)?)
    }
}

/// "For this language, press `number`."
fn offer(number: usize) -> Vec<PromptId> {
    let mut prompts = vec![PromptId::ForThisLanguage];
    prompts.extend(PromptId::spell(&number.to_string()));
    prompts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tests::{epoch, key};

    const PATIENCE: Duration = Duration::from_secs(10);
    const LONGEST: Duration = Duration::from_secs(30);

    fn language(tag: &str) -> Language {
        tag.parse().expect("a language")
    }

    fn menu() -> LanguageMenu {
        let languages = ["de-DE", "en-US", "fr-FR"].map(language);
        let (menu, step) = LanguageMenu::start(epoch(), &languages, PATIENCE, LONGEST).expect("a choice");
        let said = vec![PromptId::Welcome, PromptId::ForThisLanguage, PromptId::Digit1];
        assert_eq!(step, Step::Say(language("de-DE"), said));
        menu
    }

    fn chosen(tag: &str, keys: &str) -> Step {
        Step::Chosen(language(tag), keys.chars().map(key).collect())
    }

    #[test]
    fn where_there_is_one_language_there_is_no_menu() {
        for languages in [vec![], vec![language("de-DE")]] {
            assert!(LanguageMenu::start(epoch(), &languages, PATIENCE, LONGEST).is_none());
        }
    }

    #[test]
    fn each_language_is_offered_in_itself_and_the_primary_one_is_taken_when_nobody_chooses() {
        let mut menu = menu();
        for (tag, digit) in [("en-US", PromptId::Digit2), ("fr-FR", PromptId::Digit3)] {
            let said = Step::Say(language(tag), vec![PromptId::ForThisLanguage, digit]);
            assert_eq!(menu.prompt_ended(epoch()), Some(said));
        }
        assert_eq!(menu.prompt_ended(epoch()), None);
        assert_eq!(menu.deadline(), (epoch() + PATIENCE, false));
        assert_eq!(menu.timeout(epoch() + PATIENCE), Some(chosen("de-DE", "")));
    }

    #[test]
    fn a_digit_that_stands_alone_is_a_choice() {
        let mut menu = menu();
        assert_eq!(menu.digit(epoch(), key('2')), Step::Stop);
        // What was stopped reports no end; should it, nothing is said over the caller's pause.
        assert_eq!(menu.prompt_ended(epoch()), None);
        assert_eq!(menu.timeout(epoch() + ALONE / 2), None);
        assert_eq!(menu.timeout(epoch() + ALONE), Some(chosen("en-US", "")));
    }

    #[test]
    fn a_digit_and_a_pound_is_a_choice_at_once() {
        let mut menu = menu();
        menu.digit(epoch(), key('3'));
        assert_eq!(menu.digit(epoch(), key('#')), chosen("fr-FR", ""));
    }

    #[test]
    fn digits_in_quick_succession_are_the_beginning_of_a_conference_id() {
        for (keys, expected) in [("31", "31"), ("9", "9"), ("0", "0"), ("*", "*"), ("#", "#")] {
            let mut menu = menu();
            let last = keys.chars().map(|one| menu.digit(epoch(), key(one))).last();
            assert_eq!(last, Some(chosen("de-DE", expected)), "{keys}");
        }
    }

    #[test]
    fn the_end_of_a_prompt_that_is_not_reported_is_not_waited_for() {
        let mut menu = menu();
        assert_eq!(menu.deadline(), (epoch() + LONGEST, true));
        assert!(matches!(menu.timeout(epoch() + LONGEST), Some(Step::Say(_, _))));
    }
}
