//! Whether a server is reached directly or through a proxy.
//!
//! The choice is curl's (its man page, "Environment" and `--noproxy`). An option or key comes first, then `http_proxy` (lower case
//! only) for `http://` servers, `https_proxy` or `HTTPS_PROXY` for `https://` servers, and then `all_proxy` or `ALL_PROXY`. The
//! hosts in `no_proxy` or `NO_PROXY` are always reached directly.

mod bypass;
mod url;

pub use url::ProxyUrl;

use super::{Base, Error};
use crate::environment::{ALL_PROXY, Environment, HTTP_PROXY, HTTPS_PROXY, NO_PROXY};

/// Whether a proxy is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// No proxy, whatever the environment says.
    None {
        /// The option or key that says so.
        origin: String,
    },
    /// The environment's proxy.
    Environment {
        /// Hosts that are reached without it, instead of the environment's list.
        no_proxy: Option<NoProxy>,
    },
    /// This one, except for the hosts of `no_proxy`.
    Through {
        /// The proxy.
        proxy: ProxyUrl,
        /// Hosts that are reached without it, instead of the environment's list.
        no_proxy: Option<NoProxy>,
    },
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::Environment { no_proxy: None }
    }
}

/// Hosts that are reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxy {
    /// Names, addresses and networks, as `NO_PROXY` lists them.
    pub list: String,
    /// The key or variable that lists them.
    pub origin: String,
}

/// How a server is reached, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The proxy; without one the server is reached directly.
    pub proxy: Option<ProxyUrl>,
    /// The proxy's origin, or why there is none.
    pub why: String,
    /// Whether a proxy is set, but the server is one of the hosts that are reached without it.
    pub exempt: bool,
}

impl Proxy {
    /// Reads a proxy's URL as [`ProxyUrl::parse`] does. An empty one means no proxy, as with curl's `--proxy ""`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Ok(Proxy::none(origin));
        }
        let proxy = ProxyUrl::parse(text, origin)?;
        Ok(Proxy::Through {
            proxy,
            no_proxy: None,
        })
    }

    /// No proxy; `origin` is the option or key that says so.
    pub fn none(origin: &str) -> Self {
        let origin = origin.to_owned();
        Proxy::None { origin }
    }

    /// The same choice, except for these hosts.
    pub fn with_no_proxy(self, hosts: NoProxy) -> Self {
        let no_proxy = Some(hosts);
        match self {
            Proxy::None { origin } => Proxy::None { origin },
            Proxy::Environment { .. } => Proxy::Environment { no_proxy },
            Proxy::Through { proxy, .. } => Proxy::Through { proxy, no_proxy },
        }
    }

    /// The way to `base` in this environment. Fails if the proxy's URL is not usable.
    pub fn way(&self, base: &Base, environment: &Environment) -> Result<Way, Error> {
        let direct = |why: String| Way {
            proxy: None,
            why,
            exempt: false,
        };
        let (proxy, no_proxy) = match self {
            Proxy::None { origin } => return Ok(direct(format!("{origin} is empty"))),
            Proxy::Through { proxy, no_proxy } => (Ok(proxy.clone()), no_proxy),
            Proxy::Environment { no_proxy } => {
                let own = match base.https {
                    true => &HTTPS_PROXY[..],
                    false => &HTTP_PROXY[..1],
                };
                match environment.first(&[own, &ALL_PROXY].concat()) {
                    Some((name, value)) => {
                        let origin = format!("{name} in the environment");
                        (ProxyUrl::parse_variable(value, &origin), no_proxy)
                    }
                    None => return Ok(direct("no proxy is set".to_owned())),
                }
            }
        };
        let listed = || {
            let (name, list) = environment.first(&NO_PROXY)?;
            Some(NoProxy {
                list: list.to_owned(),
                origin: format!("{name} in the environment"),
            })
        };
        if let Some(NoProxy { list, origin }) = no_proxy.clone().or_else(listed)
            && let Some(entry) = bypass::exempting(&list, &base.host, base.port)
        {
            // An unusable proxy is no error unless it is used.
            let unused =
                proxy.map_or_else(|_| String::new(), |proxy| format!("; unused: {}", proxy.origin()));
            return Ok(Way {
                exempt: true,
                ..direct(format!("{origin} lists {entry:?}{unused}"))
            });
        }
        let proxy = proxy?;
        Ok(Way {
            why: proxy.origin().to_owned(),
            proxy: Some(proxy),
            exempt: false,
        })
    }
}

/// The way to a server, and how the proxy on it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Without a proxy.
    Direct,
    /// The proxy forwards each request, for `http://`.
    Forward(ProxyUrl),
    /// The proxy connects us with the server, for `https://`.
    Tunnel(ProxyUrl),
}

impl Route {
    pub(super) fn new(way: Way, base: &Base) -> Self {
        match (way.proxy, base.https) {
            (None, _) => Route::Direct,
            (Some(proxy), true) => Route::Tunnel(proxy),
            (Some(proxy), false) => Route::Forward(proxy),
        }
    }

