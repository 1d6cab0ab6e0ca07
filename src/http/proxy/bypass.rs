//! Lists of the hosts that are reached without a proxy, as in `NO_PROXY`.

use std::net::IpAddr;

use super::super::base;

/// The entry of a `NO_PROXY` list that names this host, if any.
///
/// The list is read as curl does: names, addresses and CIDR blocks, separated by commas or spaces. A name includes its
/// subdomains, and a leading dot is ignored. `*` alone means all hosts. There are two additions to curl: with a port, a name or
/// address counts for that port only; and `*.example.com` means `.example.com`.
pub(super) fn exempting<'a>(list: &'a str, host: &str, port: u16) -> Option<&'a str> {
    if list.trim() == "*" {
        return Some("*");
    }
    let host = host.trim_end_matches('.');
    let address: Option<IpAddr> = host.parse().ok();
    let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries
        .into_iter()
        .find(|entry| names(entry, host, port, address))
}

fn names(entry: &str, host: &str, port: u16, address: Option<IpAddr>) -> bool {
    if let (Some(address), Some((block, bits))) = (address, entry.split_once('/')) {
        return in_block(address, block, bits);
    }
    let entry = match entry.strip_prefix("*.") {
        Some(domain) => domain,
        None => entry,
    };
    let Ok((name, own_port)) = base::split_port(entry) else {
        return false;
    };
    if own_port.is_some_and(|own_port| own_port != port) {
        return false;
    }
    let name = name.trim_end_matches('.');
    if let Some(address) = address {
        return name.parse() == Ok(address);
    }
    let name = name.trim_start_matches('.');
    let Some(start) = host.len().checked_sub(name.len()) else {
        return false;
    };
    let (before, end) = host.as_bytes().split_at(start);
    !name.is_empty() && end.eq_ignore_ascii_case(name.as_bytes()) && matches!(before, [] | [.., b'.'])
}

fn in_block(address: IpAddr, block: &str, bits: &str) -> bool {
    let block = block.trim_start_matches('[').trim_end_matches(']');
    let (Ok(block), Ok(bits)) = (block.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, block) {
        (IpAddr::V4(address), IpAddr::V4(block)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(block)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_need_no_proxy() {
        for (list, host, wanted) in [
            ("example.com", "example.com", true),
            ("example.com", "VC.Example.Com", true),
            ("example.com", "vc.example.com.", true),
            ("example.com.", "example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "vc.example.com", true),
            (".example.com", "example.com", true),
            ("a,example.com", "example.com", true),
            ("a  example.com", "example.com", true),
            ("vc.example.com", "example.com", false),
            ("*", "anything", true),
            ("*.example.com", "vc.example.com", true),
            ("*.example.com", "example.com", true),
            ("*.example.com", "badexample.com", false),
            ("x, *.example.com:443", "vc.example.com", true),
            ("*.example.com:444", "vc.example.com", false),
            ("*", "10.0.0.1", true),
            ("*.0.0.1", "10.0.0.1", false),
            ("**.example.com", "vc.example.com", false),
            ("*.", "vc", false),
            ("", "vc", false),
            (",", "vc", false),
            (".", "vc", false),
            ("vc:443", "vc", true),
            ("vc:444", "vc", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.10", false),
            ("10.0.0.1", "10.0.0.1.", true),
            ("10.0.0.1.", "10.0.0.1.", true),
            ("0.0.1", "10.0.0.1", false),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "11.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.0/x", "10.0.0.1", false),
            ("10.0.0.0/8", "vc", false),
            ("::1", "::1", true),
            ("[::1]", "0:0:0:0:0:0:0:1", true),
            ("[::1]:443", "::1", true),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("::/0", "10.0.0.1", false),
        ] {
            let found = exempting(list, host, 443);
            assert_eq!(found.is_some(), wanted, "{list} {host}");
        }
    }

    #[test]
    fn the_entry_that_matches_is_returned() {
        assert_eq!(
            exempting("a, *.example.com", "vc.example.com", 443),
            Some("*.example.com")
        );
        assert_eq!(exempting(" * ", "vc", 443), Some("*"));
    }
}
