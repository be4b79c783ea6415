//! TLS: who trusts the certificate is answered, others are not, and a connection can still be cut.

use std::time::Duration;

use konnect_emulator::{Emulator, EmulatorError, Fault};
use tokio::io::AsyncWriteExt as _;

fn client(emulator: &Emulator, trusts: bool) -> reqwest::Client {
    let mut client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .resolve("konnect.test", emulator.address());
    if trusts {
        let pem = emulator.certificate_pem().unwrap();
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        client = client.tls_certs_only([certificate]);
    }
    client.build().unwrap()
}

#[tokio::test]
async fn answers_those_who_trust_its_certificate_under_each_of_its_names() {
    let emulator = Emulator::builder().tls(["konnect.test"]).start().await;
    let emulator = emulator.unwrap();
    let port = emulator.address().port();
    assert!(emulator.url().starts_with("https://127.0.0.1:"));
    let path = "v2/audit-log-webhook/jwks.json";
    // Somebody who never ends their handshake holds up nobody.
    let mut silent = tokio::net::TcpStream::connect(emulator.address())
        .await
        .unwrap();
    silent.write_all(&[0x16]).await.unwrap();
    let trusting = client(&emulator, true);
    for host in ["127.0.0.1", "localhost", "konnect.test"] {
        let url = format!("https://{host}:{port}/{path}");
        let answer = trusting.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
    let url = format!("{}/{path}", emulator.url());
    let refused = client(&emulator, false).get(&url).send().await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("ertificate"));
    let plain = url.replace("https", "http");
    assert!(trusting.get(plain).send().await.is_err());

    emulator.set_faults([Fault {
        cut: true,
        times: Some(1),
        ..Fault::default()
    }]);
    assert!(
        trusting
            .get(&url)
            .send()
            .await
            .unwrap_err()
            .status()
            .is_none()
    );
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(15), emulator.stop())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_name_that_no_certificate_can_hold_is_refused() {
    let started = Emulator::builder().tls(["straße"]).start().await;
    assert!(matches!(started, Err(EmulatorError::Certificate(_))));
}
