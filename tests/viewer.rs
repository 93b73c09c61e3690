//! The viewer's server over real sockets: who gets in, what arrives, and what it withstands. No ROS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use hebbian_locomotion::viewer::{Board, Call, Frame, Kind, Limits, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const TOKEN: &str = "a-token-of-20-digits";
const OTHER_TOKEN: &str = "a-token-of-another-viewer";
const LIMITS: Limits = Limits { browsers: 8, connections: 40 };

type Browser = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn start(token: &str) -> (SocketAddr, Board, mpsc::Receiver<Call>) {
    let (board, calls) = Board::new();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), token, board.clone(), LIMITS).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run());
    (address, board, calls)
}

/// Connects as a browser with this Origin would; `Err` is the status of the refusal.
async fn connect(address: SocketAddr, path: &str, origin: Option<&str>) -> Result<Browser, u16> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((browser, _)) => Ok(browser),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn browser(address: SocketAddr) -> Browser {
    connect(address, "/ws", Some(&format!("http://{address}"))).await.unwrap()
}

async fn next(browser: &mut Browser) -> Option<Message> {
    tokio::time::timeout(Duration::from_secs(10), browser.next()).await.expect("nothing came within 10 s")?.ok()
}

async fn next_json(browser: &mut Browser) -> Value {
    serde_json::from_str(next(browser).await.unwrap().to_text().unwrap()).unwrap()
}

/// The close frame's code and reason, past all else that arrives before it.
async fn close_reason(browser: &mut Browser) -> (u16, String) {
    loop {
        match next(browser).await {
            Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
            Some(_) => {}
            None => panic!("closed without a reason"),
        }
    }
}

