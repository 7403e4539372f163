//! Somebody who uses the REST interface.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::{Agent, http::Response};

/// A person who is logged in.
#[derive(Debug, Clone)]
pub struct Rest {
    base: String,
    token: Option<String>,
    agent: Agent,
}

impl Rest {
    /// Nobody in particular.
    #[must_use]
    pub fn at(api: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { base: format!("http://{api}"), token: None, agent: config.into() }
    }

    /// Logs in.
    pub async fn log_in(self, user: &str, password: &str) -> Self {
        let login = serde_json::json!({ "user": user, "password": password });
        let (status, body) = self.post("/api/v1/login", login).await;
        assert_eq!(status, 200, "{body}");
        Self { token: Some(body["token"].as_str().unwrap().to_owned()), ..self }
    }

    /// `GET`: status, and the body as JSON, or as a JSON string if it is text.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.base));
        let token = self.authorization();
        blocking(move || request.header("authorization", token).call()).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let token = self.authorization();
        blocking(move || request.header("authorization", token).send_json(body)).await
    }

    /// `POST` of bytes.
    pub async fn upload(&self, path: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let token = self.authorization();
        blocking(move || request.header("authorization", token).send(body.as_slice())).await
    }

    fn authorization(&self) -> String {
        self.token.as_ref().map(|token| format!("Bearer {token}")).unwrap_or_default()
    }
}

async fn blocking(
    call: impl FnOnce() -> Result<Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> (u16, Value) {
    let answer = tokio::task::spawn_blocking(move || {
        let mut response = call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    });
    answer.await.unwrap()
}
