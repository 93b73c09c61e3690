//! The web server: the page at `/`, the WebSocket at `/ws`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, HeaderMap, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::access::{self, Access, AccessError, Refusal};
use super::board::Board;
use super::protocol::LARGEST_REQUEST;
use super::{listener, page, session};

/// The page needs nothing from anywhere else, and nobody may put it into a frame.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Browsers too many that hear why at the same time, each for a moment; any beyond get a response that no browser shows its page.
const REFUSALS: usize = 16;
/// What a browser too many hears.
const FULL: &str = "the viewer has too many browsers already";

/// How many may come.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Browsers that watch at the same time.
    pub browsers: usize,
    /// Connections at the same time that are not, or not yet, those of browsers that watch.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { browsers: 32, connections: 128 }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It must not listen there.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The system refuses the address.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A server that listens and is ready to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
    board: Board,
    limits: Limits,
}

struct Shared {
    access: Access,
    cookie: String,
    board: Board,
    browsers: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Server {
    /// Listens at `address` (port 0: any free one). An empty `token` is none, which only loopback addresses allow.
    ///
    /// # Errors
    /// [`ServerError`] when the address needs a token, the token is weak, or the system refuses.
    pub async fn bind(address: SocketAddr, token: &str, board: Board, limits: Limits) -> Result<Self, ServerError> {
        let access = Access::new(address, token)?;
        let listen = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, access, board, limits })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser, with the token if there is one. Where it listens on all addresses, this machine's name stands for them:
    /// a browser elsewhere needs one that leads here.
    pub fn url(&self) -> String {
        let host = match self.address.ip().is_unspecified() {
            true => host_of_all(self.address.port(), &rustix::system::uname().nodename().to_string_lossy()),
            false => self.address.to_string(),
        };
        let token = self.access.token().map(|token| format!("?token={token}")).unwrap_or_default();
        format!("http://{host}/{token}")
    }

    /// Serves for as long as it is polled.
    pub async fn run(self) {
        let [browsers, refusals] = [self.limits.browsers, REFUSALS].map(|places| Arc::new(Semaphore::new(places)));
        let cookie = access::cookie_name(self.address.port());
        let shared = Arc::new(Shared { access: self.access, cookie, board: self.board, browsers, refusals });
        let router = Router::new()
            .route("/", get(index))
            .route("/ws", get(watch))
            .route("/{*path}", get(file))
            .layer(from_fn_with_state(shared.clone(), guard))
            .with_state(shared);
        listener::serve(self.listener, router, self.limits.connections).await;
    }
}

/// Host and port of a server that listens on all addresses of the machine `name`; loopback where no address can have that name.
fn host_of_all(port: u16, name: &str) -> String {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    format!("{}:{port}", if is_name { name } else { "127.0.0.1" })
}

#[derive(Deserialize)]
struct TokenInAddress {
    token: Option<String>,
}

fn header(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Every request passes here first; every response gets the headers that keep the page to itself.
async fn guard(State(shared): State<Arc<Shared>>, Query(given): Query<TokenInAddress>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let in_cookie = header(headers, COOKIE).and_then(|cookies| access::token_in_cookie(cookies, &shared.cookie));
    let token = given.token.as_deref().or(in_cookie);
    let checked = shared.access.check(header(headers, HOST), header(headers, ORIGIN), token);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let status = if refusal == Refusal::Token { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
            (status, refusal.to_string()).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The page; a token in the address moves into a cookie, so that it does not stay on the screen.
async fn index(State(shared): State<Arc<Shared>>, Query(given): Query<TokenInAddress>) -> Response {
    match given.token {
        Some(token) => {
            let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Lax", shared.cookie);
            // A checked token has no characters that a header cannot have; any other, where none is needed, is left out.
            match HeaderValue::from_str(&cookie) {
                Ok(cookie) => {
                    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/")), (SET_COOKIE, cookie)]).into_response()
                }
                Err(_) => (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response(),
            }
        }
        None => page_file(""),
    }
}

async fn file(Path(path): Path<String>) -> Response {
    page_file(&path)
}

fn page_file(path: &str) -> Response {
    match page::file(path) {
        Some(file) => ([(CONTENT_TYPE, file.media_type)], file.content).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

async fn watch(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.max_message_size(LARGEST_REQUEST).max_frame_size(LARGEST_REQUEST);
    if let Ok(place) = shared.browsers.clone().try_acquire_owned() {
        let board = shared.board.clone();
        return upgrade.on_upgrade(async move |socket| {
            session::run(socket, board).await;
            drop(place);
        });
    }
    // A page learns nothing of a response that is no upgrade: this one is let in to hear why it has to leave.
    match shared.refusals.clone().try_acquire_owned() {
        Ok(place) => upgrade.on_upgrade(async move |socket| {
            session::refuse(socket, FULL).await;
            drop(place);
        }),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, FULL).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_named_as_its_machine_where_that_has_a_name() {
        assert_eq!(host_of_all(8080, "robot"), "robot:8080");
        assert_eq!(host_of_all(80, "spot-2.lan"), "spot-2.lan:80");
        for name in ["", "(none)", "-robot", "ro bot", "robot/x"] {
            assert_eq!(host_of_all(8080, name), "127.0.0.1:8080", "{name}");
        }
    }

    /// The port of a server at `address`, and what it says is to be opened.
    async fn opened(address: &str, token: &str) -> (u16, String) {
        let (board, _calls) = Board::new();
        let server = Server::bind(address.parse().unwrap(), token, board, Limits::default()).await.unwrap();
        (server.address().port(), server.url())
    }

    #[tokio::test]
    async fn what_to_open_has_the_port_and_the_token_and_never_the_address_that_means_all() {
        let (port, url) = opened("127.0.0.1:0", "").await;
        assert_eq!(url, format!("http://127.0.0.1:{port}/"));
        let (port, url) = opened("0.0.0.0:0", "0123456789abcdef").await;
        assert!(url.ends_with(&format!(":{port}/?token=0123456789abcdef")) && !url.contains("0.0.0.0"), "{url}");
    }
}