    /// What we connect to, for messages: `server`, or the proxy before it.
    pub(super) fn peer(&self, server: &str) -> String {
        match self {
            Route::Direct => server.to_owned(),
            Route::Forward(proxy) | Route::Tunnel(proxy) => format!("the proxy {}", proxy.authority()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classify as _;

    fn way(proxy: &Proxy, server: &str, variables: &[(&str, &str)]) -> Result<Way, Error> {
        let environment = Environment::new(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).into())
        });
        proxy.way(&Base::parse(server, 443, "").unwrap(), &environment)
    }

    fn route(proxy: &Proxy, server: &str, variables: &[(&str, &str)]) -> String {
        let base = Base::parse(server, 443, "").unwrap();
        match way(proxy, server, variables).map(|way| Route::new(way, &base)) {
            Ok(Route::Direct) => "direct".into(),
            Ok(Route::Forward(proxy)) => format!("forward {proxy}"),
            Ok(Route::Tunnel(proxy)) => format!("tunnel {proxy}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let from = |server, variables: &[(&str, &str)]| route(&Proxy::default(), server, variables);
        assert_eq!(from("vc", &[]), "direct");
        assert_eq!(from("vc", &[("https_proxy", "p:1")]), "tunnel http://p:1");
        assert_eq!(from("vc", &[("HTTPS_PROXY", "p")]), "tunnel http://p:1080");
        assert_eq!(
            from("vc", &[("https_proxy", ""), ("ALL_PROXY", "p:1")]),
            "tunnel http://p:1"
        );
        assert_eq!(from("vc", &[("http_proxy", "p:1")]), "direct");
        assert_eq!(from("http://vc", &[("http_proxy", "p:1")]), "forward http://p:1");
        assert_eq!(from("http://vc", &[("HTTP_PROXY", "p:1")]), "direct");
        assert_eq!(
            from("vc", &[("https_proxy", "p:1"), ("no_proxy", "vc")]),
            "direct"
        );
        assert_eq!(
            from("vc", &[("https_proxy", "p:1"), ("NO_PROXY", "x,*")]),
            "tunnel http://p:1"
        );
        assert!(
            from("vc", &[("https_proxy", "socks5://u:s3cret@p")])
                .starts_with("https_proxy in the environment is not usable")
        );
        assert_eq!(
            from("vc", &[("https_proxy", "socks5://p"), ("NO_PROXY", "*")]),
            "direct"
        );
    }

    #[test]
    fn an_option_comes_before_the_environment_and_its_own_list_before_no_proxy() {
        let through = |no_proxy: Option<&str>| Proxy::Through {
            proxy: "q:2".parse().unwrap(),
            no_proxy: no_proxy.map(|list| NoProxy {
                list: list.into(),
                origin: "a list".into(),
            }),
        };
        let variables = [("https_proxy", "p:1"), ("NO_PROXY", "vc")];
        assert_eq!(route(&Proxy::none("--proxy"), "db", &variables), "direct");
        assert_eq!(route(&through(None), "db", &variables), "tunnel http://q:2");
        assert_eq!(route(&through(None), "vc", &variables), "direct");
        assert_eq!(route(&through(Some("")), "vc", &variables), "tunnel http://q:2");
        assert_eq!(route(&through(Some("db")), "db", &variables), "direct");
    }

    #[test]
    fn the_way_says_why() {
        let variables = [("HTTPS_PROXY", "https://p:1"), ("NO_PROXY", "a, *.example.com")];
        let why = |proxy: &Proxy, server| way(proxy, server, &variables).unwrap().why;
        let environment = Proxy::default();
        assert_eq!(why(&environment, "vc"), "HTTPS_PROXY in the environment");
        assert_eq!(why(&environment, "http://vc"), "no proxy is set");
        assert_eq!(
            why(&environment, "vc.example.com"),
            "NO_PROXY in the environment lists \"*.example.com\"; unused: HTTPS_PROXY in the environment"
        );
        assert!(way(&environment, "a", &variables).unwrap().exempt);
        assert_eq!(
            why(&Proxy::parse("", "--proxy").unwrap(), "vc"),
            "--proxy is empty"
        );
        assert_eq!(
            why(&Proxy::parse("q", "proxy in a.conf:3").unwrap(), "vc"),
            "proxy in a.conf:3"
        );
        let none = environment.with_no_proxy(NoProxy {
            list: "vc".into(),
            origin: "rhsm_no_proxy".into(),
        });
        assert!(why(&none, "vc").starts_with("rhsm_no_proxy lists \"vc\""));
        assert_eq!(why(&none, "a"), "HTTPS_PROXY in the environment");
    }

    #[test]
    fn the_environment_may_say_https_but_not_with_a_password() {
        let environment = Proxy::default();
        let of = |url| way(&environment, "vc", &[("https_proxy", url)]);
        assert!(of("https://p:3128").unwrap().proxy.unwrap().said_https());
        let error = of("https://me:s3cret@p:3128").unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Config);
        assert!(
            error.to_string().contains("in clear") && !error.to_string().contains("s3cret"),
            "{error}"
        );
    }
}
