//! Who may look and call: the token, the Host and the Origin of a request.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};

/// Shortest token accepted: 16 characters cannot be guessed over a network.
const SHORTEST_TOKEN: usize = 16;

/// Why the viewer must not listen where it was told to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Other machines could call the robot's services without a token.
    #[error(
        "the address {0} is reachable from other machines, so a token is needed; set the parameter `token`, or listen on 127.0.0.1"
    )]
    TokenNeeded(IpAddr),
    /// The token is easy to guess, or cannot be part of an address.
    #[error(
        "the token must be at least {SHORTEST_TOKEN} characters of letters, digits, `-` and `_`; for example the output of: openssl rand -hex 16"
    )]
    BadToken,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token is missing or wrong.
    #[error("the token is missing or wrong; open the address that the viewer printed")]
    Token,
    /// Without a token only names of this machine are answered: others could come from a page that had its name pointed here.
    #[error("the name in the address is not one of this machine; use localhost, or start the viewer with a token")]
    Host,
    /// A page of another site wants to look or call.
    #[error("pages of other sites may not use the viewer")]
    Origin,
}

/// What a request must show.
#[derive(Clone, Debug)]
pub struct Access {
    token: Option<String>,
}

impl Access {
    /// For a server at `address`; an empty `token` is none.
    ///
    /// # Errors
    /// [`AccessError`] for an address beyond this machine without a token, and for a weak token.
    pub fn new(address: SocketAddr, token: &str) -> Result<Self, AccessError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match token {
            "" if !address.ip().is_loopback() => Err(AccessError::TokenNeeded(address.ip())),
            "" => Ok(Self { token: None }),
            _ if token.len() < SHORTEST_TOKEN || !token.chars().all(fits) => Err(AccessError::BadToken),
            _ => Ok(Self { token: Some(token.to_owned()) }),
        }
    }

    /// The token, if one is needed.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Checks a request: its Host header, its Origin header (browsers send one with a WebSocket), and the token given in its address or
    /// cookie.
    ///
    /// # Errors
    /// [`Refusal`] names the first that is wrong.
    pub fn check(&self, host: Option<&str>, origin: Option<&str>, token: Option<&str>) -> Result<(), Refusal> {
        if let Some(origin) = origin {
            // Same site: a browser's origin is scheme://host, with the very text of the Host header.
            let site = origin.split_once("://").map(|(_, site)| site);
            if site.is_none() || !site.zip(host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host)) {
                return Err(Refusal::Origin);
            }
        }
        match &self.token {
            Some(expected) if token.is_some_and(|given| same(given, expected)) => Ok(()),
            Some(_) => Err(Refusal::Token),
            None if host.is_some_and(names_this_machine) => Ok(()),
            None => Err(Refusal::Host),
        }
    }
}

/// Compares in a time that says nothing about where the two differ.
fn same(given: &str, expected: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(expected)
}

/// Whether a Host header can only mean this machine: a page whose name was pointed here (DNS rebinding) carries its own name.
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Name of the cookie that carries the token after the first request. Browsers keep one cookie of a name for all ports of a host, where
/// another viewer may listen.
pub fn cookie_name(port: u16) -> String {
    format!("hebbian_viewer_{port}")
}

/// The token in the cookie `name` of a Cookie header.
pub fn token_in_cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access(address: &str, token: &str) -> Result<Access, AccessError> {
        Access::new(address.parse().unwrap(), token)
    }

    #[test]
    fn beyond_loopback_only_with_a_token_that_cannot_be_guessed() {
        assert!(access("127.0.0.1:8080", "").is_ok());
        assert!(access("[::1]:8080", "").is_ok());
        assert!(matches!(access("0.0.0.0:8080", ""), Err(AccessError::TokenNeeded(_))));
        assert_eq!(access("0.0.0.0:8080", "short").unwrap_err(), AccessError::BadToken);
        assert_eq!(access("127.0.0.1:8080", "0123456789abcde;").unwrap_err(), AccessError::BadToken);
        assert!(access("192.168.1.5:80", TOKEN).is_ok());
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_answered() {
        let access = access("127.0.0.1:8080", "").unwrap();
        for host in ["127.0.0.1:8080", "localhost:9000", "[::1]:8080", "LocalHost", "127.0.0.1"] {
            assert_eq!(access.check(Some(host), None, None), Ok(()), "{host}");
        }
        for host in ["rebound.example:8080", "10.0.0.1:8080", "localhost.example", "127.0.0.1.example:8080", ""] {
            assert_eq!(access.check(Some(host), None, None), Err(Refusal::Host), "{host}");
        }
        assert_eq!(access.check(None, None, None), Err(Refusal::Host));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let access = access("127.0.0.1:8080", "").unwrap();
        let check = |origin| access.check(Some("localhost:8080"), Some(origin), None);
        assert_eq!(check("http://localhost:8080"), Ok(()));
        for origin in ["http://evil.example", "http://localhost:8081", "null", "http://localhost:8080.evil.example", ""] {
            assert_eq!(check(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn a_page_from_a_development_server_gets_in_when_that_passes_its_host_on() {
        let access = access("127.0.0.1:8080", "").unwrap();
        // `npm run dev` serves the page on port 5173 and hands the WebSocket on to port 8080.
        let origin = Some("http://localhost:5173");
        assert_eq!(access.check(Some("localhost:5173"), origin, None), Ok(()));
        assert_eq!(access.check(Some("127.0.0.1:8080"), origin, None), Err(Refusal::Origin));
    }

    #[test]
    fn a_token_replaces_the_check_of_the_name_but_not_that_of_the_origin() {
        let access = access("0.0.0.0:8080", TOKEN).unwrap();
        assert_eq!(access.check(Some("robot.lan:8080"), None, Some(TOKEN)), Ok(()));
        assert_eq!(access.check(Some("robot.lan:8080"), None, None), Err(Refusal::Token));
        assert_eq!(access.check(Some("robot.lan:8080"), None, Some("0123456789abcdeg")), Err(Refusal::Token));
        assert_eq!(access.check(Some("robot.lan:8080"), Some("http://evil.example"), Some(TOKEN)), Err(Refusal::Origin));
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let name = cookie_name(808);
        assert_eq!(token_in_cookie("a=b; hebbian_viewer_8080=uvw; hebbian_viewer_808=xyz; c=d", &name), Some("xyz"));
        assert_eq!(token_in_cookie("hebbian_viewer_8080=uvw; hebbian_viewer=rst", &name), None);
    }
}
