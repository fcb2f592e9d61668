//! Who has come and who has gone, said so that a crowd is one sentence: whoever comes or goes within a second is said together, and
//! nothing is said before the last sentence has ended.

use crate::command::{Tone, Word};
use crate::id::LegId;
use crate::naming::SpokenName;
use crate::policy::Masking;
use crate::prompt::PromptId;
use crate::spoken;
use routing::E164;
use std::time::{Duration, Instant};

/// How long others are waited for who come or go at the same time.
const GATHERED: Duration = Duration::from_secs(1);
/// From the end of a sentence to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a word takes about, where nobody knows.
const WORD: Duration = Duration::from_millis(900);
/// More than so many are counted and not named.
const NAMED: usize = 3;

/// What can be said of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// What he said his name is.
    Name(SpokenName),
    /// His number.
    Number(E164),
    /// Nothing: he asked for privacy and said no name.
    Nobody,
}

/// What is said of some who have come, or gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// What everybody hears.
    pub(crate) all: Vec<Word>,
    /// What those hear besides who may know numbers.
    pub(crate) inside: Vec<Word>,
    /// Who need not hear it: the only one who has come.
    pub(crate) except: Option<LegId>,
}

/// Who has come and gone since the last sentence.
#[derive(Debug, Default)]
pub(crate) struct Announcing {
    come: Vec<LegId>,
    /// The first who have gone, and how many in all.
    gone: Vec<Who>,
    gone_count: usize,
    due: Option<Instant>,
    quiet_until: Option<Instant>,
}

impl Announcing {
    /// Somebody has come.
    pub(crate) fn came(&mut self, now: Instant, leg: LegId) {
        self.come.push(leg);
        self.wait(now);
    }

    /// Somebody has gone; of whom nobody has heard that he came nobody hears that he went.
    pub(crate) fn went(&mut self, now: Instant, leg: LegId, who: Who) {
        if let Some(place) = self.come.iter().position(|one| *one == leg) {
            self.come.swap_remove(place);
        } else {
            self.gone_count += 1;
            if self.gone.len() < NAMED {
                self.gone.push(who);
            }
            self.wait(now);
        }
        if self.come.is_empty() && self.gone_count == 0 {
            self.due = None;
        }
    }

    fn wait(&mut self, now: Instant) {
        let due = now + GATHERED;
        self.due.get_or_insert(self.quiet_until.map_or(due, |quiet| quiet.max(due)));
    }

    /// When the next sentence is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Nothing of what was to be said is said any more.
    pub(crate) fn forget(&mut self) {
        let quiet_until = self.quiet_until;
        *self = Self { quiet_until, ..Self::default() };
    }

    /// The sentence that is due; `who` knows those who are here.
    pub(crate) fn say(
        &mut self,
        now: Instant,
        masking: Masking,
        english: bool,
        who: impl Fn(LegId) -> Who,
    ) -> Sentence {
        let mut sentence = Sentence::default();
        let come: Vec<Who> = self.come.iter().take(NAMED).map(|leg| who(*leg)).collect();
        if let ([only], 0) = (&self.come[..], self.gone_count) {
            sentence.except = Some(*only);
        }
        let joined = [PromptId::HasJoined, PromptId::HaveJoined, PromptId::PeopleJoined];
        sentence.of(&come, self.come.len(), joined, masking, english);
        let left = [PromptId::HasLeft, PromptId::HaveLeft, PromptId::PeopleLeft];
        sentence.of(&self.gone, self.gone_count, left, masking, english);
        self.forget();
        let lasts: Duration = sentence.all.iter().chain(&sentence.inside).map(length).sum();
        self.quiet_until = Some(now + lasts + PAUSE);
        sentence
    }
}

impl Sentence {
    /// What became of `count` people, of whom the first are these.
    fn of(
        &mut self,
        first: &[Who],
        count: usize,
        [one, several, many]: [PromptId; 3],
        masking: Masking,
        english: bool,
    ) {
        let names =
            || first.iter().filter_map(|who| if let Who::Name(name) = who { Some(name) } else { None });
        match (first, count) {
            (_, 0) => {}
            ([Who::Number(number)], 1) if masking == Masking::External => {
                self.all.push(Word::Tone(if one == PromptId::HasJoined { Tone::Entry } else { Tone::Exit }));
                self.inside.extend(PromptId::spell(number.as_str()).chain([one]).map(Word::Prompt));
            }
            ([who], 1) => {
                match who {
                    Who::Name(name) => self.all.push(Word::Name(name.clone())),
                    Who::Number(number) if masking == Masking::None => {
                        self.all.extend(PromptId::spell(number.as_str()).map(Word::Prompt));
                    }
                    Who::Number(_) | Who::Nobody => self.all.push(Word::Prompt(PromptId::Somebody)),
                }
                self.all.push(Word::Prompt(one));
            }
            (_, count) if count <= NAMED && names().count() == count => {
                self.all.extend(names().cloned().map(Word::Name));
                self.all.push(Word::Prompt(several));
            }
            (_, count) => {
                self.all.extend(spoken::count_in(english, count).into_iter().chain([many]).map(Word::Prompt));
            }
        }
    }
}

