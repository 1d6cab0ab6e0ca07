//! Lists as virt-who writes them: `a, "b c", 'd, e', f\,g`.

use crate::error::Classify;

/// Why a list is unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A quote is not closed.
    #[error("the {0} is never closed; close it, or write \\{0} for a quote that is part of an item")]
    OpenQuote(char),
    /// The last character is a backslash, which has nothing to escape.
    #[error("ends with a backslash; write \\\\ for a backslash that is part of an item")]
    TrailingBackslash,
}

impl Classify for Error {
    /// The kind if the list is an option. For a list in a section, [`crate::config`] has its own error.
    fn kind(&self) -> crate::error::Kind {
        crate::error::Kind::Usage
    }
}

/// Returns the items of a list, in their order.
///
/// Commas separate items. Spaces around an item are removed; spaces inside it are kept. `'` and `"` quote, and a backslash
/// escapes the next character. Empty items, such as after a trailing comma, are dropped unless they are quoted.
///
/// ```
/// assert_eq!(vw::list::parse(r#"a b, "c, d",, e\,f"#)?, ["a b", "c, d", "e,f"]);
/// # Ok::<(), vw::list::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<String>, Error> {
    let mut items = Vec::new();
    let mut item = String::new();
    // Spaces that belong to the item if more of it follows.
    let mut blanks = String::new();
    let mut was_quoted = false;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if was_quoted || !item.is_empty() {
                blanks.push(c);
            }
            continue;
        }
        if quote.is_none() && c == ',' {
            if was_quoted || !item.is_empty() {
                items.push(std::mem::take(&mut item));
            }
            blanks.clear();
            was_quoted = false;
            continue;
        }
        item.push_str(&blanks);
        blanks.clear();
        match (c, quote) {
            ('\\', _) => item.push(chars.next().ok_or(Error::TrailingBackslash)?),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                was_quoted = true;
            }
            (c, _) => item.push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(Error::OpenQuote(quote));
    }
    if was_quoted || !item.is_empty() {
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn items_are_read_as_by_virt_who_except_that_inner_spaces_are_kept() {
        let table: [(&str, &[&str]); 16] = [
            ("", &[]),
            (" , ,", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a b \n c , d\t", &["a b \n c", "d"]),
            ("'Web / Database 2'", &["Web / Database 2"]),
            (" Web / Database 2 ,Lab", &["Web / Database 2", "Lab"]),
            ("' a ' 'b '", &[" a  b "]),
            ("'a b'", &["a b"]),
            ("\"a,b\",'c,d'", &["a,b", "c,d"]),
            ("\"it's\"", &["it's"]),
            ("pre' in 'post", &["pre in post"]),
            (r"a\,b,\ c,\\,\'", &["a,b", " c", "\\", "'"]),
            (r#""a\"b""#, &["a\"b"]),
            ("''", &[""]),
            ("ä,本", &["ä", "本"]),
        ];
        for (text, items) in table {
            assert_eq!(parse(text).unwrap(), items, "{text}");
        }
    }

    #[test]
    fn an_open_quote_or_trailing_backslash_is_an_error() {
        assert_eq!(parse("a,'b"), Err(Error::OpenQuote('\'')));
        assert_eq!(parse("\"a,b'"), Err(Error::OpenQuote('"')));
        assert_eq!(parse("a,b\\"), Err(Error::TrailingBackslash));
        assert_eq!(parse("'a\\"), Err(Error::TrailingBackslash));
    }

    proptest! {
        #[test]
        fn quoted_items_are_read_back(items in proptest::collection::vec(".*", 0..5)) {
            let quote = |item: &String| format!("\"{}\"", item.replace('\\', r"\\").replace('"', "\\\""));
            let text: Vec<String> = items.iter().map(quote).collect();
            prop_assert_eq!(parse(&text.join(" , ")).unwrap(), items);
        }
    }
}
