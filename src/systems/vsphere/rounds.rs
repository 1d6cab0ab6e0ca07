//! Limits of one reading, so that no server keeps the client reading for ever.

use super::Error;

/// The most objects. A vCenter manages 45,000 virtual machines at most (VMware's configuration maximums).
pub(super) const MOST_OBJECTS: usize = 1_000_000;

/// The most pages.
const MOST_PAGES: usize = 100_000;

/// The most pages in a row without any object.
const MOST_EMPTY: usize = 100;

/// Counts the pages of one reading.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    pages: usize,
    empty: usize,
    objects: usize,
}

impl Rounds {
    /// Counts a page with this number of objects; fails with [`Error::Endless`] beyond a limit.
    pub(super) fn add(&mut self, method: &'static str, objects: usize) -> Result<(), Error> {
        self.pages += 1;
        self.objects += objects;
        self.empty = if objects == 0 { self.empty + 1 } else { 0 };
        let what = if self.objects > MOST_OBJECTS {
            format!("more than {MOST_OBJECTS} objects")
        } else if self.pages > MOST_PAGES {
            format!("more than {MOST_PAGES} pages")
        } else if self.empty > MOST_EMPTY {
            format!("{} pages without any object", self.empty)
        } else {
            return Ok(());
        };
        Err(Error::Endless { method, what })
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use super::*;

    fn pages(objects: impl IntoIterator<Item = usize>) -> Result<(), String> {
        let mut rounds = Rounds::default();
        let mut objects = objects.into_iter();
        let counted = objects.try_for_each(|objects| rounds.add("WaitForUpdatesEx", objects));
        counted.map_err(|error| error.to_string())
    }

    #[test]
    fn a_large_inventory_is_within_the_limits() {
        assert_eq!(pages(repeat_n(100, 1057)), Ok(()));
        assert_eq!(pages(repeat_n(1000, 1000)), Ok(()));
        assert_eq!(pages(repeat_n(1, 100_000)), Ok(()));
        assert_eq!(pages(repeat_n(0, 100).chain([1]).chain(repeat_n(0, 100))), Ok(()));
    }

    #[test]
    fn an_endless_reading_is_refused() {
        for (objects, words) in [
            (repeat_n(1000, 1001), "more than 1000000 objects"),
            (repeat_n(1, 100_001), "more than 100000 pages"),
            (repeat_n(0, 101), "101 pages without any object"),
        ] {
            let error = pages(objects).unwrap_err();
            assert_eq!(
                error,
                format!("the answer to WaitForUpdatesEx never ends: {words}")
            );
        }
    }
}