fn length(word: &Word) -> Duration {
    match word {
        Word::Name(name) => name.length(),
        Word::Prompt(_) | Word::Tone(_) => WORD,
    }
}

#[cfg(test)]
mod tests {
    use super::{Announcing, Sentence, Who};
    use crate::bridge::tests::epoch;
    use crate::command::{Tone, Word};
    use crate::id::LegId;
    use crate::naming::SpokenName;
    use crate::policy::Masking;
    use crate::prompt::PromptId::{
        self, Digit1, Digit4, Digit9, HasJoined, HasLeft, HaveJoined, PeopleJoined, Plus, Somebody,
    };
    use std::sync::Arc;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn name() -> SpokenName {
        SpokenName::new(Arc::new(()), SECOND)
    }

    fn number() -> Who {
        Who::Number("+491".parse().expect("a number"))
    }

    fn prompts(prompts: &[PromptId]) -> Vec<Word> {
        prompts.iter().copied().map(Word::Prompt).collect()
    }

    /// What is said of one who has come.
    fn said(who: &Who, masking: Masking) -> Sentence {
        let mut announcing = Announcing::default();
        announcing.came(epoch(), LegId(1));
        announcing.say(epoch(), masking, true, |_| who.clone())
    }

    #[test]
    fn a_name_is_for_everybody_and_a_number_for_whom_it_is_shown() {
        let name = name();
        let all = vec![Word::Name(name.clone()), Word::Prompt(HasJoined)];
        for masking in [Masking::External, Masking::All, Masking::None] {
            let sentence = said(&Who::Name(name.clone()), masking);
            assert_eq!(
                sentence,
                Sentence { all: all.clone(), inside: Vec::new(), except: Some(LegId(1)) },
                "{masking:?}"
            );
            assert_eq!(said(&Who::Nobody, masking).all, prompts(&[Somebody, HasJoined]), "{masking:?}");
        }
        let digits = [Plus, Digit4, Digit9, Digit1, HasJoined];
        let inside = |sentence: Sentence| (sentence.all, sentence.inside);
        assert_eq!(inside(said(&number(), Masking::None)), (prompts(&digits), Vec::new()));
        assert_eq!(inside(said(&number(), Masking::All)), (prompts(&[Somebody, HasJoined]), Vec::new()));
        let external = inside(said(&number(), Masking::External));
        assert_eq!(external, (vec![Word::Tone(Tone::Entry)], prompts(&digits)));
    }

    #[test]
    fn a_crowd_is_one_sentence_and_the_next_waits_for_its_end() {
        let mut announcing = Announcing::default();
        let now = epoch();
        let name = name();
        for leg in 1..=3 {
            announcing.came(now + SECOND / 4 * leg, LegId(leg.into()));
        }
        assert_eq!(announcing.due(), Some(now + SECOND / 4 + SECOND));
        let sentence = announcing.say(now, Masking::None, true, |_| Who::Name(name.clone()));
        let names = std::iter::repeat_n(Word::Name(name.clone()), 3);
        let expected: Vec<Word> = names.chain([Word::Prompt(HaveJoined)]).collect();
        assert_eq!((sentence.all, sentence.except), (expected, None));
        for leg in 10..110 {
            announcing.came(now, LegId(leg));
        }
        assert!(announcing.due().is_some_and(|due| due >= now + 4 * SECOND), "{:?}", announcing.due());
        let sentence = announcing.say(now, Masking::None, true, |_| Who::Name(name.clone()));
        assert_eq!(sentence.all, prompts(&[Digit1, PromptId::Hundred, PeopleJoined]));
        assert_eq!(announcing.due(), None);
    }

    #[test]
    fn who_is_gone_before_anybody_heard_of_him_is_not_mentioned() {
        let mut announcing = Announcing::default();
        let now = epoch();
        announcing.came(now, LegId(1));
        announcing.went(now, LegId(1), number());
        assert_eq!(announcing.due(), None);
        announcing.went(now, LegId(2), Who::Nobody);
        let sentence = announcing.say(now, Masking::None, true, |_| Who::Nobody);
        assert_eq!((sentence.all, sentence.except), (prompts(&[Somebody, HasLeft]), None));
    }
}
