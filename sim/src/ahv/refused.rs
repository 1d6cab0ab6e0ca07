//! Refusals.

use serde_json::json;

use super::Edition;
use crate::http::Response;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The credentials are missing or wrong.
    Login,
    /// The user has no role.
    Role,
    /// There is nothing at this path.
    NotFound,
    /// The path has another method.
    Method,
    /// The body is not JSON.
    MediaType,
    /// A parameter or member has an impossible value.
    Invalid(String),
}

impl Refused {
    fn status(&self) -> u16 {
        match self {
            Refused::Login => 401,
            Refused::Role => 403,
            Refused::NotFound => 404,
            Refused::Method => 405,
            Refused::MediaType => 415,
            Refused::Invalid(_) => 422,
        }
    }

    fn words(&self, path: &str) -> (&'static str, String) {
        match self {
            Refused::Login => ("AUTHENTICATION_REQUIRED", "Authentication required.".into()),
            Refused::Role => (
                "ACCESS_DENIED",
                format!("No permission to access the resource. <Request '{path}'>"),
            ),
            Refused::NotFound => ("ENTITY_NOT_FOUND", "The requested URL was not found.".into()),
            Refused::Method => ("INVALID_REQUEST", "The method is not allowed.".into()),
            Refused::MediaType => (
                "INVALID_REQUEST",
                "The content type is not application/json.".into(),
            ),
            Refused::Invalid(reason) => ("INVALID_REQUEST", reason.clone()),
        }
    }

    /// v3's form is recorded in public reports (401 and 403). That v2.0 has a `message` is documented; its words are a guess.
    pub(super) fn response(&self, edition: Edition, path: &str) -> Response {
        let status = self.status();
        let (reason, message) = self.words(path);
        let body = match edition {
            Edition::Central => json!({
                "api_version": "3.1", "code": status, "state": "ERROR",
                "message_list": [{"reason": reason, "message": message}],
            }),
            Edition::Element => {
                json!({"message": message, "detailed_message": "", "error_code": {"code": status}})
            }
        };
        let mut response = Response::new(status, "application/json", body.to_string());
        if status == 401 {
            let realm = "Basic realm=\"Intent Gateway Login Required\"";
            response.headers.push(("WWW-Authenticate".into(), realm.into()));
        }
        response
    }
}
