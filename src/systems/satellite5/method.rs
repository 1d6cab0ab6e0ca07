//! The methods of the two programs that are called.

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Api,
    Registration,
}

impl Side {
    pub(super) fn path(self) -> &'static str {
        match self {
            Side::Api => "/rpc/api",
            Side::Registration => "/XMLRPC",
        }
    }
}

/// A method, and whether it does no more when it arrives twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) side: Side,
    pub(super) name: &'static str,
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

    /// Whether the answer holds the session key or systemid that is the first parameter of the other methods.
    pub(super) fn gives_key(self) -> bool {
        self == LOGIN || self == REGISTER || self == SYSTEMID
    }
}

pub(super) const LOGIN: Method = Method::new(Side::Api, "auth.login", true);
pub(super) const LOGOUT: Method = Method::new(Side::Api, "auth.logout", true);
pub(super) const USER: Method = Method::new(Side::Api, "user.getDetails", true);
pub(super) const CHANNEL: Method = Method::new(Side::Api, "channel.software.getDetails", true);
pub(super) const CREATE_CHANNEL: Method = Method::new(Side::Api, "channel.software.create", false);
pub(super) const SET_MAP: Method = Method::new(Side::Api, "distchannel.setMapForOrg", true);
pub(super) const FIND: Method = Method::new(Side::Api, "system.getId", true);
pub(super) const SYSTEMID: Method = Method::new(Side::Api, "system.downloadSystemId", true);
pub(super) const REGISTER: Method =
    Method::new(Side::Registration, "registration.new_system_user_pass", false);
pub(super) const HARDWARE: Method = Method::new(Side::Registration, "registration.refresh_hw_profile", true);
pub(super) const NOTIFY: Method = Method::new(Side::Registration, "registration.virt_notify", true);
