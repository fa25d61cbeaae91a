//! The admin API for what asks it from within the process: the same routes, for somebody who has been let in, without a
//! connection.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::Reply as _;

use super::access::{Peer, Who};
use super::api::Problem;
use super::client::target;
use super::refusal::Refusal;
use super::route::Route;
use super::{AdminState, router, routes};

/// The admin API, asked from within. Cheap to clone.
#[derive(Clone)]
pub struct Within {
    routes: Arc<[Route]>,
    state: AdminState,
}

impl Within {
    /// The API over what there is to look at and to work on.
    pub fn new(state: AdminState) -> Self {
        Self { routes: routes::all().into(), state }
    }

    /// Who is at the other end of a connection, where that alone says it.
    pub fn known(&self, peer: &Peer) -> Option<Who> {
        self.state.gate.known(peer)
    }

    /// Whose token this is that came from `address`. Wrong ones are slowed, as they are everywhere.
    pub async fn verify(&self, address: IpAddr, token: &str) -> Option<Who> {
        self.state.gate.verify(address, token).await
    }

    /// What the API answers to `GET`. The path's parameters are taken from `params`; the others are the query.
    ///
    /// # Errors
    /// What the API answers when it does not do it.
    pub async fn get<T: DeserializeOwned>(
        &self,
        who: &Who,
        path: &str,
        params: impl Serialize,
    ) -> Result<T, Problem> {
        let target = target(path, params).map_err(odd)?;
        self.ask(who, Method::GET, &target, Bytes::new()).await
    }

    /// What the API answers to `POST`.
    ///
    /// # Errors
    /// What the API answers when it does not do it.
    pub async fn post<T: DeserializeOwned>(
        &self,
        who: &Who,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.post_to(who, path, (), body).await
    }

    /// What the API answers to `POST` at a path whose parameters are in `params`.
    ///
    /// # Errors
    /// What the API answers when it does not do it.
    pub async fn post_to<T: DeserializeOwned>(
        &self,
        who: &Who,
        path: &str,
        params: impl Serialize,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        let target = target(path, params).map_err(odd)?;
        let body = serde_json::to_vec(body).map_err(odd)?;
        self.ask(who, Method::POST, &target, Bytes::from(body)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        who: &Who,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<T, Problem> {
        let (routes, state) = (&self.routes, self.state.clone());
        let answered = router::answer_within(routes, state, who.clone(), &method, target, body).await;
        let (head, body) = answered.unwrap_or_else(Refusal::into_response).into_parts();
        let body = body.collect().await.map_err(odd)?.to_bytes();
        if head.status.is_success() {
            serde_json::from_slice(&body).map_err(odd)
        } else {
            Err(serde_json::from_slice(&body).unwrap_or_else(odd))
        }
    }
}

/// The API does not speak as it should: a bug.
fn odd(error: impl std::fmt::Display) -> Problem {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem {
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: format!("the admin API was not understood within the daemon itself, a bug: {error}"),
    }
}
