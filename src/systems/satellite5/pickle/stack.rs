//! The stack of a pickle's machine.

/// Numbers of objects, with marks between them. None means that the pickle is damaged.
#[derive(Default)]
pub(super) struct Stack {
    objects: Vec<usize>,
    /// How many objects are below each mark.
    marks: Vec<usize>,
}

impl Stack {
    pub(super) fn push(&mut self, object: usize) {
        self.objects.push(object);
    }

    pub(super) fn mark(&mut self) {
        self.marks.push(self.objects.len());
    }

    /// The topmost object. As in Python, the objects below a mark can't be reached before the mark is removed.
    pub(super) fn top(&self) -> Option<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.objects.get(floor..)?.last().copied()
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        self.top()?;
        self.objects.pop()
    }

    /// Removes the topmost mark, and returns the objects above it.
    pub(super) fn pop_mark(&mut self) -> Option<Vec<usize>> {
        let mark = self.marks.pop()?;
        // No more than the mark's objects have been taken since, so this can't panic.
        Some(self.objects.split_off(mark.min(self.objects.len())))
    }

    /// [`Stack::pop_mark`] for the items of a dict: key and value in turn.
    pub(super) fn pop_pairs(&mut self) -> Option<Vec<(usize, usize)>> {
        let objects = self.pop_mark()?;
        match objects.as_chunks() {
            (pairs, []) => Some(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
            _ => None,
        }
    }
}
