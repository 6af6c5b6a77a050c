//! Text for a terminal: columns, wrapped lines, numbers with their units.

/// Columns of a terminal that lines are fitted to.
pub const WIDTH: usize = 100;

/// How a column's cells are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left: words.
    Left,
    /// To the right: numbers.
    Right,
}

/// Rows as lines whose columns are as wide as their widest cell, two blanks apart.
pub fn table<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).zip(align).map(|((cell, width), align)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A blank at which no line is broken.
pub const GLUE: char = '\u{a0}';

/// Lines of at most [`WIDTH`], the first of which begins with `word`; the text begins at column `indent` in each.
pub fn wrapped(word: &str, indent: usize, text: &str) -> Vec<String> {
    let mut lines = vec![format!("{word:<indent$}")];
    for piece in text.split(' ').filter(|piece| !piece.is_empty()) {
        let line = lines.last_mut().expect("there is a first line");
        let is_fresh = line.trim_end().chars().count() <= indent && line.ends_with(' ');
        if !is_fresh && line.chars().count() + 1 + piece.chars().count() > WIDTH {
            lines.push(format!("{:indent$}{}", "", piece.replace(GLUE, " ")));
        } else {
            line.push_str(if is_fresh { "" } else { " " });
            line.push_str(&piece.replace(GLUE, " "));
        }
    }
    lines
}

/// `text`, or its beginning where it is wider than `width`.
pub fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Four digits or fewer before the unit, as in `62.7 M` or `1.05 G`; `unit` follows.
pub fn quantity(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 5] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
    let (scale, prefix) = PREFIXES.into_iter().find(|(scale, _)| value >= *scale).unwrap_or((1.0, ""));
    let scaled = value / scale;
    let digits = if scaled >= 100.0 || (prefix.is_empty() && scaled.fract() == 0.0) {
        0
    } else {
        1 + usize::from(scaled < 10.0)
    };
    format!("{scaled:.digits$} {prefix}{unit}").trim_end().to_owned()
}

/// A duration, as in `12.3 µs`.
pub fn duration(seconds: f64) -> String {
    let (scaled, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    format!("{scaled:.2} {unit}")
}

/// Bytes of shared memory, as in `16 KiB`.
pub fn kibibytes(bytes: u32) -> String {
    match bytes {
        0 => "-".to_owned(),
        bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
        bytes if bytes < 1024 => format!("{bytes} B"),
        bytes => format!("{:.1} KiB", f64::from(bytes) / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let rows = [row("name", "µs"), row("a", "1234")];
        assert_eq!(table([Align::Left, Align::Right], &rows), ["name    µs", "a     1234"]);
        assert_eq!(table([Align::Right, Align::Left], &rows), ["name  µs", "   a  1234"]);
    }

    #[test]
    fn lines_are_wrapped_at_blanks() {
        let text = "word ".repeat(50);
        let lines = wrapped("Idea", 10, &text);
        assert!(lines.iter().all(|line| line.len() <= WIDTH) && lines.len() == 3, "{lines:#?}");
        assert!(lines[0].starts_with("Idea      word word") && lines[1].starts_with("          word"));
        assert_eq!(lines.join(" ").split_whitespace().count(), 51);
        let long = "x".repeat(200);
        assert_eq!(wrapped("Idea", 10, &long), [format!("Idea      {long}")]);
    }

    #[test]
    fn what_is_too_wide_ends_with_an_ellipsis() {
        assert_eq!(fitted("four", 4), "four");
        assert_eq!(fitted("µ four", 4), "µ f…");
        assert_eq!(fitted("a four", 3), "a…");
    }

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        for (value, text) in [
            (0.0, "0 B"),
            (7.0, "7 B"),
            (999.0, "999 B"),
            (1728.0, "1.73 kB"),
            (62_720_000.0, "62.7 MB"),
            (2.5e11, "250 GB"),
            (0.25, "0.25 B"),
        ] {
            assert_eq!(quantity(value, "B"), text);
        }
        assert_eq!(quantity(5e3, ""), "5.00 k");
        assert_eq!([2.0, 1.5e-3, 2.5e-6].map(duration), ["2.00 s", "1.50 ms", "2.50 µs"]);
        assert_eq!([0, 200, 2048, 2560].map(kibibytes), ["-", "200 B", "2 KiB", "2.5 KiB"]);
    }
}