/// A plain HTTP request; the whole response as text.
async fn http(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// Name and value of the cookie that a response sets.
fn cookie(response: &str) -> (&str, &str) {
    let set = response.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect(response);
    set.split_once(';').unwrap().0.split_once('=').unwrap()
}

#[tokio::test]
async fn every_browser_gets_the_latest_frames_also_one_that_comes_late() {
    let (address, board, _calls) = start("").await;
    board.post_json(Kind::Names, &json!({"type": "names"}));
    let mut first = browser(address).await;
    assert_eq!(next_json(&mut first).await["type"], "names");
    board.post(Kind::Weights, Frame::Binary(vec![1, 2, 3].into()));
    assert_eq!(next(&mut first).await.unwrap().into_data().as_ref(), [1, 2, 3]);
    let mut late = browser(address).await;
    assert_eq!(next_json(&mut late).await["type"], "names");
    assert_eq!(next(&mut late).await.unwrap().into_data().as_ref(), [1, 2, 3]);
}

#[tokio::test]
async fn a_page_that_is_opened_again_gets_no_state_of_before() {
    let (address, board, _calls) = start("").await;
    let mut first = browser(address).await;
    board.post_json(Kind::Names, &json!({"type": "names"}));
    assert_eq!(next_json(&mut first).await["type"], "names");
    board.post_json(Kind::State, &json!({"type": "state", "time": 1.0}));
    board.post(Kind::Weights, Frame::Binary(vec![1, 2, 3].into()));
    assert_eq!(next_json(&mut first).await["time"], 1.0);
    first.close(None).await.unwrap();
    for _ in 0..200 {
        if !board.is_watched() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut second = browser(address).await;
    assert_eq!(next_json(&mut second).await["type"], "names");
    board.post_json(Kind::State, &json!({"type": "state", "time": 2.0}));
    assert_eq!(next_json(&mut second).await["time"], 2.0);
}

#[tokio::test]
async fn a_browser_that_takes_nothing_holds_up_nobody_and_no_memory() {
    let (address, board, _calls) = start("").await;
    let _asleep = browser(address).await;
    let mut awake = browser(address).await;
    // 200 frames of 1 MiB: more than any socket holds, and nobody may wait for them.
    for number in 0..200u32 {
        let mut frame = vec![0; 1 << 20];
        frame[..4].copy_from_slice(&number.to_le_bytes());
        board.post(Kind::Weights, Frame::Binary(frame.into()));
        tokio::task::yield_now().await;
    }
    let last = loop {
        let data = next(&mut awake).await.unwrap().into_data();
        let number = u32::from_le_bytes(data[..4].try_into().unwrap());
        if number == 199 {
            break number;
        }
    };
    assert_eq!(last, 199);
}

#[tokio::test]
async fn a_call_reaches_the_node_and_its_answer_only_the_caller() {
    let (address, board, mut calls) = start("").await;
    let (mut caller, mut other) = (browser(address).await, browser(address).await);
    let call = json!({"type": "call", "id": 7, "service": "policy/set_gate", "request": {"gate": 0.5}});
    caller.send(Message::text(call.to_string())).await.unwrap();
    let call = calls.recv().await.unwrap();
    assert_eq!((call.service.as_str(), &call.request), ("policy/set_gate", &json!({"gate": 0.5})));
    call.answer.send(Ok(json!({"success": true}))).unwrap();
    assert_eq!(next_json(&mut caller).await, json!({"type": "answer", "id": 7, "response": {"success": true}}));
    caller.send(Message::text(r#"{"type":"call","id":8,"service":"s"}"#)).await.unwrap();
    drop(calls.recv().await.unwrap().answer);
    let answer = next_json(&mut caller).await;
    assert!(answer["id"] == 8 && answer["error"].is_string(), "{answer}");
    board.post_json(Kind::Names, &json!({"type": "names"}));
    assert_eq!(next_json(&mut other).await["type"], "names");
}

#[tokio::test]
async fn a_stop_and_its_release_pass_calls_that_wait_and_a_call_too_many_is_refused_by_name() {
    let (address, _board, mut calls) = start("").await;
    let mut browser = browser(address).await;
    let call = |id: u32, service: &str| Message::text(json!({"type": "call", "id": id, "service": service}).to_string());
    for id in 0..16 {
        browser.send(call(id, "policy/save_weights")).await.unwrap();
    }
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let call = calls.recv().await.unwrap();
        assert_eq!(call.service, "policy/save_weights");
        waiting.push(call.answer);
    }
    browser.send(call(16, "policy/save_weights")).await.unwrap();
    let refusal = next_json(&mut browser).await;
    assert!(refusal["id"] == 16 && refusal["error"].as_str().unwrap().contains("16 calls"), "{refusal}");
    for (id, service) in [(17, "policy/emergency_stop"), (18, "policy/release")] {
        browser.send(call(id, service)).await.unwrap();
        let passing = tokio::time::timeout(Duration::from_secs(10), calls.recv()).await.expect("the call was lost").unwrap();
        assert_eq!(passing.service, service);
        passing.answer.send(Ok(json!({"success": true}))).unwrap();
        assert_eq!(next_json(&mut browser).await, json!({"type": "answer", "id": id, "response": {"success": true}}));
    }
    // Those that waited are answered as ever, and make room.
    waiting.pop().unwrap().send(Ok(json!({}))).unwrap();
    assert_eq!(next_json(&mut browser).await["id"], 15);
    browser.send(call(19, "policy/save_weights")).await.unwrap();
    assert_eq!(calls.recv().await.unwrap().service, "policy/save_weights");
}

#[tokio::test]
async fn messages_that_are_no_requests_close_the_connection_with_a_reason() {
    let (address, _board, mut calls) = start("").await;
    let flood = || (0..200).map(|_| Message::Ping(Vec::new().into())).collect::<Vec<_>>();
    for (messages, code, reason) in [
        (vec![Message::text("{")], 1007, "EOF"),
        (vec![Message::text(r#"{"type":"shutdown"}"#)], 1007, "shutdown"),
        (vec![Message::text(r#"{"type":"call","id":1,"service":"s","extra":1}"#)], 1007, "extra"),
        (vec![Message::binary(vec![0; 10])], 1003, "text"),
        (vec![Message::text("x".repeat(200_000))], 1002, "too long"),
        (flood(), 1008, "too many"),
    ] {
        let mut browser = browser(address).await;
        for message in messages {
            // The server may close before all are sent.
            let _ = browser.send(message).await;
        }
        let (got, text) = close_reason(&mut browser).await;
        assert!(got == code && text.contains(reason), "expected {code} {reason}, got {got} {text}");
    }
    // Bytes that are no frame: reserved bits and an opcode that does not exist.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    stream.write_all(&[0xff; 64]).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("kept open").ok();
    assert!(calls.try_recv().is_err());
    browser(address).await;
}

#[tokio::test]
async fn foreign_origins_names_and_tokens_are_refused() {
    let (address, _board, _calls) = start("").await;
    assert_eq!(connect(address, "/ws", Some("http://evil.example")).await.err(), Some(403));
    assert_eq!(connect(address, "/ws", Some("null")).await.err(), Some(403));
    assert!(http(address, "/", "host: rebound.example:8080\r\n").await.starts_with("HTTP/1.1 403"));
    assert!(http(address, "/", "host: localhost\r\n").await.starts_with("HTTP/1.1 200"));

    let (address, _board, _calls) = start(TOKEN).await;
    assert_eq!(connect(address, "/ws", None).await.err(), Some(401));
    assert_eq!(connect(address, "/ws?token=a-token-of-20-digitz", None).await.err(), Some(401));
    assert!(connect(address, &format!("/ws?token={TOKEN}"), None).await.is_ok());
    assert_eq!(connect(address, &format!("/ws?token={TOKEN}"), Some("http://evil.example")).await.err(), Some(403));
}

#[tokio::test]
async fn the_token_moves_from_the_address_into_a_cookie() {
    let (address, _board, _calls) = start(TOKEN).await;
    let host = format!("host: {address}\r\n");
    assert!(http(address, "/", &host).await.starts_with("HTTP/1.1 401"));
    let response = http(address, &format!("/?token={TOKEN}"), &host).await;
    assert!(response.starts_with("HTTP/1.1 303") && response.contains("HttpOnly; SameSite=Lax"), "{response}");
    assert!(response.contains("location: /\r\n"), "{response}");
    let (name, value) = cookie(&response);
    assert_eq!(value, TOKEN);
    let cookie = format!("{host}cookie: {name}={value}\r\n");
    let response = http(address, "/", &cookie).await;
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("frame-ancestors 'none'"), "{response}");
    assert!(http(address, "/../Cargo.toml", &cookie).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn viewers_on_one_host_do_not_lock_each_other_out() {
    let (first, _first_board, _first_calls) = start(TOKEN).await;
    let (second, _second_board, _second_calls) = start(OTHER_TOKEN).await;
    // As a browser keeps them: by name, whatever the port.
    let mut kept = BTreeMap::new();
    for (address, token) in [(first, TOKEN), (second, OTHER_TOKEN)] {
        let response = http(address, &format!("/?token={token}"), &format!("host: {address}\r\n")).await;
        let (name, value) = cookie(&response);
        kept.insert(name.to_owned(), value.to_owned());
    }
    let cookies: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for address in [first, second] {
        let response = http(address, "/", &format!("host: {address}\r\ncookie: {}\r\n", cookies.join("; "))).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{cookies:?}: {response}");
    }
}

#[tokio::test]
async fn more_browsers_and_connections_than_allowed_hear_why_and_a_place_that_is_left_is_free() {
    let (address, board, _calls) = start("").await;
    let mut browsers = Vec::new();
    for _ in 0..LIMITS.browsers {
        browsers.push(browser(address).await);
    }
    let (code, reason) = close_reason(&mut browser(address).await).await;
    assert!(code == 1013 && reason.contains("too many browsers"), "{code} {reason}");

    // A thousand connections that say nothing: those beyond the limit hear why at once.
    let (mut silent, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if silent.len() < LIMITS.connections {
            silent.push(stream);
            continue;
        }
        let mut refusal = String::new();
        stream.read_to_string(&mut refusal).await.unwrap();
        assert!(refusal.starts_with("HTTP/1.1 503") && refusal.ends_with("too many connections already"), "{refusal}");
        refused += 1;
    }
    assert_eq!(refused, 1000 - LIMITS.connections);
    drop(silent);

    browsers.pop();
    board.post_json(Kind::Names, &json!({"type": "names"}));
    for _ in 0..100 {
        // Who has no place hears why before any frame.
        if matches!(next(&mut browser(address).await).await, Some(Message::Text(_))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place of a browser that left stays taken");
}
