//! `[media] language` and `prompt_packs`, and the languages of the numbers, which need them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use routing::{Language, TableSource};
use toml::Spanned;

use super::check::Check;
use super::{Media, document};

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

    /// Every language that a number speaks has its prompts.
    pub(super) fn spoken(&mut self, source: &TableSource, media: &Media) {
        for number in &source.numbers {
            for written in &number.languages {
                // What is no language at all is the table's to say.
                let Ok(language) = written.get_ref().parse::<Language>() else { continue };
                if language != media.language && !media.prompt_packs.contains_key(&language) {
                    let key = format!("number {:?}.languages", number.number.get_ref());
                    let expected = format!(
                        "a language with prompts: {} (media.language), or one with a folder in media.prompt_packs",
                        media.language
                    );
                    self.problem(written.span(), &key, format!("`{language}`"), &expected);
                }
            }
        }
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
