//! A page as a reader of Markdown sees it: links, headings, code.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page's parts, each with its line, from 1.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// Targets of links and images.
    pub links: Vec<(usize, String)>,
    /// What headings are linked by, as GitHub names them.
    pub headings: Vec<String>,
    /// Code in backticks, and what stands between it and the code before it in the same paragraph.
    pub spans: Vec<Span>,
    /// Lines of code blocks, and their block's language.
    pub code: Vec<(usize, String, String)>,
}

/// Code in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub line: usize,
    /// The text since the last span; `None` for the first of a paragraph or cell.
    pub before: Option<String>,
    pub code: String,
}

impl Page {
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let (mut heading, mut before, mut language) = (None::<String>, None::<String>, None::<String>);
        let options = Options::ENABLE_TABLES | Options::ENABLE_MATH;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            let line = text[..range.start].lines().count().max(1) + usize::from(text[..range.start].ends_with('\n'));
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line, dest_url.into_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.add_heading(&heading.take().unwrap_or_default());
                    before = None;
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    language = Some(match kind {
                        CodeBlockKind::Fenced(language) => language.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => language = None,
                Event::Text(code) if language.is_some() => {
                    let language = language.clone().unwrap_or_default();
                    page.code.extend(
                        code.lines().enumerate().map(|(i, code)| (line + i, language.clone(), code.to_owned())),
                    );
                }
                Event::Code(code) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&code));
                    page.spans.push(Span { line, before: before.replace(String::new()), code: code.into_string() });
                }
                Event::Text(text) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&text));
                    before.iter_mut().for_each(|before| before.push_str(&text));
                }
                Event::SoftBreak => before.iter_mut().for_each(|before| before.push(' ')),
                Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) => before = None,
                _ => {}
            }
        }
        page
    }

    fn add_heading(&mut self, text: &str) {
        let name: String = text.to_lowercase().chars().filter_map(slug_char).collect();
        let again = self.headings.iter().filter(|other| **other == name).count();
        self.headings.push(if again == 0 { name } else { format!("{name}-{again}") });
    }
}

/// What a character of a heading becomes in its link.
fn slug_char(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    }
}

#[test]
fn a_page_is_taken_apart() {
    let text = "# It's `a` 2-step\n\nSee [`x.rs`](src/x.rs): `f` and\n`g`.\n\n```sh\ncargo run\nls\n```\n\n# A\n\n# A\n\n![p](p.png) $a_`x`$\n";
    let page = Page::parse(text);
    assert_eq!(page.headings, ["its-a-2-step", "a", "a-1"]);
    assert_eq!(page.links, [(3, "src/x.rs".to_owned()), (15, "p.png".to_owned())]);
    let spans: Vec<_> = page.spans.iter().map(|span| (span.line, span.before.as_deref(), span.code.as_str())).collect();
    assert_eq!(spans[1..], [(3, None, "x.rs"), (3, Some(": "), "f"), (4, Some(" and "), "g")]);
    let code: Vec<_> = page.code.iter().map(|(line, _, code)| (*line, code.as_str())).collect();
    assert_eq!(code, [(7, "cargo run"), (8, "ls")]);
}
