//! What the user can do about a failed scan. The systems state facts; all advice about them is here.

use crate::cli;
use crate::commands::advice::explained;
use crate::systems::vsphere::{self, AddressError, Fault, Refusal};

/// Adds advice to a failure, and the section.
pub(crate) fn explain(error: cli::Error, section: Option<&str>) -> cli::Error {
    let advice = advice(&error);
    explained(error, advice, section)
}

/// What the user can do about an error of vSphere.
pub(crate) fn advice(error: &cli::Error) -> Option<String> {
    error.downcast_ref().and_then(of_vsphere).map(str::to_owned)
}

/// Why a text is not the address of a server, with advice.
pub(crate) fn address_problem(error: &AddressError) -> String {
    match error {
        AddressError::Vcenter { .. } => {
            format!("{error}; to use that vCenter, make it the server: vpx://VCENTER")
        }
        AddressError::Malformed(_) => error.to_string(),
    }
}

fn of_vsphere(error: &vsphere::Error) -> Option<&'static str> {
    match error {
        vsphere::Error::At { error, .. } => of_vsphere(error),
        vsphere::Error::GaveUp { last, .. } => of_vsphere(last),
        vsphere::Error::NotSoap { .. } => Some("is this the address of a vCenter or ESX host?"),
        vsphere::Error::Login { fault, .. } => Some(match fault.refusal() {
            Refusal::Locked => "have it unlocked, or wait, before the next try",
            Refusal::Expired => "renew it",
            Refusal::Disabled => "have it enabled",
            Refusal::NoRole => "give the account a role on the server, such as the read-only one",
            Refusal::Credentials => "repeated failures may lock the account",
        }),
        vsphere::Error::Fault { fault, .. } if fault.kind == Fault::NO_PERMISSION => {
            Some("the account needs the read-only role on the inventory's root")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn login(kind: &str, text: &str) -> vsphere::Error {
        vsphere::Error::Login {
            server: "vc:443".into(),
            user: "sim".into(),
            fault: Fault {
                kind: kind.into(),
                text: text.into(),
            },
        }
    }

    fn explained(error: impl Into<cli::Error>, section: Option<&str>) -> String {
        format!("{:#}", explain(error.into(), section))
    }

    #[test]
    fn advice_follows_the_causes() {
        assert_eq!(
            explained(login("InvalidLogin", "no"), Some("prod")),
            "section [prod]: login to vc:443 as \"sim\" failed: wrong user name or password; the server says InvalidLogin: \
             no; repeated failures may lock the account"
        );
        let error = vsphere::Error::At {
            server: "vc:443".into(),
            error: Box::new(vsphere::Error::NotSoap {
                method: "Login",
                found: "a web page".into(),
            }),
        };
        let error = explain(error.into(), None);
        assert_eq!(error.kind(), Kind::Protocol);
        assert_eq!(
            format!("{error:#}"),
            "vc:443: the answer to Login is a web page, not the vSphere API's; is this the address of a vCenter or ESX host?"
        );
    }

    #[test]
    fn a_failure_without_advice_names_the_section_only() {
        let error = vsphere::Error::Incomplete {
            method: "RetrieveServiceContent",
            what: "rootFolder",
        };
        assert_eq!(
            explained(error, Some("prod")),
            "section [prod]: the answer to RetrieveServiceContent lacks rootFolder"
        );
    }
}
