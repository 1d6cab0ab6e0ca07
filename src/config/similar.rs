//! Suggestions for mistyped names.

/// The name that was probably meant: it differs in one or two letters, or is the only one that begins with `word`.
pub(super) fn similar<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let most = if length < 5 { 1 } else { 2 };
    let mut nearest: Option<(usize, &str)> = None;
    let mut longer = Vec::new();
    for name in names {
        let other = name.to_lowercase();
        let distance = strsim::osa_distance(&word, &other);
        // A word that differs in each letter is not similar.
        let is_near = distance <= most && distance < length;
        if is_near && nearest.is_none_or(|(least, _)| distance < least) {
            nearest = Some((distance, name));
        }
        if length >= 4 && other.starts_with(&word) && other.chars().count() <= 2 * length {
            longer.push(name);
        }
    }
    match (nearest, longer.as_slice()) {
        (Some((_, name)), _) => Some(name),
        (None, [name]) => Some(name),
        _ => None,
    }
}

/// ` (did you mean NAME?)`, or nothing if no name is similar.
pub fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    similar(word, names).map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::SECTION;

    #[test]
    fn only_similar_names_are_suggested() {
        for (word, meant) in [
            ("pasword", Some("password")),
            ("passwd", Some("password")),
            ("user", Some("username")),
            ("Servre", Some("server")),
            ("hypervisorid", Some("hypervisor_id")),
            ("exclude_host", Some("exclude_hosts")),
            ("rhsm_pass", Some("rhsm_password")),
            ("ownre", Some("owner")),
            ("foo", None),
            ("rhsm", None),
            ("interval", None),
            ("", None),
        ] {
            assert_eq!(similar(word, SECTION), meant, "{word}");
        }
        assert_eq!(similar("prd", ["old", "prod"]), Some("prod"));
        assert_eq!(similar("a", ["b", "c"]), None);
        assert_eq!(similar("ab", ["cd"]), None);
        assert_eq!(did_you_mean("x", ["prod"]), "");
    }

    #[test]
    fn two_letters_may_differ_in_a_word_of_five() {
        assert_eq!(similar("prodXY", ["prod"]), Some("prod"));
        assert_eq!(similar("proXY", ["prod"]), Some("prod"));
        assert_eq!(similar("prXY", ["prod"]), None);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_of_equals_the_first() {
        assert_eq!(similar("passwrd", ["passwords", "password"]), Some("password"));
        assert_eq!(similar("passwrd", ["password", "passwords"]), Some("password"));
        assert_eq!(similar("prad", ["prod", "prid"]), Some("prod"));
    }
}
