//! The domain of its own that a portal is reached at, and how its TLS certificate is verified.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    call::Call,
    clock::timestamp,
    fields::{Field, Rule},
    operation::{Act, Operation, op},
    problem::Problem,
    resource::Merge,
    singleton::Singleton,
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/custom-domain", 200, Act::Special(None, get)),
    op("POST",   "/v3/portals/{portalId}/custom-domain", 201, Act::CreateOne(&DOMAIN)).with_body(),
    op("PATCH",  "/v3/portals/{portalId}/custom-domain", 200, Act::Special(Some(CHANGE), update)).with_body(),
    op("DELETE", "/v3/portals/{portalId}/custom-domain", 204, Act::DeleteOne(&DOMAIN)),
];

static DOMAIN: Singleton = Singleton::new(Kind::CustomDomain, view)
    .create(&[
        Field::required("hostname", Rule::Hostname),
        Field::required("enabled", Rule::Boolean),
        Field::required(
            "ssl",
            Rule::OneOf {
                by: METHOD,
                forms: &[
                    (
                        CUSTOM,
                        &[
                            Field::required(METHOD, Rule::Choice(&[CUSTOM])),
                            Field::required(CERTIFICATE, TEXT),
                            Field::required(KEY, TEXT),
                            Field::optional("skip_ca_check", Rule::Boolean),
                        ],
                    ),
                    ("http", &[Field::required(METHOD, Rule::Choice(&["http"]))]),
                ],
            },
        ),
    ])
    .update(CHANGE)
    .merge(Merge::Deep)
    .exists(already_exists)
    .before_create(before_create)
    .before_update(note_upload);

const CHANGE: &[Field] = &[
    Field::optional("enabled", Rule::Boolean),
    Field::optional(
        "ssl",
        Rule::Object(&[
            Field::optional(CERTIFICATE, TEXT).or_left_out(),
            Field::optional(KEY, TEXT).or_left_out(),
            Field::optional("skip_ca_check", Rule::Boolean),
        ]),
    ),
];

/// Text without a limit in the schema.
const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};

const METHOD: &str = "domain_verification_method";
const CUSTOM: &str = "custom_certificate";
const CERTIFICATE: &str = "custom_certificate";
const KEY: &str = "custom_private_key";

/// How long it takes until what DNS has to say is taken as verified.
const VERIFIED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// Shows a domain as it was when it was last changed.
fn view(_: &World, row: &Row) -> Value {
    show(row, row.updated_at)
}

fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(show(&DOMAIN.read(call)?, call.now))
}

fn update(call: &mut Call<'_>) -> Result<Value, Problem> {
    DOMAIN.patch_one(call)?;
    get(call)
}

/// Shows a domain as it is at a time. No DNS is asked: a while after it was made all is as it
/// should be, but for names that cannot exist.
fn show(row: &Row, now: DateTime<Utc>) -> Value {
    let hostname = row.text("hostname");
    let is_found = now >= row.created_at + VERIFIED_AFTER && !hostname.ends_with(".invalid");
    let by_dns = if is_found { "verified" } else { "pending" };
    let kept = row.get("ssl");
    let mut ssl = json!({METHOD: kept[METHOD], "verification_status": by_dns});
    if kept[METHOD] == CUSTOM {
        let errors = errors_of(kept);
        ssl["verification_status"] = json!(if errors.is_empty() {
            "verified"
        } else {
            "error"
        });
        if !errors.is_empty() {
            ssl["validation_errors"] = json!(errors);
        }
        ssl["uploaded_at"] = kept["uploaded_at"].clone();
        ssl["skip_ca_check"] = json!(kept["skip_ca_check"] == true);
    }
    json!({
        "hostname": hostname,
        "enabled": row.is("enabled"),
        "ssl": ssl,
        "cname_status": by_dns,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
    })
}

/// Returns what is wrong with a certificate and its key, of which only the PEM labels are read.
fn errors_of(ssl: &Value) -> Vec<&'static str> {
    let holds = |member: &str, label: &str| {
        let text = ssl[member].as_str().unwrap_or_default();
        text.contains("-----BEGIN ") && text.contains(label)
    };
    let certificate = (!holds(CERTIFICATE, " CERTIFICATE-----"))
        .then_some("the certificate is not in PEM format");
    let key = (!holds(KEY, "PRIVATE KEY-----")).then_some("the private key is not in PEM format");
    certificate.into_iter().chain(key).collect()
}

/// No 409 is declared, so a second domain is a 400.
fn already_exists() -> Problem {
    let reason = "the portal has a custom domain already";
    Problem::invalid_body("hostname", "invalid", reason)
}

/// Refuses a host name in use and notes when a certificate came.
fn before_create(call: &mut Call<'_>) -> Result<(), Problem> {
    let hostname = call.text("hostname").unwrap_or_default();
    let is_taken = call
        .world
        .all(Kind::CustomDomain)
        .any(|row| row.text("hostname").eq_ignore_ascii_case(hostname));
    if is_taken {
        let reason = "\"hostname\" is already in use";
        return Err(Problem::invalid_body("hostname", "invalid", reason));
    }
    note_upload(call)
}

/// Notes when a certificate came; from then on it is the one that counts.
fn note_upload(call: &mut Call<'_>) -> Result<(), Problem> {
    let now = timestamp(call.now);
    if let Some(Value::Object(ssl)) = call.body.get_mut("ssl")
        && ssl.contains_key(CERTIFICATE)
    {
        ssl.insert(METHOD.to_owned(), json!(CUSTOM));
        ssl.insert("uploaded_at".to_owned(), json!(now));
    }
    Ok(())
}
