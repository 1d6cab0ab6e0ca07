//! The parameters of a list: `search`, as far as it has `sortby` and `page`, and `max`.

use serde_json::Value;

/// The page length of a search with a page and without `max`, as in the engine's configuration (SearchResultsLimit).
const USUAL: usize = 100;

/// Which part of a list is wanted, and in which order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    by: Option<String>,
    descending: bool,
    page: Option<usize>,
    max: Option<usize>,
}

impl Search {
    /// Reads the text after the `?`.
    pub(super) fn parse(query: &str) -> Result<Search, String> {
        let mut search = Search::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decoded(value)?;
            match name {
                "max" => search.max = Some(number(&value)?),
                "search" => search.words(&value)?,
                _ => return Err(format!("unknown parameter {name}")),
            }
        }
        Ok(search)
    }

    fn words(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            match word {
                "sortby" => {
                    self.by = Some(words.next().ok_or("sortby without a name")?.to_owned());
                    if let Some(direction) = words.next_if(|word| ["asc", "desc"].contains(word)) {
                        self.descending = direction == "desc";
                    }
                }
                "page" => match number(words.next().unwrap_or_default())? {
                    0 => return Err("pages are counted from 1".into()),
                    page => self.page = Some(page),
                },
                _ => return Err(format!("{word} is not part of a search that is simulated")),
            }
        }
        Ok(())
    }

    /// The part of the list.
    pub(super) fn of<'v>(&self, objects: &'v [Value]) -> Vec<&'v Value> {
        let mut objects: Vec<&Value> = objects.iter().collect();
        if let Some(by) = &self.by {
            // Objects without it come first, as does null in a comparison of texts.
            objects.sort_by_key(|object| object.get(by).map(ToString::to_string));
        }
        if self.descending {
            objects.reverse();
        }
        let length = match (self.max, self.page) {
            (Some(max), _) => max,
            (None, Some(_)) => USUAL,
            (None, None) => usize::MAX,
        };
        let before = (self.page.unwrap_or(1) - 1).saturating_mul(length);
        objects.into_iter().skip(before).take(length).collect()
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

/// The text of a percent-encoded one.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()]
                    .map(|digit| char::from(digit.unwrap_or_default()).to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return Err(format!("{text} is not percent-encoded"));
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            b'+' => b' ',
            b' ' => return Err("a space that is not encoded".into()),
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("{text} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(query: &str) -> Result<Vec<String>, String> {
        let objects = ["c", "a", "b"].map(|name| json!({ "name": name }));
        let search = Search::parse(query)?;
        let names = search
            .of(&objects)
            .into_iter()
            .map(|object| object["name"].as_str().unwrap().to_owned());
        Ok(names.collect())
    }

    #[test]
    fn a_search_sorts_and_has_pages() {
        for (query, expected) in [
            ("", "cab"),
            ("max=2", "ca"),
            ("search=page%202&max=2", "b"),
            ("search=sortby%20name%20asc%20page%201&max=2", "ab"),
            ("search=sortby+name+desc", "cba"),
            ("search=page%203&max=2", ""),
        ] {
            assert_eq!(found(query).unwrap().concat(), expected, "{query}");
        }
        for query in [
            "search=page%200",
            "search=name%3Dx",
            "max=x",
            "page=2",
            "search=a%2",
            "search=a b",
        ] {
            assert!(found(query).is_err(), "{query}");
        }
    }
}
