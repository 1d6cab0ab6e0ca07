//! Texts as protocol 0 writes them.

/// Decodes what Python 2's `repr` makes of a byte string, such as `'it\'s'`.
pub(super) fn python_literal(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    let (quote, rest) = line.split_first()?;
    let body = match (quote, rest.split_last()?) {
        (b'\'' | b'"', (end, body)) if end == quote => body,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte @ (b'\\' | b'\'' | b'"') => bytes.push(byte),
            // `repr` writes no other escapes.
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// Decodes Python's raw-unicode-escape: Latin-1, with `\u` or `\U` for other characters.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        rest = after;
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(*byte));
                continue;
            }
        };
        let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
        let code = u32::from_str_radix(code, 16).ok()?;
        // A narrow build of Python 2 writes two surrogates for one character.
        match (u16::try_from(code), char::from_u32(code)) {
            (Ok(unit), _) => units.push(unit),
            (_, Some(character)) => units.extend(character.encode_utf16(&mut [0; 2]).iter()),
            _ => return None,
        }
        rest = &after[digits + 1..];
    }
    String::from_utf16(&units).ok()
}
