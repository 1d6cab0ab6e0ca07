//! The domains and their states, as two of virsh's commands print them.
//!
//! `list --all --uuid --name` has the uuids and the names, `domstats --state` the names and the states. A name is unique. It may
//! have blanks and quotes anywhere, but no line break. Both print it in raw bytes.

use std::collections::HashMap;

use super::error::Error;

/// The length of a uuid in text.
const UUID: usize = 36;

/// The beginning of a block of `domstats`.
const DOMAIN: &[u8] = b"Domain: '";
/// The beginning of the line with the number of the state.
const STATE: &[u8] = b"  state.state=";

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Domain {
    pub uuid: String,
    pub name: String,
    /// The number of its state; none if it isn't known yet.
    pub state: Option<u8>,
}

/// The domains of two commands that are no snapshot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Domains {
    /// Those that are listed.
    pub listed: Vec<Domain>,
    /// The names of those that only have a state, because they appeared after the list was printed.
    pub unlisted: Vec<String>,
}

impl Domains {
    /// Reads what `list --all --uuid --name; domstats --state` printed.
    pub(super) fn read(printed: &[u8]) -> Result<Self, Error> {
        let (mut listed, mut states) = (Vec::new(), Vec::new());
        for line in printed.split(|byte| *byte == b'\n') {
            if let Some(rest) = line.strip_prefix(DOMAIN) {
                let end = memchr::memrchr(b'\'', rest);
                let end = end.ok_or(Error::Unexpected("a domain without the end of its name"))?;
                states.push((&rest[..end], None));
            } else if let Some((_, state)) = states.last_mut() {
                if let Some(number) = line.strip_prefix(STATE) {
                    *state = std::str::from_utf8(number)
                        .ok()
                        .and_then(|text| text.parse().ok());
                }
            } else if !line.trim_ascii().is_empty() {
                let domain = uuid_and_name(line);
                listed.push(domain.ok_or(Error::Unexpected("a list of domains with other lines"))?);
            }
        }
        Ok(join(&listed, &states))
    }
}

/// A line of the list.
fn uuid_and_name(line: &[u8]) -> Option<(&str, &[u8])> {
    let (uuid, name) = line.split_at_checked(UUID)?;
    Some((uuid_in(uuid)?, name.strip_prefix(b" ")?))
}

/// These bytes, if they are a uuid in text.
fn uuid_in(bytes: &[u8]) -> Option<&str> {
    let is_digit = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let is_uuid = bytes.len() == UUID && bytes.iter().enumerate().all(is_digit);
    std::str::from_utf8(bytes).ok().filter(|_| is_uuid)
}

/// Gives each listed domain the state of the same name.
///
/// virsh 4.5 fills the names of the list up with blanks, so what has no exact match is compared without blanks at the end. A name
/// that is then not unique gets no state.
fn join(listed: &[(&str, &[u8])], states: &[(&[u8], Option<u8>)]) -> Domains {
    let mut exact: HashMap<&[u8], usize> = states
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (*name, at))
        .collect();
    let matches: Vec<Option<usize>> = listed.iter().map(|(_, name)| exact.remove(name)).collect();
    let mut similar: HashMap<&[u8], Similar> = HashMap::new();
    for at in exact.into_values() {
        let similar = similar.entry(trimmed(states[at].0)).or_default();
        similar.states += 1;
        similar.state = at;
    }
    for ((_, name), matched) in listed.iter().zip(&matches) {
        if let (None, Some(similar)) = (matched, similar.get_mut(trimmed(name))) {
            similar.listed += 1;
        }
    }
    let domain = |((uuid, name), matched): (&(&str, &[u8]), Option<usize>)| {
        let only = similar.get(trimmed(name)).filter(|similar| similar.is_one());
        let state = matched.or(only.map(|only| only.state)).map(|at| states[at]);
        Domain {
            uuid: (*uuid).to_owned(),
            name: lossy(state.map_or(name, |(name, _)| name)),
            state: state.and_then(|(_, number)| number),
        }
    };
    let unlisted = similar.values().filter(|similar| similar.listed == 0);
    let mut unlisted: Vec<usize> = unlisted.map(|similar| similar.state).collect();
    unlisted.sort_unstable();
    Domains {
        listed: listed.iter().zip(matches).map(domain).collect(),
        unlisted: unlisted.into_iter().map(|at| lossy(states[at].0)).collect(),
    }
}

/// The names without an exact match that are the same without blanks at the end.
#[derive(Default)]
struct Similar {
    listed: usize,
    states: usize,
    /// The last of the states.
    state: usize,
}

impl Similar {
    fn is_one(&self) -> bool {
        self.listed == 1 && self.states == 1
    }
}

fn trimmed(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != b' ');
    &name[..end.map_or(0, |end| end + 1)]
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The commands that print the state of each of these domains, behind its uuid.
pub(super) fn state_commands<'u>(uuids: impl Iterator<Item = &'u str>) -> String {
    let commands: Vec<String> = uuids
        .map(|uuid| format!("echo {uuid}; domstate {uuid}"))
        .collect();
    commands.join("; ")
}

