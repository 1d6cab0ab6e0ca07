//! What the user can do about a failed exchange with a server, in words that all commands share.

use crate::cli;
use crate::error::Kind;
use crate::http::{Error, Flaw};
use crate::systems::vsphere;

/// The error with advice after it, if it comes from a failed exchange that an option helps with.
pub(super) fn advised(error: cli::Error) -> cli::Error {
    match error.chain().find_map(exchange).and_then(advice) {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

/// The error of a source with advice after it, and the section before it, because a server's name does not say which section is
/// wrong. `own` is the advice about this kind of source.
pub(super) fn explained(error: cli::Error, own: Option<String>, section: Option<&str>) -> cli::Error {
    if matches!(error.kind(), Kind::Signal(_) | Kind::ReaderGone) {
        return error;
    }
    let error = match own {
        Some(advice) => error.advise(advice),
        None => advised(error),
    };
    match section {
        Some(section) => error.context(format!("section [{section}]")),
        None => error,
    }
}

/// The failed exchange that a link of a chain of errors is.
fn exchange<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    // This one is transparent, so its exchange is no link of its own.
    let in_vsphere = || match cause.downcast_ref()? {
        vsphere::Error::Http(error) => Some(error),
        _ => None,
    };
    Error::of(cause).or_else(in_vsphere)
}

fn advice(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoAuthorities { .. } => "name a file of them with --cacert".into(),
        Error::Untrusted { flaw, thumbprint, .. } => format!("{}--thumbprint {thumbprint}", about(*flaw)),
        Error::ProxyRefused {
            status: 407,
            user: None,
            wants,
            ..
        } if wants.is_empty() => {
            "give its URL with a user name, http://USER@HOST:PORT, and --proxy-password-file".into()
        }
        Error::SpeaksTls { is_proxy: false, .. } => "use https://".into(),
        Error::Redirect { .. } => "if that is right, use it as the server's address (--server)".into(),
        error if error.is_deadline() => "see --timeout".into(),
        _ => return None,
    })
}

/// The words before the option `--thumbprint`. An authority is no help against a wrong name or date.
fn about(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Issuer => {
            "if it is the right server, pass its authority with --cacert FILE or this certificate with "
        }
        Flaw::Name => {
            "give the server's address as a name in its certificate, or, if it is the right server, pass "
        }
        Flaw::Date => "check the clock, renew the certificate, or, if it is the right server, pass ",
        Flaw::Thumbprint => {
            "if the server has a new certificate, compare it with what the server's administrator sees, and pass "
        }
        Flaw::Other => "if it is the right server, pass ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Context as _;
    use crate::http::{Limit, Thumbprint};

    fn shown(error: Error) -> String {
        let error = Err::<(), _>(error).context("section [prod]").unwrap_err();
        format!("{:#}", advised(error).context("the last attempt"))
    }

    #[test]
    fn advice_follows_the_whole_chain() {
        let server = || "vc:443".to_owned();
        let untrusted = |flaw| Error::Untrusted {
            server: server(),
            flaw,
            reason: "why".into(),
            thumbprint: Thumbprint([7; 32]),
        };
        for flaw in [
            Flaw::Issuer,
            Flaw::Name,
            Flaw::Date,
            Flaw::Thumbprint,
            Flaw::Other,
        ] {
            let text = shown(untrusted(flaw));
            assert!(
                text.starts_with(
                    "the last attempt: section [prod]: vc:443: its certificate is not trusted: why; "
                ),
                "{text}"
            );
            assert!(
                text.ends_with(&format!("--thumbprint {}", Thumbprint([7; 32]))),
                "{text}"
            );
            assert_eq!(text.contains("--cacert"), flaw == Flaw::Issuer, "{text}");
        }
        let limit = Limit::Deadline;
        let text = shown(Error::Timeout {
            server: server(),
            limit,
        });
        assert!(
            text.ends_with("not done within the time limit; see --timeout"),
            "{text}"
        );
        let cut = Error::Cut {
            server: server(),
            unanswered: false,
        };
        assert!(shown(cut).ends_with("before the answer was complete"));
    }

    #[test]
    fn a_scan_gets_the_same_advice() {
        let late = Error::Timeout {
            server: "vc:443".into(),
            limit: Limit::Deadline,
        };
        let error = advised(vsphere::Error::from(late).into());
        assert!(format!("{error:#}").ends_with("; see --timeout"), "{error:#}");
    }

    #[test]
    fn a_proxy_that_requires_a_login() {
        for (user, wants, wanted) in [
            (None, vec![], true),
            (Some("u"), vec![], false),
            (None, vec!["NTLM".to_owned()], false),
        ] {
            let text = shown(Error::ProxyRefused {
                proxy: "p:1".into(),
                status: 407,
                user: user.map(str::to_owned),
                wants,
            });
            assert_eq!(text.contains("--proxy-password-file"), wanted, "{text}");
        }
    }
}
