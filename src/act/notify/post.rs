//! The only way to send a notice: its host is resolved once, every address is checked, and the
//! connection goes only to those addresses.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect;
use tokio::time::timeout;
use url::{Host, Url};

use crate::act::notify::address::is_public;
use crate::act::notify::{Key, NoticeError, SignedRequest};
use crate::clock::Clock;
use crate::config::{HookSecret, NotifyConfig};

/// Longest time to find the addresses of a host, and to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// The prefix of a value that is in a file.
const FILE: &str = "file:";
/// Longest time for one notice as a whole.
const WHOLE: Duration = Duration::from_secs(10);

/// Sends notices. Keeps no connection: each notice has its own, to addresses that were checked for
/// it.
#[derive(Debug, Clone)]
pub(in crate::act) struct Notifier {
    config: NotifyConfig,
    clock: Clock,
    console: Option<Url>,
}

impl Notifier {
    /// Notices lead to the pages of `console`, where people can reach it.
    pub(in crate::act) fn new(config: NotifyConfig, clock: Clock, console: Option<Url>) -> Self {
        Self {
            config,
            clock,
            console,
        }
    }

    /// Where people reach the console.
    pub(in crate::act) fn console(&self) -> Option<&Url> {
        self.console.as_ref()
    }

    /// The URL that a rule names, in place or as `file:PATH`, which is read anew each time.
    pub(in crate::act) async fn url(&self, named: &str) -> Result<Url, NoticeError> {
        let text = match named.strip_prefix(FILE) {
            Some(path) => read(path).await?,
            None => named.to_owned(),
        };
        Url::parse(text.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| NoticeError::Url(named.to_owned()))
    }

    /// The key in the file that a rule names, else the one of the configuration.
    pub(in crate::act) async fn key(&self, named: Option<&str>) -> Result<Key, NoticeError> {
        let Some(named) = named else {
            let configured = self.config.secret.clone();
            return configured.map(Key::Secret).ok_or(NoticeError::Unsigned);
        };
        let path = named.strip_prefix(FILE).unwrap_or(named);
        HookSecret::parse(read(path).await?.trim())
            .map(Key::Secret)
            .ok_or_else(|| NoticeError::Secret(path.to_owned()))
    }

    /// Sends one notice once; returns the status of a success.
    pub(in crate::act) async fn post(&self, signed: &SignedRequest) -> Result<u16, NoticeError> {
        let host = signed.url.host_str().unwrap_or_default().to_owned();
        let addresses = self.addresses(&signed.url, &host).await?;
        self.send(signed, host, addresses).await
    }

    /// Sends it to these addresses, whatever its host resolves to by now.
    async fn send(
        &self,
        signed: &SignedRequest,
        host: String,
        addresses: Vec<SocketAddr>,
    ) -> Result<u16, NoticeError> {
        let client = reqwest::Client::builder()
            .dns_resolver(Pinned(addresses))
            // A proxy would choose the address itself.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| NoticeError::Connection(host.clone()))?;
        let mut request = client
            .post(signed.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(signed.body.clone());
        for (name, value) in signed.headers(self.clock.now()) {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| {
            if error.is_timeout() {
                NoticeError::Timeout(host.clone())
            } else {
                NoticeError::Connection(host.clone())
            }
        })?;
        // The answer's body is not read: nothing in it matters, and it may be endless.
        let status = answer.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        if status.is_redirection() {
            return Err(NoticeError::Redirected {
                host,
                status: status.as_u16(),
            });
        }
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Err(NoticeError::Answered {
            host,
            status: status.as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    /// The addresses of the host, all of them allowed.
    async fn addresses(&self, url: &Url, host: &str) -> Result<Vec<SocketAddr>, NoticeError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![(address, port).into()],
            Some(Host::Ipv6(address)) => vec![(address, port).into()],
            Some(Host::Domain(name)) => timeout(CONNECT, tokio::net::lookup_host((name, port)))
                .await
                .map_err(|_| NoticeError::Resolve(host.to_owned()))?
                .map_err(|_| NoticeError::Resolve(host.to_owned()))?
                .collect(),
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(NoticeError::Resolve(host.to_owned()));
        }
        let allowed = self.config.allow_private.iter();
        let is_allowed = allowed.clone().any(|name| name.eq_ignore_ascii_case(host));
        // A name with one private address among public ones may be made to point inside.
        if is_allowed || addresses.iter().all(|address| is_public(address.ip())) {
            return Ok(addresses);
        }
        Err(NoticeError::Private(host.to_owned()))
    }
}

async fn read(path: &str) -> Result<String, NoticeError> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|source| NoticeError::File {
            path: path.to_owned(),
            source,
        })
}

/// Answers every DNS query with the addresses that were checked.
#[derive(Debug, Clone)]
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(async { Ok(addresses) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::Notifier;
    use crate::act::notify::{Key, SignedRequest};
    use crate::clock::Clock;
    use crate::config::NotifyConfig;

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_by_now_is_not_followed() {
        let checked = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = checked.local_addr().unwrap().port();
        // The address of the name when it is resolved again.
        let inside = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let signed = SignedRequest {
            id: Uuid::nil(),
            url: format!("http://localhost:{port}/").parse().unwrap(),
            key: Key::None,
            body: "{}".to_owned(),
        };
        let notifier = Notifier::new(NotifyConfig::default(), Clock::system(), None);
        let pinned = vec![checked.local_addr().unwrap()];
        let hear = async {
            let (mut connection, _) = tokio::select! {
                heard = checked.accept() => heard.unwrap(),
                _ = inside.accept() => panic!("the name was asked again"),
            };
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                connection.read_buf(&mut request).await.unwrap();
            }
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            connection.write_all(answer).await.unwrap();
            // Open until the answer has been read.
            connection
        };
        let sent = notifier.send(&signed, "localhost".to_owned(), pinned);
        let (sent, _connection) = tokio::join!(sent, hear);
        assert_eq!(sent.unwrap(), 204);
    }
}
