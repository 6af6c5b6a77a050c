//! One flat buffer, and the names and shapes of what lies in it.

use std::ops::Range;
use std::sync::Arc;

use super::Shape;

/// A named part of an arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The parameter's name as PyTorch's `state_dict` gives it, such as `encoder.FC_input.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The index of its first element in the arena.
    pub offset: usize,
}

impl Slot {
    /// The elements of the arena that belong to this part.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.len()
    }
}

/// What lies where: parts side by side without gaps, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
    len: usize,
}

impl Layout {
    /// Appends a part and returns its offset.
    pub fn push(&mut self, name: impl Into<String>, shape: Shape) -> usize {
        let offset = self.len;
        self.slots.push(Slot { name: name.into(), shape, offset });
        self.len += shape.len();
        offset
    }

    /// The parts, in order of their offsets.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The part called `name`.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// The number of elements of all parts together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A buffer with the layout of its contents. Arenas of one model (parameters, gradients, moments) share one layout.
#[derive(Debug)]
pub struct Arena<S> {
    layout: Arc<Layout>,
    /// The elements, wherever the backend keeps them.
    pub storage: S,
}

impl<S> Arena<S> {
    /// `storage` holds [`Layout::len`] elements.
    pub fn new(layout: Arc<Layout>, storage: S) -> Self {
        Self { layout, storage }
    }

    /// What lies where.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side() {
        let mut layout = Layout::default();
        assert_eq!(layout.push("weight", Shape::Matrix(3, 4)), 0);
        assert_eq!(layout.push("bias", Shape::Vector(3)), 12);
        assert_eq!(layout.len(), 15);
        assert_eq!(layout.get("bias").map(Slot::range), Some(12..15));
        assert_eq!(layout.get("missing"), None);
    }
}
