//! `[media] language` and `prompt_packs`, and the languages of the numbers, which need them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use routing::Spanned;
use routing::{Language, TableError, TableSource};

use super::check::Check;
use super::document;

impl Check<'_> {
    /// The bridge's own language, and the folder of each further one.
    pub(super) fn prompt_packs(
        &mut self,
        media: &document::Media,
    ) -> (Option<Language>, BTreeMap<Language, PathBuf>) {
        let own = self.language("media.language", &media.language);
        let mut packs = BTreeMap::new();
        for (written, folder) in &media.prompt_packs {
            let Some(language) = self.language("media.prompt_packs", written) else { continue };
            if Some(&language) == own.as_ref() {
                let found = format!("`{language}`, which is media.language already");
                self.problem(
                    written.span(),
                    "media.prompt_packs",
                    found,
                    "languages other than the bridge's own",
                );
                continue;
            }
            packs.insert(language, self.resolve(folder));
        }
        (own, packs)
    }

    fn language(&mut self, key: &str, written: &Spanned<String>) -> Option<Language> {
        let parsed = written.get_ref().parse();
        if let Err(error) = &parsed {
            let error: &routing::NotALanguage = error;
            self.problem(written.span(), key, format!("{:?}", written.get_ref()), &error.to_string());
        }
        parsed.ok()
    }
}

/// The languages of numbers that nobody has recorded prompts in; `spoken` begins with the bridge's own.
pub(super) fn unspoken(source: &TableSource, spoken: &[Language]) -> Vec<TableError> {
    let all = source.numbers.iter().flat_map(|number| number.languages.iter().map(move |at| (number, at)));
    // What is no language at all is the table's to say.
    let wrong = all.filter(|(_, at)| at.get_ref().parse().is_ok_and(|language| !spoken.contains(&language)));
    let own = spoken.first().map(ToString::to_string).unwrap_or_default();
    wrong
        .map(|(number, at)| TableError {
            span: Some(at.span()),
            key: format!("number {:?}.languages", number.number.get_ref()),
            found: format!("`{}`", at.get_ref()),
            expected: format!(
                "a language with prompts: {own} (media.language), or one with a folder in media.prompt_packs"
            ),
        })
        .collect()
}
