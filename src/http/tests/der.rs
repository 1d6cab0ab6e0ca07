//! Splits and joins DER, to make certificates that rcgen does not make.

/// The elements of some DER: each one as a whole, and its contents.
pub(in crate::http) fn elements(mut der: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (header, length) = match der[1] {
            short @ 0..=0x7f => (2, usize::from(short)),
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            _ => panic!("no short DER"),
        };
        let (element, rest) = der.split_at(header + length);
        found.push((element, &element[header..]));
        der = rest;
    }
    found
}

/// One element of DER.
pub(in crate::http) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header, contents].concat()
}

/// The fields of a certificate that are signed (TBSCertificate), each in DER.
pub(in crate::http) fn fields(der: &[u8]) -> Vec<Vec<u8>> {
    elements(elements(elements(der)[0].1)[0].1)
        .iter()
        .map(|(element, _)| element.to_vec())
        .collect()
}

/// A validity of two dates, each with its tag.
pub(in crate::http) fn validity(begin: (u8, &str), end: (u8, &str)) -> Vec<u8> {
    let date = |(tag, text): (u8, &str)| element(tag, text.as_bytes());
    element(0x30, &[date(begin), date(end)].concat())
}

/// A name of these common names, each with the tag of its type.
pub(in crate::http) fn name(common_names: &[(u8, &[u8])]) -> Vec<u8> {
    let parts = common_names.iter().map(|(tag, text)| {
        let pair = [&[0x06, 3, 0x55, 0x04, 0x03], &element(*tag, text)[..]].concat();
        element(0x31, &element(0x30, &pair))
    });
    element(0x30, &parts.collect::<Vec<_>>().concat())
}
