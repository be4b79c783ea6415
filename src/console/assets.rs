//! The style and the script of the pages, served from the program itself and kept by browsers until
//! they change.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("static/console.css");
const SCRIPT: &str = include_str!("static/console.js");
const ICON: &str = include_str!("static/icon.svg");

/// Changes with the files, so that a browser never uses the style of an older usher.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::new()
        .chain_update(STYLE)
        .chain_update(SCRIPT)
        .chain_update(ICON)
        .finalize();
    URL_SAFE_NO_PAD.encode(&hash[..9])
});

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    Router::new()
        .route(
            "/assets/console.css",
            get(async || file("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/assets/console.js",
            get(async || file("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route(
            "/assets/icon.svg",
            get(async || file("image/svg+xml", ICON)),
        )
}

fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content)
}
