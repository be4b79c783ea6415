//! The check of the `usher serve` that runs at the configured address, if one does. It is asked
//! without a token: another process may have the address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, redirect};
use serde::Deserialize;

use crate::cli::doctor::finding::Finding;
use crate::config::Config;

/// For an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Read of an answer at most.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// A status and a body.
    Text(u16, String),
    /// Nobody listens there.
    Nobody,
    /// Somebody listens, and does not answer as HTTP wants it.
    Odd(String),
}

#[derive(Debug, Deserialize)]
struct Readiness {
    status: String,
    parts: BTreeMap<String, Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    status: String,
}

/// Asks the process at the configured address.
pub(super) async fn ask(config: &Config, path: &str) -> Answered {
    let is_tls = config.http.tls.cert.is_some();
    let scheme = if is_tls { "https" } else { "http" };
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        // The name in the certificate is another one, and nothing secret is sent.
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .build();
    let Ok(client) = client else {
        return Answered::Odd("no call can be made from this machine".to_owned());
    };
    let url = format!("{scheme}://{}{path}", local(config.http.listen));
    let mut response = match client.get(url).send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() && !is_tls => return Answered::Nobody,
        Err(error) if error.is_connect() => {
            let is_there = tokio::net::TcpStream::connect(local(config.http.listen))
                .await
                .is_ok();
            if is_there {
                return Answered::Odd("it does not speak TLS".to_owned());
            }
            return Answered::Nobody;
        }
        Err(error) => return Answered::Odd(crate::telemetry::chain(&error.without_url())),
    };
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_BYTES {
            break;
        }
    }
    Answered::Text(status, String::from_utf8_lossy(&body).into_owned())
}

/// Where a process that listens on `address` can be reached from this machine.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether `usher serve` runs here, and how it does.
pub(super) async fn serve(config: &Config) -> Finding {
    let listen = config.http.listen;
    if listen.port() == 0 {
        return Finding::skipped("http.listen has port 0: where usher serve listens is not known");
    }
    judge(&ask(config, "/readyz").await, listen)
}

fn judge(answered: &Answered, listen: SocketAddr) -> Finding {
    let another = format!("another process has {listen} (http.listen)");
    let mend = format!(
        "end it, or change http.listen: `ss -ltnp | grep {}`",
        listen.port()
    );
    let text = match answered {
        Answered::Nobody => {
            return Finding::skipped(format!(
                "nothing listens on {listen}: usher serve does not run"
            ));
        }
        Answered::Odd(why) => {
            return Finding::warning(format!("{another}, or it hangs: {why}"), mend);
        }
        Answered::Text(_, text) => text,
    };
    let Ok(Readiness { status, parts }) = serde_json::from_str(text) else {
        return Finding::warning(another, mend);
    };
    let unwell: Vec<String> = parts
        .iter()
        .filter(|(_, part)| part.status != "ok")
        .map(|(name, part)| format!("{name} is {}", part.status))
        .collect();
    let told = format!(
        "usher serve runs on {listen} and is {status}: {}",
        unwell.join(", ")
    );
    let mend = if parts
        .get("backfill")
        .is_some_and(|part| part.status != "ok")
    {
        "`usher coverage` shows which time may be missing; for other parts see the other lines, and /readyz with a console token"
    } else {
        "see the other lines, and /readyz with a console token for each reason"
    };
    match status.as_str() {
        "down" => Finding::failed(told, mend),
        _ if !unwell.is_empty() => Finding::warning(told, mend),
        _ => Finding::ok(format!("usher serve runs on {listen} and is {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, judge, local};
    use crate::cli::doctor::finding::Status;

    #[test]
    fn what_answers_is_usher_or_another() {
        let listen = "127.0.0.1:8088".parse().unwrap();
        let text = |status: &str, part: &str| {
            let text = format!(
                "{{\"status\":\"{status}\",\"parts\":{{\"kafka\":{{\"status\":\"{part}\"}}}}}}"
            );
            Answered::Text(200, text)
        };
        for (answered, status, word) in [
            (Answered::Nobody, Status::Skipped, "does not run"),
            (
                Answered::Odd("timed out".to_owned()),
                Status::Warning,
                "hangs",
            ),
            (
                Answered::Text(200, "<html>".to_owned()),
                Status::Warning,
                "another process",
            ),
            (text("ok", "ok"), Status::Ok, "is ok"),
            (
                text("degraded", "degraded"),
                Status::Warning,
                "kafka is degraded",
            ),
            (text("down", "down"), Status::Failed, "is down"),
        ] {
            let told = judge(&answered, listen);
            assert_eq!(told.status, status, "{told:?}");
            assert!(told.detail.contains(word), "{told:?}");
        }
    }

    #[test]
    fn every_address_is_reached_by_the_loopback() {
        for (address, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(local(address.parse().unwrap()).to_string(), reached);
        }
    }
}
