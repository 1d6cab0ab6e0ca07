//! Removes passwords from text that people wrote.
//!
//! Every value of a configuration passes through [`value`] before it is printed: in tables, JSON, errors and debug messages.

/// The text that replaces a secret.
pub const REDACTED: &str = "(redacted)";

/// Words that make a key's name the name of a secret, wherever they are in it.
const PARTS: [&str; 6] = ["pass", "pwd", "secret", "token", "credential", "apikey"];

/// Words that are recognized even with a typing error.
const WORDS: [&str; 3] = ["password", "passwd", "secret"];

/// Whether a key with this name holds a secret: `password`, `api-token`, or mistyped, `sat_pasword`.
///
/// A name that ends in `_file` does not: its value is the path of the file that holds the secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    if name.ends_with("_file") {
        return false;
    }
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    words.any(|word| {
        let resembles = |other: &&str| {
            let letters: Vec<char> = word.chars().collect();
            // Only the last letters are compared, because people omit underscores.
            let from = letters.len().saturating_sub(other.len() + 1);
            (from..=from + 2)
                .filter_map(|from| letters.get(from..))
                .filter(|end| end.len() >= 5)
                .any(|end| {
                    let end: String = end.iter().collect();
                    strsim::osa_distance(&end, other) <= 1
                })
        };
        ["key", "pw"].contains(&word)
            || PARTS.iter().any(|part| word.contains(part))
            || WORDS.iter().any(resembles)
    })
}

/// A value without its passwords: those of URLs (`esx://root:(redacted)@vc`), and those of other keys that became part of
/// the value, such as an indented line `password=…` below another key.
pub fn value(text: &str) -> String {
    let lines: Vec<String> = without_passwords(text).split('\n').map(line).collect();
    lines.join("\n")
}

/// A message without the passwords of the URLs in it, with or without `://`.
pub fn message(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(without_passwords).collect();
    words.join(" ")
}

/// Any text without the passwords of the URLs in it. Unlike [`message`], it leaves `user:text@host` without `://` alone.
pub fn urls(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let word = |word: &str| match word.contains("://") {
        true => without_passwords(word),
        false => word.to_owned(),
    };
    let words: Vec<String> = text.split(' ').map(word).collect();
    words.join(" ")
}

/// Removes the text between the first `:` and the last `@` of a URL's authority.
///
/// People write passwords that contain `/`, `@` and spaces, although a URL can't. Everything that may be part of a password
/// is removed.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.rfind('@') {
        let start = match rest[..at].find("://") {
            Some(scheme) if !has_password(&rest[..scheme]) => scheme + "://".len(),
            _ => 0,
        };
        let Some((user, password)) = rest[start..at].split_once(':') else {
            break;
        };
        let from = start + user.len() + 1;
        // A user name contains none of these, so the @ belongs to a later part of the URL.
        if let Some(end) = user.find(['/', '?', '#']) {
            shown.push_str(&rest[..start + end + 1]);
            rest = &rest[start + end + 1..];
        } else if is_before_proxy(password) {
            shown.push_str(&rest[..from]);
            rest = &rest[from..];
        } else {
            let own = password.match_indices('@').map(|(at, _)| at);
            let own = own.into_iter().find(|at| is_before_proxy(&password[at + 1..]));
            shown.push_str(&rest[..from]);
            shown.push_str(REDACTED);
            rest = &rest[own.map_or(at, |own| from + own)..];
            if own.is_none() {
                break;
            }
            shown.push('@');
            rest = &rest[1..];
        }
    }
    shown.push_str(rest);
    shown
}

