//! Lists as virt-who writes them in one value: `one, "two, with a comma", three`.

use crate::error::Kind;

/// Why a list can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A quote is opened and never closed.
    #[error("the quote {0} is not closed; to mean the character itself, put a backslash before it")]
    OpenQuote(char),
    /// A backslash stands at the end, with no character to take.
    #[error("a backslash stands at the end; to mean the character itself, write two")]
    TrailingBackslash,
}

impl Error {
    /// The kind of this failure, where the list was an option.
    pub fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// Reads a list: items are separated by commas, and white space outside quotes vanishes.
///
/// Within `"` or `'` commas and white space stand for themselves; a backslash takes the next character as it is, in quotes
/// or not. An item of nothing, as after a comma at the end, is no item, unless it is quoted.
///
/// ```
/// let items = vw::list::parse(r#"esx1.example.com, "rack 7, left", a\,b,"#)?;
/// assert_eq!(items, ["esx1.example.com", "rack 7, left", "a,b"]);
/// # Ok::<(), vw::list::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<String>, Error> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quote = None;
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.push(chars.next().ok_or(Error::TrailingBackslash)?),
            c if quote == Some(c) => quote = None,
            c if quote.is_some() => item.push(c),
            '"' | '\'' => {
                quote = Some(c);
                quoted = true;
            }
            ',' => {
                if std::mem::take(&mut quoted) || !item.is_empty() {
                    items.push(std::mem::take(&mut item));
                }
            }
            c if c.is_whitespace() => {}
            c => item.push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(Error::OpenQuote(quote));
    }
    if quoted || !item.is_empty() {
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read_as_virt_who_reads_them() {
        let cases: [(&str, &[&str]); 11] = [
            ("", &[]),
            (" , ,", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a b ,\n\tc ", &["ab", "c"]),
            (r#""a b","#, &["a b"]),
            (r#""a,b",'c"d'"#, &["a,b", "c\"d"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r"a\,b,\ c,\\d", &["a,b", " c", "\\d"]),
            (r#""a\"b""#, &["a\"b"]),
            ("'',a", &["", "a"]),
        ];
        for (text, items) in cases {
            assert_eq!(parse(text).unwrap(), items, "{text:?}");
        }
    }

    #[test]
    fn what_is_left_open_is_refused() {
        assert_eq!(parse("a,\"b"), Err(Error::OpenQuote('"')));
        assert_eq!(parse("it's"), Err(Error::OpenQuote('\'')));
        assert_eq!(parse(r"a\"), Err(Error::TrailingBackslash));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(items in proptest::collection::vec(".*", 0..5)) {
            let quote = |item: &String| format!("\"{}\"", item.replace('\\', r"\\").replace('"', "\\\""));
            let text: Vec<String> = items.iter().map(quote).collect();
            prop_assert_eq!(parse(&text.join(" , ")).unwrap(), items);
        }
    }
}
