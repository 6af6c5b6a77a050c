//! The header that a file of `kernels/` begins with, parsed.

/// A kernel's header has these sections, in this order; that of an included file those which apply to it.
pub const SECTIONS: [&str; 7] = ["Shapes", "Launch", "Cost", "Bound", "Order", "Idea", "Checked"];

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name in its first line.
    pub name: String,
    /// What the kernel is, in the words after the name.
    pub what: String,
    /// Its sections, each with its text.
    pub sections: Vec<(String, String)>,
}

impl Header {
    /// The header that `text` begins with. More may follow its sections, after a line of its own.
    ///
    /// # Errors
    /// It has none, or one of another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().take_while(|line| line.starts_with("//")).collect();
        let [first, "//", rest @ ..] = lines.as_slice() else {
            return Err("the first line is not a comment, or not followed by `//` alone".to_owned());
        };
        let (name, what) = first.strip_prefix("// ").and_then(|line| line.split_once(": ")).ok_or("no `// NAME: `")?;
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in rest.iter().take_while(|line| **line != "//") {
            // The text of a section begins after the thirteenth character, a blank, in each of its lines.
            let (word, text) = line.split_at_checked(12).ok_or(format!("no text in {line:?}"))?;
            let text = text.trim();
            match (word.trim_start_matches('/').trim(), sections.last_mut()) {
                ("", Some((_, section))) => *section += &format!(" {text}"),
                ("", None) => return Err(format!("{line:?} belongs to no section")),
                (word, _) => sections.push((word.to_owned(), text.to_owned())),
            }
        }
        Ok(Self { name: name.to_owned(), what: what.to_owned(), sections })
    }

    /// The text of a section.
    pub fn section(&self, name: &str) -> Option<&str> {
        self.sections.iter().find(|(word, _)| word == name).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_name_what_and_sections_of_one_or_more_lines() {
        let text = "// a/b: does it.\n//\n// Shapes    s\n// Idea      one\n//           two\n//\n// More.\n\nint x;";
        let header = Header::parse(text).unwrap();
        assert_eq!((header.name.as_str(), header.what.as_str()), ("a/b", "does it."));
        assert_eq!((header.section("Shapes"), header.section("Idea")), (Some("s"), Some("one two")));
        assert_eq!((header.section("Cost"), header.sections.len()), (None, 2));
    }

    #[test]
    fn what_is_no_header_is_told() {
        for text in
            ["", "int x;", "// a: b", "// a\n//\n", "// a: b\n//\n//           lost\n", "// a: b\n//\n// Cost\n"]
        {
            assert!(Header::parse(text).is_err(), "{text:?}");
        }
    }
}