/// Whether a user with a password is in the text, as before a URL in `root:s3cret@vc/?proxy=http://u`.
fn has_password(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Whether the text is a host or port followed by a query with a proxy's URL, as in `443/?proxy=http://u`. Any other text may
/// be part of a password.
fn is_before_proxy(text: &str) -> bool {
    let Some((address, query)) = text.split_once('?') else {
        return false;
    };
    let is_address = |c: char| c.is_ascii_alphanumeric() || "./-_:[]".contains(c);
    address.chars().all(is_address) && query.contains("proxy=http://")
}

/// A line without the value of a secret key.
fn line(text: &str) -> String {
    for (at, mark) in text.match_indices(['=', ':']) {
        let before = text[..at].trim_end();
        let begin = before
            .rfind(|c: char| !c.is_alphanumeric() && !"_-".contains(c))
            .map_or(0, |end| {
                end + before[end..].chars().next().map_or(1, char::len_utf8)
            });
        // A colon in the middle of a line may also precede a port.
        let is_key = mark == "=" || begin == 0;
        if is_key && is_secret_name(&before[begin..]) && at + 1 < text.len() {
            return format!("{}{REDACTED}", &text[..=at]);
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognized_even_mistyped() {
        for name in [
            "password",
            "sat_encrypted_password",
            "rhsm_proxy_password",
            "pasword",
            "Passwort",
            "passwd",
            "paswd",
            "rhsm_pass",
            "rhsmpasword",
            "sat-pssword",
            "pwd",
            "vc_pw",
            "client_secret",
            "api_token",
            "private_key",
            "credentials",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "proxy_password_file",
            "server",
            "username",
            "filter_host_parents",
            "rhsm_prefix",
            "",
            "owner",
            "größe",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("esx://root:s3cret@vc/", "esx://root:(redacted)@vc/"),
            ("esx://root:s3/cr@et@vc/", "esx://root:(redacted)@vc/"),
            ("esx://root:s3 cret@vc", "esx://root:(redacted)@vc"),
            ("root:s3cret@vc", "root:(redacted)@vc"),
            ("root:443/s3cret@vc", "root:(redacted)@vc"),
            ("http://:s3cret@vc", "http://:(redacted)@vc"),
            (
                "esx://vc:443/?proxy=http://u:s3cret@p:1",
                "esx://vc:443/?proxy=http://u:(redacted)@p:1",
            ),
            (
                "esx://me:s3cret@vc:443/dc1?proxy=http://u:s3cret@p:1",
                "esx://me:(redacted)@vc:443/dc1?proxy=http://u:(redacted)@p:1",
            ),
            (
                "esx://vc/?proxy=http://u:s3cret@p:1",
                "esx://vc/?proxy=http://u:(redacted)@p:1",
            ),
            (
                "root:s3cret@vc:443/?proxy=http://u:s3cret@p:1",
                "root:(redacted)@vc:443/?proxy=http://u:(redacted)@p:1",
            ),
            ("me:s3cret@vc https://u:s3cret@vc", "me:(redacted)@vc"),
            (
                "vpx://me@vc/dc?proxy=u:s3cret@p",
                "vpx://me@vc/dc?proxy=u:(redacted)@p",
            ),
        ] {
            assert_eq!(value(text), shown, "{text}");
        }
        for text in [
            "",
            "vc.example.com",
            "https://vc:8443/sdk",
            "esx://root@vc:443/?no_verify=1",
            "virtwho@vsphere.local",
            "[::1]:443",
            "a, 'b c', d*",
            "@",
            "größe@vc",
        ] {
            assert_eq!(value(text), text);
        }
        assert_eq!(
            message("'esx://root:s3cret@vc' is odd: see root@vc"),
            "'esx://root:(redacted)@vc' is odd: see root@vc"
        );
        assert_eq!(
            urls("no http://u:s3cret@p for a:b@c"),
            "no http://u:(redacted)@p for a:b@c"
        );
    }

    #[test]
    fn a_secret_in_the_value_of_another_key_is_not_shown() {
        assert_eq!(value("root\npassword=s3cret"), "root\npassword=(redacted)");
        assert_eq!(value("root\npaswd: s3cret"), "root\npaswd:(redacted)");
        assert_eq!(value("vc password=s3cret x"), "vc password=(redacted)");
        assert_eq!(value("ö password = s3cret"), "ö password =(redacted)");
        assert_eq!(value("https://token-vc:443/"), "https://token-vc:443/");
    }

    proptest::proptest! {
        #[test]
        fn no_password_of_a_url_is_shown(
            user in "[a-z]{1,8}",
            before in "\\PC{0,8}",
            after in "\\PC{0,8}",
            rest in "[a-z/.]{0,8}",
        ) {
            let text = format!("esx://{user}:{before}s3cret{after}@{rest}");
            proptest::prop_assert!(!value(&text).contains("s3cret"), "{text}: {}", value(&text));
        }
    }
}
