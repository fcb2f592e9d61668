use super::{
    HeaderName, Text,
    name::AsHeaderName,
    syntax::{CommaList, is_token, trim},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{borrow::Cow, fmt};

/// One header: the line as it was received or will be sent, and where its value is.
#[derive(Clone)]
pub(crate) struct Entry {
    known: Option<HeaderName>,
    /// The line without its final CRLF, folds included.
    line: Bytes,
    name_len: usize,
    value: Value,
}

/// The value without blanks around it.
#[derive(Clone)]
pub(crate) enum Value {
    /// These bytes of the line, which are UTF-8.
    Span(usize, usize),
    /// A copy, because the line has folds or is not UTF-8.
    Copy(Text),
}

impl Entry {
    /// From the wire. `name_len` bytes of `line` are the name.
    pub(crate) fn received(known: Option<HeaderName>, line: Bytes, name_len: usize, value: Value) -> Self {
        Self { known, line, name_len, value }
    }

    fn built(name: &str, value: &str) -> Self {
        let name = safe_name(name);
        let value = safe_value(value);
        let mut line = BytesMut::with_capacity(name.len() + 2 + value.len());
        line.put_slice(name.as_bytes());
        line.put_slice(b": ");
        let start = line.len();
        line.put_slice(value.as_bytes());
        let span = Value::Span(start, line.len());
        Self { known: HeaderName::parse(&name), name_len: name.len(), value: span, line: line.freeze() }
    }

    pub(crate) fn known(&self) -> Option<HeaderName> {
        self.known
    }

    fn value(&self) -> &str {
        match &self.value {
            Value::Span(from, to) => {
                self.line.get(*from..*to).and_then(|v| std::str::from_utf8(v).ok()).unwrap_or_default()
            }
            Value::Copy(text) => text.as_str(),
        }
    }

    fn text(&self) -> Text {
        match &self.value {
            Value::Span(from, to) => Text::from_checked(self.line.slice(*from..*to)),
            Value::Copy(text) => text.clone(),
        }
    }

    fn name(&self) -> &str {
        self.line.get(..self.name_len).and_then(|n| std::str::from_utf8(n).ok()).unwrap_or_default()
    }

    fn is(&self, known: Option<HeaderName>, text: &str) -> bool {
        match known {
            Some(_) => self.known == known,
            None => self.known.is_none() && self.name().eq_ignore_ascii_case(text),
        }
    }
}

/// The headers of a message, in order. What was received is echoed byte for byte; what is added is made safe first:
/// control characters in a value become blanks, so that no value can end its line and start a header of its own.
#[derive(Clone, Default)]
pub struct Headers {
    entries: Vec<Entry>,
}

impl Headers {
    pub(crate) fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The first value, unfolded and trimmed; a comma list is not split.
    pub fn get(&self, name: impl AsHeaderName) -> Option<&str> {
        self.lines(name).next()
    }

    pub(crate) fn text(&self, name: impl AsHeaderName) -> Option<Text> {
        self.texts(name).next()
    }

    /// Every line's value, as [`Headers::get`], comma lists not split.
    pub fn lines(&self, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
        self.named(name).map(Entry::value)
    }

    pub(crate) fn texts(&self, name: impl AsHeaderName) -> impl Iterator<Item = Text> {
        self.named(name).map(Entry::text)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn named(&self, name: impl AsHeaderName) -> impl Iterator<Item = &Entry> {
        let known = name.known();
        self.entries.iter().filter(move |e| e.is(known, name.text()))
    }

    /// Every value; comma lists are split where the header is defined as a list.
    pub fn all(&self, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
        let split = name.known().is_some_and(HeaderName::is_list);
        self.lines(name).flat_map(move |line| {
            let (list, whole) = if split { (line, None) } else { ("", Some(line)) };
            CommaList::new(list).chain(whole)
        })
    }

    /// Whether a comma list has this token, compared without case (option tags, methods in Allow).
    pub fn has_token(&self, name: impl AsHeaderName, token: &str) -> bool {
        self.all(name).any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Whether the header is there.
    pub fn contains(&self, name: impl AsHeaderName) -> bool {
        self.named(name).next().is_some()
    }

    /// How many lines there are of this header.
    pub fn count(&self, name: impl AsHeaderName) -> usize {
        self.named(name).count()
    }

    /// Name as written and value of each line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|e| (e.name(), e.value()))
    }

    /// How many header lines there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: impl AsHeaderName, value: impl fmt::Display) {
        self.entries.push(Entry::built(name.text(), &value.to_string()));
    }

    /// Adds a line before the first of the same name, else at the top: where a Via or a Record-Route goes.
    pub fn push_front(&mut self, name: impl AsHeaderName, value: impl fmt::Display) {
        let known = name.known();
        let at = self.entries.iter().position(|e| e.is(known, name.text())).unwrap_or(0);
        self.entries.insert(at, Entry::built(name.text(), &value.to_string()));
    }

    /// Replaces the first line of this name in place and removes further ones; adds it if there was none.
    pub fn set(&mut self, name: impl AsHeaderName, value: impl fmt::Display) {
        let known = name.known();
        let built = Entry::built(name.text(), &value.to_string());
        let Some(at) = self.entries.iter().position(|e| e.is(known, name.text())) else {
            self.entries.push(built);
            return;
        };
        let mut index = 0;
        self.entries.retain(|e| {
            let keep = index <= at || !e.is(known, name.text());
            index += 1;
            keep
        });
        if let Some(slot) = self.entries.get_mut(at) {
            *slot = built;
        }
    }

    /// Replaces only the first line of this name; does nothing if there is none.
    pub(crate) fn replace_first(&mut self, name: HeaderName, value: &str) {
        if let Some(slot) = self.entries.iter_mut().find(|e| e.known == Some(name)) {
            *slot = Entry::built(name.as_str(), value);
        }
    }

    /// Removes every line of this name.
    pub fn remove(&mut self, name: impl AsHeaderName) {
        let known = name.known();
        self.entries.retain(|e| !e.is(known, name.text()));
    }

    /// Removes all lines but those of these names, and gives their memory back.
    pub(crate) fn keep_only(&mut self, names: &[HeaderName]) {
        self.entries.retain(|entry| entry.known.is_some_and(|known| names.contains(&known)));
        self.entries.shrink_to_fit();
    }

    /// Appends `other`'s lines of this name exactly as they were received.
    pub fn copy_from(&mut self, other: &Self, name: impl AsHeaderName) {
        let known = name.known();
        self.entries.extend(other.entries.iter().filter(|e| e.is(known, name.text())).cloned());
    }

    pub(crate) fn size(&self) -> usize {
        self.entries.iter().map(|e| e.line.len() + 2).sum()
    }

    /// Writes all lines; Content-Length lines only if they say `length`, and one of our own if none did.
    pub(crate) fn write(&self, out: &mut BytesMut, length: usize) {
        let mut said = false;
        for entry in &self.entries {
            if entry.known == Some(HeaderName::ContentLength) {
                if entry.value().parse() != Ok(length) {
                    continue;
                }
                said = true;
            }
            out.put_slice(&entry.line);
            out.put_slice(b"\r\n");
        }
        if !said {
            out.put_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
    }
}

/// A name that can stand before a colon: whatever is no token character becomes `-`.
fn safe_name(name: &str) -> Cow<'_, str> {
    if is_token(name.as_bytes()) {
        return Cow::Borrowed(name);
    }
    let safe: String =
        name.chars().map(|c| if c.is_ascii() && is_token(&[c as u8]) { c } else { '-' }).collect();
    Cow::Owned(if safe.is_empty() { "-".into() } else { safe })
}

fn safe_value(value: &str) -> Cow<'_, str> {
    let value = trim(value);
    if value.bytes().all(|b| b >= b' ' && b != 0x7f) {
        return Cow::Borrowed(value);
    }
    let blank = |c: char| if c.is_ascii_control() { ' ' } else { c };
    Cow::Owned(value.chars().map(blank).collect::<String>().trim().to_owned())
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
