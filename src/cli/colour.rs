//! Colours on a terminal.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

/// A heading of a table.
pub fn heading(text: &str) -> String {
    painted(text, "1")
}

/// Something that needs attention, such as what is missing.
pub fn attention(text: &str) -> String {
    painted(text, "33")
}

/// The text in the graphic rendition of these numbers (ECMA-48), if stdout is a terminal with colours and the user wants them
/// (no-color.org).
fn painted(text: &str, rendition: &str) -> String {
    if !io::stdout().is_terminal() || !is_wanted(|name| std::env::var_os(name)) {
        return text.to_owned();
    }
    let line = text.trim_end_matches('\n');
    let ends = &text[line.len()..];
    format!("\u{1b}[{rendition}m{line}\u{1b}[0m{ends}")
}

fn is_wanted<T: AsRef<OsStr>>(variable: impl Fn(&str) -> Option<T>) -> bool {
    let refused = variable("NO_COLOR").is_some_and(|value| !value.as_ref().is_empty());
    let dumb = variable("TERM").is_some_and(|terminal| terminal.as_ref() == "dumb");
    !refused && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_dumb_terminals_have_no_colours() {
        let wanted = |set: &[(&str, &str)]| {
            is_wanted(|name| {
                let found = set.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(wanted(&[]));
        assert!(wanted(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!wanted(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!wanted(&[("TERM", "dumb")]));
    }
}
