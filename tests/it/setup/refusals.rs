//! What `usher setup` refuses, with the reason and what works instead; it writes nothing then.

use konnect_emulator::Fault;
use serde_json::json;
use uuid::Uuid;

use crate::setup::{Konnect, PARTNERS, PORTAL, PUBLIC, free_address, with_authorization};
use crate::support::process::Installation;

#[tokio::test]
async fn wrong_inputs_say_what_works_instead() {
    let konnect = Konnect::start().await;
    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    let (portal, unknown) = (PORTAL.to_string(), Uuid::from_u128(7).to_string());
    let (other, url) = (PARTNERS.to_string(), "--public-url");
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (&["--portal", &portal], 2, &["--public-url"]),
        (&[url, PUBLIC], 2, &["--portal", "--org", &portal, &other]),
        (
            &["--portal", &unknown, url, PUBLIC],
            2,
            &["no such portal", &portal, "Main", &other],
        ),
        (&["--portal", &portal, "--org", url, PUBLIC], 2, &["--org"]),
        (
            &["--portal", &portal, url, "usher.example"],
            2,
            &["its scheme"],
        ),
        (
            &["--portal", &portal, url, "https://u.example/?a=b"],
            2,
            &["a query"],
        ),
        (
            &["--portal", &portal, url, "https://u.example/#a"],
            2,
            &["a fragment"],
        ),
        (
            &["--portal", &portal, url, "https://a:b@u.example"],
            2,
            &["a password"],
        ),
        (
            &["--portal", &portal, url, PUBLIC, "--wait", "soon"],
            2,
            &["a duration"],
        ),
        (
            &["--portal", &portal, "--remove", "--rotate"],
            2,
            &["--rotate"],
        ),
        (
            &["--portal", &portal, "--rotate"],
            1,
            &["run `usher setup` first"],
        ),
    ];
    for (arguments, code, expected) in cases {
        let ended = installation
            .run(&[["setup"].as_slice(), arguments].concat())
            .await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        for part in expected {
            assert!(ended.err.contains(part), "{arguments:?}: {}", ended.err);
        }
    }
    assert!(konnect.writes().is_empty());
}

#[tokio::test]
async fn a_token_that_may_not_is_told_in_plain_words() {
    let konnect = Konnect::start().await;
    let portal = PORTAL.to_string();
    let arguments = ["setup", "--portal", &portal, "--public-url", PUBLIC];
    let mut settings = konnect.settings();
    settings["konnect"]["token"] = json!("kpat_wrong");
    let wrong = Installation::new(&settings).run(&arguments).await;
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.err.contains("does not accept the token"),
        "{}",
        wrong.err
    );
    settings["konnect"].as_object_mut().unwrap().remove("token");
    let none = Installation::new(&settings).run(&arguments).await;
    assert_eq!(none.code, Some(2));
    assert!(
        none.err.contains("konnect.token is not set"),
        "{}",
        none.err
    );

    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    konnect.emulator.set_faults([Fault {
        path: "/v3/audit-log-destinations".to_owned(),
        status: Some(403),
        ..Fault::default()
    }]);
    let forbidden = installation.run(&arguments).await;
    assert_eq!(forbidden.code, Some(1));
    assert!(
        forbidden.err.contains("Audit Log Admin"),
        "{}",
        forbidden.err
    );
    assert!(konnect.writes().is_empty());
}

#[tokio::test]
async fn a_rotation_that_could_lose_a_delivery_is_not_begun() {
    let konnect = Konnect::start().await;
    let portal = PORTAL.to_string();
    let setup = ["setup", "--portal", &portal, "--public-url", PUBLIC];
    let rotate = ["setup", "--portal", &portal, "--rotate"];
    let mut settings = konnect.settings();
    settings["http"] = json!({ "listen": free_address().await });

    // Nobody is there to accept another value.
    let installation = with_authorization(settings.clone(), "Bearer mine\n");
    assert_eq!(installation.run(&setup).await.code, Some(0));
    konnect.writes();
    let away = installation.run(&rotate).await;
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(
        away.err.contains("no usher answers at http://127.0.0.1:"),
        "{}",
        away.err
    );
    let file = installation.folder().join("usher-authorization");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "Bearer mine\n");

    // A value that is given in place would not be read again.
    settings["ingest"] = json!({ "authorization": ["Bearer s3cret"] });
    installation.configure(&settings);
    let inline = installation.run(&rotate).await;
    assert_eq!(inline.code, Some(2), "{inline:?}");
    for part in ["is given in place", "file:PATH", "restart"] {
        assert!(inline.err.contains(part), "{}", inline.err);
    }
    assert!(!inline.err.contains("s3cret"));
    assert!(konnect.writes().is_empty());
}
