//! Addresses as people write them: what is shown of one can be read again, and no password is shown.

use vw::environment::Environment;
use vw::http::{Base, NoProxy, Proxy, ProxyUrl, Thumbprint};
use vw::systems::{satellite5, vsphere};
use vw_fuzz::text;

const PASSWORD: &str = "s3cret-Passw0rd";

pub fn run(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(base) = Base::parse(text, 443, "/sdk") {
        is_usable(&base);
        let again = Base::parse(&base.to_string(), 1, "").expect("what is shown");
        assert_eq!(again, base);
        listed(text, &base);
    }
    if let Ok(base) = satellite5::base(text) {
        is_usable(&base);
        assert!(!base.path.ends_with("/XMLRPC"), "{base}");
    }
    if let Ok(address) = vsphere::Address::parse(text) {
        is_usable(&address.base);
        assert!(address.password.is_none() || address.username.is_some());
    }
    if let Ok(proxy) = ProxyUrl::parse(text, "--proxy") {
        let again = ProxyUrl::parse(&proxy.to_string(), "--proxy").expect("what is shown");
        assert_eq!((again.authority(), again.user()), (proxy.authority(), None));
        assert_eq!(ProxyUrl::parse_variable(text, "--proxy").as_ref(), Ok(&proxy));
    }
    if let Ok(thumbprint) = text.parse::<Thumbprint>() {
        assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
    }
    hides_its_password(text);
    by_environment(text);
}

/// The text as a variable about proxies: it is a way, or an error that does not repeat it.
fn by_environment(text: &str) {
    if text.contains(PASSWORD) {
        return;
    }
    let base = Base::parse("https://vc.example.com/sdk", 443, "").expect("an address");
    let own = Proxy::Environment { no_proxy: None };
    let way = |variables: &[(&str, &str)]| {
        let environment = Environment::new(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        });
        assert!(!format!("{environment:?}").contains(PASSWORD));
        own.way(&base, &environment)
    };
    let exempt = way(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", text)]).expect("a good proxy");
    assert_eq!(exempt.exempt, exempt.proxy.is_none());
    let url = format!("http://me:{PASSWORD}@{text}");
    let by_url = way(&[("https_proxy", &url)]);
    assert!(!format!("{by_url:?}").contains(PASSWORD), "{by_url:?}");
    // A variable in lower case counts, unless it is empty.
    let both = way(&[("https_proxy", text), ("HTTPS_PROXY", "http://p:1")]);
    let one = way(&[("https_proxy", text)]);
    match text.is_empty() {
        true => {
            assert!(one.is_ok_and(|one| one.proxy.is_none()) && both.is_ok_and(|both| both.proxy.is_some()))
        }
        false => assert_eq!(one, both),
    }
}

fn is_usable(base: &Base) {
    assert!(
        !base.host.is_empty() && base.port > 0 && base.host.is_ascii(),
        "{base:?}"
    );
    assert!(
        base.path.is_empty() || base.path.starts_with('/') && !base.path.ends_with('/'),
        "{base:?}"
    );
    assert!(base.to_string().chars().all(|c| c.is_ascii_graphic()), "{base:?}");
}

/// The text as a list of hosts without a proxy: a host that is itself in the list is reached directly.
fn listed(text: &str, base: &Base) {
    let way = |list: &str| {
        let proxy = Proxy::parse("proxy.example.com", "--proxy").expect("a proxy");
        let list = list.to_owned();
        let origin = "no_proxy".to_owned();
        let proxy = proxy.with_no_proxy(NoProxy { list, origin });
        proxy.way(base, &Environment::default()).expect("a way")
    };
    let is_named = !base.host.trim_matches('.').is_empty();
    assert!(way(&format!("other.example.com,{},{text}", base.host)).exempt || !is_named);
    assert!(way("").proxy.is_some());
    let way = way(text);
    assert_ne!(way.proxy.is_some(), way.exempt);
}

/// No error and no address shows the password of a URL.
fn hides_its_password(text: &str) {
    if text.contains(PASSWORD) {
        return;
    }
    let user: String = text.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    for scheme in ["esx", "https", "http", "socks5"] {
        let text = format!("{scheme}://u{user}:{PASSWORD}@{text}");
        let shown = [
            format!("{:?}", vsphere::Address::parse(&text)),
            format!("{:?}", ProxyUrl::parse(&text, "--proxy")),
            format!("{:?}", Base::parse(&text, 443, "")),
            format!("{:?}", satellite5::base(&text)),
        ];
        for shown in shown {
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
    }
}
