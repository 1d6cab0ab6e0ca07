//! What a user may do, and what the server has for hypervisors already. Nothing is changed.

use super::channel::channel_label;
use super::method::{MAPS, ROLES};
use super::{ARCH, Error, RELEASE, Satellite5};
use crate::xmlrpc::Datum;

/// What a user can do on a server, for [`Satellite5::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The number of the user's organisation.
    pub org: i64,
    /// The label of the channel for hypervisors.
    pub channel: String,
    /// Whether that channel exists, and the user sees it.
    pub has_channel: bool,
    /// The channel that a hypervisor gets as its base channel, if one is mapped.
    pub mapped: Option<String>,
    /// Whether the user has only read access, and may register nothing.
    pub read_only: bool,
    /// The user's roles.
    pub roles: Vec<String>,
}

impl Standing {
    /// The roles that the first registration needs and the user lacks, each with what it is needed for.
    ///
    /// What exists already needs no role any more. `org_admin` includes `channel_admin` (Spacewalk's `UserFactory`, IMPLIEDROLES).
    pub fn missing_roles(&self) -> Vec<(&'static str, &'static str)> {
        let has = |role: &str| self.roles.iter().any(|own| own == role);
        let (channel_admin, org_admin) = (has("channel_admin") || has("org_admin"), has("org_admin"));
        let channel =
            (!self.has_channel && !channel_admin).then_some(("channel_admin", "to create the channel"));
        let map = (self.mapped.is_none() && !org_admin).then_some(("org_admin", "to map the channel"));
        channel.into_iter().chain(map).collect()
    }
}

impl Satellite5 {
    /// Logs in, asks for the user's roles, the channel for hypervisors and its map, and logs out.
    pub fn check(&self) -> Result<Standing, Error> {
        let standing = self.standing();
        self.log_out();
        standing
    }

    fn standing(&self) -> Result<Standing, Error> {
        let (org, user) = self.user()?;
        let channel = channel_label(org);
        let roles = self.call_in_session(ROLES, &[self.username()])?;
        let maps = self.call_in_session(MAPS, &[])?;
        Ok(Standing {
            org,
            has_channel: self.has_channel(&channel)?,
            channel,
            mapped: mapped(&maps)?,
            read_only: user.member("read_only") == Some(&Datum::Boolean(true)),
            roles: labels(&roles)?,
        })
    }
}

/// The roles in the answer of `user.listRoles`.
fn labels(roles: &Datum<'_>) -> Result<Vec<String>, Error> {
    let unexpected = || Error::Unexpected {
        call: ROLES.name,
        missing: "list of roles",
    };
    let Datum::Array(roles) = roles else {
        return Err(unexpected());
    };
    let label = |role: &Datum<'_>| role.as_text().map(str::to_owned).ok_or_else(unexpected);
    roles.iter().map(label).collect()
}

/// The channel that the answer of `distchannel.listMapsForOrg` has for the release and the architecture of hypervisors.
fn mapped(maps: &Datum<'_>) -> Result<Option<String>, Error> {
    let Datum::Array(maps) = maps else {
        return Err(Error::Unexpected {
            call: MAPS.name,
            missing: "list of maps",
        });
    };
    let text = |map: &Datum<'_>, name| map.member(name).and_then(Datum::as_text).map(str::to_owned);
    let is_ours = |map: &&Datum<'_>| {
        text(map, "release").as_deref() == Some(RELEASE) && text(map, "arch_name").as_deref() == Some(ARCH)
    };
    Ok(maps
        .iter()
        .find(is_ours)
        .and_then(|map| text(map, "channel_label")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_missing_only_for_what_is_still_to_be_done() {
        let missing = |has_channel, has_map: bool, roles: &[&str]| -> Vec<&str> {
            let standing = Standing {
                org: 1,
                channel: "hypervisor-base-1".into(),
                has_channel,
                mapped: has_map.then(|| "hypervisor-base-1".into()),
                read_only: false,
                roles: roles.iter().map(ToString::to_string).collect(),
            };
            standing
                .missing_roles()
                .into_iter()
                .map(|(role, _)| role)
                .collect()
        };
        assert_eq!(missing(false, false, &[]), ["channel_admin", "org_admin"]);
        assert_eq!(
            missing(false, false, &["config_admin", "channel_admin"]),
            ["org_admin"]
        );
        assert_eq!(missing(true, false, &["channel_admin"]), ["org_admin"]);
        assert!(missing(false, false, &["org_admin"]).is_empty());
        assert!(missing(true, true, &[]).is_empty());
    }

    #[test]
    fn a_map_is_that_of_our_release_and_architecture() {
        let map = |release, arch| {
            Datum::members([
                ("os", Datum::text("any")),
                ("release", Datum::text(release)),
                ("arch_name", Datum::text(arch)),
                ("channel_label", Datum::text("base")),
            ])
        };
        let of = |map| mapped(&Datum::Array(vec![map])).unwrap();
        assert_eq!(of(map("unknown", "x86_64")).as_deref(), Some("base"));
        assert_eq!(of(map("unknown", "IA-32")), None);
        assert_eq!(of(map("7Server", "x86_64")), None);
        assert!(mapped(&Datum::text("void")).is_err() && labels(&Datum::text("void")).is_err());
    }
}
