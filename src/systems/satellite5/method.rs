//! The methods that are called.

/// One of the server's two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Java, with a session key.
    Api,
    /// Python, with a systemid.
    Registration,
}

impl Side {
    /// The path of the endpoint.
    pub(super) fn path(self) -> &'static str {
        match self {
            Side::Api => "/rpc/api",
            Side::Registration => "/XMLRPC",
        }
    }
}

/// A method of one of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) side: Side,
    pub(super) name: &'static str,
    /// Whether calling it twice has the same effect as calling it once.
    pub(super) repeatable: bool,
}

impl Method {
    const fn new(side: Side, name: &'static str, repeatable: bool) -> Self {
        Method {
            side,
            name,
            repeatable,
        }
    }

    /// Whether the answer contains a session key or systemid, which other methods take as their first parameter.
    pub(super) fn gives_key(self) -> bool {
        self == LOGIN || self == REGISTER || self == SYSTEMID
    }
}

pub(super) const LOGIN: Method = Method::new(Side::Api, "auth.login", true);
pub(super) const LOGOUT: Method = Method::new(Side::Api, "auth.logout", true);
pub(super) const USER: Method = Method::new(Side::Api, "user.getDetails", true);
pub(super) const ROLES: Method = Method::new(Side::Api, "user.listRoles", true);
pub(super) const CHANNEL: Method = Method::new(Side::Api, "channel.software.getDetails", true);
pub(super) const CREATE_CHANNEL: Method = Method::new(Side::Api, "channel.software.create", false);
pub(super) const SET_MAP: Method = Method::new(Side::Api, "distchannel.setMapForOrg", true);
pub(super) const MAPS: Method = Method::new(Side::Api, "distchannel.listMapsForOrg", true);
pub(super) const FIND: Method = Method::new(Side::Api, "system.getId", true);
pub(super) const SYSTEMID: Method = Method::new(Side::Api, "system.downloadSystemId", true);
pub(super) const REGISTER: Method =
    Method::new(Side::Registration, "registration.new_system_user_pass", false);
pub(super) const HARDWARE: Method = Method::new(Side::Registration, "registration.refresh_hw_profile", true);
pub(super) const NOTIFY: Method = Method::new(Side::Registration, "registration.virt_notify", true);
