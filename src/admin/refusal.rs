//! Why a request is not done.

use std::fmt;

use http::{HeaderValue, StatusCode, header};
use warp::Reply;
use warp::reply::Response;

use super::api::Problem;
use crate::receive::ReplayError;
use crate::rulebook::RulebookError;
use crate::store::StoreError;

/// What a [`Problem`] is sent as.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Why a request was not done, and the status that says so.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), header: None }
    }

    /// It is not what the API's document asks for.
    pub(super) fn asked(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// It is well-formed, and cannot be done all the same.
    pub(super) fn impossible(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// It is about something that is not there.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn unreadable(what: &str, error: impl fmt::Display) -> Self {
        Self::asked(format!("{what}: {error}"))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// With a header in its answer.
    pub(super) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Busy(_) => StatusCode::CONFLICT,
            StoreError::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<RulebookError> for Refusal {
    fn from(error: RulebookError) -> Self {
        match error {
            RulebookError::Store(error) => error.into(),
            RulebookError::Missing(message) => Self::missing(message),
            RulebookError::Wrong(message) => Self::impossible(message),
        }
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl Reply for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.message,
        };
        let mut response = warp::reply::json(&problem).into_response();
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
