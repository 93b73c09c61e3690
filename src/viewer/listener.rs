//! Accepting connections, of which there can never be more than the node has room for.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest time for the head of a request, also for the next one on a connection: whoever is silent gives its place away.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request \[bytes\].
const LARGEST_HEAD: usize = 16 * 1024;
/// Pause after a failed accept: without file descriptors the next one fails as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection too many hears.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 43\r\nconnection: close\r\n\r\n\
    The viewer has too many connections already";

/// Serves `router` to at most `most` connections at a time, for as long as it is polled.
pub async fn serve(listener: TcpListener, router: Router, most: usize) {
    let places = Arc::new(Semaphore::new(most));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            refuse(stream);
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // Frames are small and must not wait for one another.
            let _ = stream.set_nodelay(true);
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(LARGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // A connection's error is its client's affair.
            let _ = connection.await;
            drop(place);
        });
    }
}

/// Says why and closes, without waiting for anything.
fn refuse(stream: TcpStream) {
    // Not tokio's `try_write`, which knows a new connection to be writable only after a while. The socket stays non-blocking, and its
    // empty buffer has room.
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(FULL);
    }
}
