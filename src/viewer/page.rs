//! The page: the files that `scripts/page` built into `viewer/dist`, within the binary.

use axum::body::Bytes;
use include_dir::{Dir, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/viewer/dist");

/// What is shown where the page was left out of the build.
const LEFT_OUT: &str = include_str!("left_out.html");

/// A file of the page.
#[derive(Debug, PartialEq)]
pub struct File {
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub content: Bytes,
}

/// Whether the page was built when this program was.
pub fn is_embedded() -> bool {
    FILES.contains("index.html")
}

/// The file at `path` of the page, without a leading slash; empty: the page itself.
pub fn file(path: &str) -> Option<File> {
    let path = if path.is_empty() { "index.html" } else { path };
    let html = "text/html; charset=utf-8";
    if path == "index.html" && !is_embedded() {
        return Some(File { media_type: html, content: Bytes::from_static(LEFT_OUT.as_bytes()) });
    }
    let media_type = match path.rsplit_once('.')?.1 {
        "html" => html,
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    Some(File { media_type, content: Bytes::from_static(FILES.get_file(path)?.contents()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_page_and_nothing_beside_it() {
        assert!(file("").is_some_and(|file| file.media_type.starts_with("text/html") && !file.content.is_empty()));
        for path in [".gitignore", "../Cargo.toml", "missing.js", "/etc/passwd"] {
            assert_eq!(file(path), None, "{path}");
        }
    }
}
