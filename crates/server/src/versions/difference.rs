//! What differs between two texts, line by line, as `diff -u` writes it.

/// Lines around each difference.
const AROUND: usize = 3;
/// Texts whose middle parts have more lines than this are not compared line by line: one is taken out, the other put in.
const MOST: usize = 4000;

/// One line of the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Out(&'a str),
    In(&'a str),
}

/// The differing lines with `-` and `+` and those around them; nothing where there is no difference.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let lines = compared(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let differs = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let near = |at: usize| {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(lines.len()));
        lines[from..to].iter().any(differs)
    };
    let (mut answer, mut before, mut numbers) = (Vec::new(), false, (1, 1));
    for (at, line) in lines.iter().enumerate() {
        let shown = near(at);
        if shown && !before {
            answer.push(format!("@@ -{} +{} @@", numbers.0, numbers.1));
        }
        before = shown;
        let (sign, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Out(text) => ('-', text),
            Line::In(text) => ('+', text),
        };
        numbers.0 += usize::from(sign != '+');
        numbers.1 += usize::from(sign != '-');
        if shown {
            answer.push(format!("{sign}{text}"));
        }
    }
    answer
}

/// The longest common lines stay, all others go out or come in.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - front;
    let back = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[front..old.len() - back], &new[front..new.len() - back]);
    let mut lines: Vec<Line<'a>> = old[..front].iter().map(|line| Line::Same(line)).collect();
    if a.len() > MOST || b.len() > MOST {
        lines.extend(a.iter().map(|line| Line::Out(line)));
        lines.extend(b.iter().map(|line| Line::In(line)));
    } else {
        lines.extend(middle(a, b));
    }
    lines.extend(old[old.len() - back..].iter().map(|line| Line::Same(line)));
    lines
}

/// By the lengths of the longest common subsequences of all ends of both.
fn middle<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<Line<'a>> {
    let width = b.len() + 1;
    let mut longest = vec![0_u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            lines.push(Line::Out(a[i]));
            i += 1;
        } else {
            lines.push(Line::In(b[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_shown_with_the_lines_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(difference(old, old), Vec::<String>::new());
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten\n";
        let shown = difference(old, new);
        let expected = ["@@ -2 +2 @@", " 2", " 3", " 4", "-5", "+five", " 6", " 7", " 8", " 9", "+ten"];
        assert_eq!(shown, expected);
        assert_eq!(difference("", "a\n"), ["@@ -1 +1 @@", "+a"]);
        assert_eq!(difference("a\n", ""), ["@@ -1 +1 @@", "-a"]);
    }

    #[test]
    fn two_differences_far_apart_are_two_places() {
        let old = (1..=30).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let new = old.replacen("2\n", "two\n", 1).replace("28\n", "");
        let shown = difference(&old, &new);
        assert_eq!(shown.iter().filter(|line| line.starts_with("@@")).count(), 2, "{shown:?}");
        assert!(shown.contains(&"+two".to_owned()) && shown.contains(&"-28".to_owned()), "{shown:?}");
    }
}
