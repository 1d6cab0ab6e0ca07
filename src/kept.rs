//! How much of a server's lists is kept in memory.

/// What a record takes besides its texts, in bytes.
const PER_RECORD: usize = 200;

/// Counts what is kept of a list, because a hostile server can send one that never ends.
#[derive(Debug, Default)]
pub struct Kept(usize);

impl Kept {
    /// The most that is kept of a list, in bytes: more than 100,000 virtual machines take.
    pub const MOST: usize = 40 << 20;

    /// Adds a record with these texts. Returns whether it is still within the limit.
    #[must_use]
    pub fn add<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) -> bool {
        self.0 += PER_RECORD + texts.into_iter().map(String::len).sum::<usize>();
        self.0 <= Kept::MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_their_texts_count() {
        let (uuid, long) = ("x".repeat(36), "x".repeat(Kept::MOST / 2));
        let mut kept = Kept::default();
        assert!((0..100_000).all(|_| kept.add([&uuid, &uuid, &uuid])));
        assert!((0..100_000).any(|_| !kept.add([])));
        let mut kept = Kept::default();
        assert!(kept.add([&long]));
        assert!(!kept.add([&long]));
    }
}
