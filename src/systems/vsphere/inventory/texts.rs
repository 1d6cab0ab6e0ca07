//! Several texts in one allocation.

use std::array;

/// A number of texts, any of which may be empty, in one allocation.
///
/// An inventory may have thousands of hosts with a dozen short texts each. As strings they take three times the memory.
#[derive(Debug, Clone)]
pub(super) struct Texts<const N: usize> {
    /// One after the other.
    all: Box<str>,
    /// The byte where each ends.
    ends: [u32; N],
}

impl<const N: usize> Texts<N> {
    pub(super) fn new(texts: [&str; N]) -> Self {
        let mut end = 0;
        Texts {
            all: texts.concat().into(),
            ends: texts.map(|text| {
                end += text.len() as u32;
                end
            }),
        }
    }

    pub(super) fn get(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let begin = index.checked_sub(1).map_or(0, end);
        self.all.get(begin..end(index)).unwrap_or_default()
    }

    pub(super) fn set(&mut self, index: usize, text: &str) {
        *self = Texts::new(array::from_fn(|at| if at == index { text } else { self.get(at) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_found_and_can_be_changed() {
        let mut texts = Texts::new(["", "one", "", "zwei", "drei"]);
        let all = |texts: &Texts<5>| [0, 1, 2, 3, 4].map(|index| texts.get(index).to_owned());
        assert_eq!(all(&texts), ["", "one", "", "zwei", "drei"]);
        texts.set(3, "");
        texts.set(0, "null");
        assert_eq!(all(&texts), ["null", "one", "", "", "drei"]);
        assert_eq!(texts.get(5), "");
    }
}
