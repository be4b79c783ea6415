//! TLS: a renewed certificate, and certificates that cannot be used.

use std::path::PathBuf;

use reqwest::{Certificate, Client, StatusCode, Version};
use usher::lifecycle::Lifecycle;

use crate::bounds::{PATIENCE, entry};
use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

/// A certificate of the test's own for `localhost`, as PEM with its key.
struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            cert: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn write(&self, installation: &Installation) -> [PathBuf; 2] {
        // The key last: a look in between finds what does not belong together.
        let cert = installation.write("cert.pem", &self.cert);
        [cert, installation.write("key.pem", &self.key)]
    }

    /// A client that trusts this certificate and no other.
    fn client(&self) -> reqwest::ClientBuilder {
        let cert = Certificate::from_pem(self.cert.as_bytes()).unwrap();
        Client::builder().timeout(PATIENCE).tls_certs_only([cert])
    }
}

#[tokio::test]
async fn speaks_tls_and_reads_a_renewed_certificate() {
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let konnect = signer.serve(&Lifecycle::new()).await;
    let mut settings = settings(&database, &konnect);
    let mut installation = Installation::new(&settings);
    let (old, new) = (Pair::new(), Pair::new());
    let [cert, key] = old.write(&installation);
    settings["http"]["tls"] = serde_json::json!({ "cert": cert, "key": key });
    installation.configure(&settings);
    let mut usher = installation.launch();
    usher.listens().await;
    let url = usher.url.replace("http://127.0.0.1", "https://localhost");
    let deliver = async |client: reqwest::ClientBuilder, line: String| {
        let request = client.build().unwrap().post(format!("{url}/audit-logs"));
        let request = request.header("Authorization", AUTHORIZATION).body(line);
        request.send().await
    };
    eventually("the database is ready", PATIENCE, async || {
        let answer = deliver(old.client(), signer.json(&Entry::numbered(1))).await;
        let answer = answer.expect("TLS comes about");
        assert_eq!(answer.version(), Version::HTTP_2);
        answer.status() == StatusCode::OK
    })
    .await;
    let by_http1 = deliver(old.client().http1_only(), signer.json(&Entry::numbered(2))).await;
    let by_http1 = by_http1.expect("TLS comes about");
    assert_eq!(
        (by_http1.version(), by_http1.status()),
        (Version::HTTP_11, StatusCode::OK)
    );

    installation.write("key.pem", "no key");
    let refused = "the certificate cannot be read again";
    eventually("usher says so", PATIENCE, async || {
        usher.log().contains(refused)
    })
    .await;
    assert!(
        deliver(old.client(), entry(3)).await.is_ok(),
        "the old pair serves on"
    );
    new.write(&installation);
    eventually("the new one is shown", PATIENCE, async || {
        deliver(new.client(), entry(4)).await.is_ok()
    })
    .await;
    assert!(
        deliver(old.client(), entry(5)).await.is_err(),
        "the old one is gone"
    );
    // Once for what is no key, and at most once for the new certificate beside the old key.
    assert!(usher.log().matches(refused).count() <= 2, "{}", usher.log());
    usher.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn does_not_start_with_a_certificate_that_cannot_be_used() {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, "http://127.0.0.1:9");
    let mut installation = Installation::new(&settings);
    let (one, other) = (Pair::new(), Pair::new());
    let cert = installation.write("cert.pem", &one.cert);
    let key = installation.write("key.pem", &other.key);
    let empty = installation.write("empty.pem", "");
    for (tls, told) in [
        (
            serde_json::json!({ "cert": cert }),
            "http.tls.key is not set",
        ),
        (
            serde_json::json!({ "cert": "/nowhere", "key": key }),
            "http.tls.cert: could not read /nowhere",
        ),
        (
            serde_json::json!({ "cert": cert, "key": empty }),
            "http.tls.key: ",
        ),
        (
            serde_json::json!({ "cert": empty, "key": key }),
            "http.tls.cert: ",
        ),
        (
            serde_json::json!({ "cert": cert, "key": key }),
            "http.tls.cert, http.tls.key: ",
        ),
    ] {
        settings["http"]["tls"] = tls;
        installation.configure(&settings);
        let status = installation.launch().exit(PATIENCE).await;
        assert_eq!(status.code(), Some(2), "{told}");
        let log = installation.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains(told), "{told}: {last}");
    }
    database.drop().await;
}