/// Reads the state of each of these domains from what [`state_commands`] printed. A domain that has vanished has none.
///
/// A number that has no word is 0, no state, as in virt-who.
pub(super) fn states(printed: &[u8], uuids: &[&str]) -> Vec<Option<u8>> {
    let text = String::from_utf8_lossy(printed);
    let mut rest: &str = &text;
    let mut states = Vec::with_capacity(uuids.len());
    for (at, uuid) in uuids.iter().enumerate() {
        let after = rest.split_once(uuid).map(|(_, after)| after);
        rest = after.unwrap_or(rest);
        let next = uuids.get(at + 1).and_then(|next| rest.find(next));
        let word = rest[..next.unwrap_or(rest.len())].trim();
        states.push(after.filter(|_| !word.is_empty()).map(|_| number_of(word)));
    }
    states
}

/// The number of a state that `domstate` prints (recorded with virsh 9.0 in the locale C).
fn number_of(word: &str) -> u8 {
    const WORDS: [&str; 8] = [
        "no state",
        "running",
        "idle",
        "paused",
        "in shutdown",
        "shut off",
        "crashed",
        "pmsuspended",
    ];
    let number = WORDS.iter().position(|known| *known == word);
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000-0000-4000-8000-000000000001";
    const TWO: &str = "00000000-0000-4000-8000-000000000002";
    const THREE: &str = "00000000-0000-4000-8000-000000000003";

    /// What two commands print for these names, the second with these states.
    fn printed(listed: &[(&str, &str)], states: &[(&str, u8)]) -> Vec<u8> {
        let lines = listed.iter().map(|(uuid, name)| format!("{uuid} {name}\n"));
        let blocks = states
            .iter()
            .map(|(name, state)| format!("Domain: '{name}'\n  state.state={state}\n  state.reason=0\n\n"));
        lines.chain(blocks).collect::<String>().into_bytes()
    }

    fn read(listed: &[(&str, &str)], states: &[(&str, u8)]) -> Vec<(String, Option<u8>)> {
        let domains = Domains::read(&printed(listed, states)).unwrap();
        assert_eq!(domains.unlisted, [""; 0]);
        domains
            .listed
            .into_iter()
            .map(|one| (one.name, one.state))
            .collect()
    }

    #[test]
    fn names_may_have_any_character() {
        for name in [
            " ",
            "  lead",
            "trail ",
            "-dash",
            "a\"quote's",
            "it's '",
            "semi;$(id)",
            "tab\tx",
            "în/code-日本",
            "",
            ONE,
            "Domain: 'x'",
        ] {
            assert_eq!(
                read(&[(ONE, name)], &[(name, 3)]),
                [(name.to_owned(), Some(3))],
                "{name:?}"
            );
        }
        let bytes = [ONE.as_bytes(), b" \xff\n", b"Domain: '\xff'\n  state.state=6\n"].concat();
        let domain = &Domains::read(&bytes).unwrap().listed[0];
        assert_eq!((&*domain.name, domain.state), ("\u{fffd}", Some(6)));
    }

    #[test]
    fn names_that_virsh_fills_up_find_their_states() {
        let padded = format!("{:30}", "web 1");
        assert_eq!(
            read(&[(ONE, &padded)], &[("web 1", 1)]),
            [("web 1".to_owned(), Some(1))]
        );
        // Which of the two is which, nobody can tell.
        let same = format!("{:30}", "web");
        let found = read(&[(ONE, &same), (TWO, &same)], &[("web", 1), ("web ", 5)]);
        assert_eq!(found, [(same.clone(), None), (same, None)]);
        let found = read(&[(ONE, "web"), (TWO, "web ")], &[("web ", 1), ("web", 5)]);
        assert_eq!(found, [("web".to_owned(), Some(5)), ("web ".to_owned(), Some(1))]);
    }

    #[test]
    fn what_came_or_went_between_the_calls_is_known() {
        let bytes = printed(&[(ONE, "one"), (TWO, "two")], &[("new", 1), ("two", 5)]);
        let domains = Domains::read(&bytes).unwrap();
        assert_eq!(domains.unlisted, ["new"]);
        let states: Vec<_> = domains.listed.iter().map(|one| one.state).collect();
        assert_eq!(states, [None, Some(5)]);
        assert_eq!(Domains::read(b"\n").unwrap(), Domains::default());
    }

    #[test]
    fn other_output_is_an_error() {
        for bytes in [
            &b"web1\n"[..],
            b"Domain: 'x\n",
            b"00000000-0000-4000-8000-00000000000g x\n",
        ] {
            let error = Domains::read(bytes).unwrap_err();
            assert!(matches!(error, Error::Unexpected(_)), "{error}");
        }
        let odd = Domains::read(format!("{ONE} x\nDomain: 'x'\n  state.state=999\n").as_bytes());
        assert_eq!(odd.unwrap().listed[0].state, None);
    }

    #[test]
    fn states_are_found_behind_their_uuids() {
        let uuids = [ONE, TWO, THREE];
        let commands = state_commands(uuids.into_iter());
        assert!(
            commands.starts_with(&format!("echo {ONE}; domstate {ONE}; echo {TWO}")),
            "{commands}"
        );
        // virsh 9.0 with -q, and another that ends each line.
        for printed in [
            format!("{ONE}running\n{TWO}{THREE}in shutdown\n"),
            format!("{ONE}\nrunning\n\n{TWO}\n\n{THREE}\nin shutdown\n\n"),
        ] {
            assert_eq!(states(printed.as_bytes(), &uuids), [Some(1), None, Some(4)]);
        }
        assert_eq!(states(b"", &uuids), [None, None, None]);
        assert_eq!(states(format!("{ONE}new word\n").as_bytes(), &[ONE]), [Some(0)]);
    }
}
