//! The bounds of the ingest endpoint: slow, large and many senders, TLS, and what others notice of
//! them.

mod connections;
mod memory;
mod tls;

use std::time::Duration;

use tokio::net::TcpStream;

use crate::support::app::AUTHORIZATION;
use crate::support::signer::Entry;

/// A loaded machine takes its time.
const PATIENCE: Duration = Duration::from_mins(1);
const MIB: usize = 1024 * 1024;

/// A connection that says what it is told to.
async fn connect(url: &str) -> TcpStream {
    let address = url.split("//").nth(1).unwrap();
    TcpStream::connect(address).await.expect("a connection")
}

/// The header of a delivery of `length` bytes.
fn header(length: usize) -> String {
    format!(
        "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn entry(number: u64) -> String {
    Entry::numbered(number).json()
}
