//! `usher setup` against a local Konnect: what it writes there, and what it leaves alone.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod bind;
mod refusals;
mod remove;
mod rotate;
mod wait;

use std::time::Duration;

use konnect::{Client, ListDestinations, PortalId, Webhook};
use konnect_emulator::{DeliverySettings, Emulator};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::support::process::Installation;

const PUBLIC: &str = "https://usher.example.com";
const PORTAL: Uuid = Uuid::from_u128(0xa0);
const PARTNERS: Uuid = Uuid::from_u128(0xa1);
const SIEM: Uuid = Uuid::from_u128(0x51);

/// A Konnect with two portals.
struct Konnect {
    emulator: Emulator,
    client: Client,
}

impl Konnect {
    async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let portals = json!([
            { "id": PORTAL, "name": "Main" }, { "id": PARTNERS, "name": "Partners" },
        ]);
        emulator.seed(&json!({ "portals": portals })).unwrap();
        emulator
            .set_delivery_settings(&DeliverySettings {
                flush_every_ms: 20,
                ..emulator.delivery_settings()
            })
            .unwrap();
        let client = Client::builder(emulator.url().parse().unwrap())
            .token(emulator.token().to_owned().into())
            .build()
            .unwrap();
        Self { emulator, client }
    }

    /// A configuration that knows this Konnect, and no authorization.
    fn settings(&self) -> Value {
        json!({
            "konnect": {
                "base_url": self.emulator.url(), "token": self.emulator.token(),
                "requests_per_second": 500,
            },
        })
    }

    /// Gives the webhook of the portal to somebody else.
    fn give_to_siem(&self) {
        let seed = json!({
            "destinations": [{
                "id": SIEM, "name": "siem", "endpoint": "https://siem.example/audit",
                "authorization": "Splunk x", "log_format": "cef",
            }],
            "webhooks": [{
                "portal_id": PORTAL, "audit_log_destination_id": SIEM, "enabled": true,
            }],
        });
        self.emulator.seed(&seed).unwrap();
    }

    /// Method, end of the path and body of every write so far; forgets all calls.
    fn writes(&self) -> Vec<(String, String, Value)> {
        let requests = self.emulator.requests();
        self.emulator.clear_requests();
        let writes = requests.into_iter().filter(|one| one.method != "GET");
        writes
            .map(|one| {
                let end = one.path.rsplit('/').next().unwrap_or_default();
                let end = if end.parse::<Uuid>().is_ok() {
                    "{id}"
                } else {
                    end
                };
                (one.method, end.to_owned(), one.body)
            })
            .collect()
    }

    /// Names and endpoints of all destinations.
    async fn destinations(&self) -> Vec<(String, String)> {
        let every = ListDestinations::default();
        let all = self.client.destinations().list(&every).await.unwrap();
        let all = all.into_iter();
        all.map(|one| (one.name, one.endpoint)).collect()
    }

    async fn webhook(&self) -> Webhook {
        let portal = PortalId(PORTAL);
        let webhook = self.client.portal(portal).webhook().get().await;
        webhook.unwrap().unwrap()
    }

    /// Does `work` while people sign in to the portal all the time; how many entries that made.
    async fn under_traffic<T>(&self, work: impl Future<Output = T>) -> (T, i64) {
        let mut entries = 0;
        let traffic = async {
            loop {
                entries += 1;
                self.sign_in(entries);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            done = work => (done, entries),
            () = traffic => unreachable!("people sign in for ever"),
        }
    }

    /// Somebody signs in to the portal.
    fn sign_in(&self, number: i64) {
        let entry = json!({
            "name": "AUTHENTICATION_OUTCOME_SUCCESS", "trace_id": number,
            "principal_id": format!("person-{number}"),
        });
        let entry = entry.as_object().unwrap().clone();
        self.emulator.inject(Some(PORTAL), &[entry]).unwrap();
    }
}

/// Arguments that name the portal, with more.
fn of_portal<'a>(portal: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [["setup", "--portal", portal].as_slice(), more].concat()
}

/// An address that is free for now.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// An installation of these settings whose authorization is in a file with this text.
fn with_authorization(mut settings: Value, text: &str) -> Installation {
    let installation = Installation::new(&settings);
    let file = installation.write("usher-authorization", text);
    settings["ingest"] = json!({ "authorization": [format!("file:{}", file.display())] });
    installation.configure(&settings);
    installation
}
