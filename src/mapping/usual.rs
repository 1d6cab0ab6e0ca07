//! Guests that are written exactly as a scan writes them, which nearly all are. They are read much faster than other JSON.

use memchr::memchr2;

use super::GuestState;

/// A guest that consists of id, state and attributes, as a scan writes it. Neither text is empty or has escapes.
pub(super) struct UsualGuest<'t> {
    pub(super) id: &'t [u8],
    pub(super) state: GuestState,
    pub(super) active: bool,
    pub(super) virt_who_type: &'t [u8],
}

/// The guest at the beginning of a text, and the bytes after it.
pub(super) fn guest(text: &[u8]) -> Option<(UsualGuest<'_>, &[u8])> {
    let (id, rest) = string(text.strip_prefix(b"{\"guestId\":\"")?)?;
    let (state, rest) = rest.strip_prefix(b",\"state\":")?.split_first()?;
    let state = GuestState::from_number(state.checked_sub(b'0')?)?;
    let (active @ (b'0' | b'1'), rest) = rest
        .strip_prefix(b",\"attributes\":{\"active\":")?
        .split_first()?
    else {
        return None;
    };
    let (virt_who_type, rest) = string(rest.strip_prefix(b",\"virtWhoType\":\"")?)?;
    let guest = UsualGuest {
        id,
        state,
        active: *active == b'1',
        virt_who_type,
    };
    Some((guest, rest.strip_prefix(b"}}")?))
}

/// Passes the guests of a list to `each`. Returns false if there are others in it, which may be after some that were passed.
pub(super) fn guests<'t>(list: &'t [u8], mut each: impl FnMut(UsualGuest<'t>)) -> bool {
    let mut rest = list.strip_prefix(b"[");
    while let Some(text) = rest {
        let Some((found, after)) = guest(text) else {
            return list == b"[]";
        };
        each(found);
        rest = match after {
            b"]" => return true,
            _ => after.strip_prefix(b","),
        };
    }
    false
}

/// A string that is not empty and has no escapes, without its opening quote, and the bytes after it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr2(b'"', b'\\', text).filter(|end| *end > 0)?;
    let (string, rest) = text.split_at(end);
    Some((string, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Guest, Reader};

    fn read(guests: &[&str]) -> Vec<Guest> {
        let text = format!(
            r#"{{"hypervisors":[{{"uuid":"h","guests":[{}]}}]}}"#,
            guests.join(",")
        );
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        mapping.hypervisors.into_iter().next().unwrap().guests
    }

    #[test]
    fn usual_guests_are_the_same_among_others() {
        let usual = [
            r#"{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#,
            r#"{"guestId":"é 1","state":0,"attributes":{"active":0,"virtWhoType":"libvirt"}}"#,
            r#"{"guestId":"c","state":7,"attributes":{"active":0,"virtWhoType":"esx"}}"#,
        ];
        let other = r#"{"guestId":"d","state":1,"attributes":{"active":1,"virtWhoType":"e\u0073x"}}"#;
        let list = |guests: &[&str]| {
            let list = format!("[{}]", guests.join(","));
            guests.len() == 3 && super::guests(list.as_bytes(), drop)
        };
        assert!(list(&usual) && super::guests(b"[]", drop));
        let all = read(&[usual[0], usual[1], usual[2], other]);
        assert_eq!(read(&usual), all[..3]);
        assert!(!list(&[usual[0], other, usual[1]]));
        let ids: Vec<&str> = all.iter().map(|guest| guest.id.as_str()).collect();
        assert_eq!(ids, ["a", "é 1", "c", "d"]);
    }

    #[test]
    fn a_guest_has_nothing_else_and_is_whole() {
        let usual = r#"{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#;
        let (found, after) = guest(usual.as_bytes()).unwrap();
        assert_eq!((found.id, found.state), (&b"a"[..], GuestState::Running));
        assert_eq!(
            (found.active, found.virt_who_type, after),
            (true, &b"esx"[..], &b""[..])
        );
        for end in 0..usual.len() {
            assert!(guest(&usual.as_bytes()[..end]).is_none(), "{end}");
        }
        for (part, other) in [
            (":1,", ":8,"),
            (":1,", ":/,"),
            (":1,", ":10,"),
            (":1,\"v", ":2,\"v"),
            ("\"a\"", "\"\""),
            ("a\"", "\\n\""),
        ] {
            assert!(
                guest(usual.replacen(part, other, 1).as_bytes()).is_none(),
                "{other}"
            );
        }
    }
}
