//! Every link leads somewhere, and every chapter can be reached.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::markdown::Page;

/// The pages by their paths from the root.
pub type Pages = BTreeMap<PathBuf, Page>;

/// The book's table of contents, whose links without a target are chapters to come.
pub const SUMMARY: &str = "docs/SUMMARY.md";

/// Links of `page` that lead nowhere.
pub fn faults(root: &Path, pages: &Pages, page: &Path) -> Vec<String> {
    let links = pages[page].links.iter();
    let fault = |(line, link): &(usize, String)| {
        let problem = problem(root, pages, page, link)?;
        Some(format!("{}:{line}: {link:?} {problem}", page.display()))
    };
    links.filter_map(fault).collect()
}

fn problem(root: &Path, pages: &Pages, page: &Path, link: &str) -> Option<&'static str> {
    if link.starts_with("https://") {
        return None;
    }
    if link.is_empty() {
        return (page != Path::new(SUMMARY)).then_some("leads nowhere");
    }
    let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
    let target = if path.is_empty() { page.to_owned() } else { resolved(page, path) };
    if !pages.contains_key(&target) && !root.join(&target).exists() {
        return Some("does not exist");
    }
    let heading = heading?;
    let found = pages.get(&target).is_some_and(|page| page.headings.iter().any(|other| other == heading));
    (!found).then_some("names a heading that is not there")
}

/// `path` as `page` means it, from the root.
fn resolved(page: &Path, path: &str) -> PathBuf {
    let mut whole = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

/// Pages of the book that its table of contents does not list, or lists more than once.
pub fn unlisted(pages: &Pages) -> Vec<String> {
    let summary = Path::new(SUMMARY);
    let listed: Vec<PathBuf> = pages[summary].links.iter().map(|(_, link)| resolved(summary, link)).collect();
    let chapters = pages.keys().filter(|page| page.starts_with("docs") && *page != summary);
    let times = |page: &&PathBuf| listed.iter().filter(|other| *other == *page).count() != 1;
    chapters.filter(times).map(|page| format!("{SUMMARY} does not list {} once", page.display())).collect()
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let faults = |text: &str| {
        let page = PathBuf::from("docs/x.md");
        let pages =
            Pages::from([(page.clone(), Page::parse(text)), (PathBuf::from("README.md"), Page::parse("# Two words"))]);
        faults(root, &pages, &page).len()
    };
    for good in
        ["[a](../README.md)", "[a](../README.md#two-words)", "# H\n[a](#h)", "[a](https://x.y/z)", "[a](../src)"]
    {
        assert_eq!(faults(good), 0, "{good}");
    }
    for bad in ["[a](nowhere.md)", "[a](../README.md#two)", "[a](#h)", "![a](no.png)", "[a]()", "[a](../src/lib.rs#L3)"]
    {
        assert_eq!(faults(bad), 1, "{bad}");
    }
}

#[test]
fn a_chapter_that_the_table_of_contents_forgets_is_found() {
    let pages = |summary: &str| {
        let page = |path: &str, text| (PathBuf::from(path), Page::parse(text));
        Pages::from([page(SUMMARY, summary), page("docs/a.md", ""), page("docs/b/c.md", ""), page("README.md", "")])
    };
    assert_eq!(unlisted(&pages("[A](a.md) [C](b/c.md) [to come]()")), Vec::<String>::new());
    assert_eq!(unlisted(&pages("[A](a.md)")).len(), 1);
    assert_eq!(unlisted(&pages("[A](a.md) [A](a.md) [C](b/c.md)")).len(), 1);
}
