//! What protects the interface from its callers: how often they call, how many at once, how long each
//! takes. Sizes are limited where bodies are read, and connections in [`super::serve`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::code::Code;
use super::endpoint;
use super::pace::{Allowance, Pace, Wait};
use super::problem::Problem;
use super::repeat::{self, Running};
use crate::app::{App, Rate};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The buckets and the places that all requests share.
#[derive(Debug)]
pub(super) struct Guard {
    app: Arc<App>,
    users: Pace<String>,
    addresses: Pace<IpAddr>,
    log_ins: Pace<IpAddr>,
    places: Semaphore,
    running: Arc<Running>,
}

impl Guard {
    pub(super) fn new(app: Arc<App>) -> Self {
        let limits = &app.limits.api;
        Self {
            users: Pace::new(limits.user_rate),
            addresses: Pace::new(limits.address_rate),
            log_ins: Pace::new(limits.login_rate),
            places: Semaphore::new(limits.concurrent_requests),
            running: Arc::default(),
            app,
        }
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }
}

/// Lets a request in that its address may make, if there is a place, and ends it when its time is over.
pub(super) async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/api/") {
        // Health has to be told also when there is no place left.
        return next.run(request).await;
    }
    let (address, now) = (address(&guard.app, &request), guard.app.now());
    if let Err(wait) = guard.addresses.call(address, now) {
        return too_often("from this address", wait);
    }
    if path == "/api/v1/login"
        && request.method() == Method::POST
        && let Err(wait) = guard.log_ins.call(address, now)
    {
        return too_often("to log in from this address", wait);
    }
    let Ok(_place) = guard.places.try_acquire() else {
        let detail = "the server works on as many requests as it may at once; try again";
        return later(Problem::new(Code::Overloaded, detail), 1);
    };
    let streams = {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        path.and_then(|path| endpoint::of(request.method().as_str(), path)).is_some_and(|e| e.streams)
    };
    if streams {
        return next.run(request).await;
    }
    let most = Duration::from_secs(guard.app.limits.api.request_timeout_s);
    match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::RequestTimeout,
            "the request took too long and was given up; look what came of it before you send it again",
        )
        .into_response(),
    }
}

/// Counts a call of a user, and tells in the answer what is left.
pub(super) async fn pace(
    guard: &Guard,
    user: &str,
    repeatable: bool,
    request: Request,
    next: Next,
) -> Response {
    let rate = guard.users.rate();
    match guard.users.call(user.to_owned(), guard.app.now()) {
        Err(wait) => {
            let mut response = too_often("as this user", wait);
            tell(response.headers_mut(), rate, Allowance { remaining: 0, full_in_s: window_s(rate) });
            response
        }
        Ok(allowance) => {
            let mut response = match repeatable {
                true => repeat::once(&guard.app, &guard.running, user, request, next).await,
                false => next.run(request).await,
            };
            tell(response.headers_mut(), rate, allowance);
            response
        }
    }
}

/// The fields of draft-ietf-httpapi-ratelimit-headers.
fn tell(headers: &mut HeaderMap, rate: Rate, allowance: Allowance) {
    let policy = format!("\"user\";q={};w={}", rate.burst, window_s(rate));
    let now = format!("\"user\";r={};t={}", allowance.remaining, allowance.full_in_s);
    for (name, value) in [(&RATE_LIMIT_POLICY, policy), (&RATE_LIMIT, now)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name.clone(), value);
        }
    }
}

/// Seconds in which an empty bucket fills.
fn window_s(rate: Rate) -> u64 {
    let window = u64::from(rate.burst).saturating_mul(60);
    window.div_ceil(u64::from(rate.per_minute.max(1))).max(1)
}

fn too_often(what: &str, wait: Wait) -> Response {
    let detail = format!("there are too many calls {what}; wait {} s", wait.0);
    later(Problem::new(Code::TooManyRequests, detail), wait.0)
}

pub(super) fn later(problem: Problem, seconds: u64) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Where a request comes from: the other end of the connection, or what the proxy says that it is. Of an
/// IPv6 address only what a site cannot choose freely.
fn address(app: &App, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let told = app.limits.api.behind_proxy.then(|| forwarded(request.headers())).flatten();
    match told.or(peer) {
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// The last address: the one that the proxy in front of this server saw. Those before it are hearsay.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}
