//! The names of a body, scope by scope.

use std::borrow::Cow;
use std::collections::HashMap;

/// How deep scopes may nest, that of the function included.
const DEPTH_LIMIT: usize = 64;
/// Digits of the largest number in a register's name: a body has at most a million registers.
const NUMBER_DIGITS: usize = 6;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Register,
    Variable,
    /// A label, or a list of branch targets or a prototype, which are labelled.
    Label,
}

/// What in a body uses a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Instruction(usize),
    BranchTargets(usize),
}

/// A name that may be one of a label further on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending<'t> {
    pub user: User,
    pub name: &'t str,
}

/// A name that was pending and its unique form.
pub(super) struct Renamed<'t> {
    pub pending: Pending<'t>,
    pub unique: String,
}

#[derive(Default)]
struct Scope<'t> {
    /// 0 for the scope of the function, whose names stay as they are.
    serial: u32,
    names: HashMap<&'t str, Meaning>,
    /// `%r<5>` as `%r` and 5.
    ranges: HashMap<&'t str, u32>,
    pending: Vec<Pending<'t>>,
}

impl<'t> Scope<'t> {
    fn meaning(&self, name: &str) -> Option<Meaning> {
        self.names.get(name).copied().or_else(|| self.in_range(name).then_some(Meaning::Register))
    }

    /// Whether the name is one of `%r<5>`. The prefix may end in digits itself (`%r1<5>`), so each cut is tried.
    fn in_range(&self, name: &str) -> bool {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        (1..=digits.min(NUMBER_DIGITS)).any(|length| {
            let (prefix, number) = name.split_at(name.len() - length);
            let canonical = length == 1 || !number.starts_with('0');
            canonical
                && self
                    .ranges
                    .get(prefix)
                    .is_some_and(|count| number.parse::<u32>().is_ok_and(|number| number < *count))
        })
    }
}

/// The scopes that are open; never empty.
pub(super) struct Names<'t> {
    function: Scope<'t>,
    inner: Vec<Scope<'t>>,
    serials: u32,
}

impl<'t> Names<'t> {
    pub fn new() -> Self {
        Names { function: Scope::default(), inner: Vec::new(), serials: 0 }
    }

    fn current(&mut self) -> &mut Scope<'t> {
        self.inner.last_mut().unwrap_or(&mut self.function)
    }

    /// Whether the scope of the function alone is open.
    pub fn outermost(&self) -> bool {
        self.inner.is_empty()
    }

    /// Opens a scope; false where too many are open.
    pub fn open(&mut self) -> bool {
        self.serials += 1;
        self.inner.push(Scope { serial: self.serials, ..Scope::default() });
        self.inner.len() < DEPTH_LIMIT
    }

    /// Closes the innermost scope; gives the uses of its labels.
    pub fn close(&mut self) -> Vec<Renamed<'t>> {
        let Some(scope) = self.inner.pop() else { return Vec::new() };
        let mut renamed = Vec::new();
        for pending in scope.pending {
            if scope.names.get(pending.name).is_some_and(|meaning| *meaning == Meaning::Label) {
                renamed.push(Renamed { pending, unique: unique(pending.name, scope.serial).into_owned() });
            } else {
                self.wait(pending);
            }
        }
        renamed
    }

    /// Declares a name in the innermost scope; gives its unique form, none where the scope has it already.
    pub fn declare(&mut self, name: &'t str, meaning: Meaning) -> Option<Cow<'t, str>> {
        let scope = self.current();
        if scope.meaning(name).is_some() {
            return None;
        }
        scope.names.insert(name, meaning);
        Some(unique(name, scope.serial))
    }

    /// Declares `prefix<count>`; gives the unique forms, none where the scope has one of them already.
    pub fn declare_range(&mut self, prefix: &'t str, count: u32) -> Option<Vec<String>> {
        let scope = self.current();
        let mut names = Vec::with_capacity(count as usize);
        for number in 0..count {
            let name = format!("{prefix}{number}");
            if scope.meaning(&name).is_some() {
                return None;
            }
            names.push(if scope.serial == 0 { name } else { unique(&name, scope.serial).into_owned() });
        }
        if count > 0 {
            scope.ranges.insert(prefix, count);
        }
        Some(names)
    }

    /// The register or variable that a name stands for here, and its unique form.
    pub fn resolve(&self, name: &'t str) -> Option<(Meaning, Cow<'t, str>)> {
        let scopes = self.inner.iter().rev().chain([&self.function]);
        let mut found = scopes.filter_map(|scope| scope.meaning(name).map(|meaning| (meaning, scope.serial)));
        // A label is found when its scope closes: one further on in an inner scope would hide it.
        found
            .next()
            .filter(|(meaning, _)| *meaning != Meaning::Label)
            .map(|(meaning, serial)| (meaning, unique(name, serial)))
    }

    /// Notes a name that stands for nothing yet. Labels of the function and names of the module stay as they are, so
    /// the outermost scope need not know.
    pub fn wait(&mut self, pending: Pending<'t>) {
        if let Some(scope) = self.inner.last_mut() {
            scope.pending.push(pending);
        }
    }
}

/// The form of a name that no other scope of the body has.
fn unique(name: &str, serial: u32) -> Cow<'_, str> {
    if serial == 0 { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}#{serial}")) }
}
