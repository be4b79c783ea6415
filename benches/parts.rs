//! What one entry costs usher in memory alone: parsing, identity, the check of its signature, and a
//! thousand rules on one signal.
//! Must not touch a database or the network; the whole way is measured by `end_to_end`.

use std::fmt::Write as _;
use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey, verify_batch};
use usher::event::signature::{Signed, locate};
use usher::event::{event_id, parse};
use usher::rules::{DeveloperFacts, Facts, PortalFacts, SignalFacts, decide, load};
use uuid::Uuid;

/// Signatures that usher checks at once.
const BATCH: usize = 256;

/// A JSON login, without its signature.
fn json(number: usize) -> String {
    format!(
        concat!(
            r#"{{"cef_version":0,"event_class_id":"AUTHENTICATION_TYPE_BASIC","event_product":"Dev-Portal","#,
            r#""event_ts":"2026-06-23T14:28:47Z","event_vendor":"KongInc","event_version":"1.0","#,
            r#""name":"AUTHENTICATION_OUTCOME_SUCCESS","org_id":"998db3e4-5cb7-4dd5-b51c-9878096a6999","#,
            r#""portal_id":"3e551b39-227d-4297-b911-e68fd5d77c17","#,
            r#""principal_id":"a3d2699a-0ed3-4417-bb10-d8e74a1513a4","request":"/api/v2/developer/authenticate","#,
            r#""rt":"1782224927556","severity":0,"src":"172.71.232.22","success":"true","#,
            r#""trace_id":33601941454998{:05},"user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}}"#
        ),
        number
    )
}

/// The same login as CEF, without its signature.
fn cef(number: usize) -> String {
    format!(
        concat!(
            "2026-06-23T14:28:47Z konghq.com CEF:0|KongInc|Dev-Portal|1.0|AUTHENTICATION_TYPE_BASIC|",
            "AUTHENTICATION_OUTCOME_SUCCESS|0|rt=1782224927556 src=172.71.232.22 ",
            "request=/api/v2/developer/authenticate success=true ",
            "org_id=998db3e4-5cb7-4dd5-b51c-9878096a6999 ",
            "portal_id=3e551b39-227d-4297-b911-e68fd5d77c17 ",
            "principal_id=a3d2699a-0ed3-4417-bb10-d8e74a1513a4 ",
            "trace_id=33601941454998{:05} user_agent=Mozilla/5.0 (X11; Linux x86_64)"
        ),
        number
    )
}

fn sign(key: &SigningKey, text: &str) -> String {
    URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes())
}

fn signed_json(key: &SigningKey, number: usize) -> String {
    let unsigned = json(number);
    let open = unsigned.strip_suffix('}').expect("an object");
    format!(r#"{open},"sig":"{}"}}"#, sign(key, &unsigned))
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Bytes to event, identity included: what every entry goes through.
fn parsing(criterion: &mut Criterion) {
    let key = key();
    let unsigned = cef(0);
    let formats = [
        ("json", signed_json(&key, 0)),
        ("cef", format!("{unsigned} sig={}", sign(&key, &unsigned))),
        ("cps", format!(r#"{{"event":{}}}"#, signed_json(&key, 0))),
    ];
    let mut group = criterion.benchmark_group("parse");
    for (format, line) in &formats {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(*format, |bencher| {
            bencher.iter(|| parse(black_box(line.as_bytes())).expect("an entry"));
        });
    }
    group.finish();
}

/// The part of parsing that hashes the members.
fn identity(criterion: &mut Criterion) {
    let event = parse(json(0).as_bytes()).expect("an entry");
    criterion.bench_function("identity", |bencher| {
        bencher.iter(|| event_id(black_box(event.event_ts), black_box(&event.members)));
    });
}

/// A line with its signature found and cut out.
fn found(line: &str) -> (Vec<u8>, Signature) {
    let Signed::Present { sig, candidates } = locate(line.as_bytes()) else {
        unreachable!("the line is signed");
    };
    let first = candidates.into_iter().next().expect("never empty");
    (first.message, Signature::from_bytes(&sig))
}

fn check_all(lines: &[String], keys: &[VerifyingKey]) -> bool {
    let (messages, signatures): (Vec<_>, Vec<_>) = lines.iter().map(|line| found(line)).unzip();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    verify_batch(&messages, &signatures, keys).is_ok()
}

/// The byte surgery alone, and with the check: one by one, as in a batch that failed, and at once.
fn verifying(criterion: &mut Criterion) {
    let key = key();
    let public = key.verifying_key();
    let lines: Vec<String> = (0..BATCH).map(|number| signed_json(&key, number)).collect();
    let mut group = criterion.benchmark_group("verify");
    group.bench_function("locate", |bencher| {
        bencher.iter(|| locate(black_box(lines[0].as_bytes())));
    });
    group.bench_function("single", |bencher| {
        bencher.iter(|| {
            let (message, signature) = found(black_box(&lines[0]));
            assert!(public.verify_strict(&message, &signature).is_ok());
        });
    });
    let keys = vec![public; BATCH];
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("batch_of_256", |bencher| {
        bencher.iter(|| assert!(check_all(black_box(&lines), &keys)));
    });
    group.finish();
}

/// A newcomer of a partner.
fn newcomer() -> Facts {
    let now = DateTime::UNIX_EPOCH;
    Facts {
        signal: SignalFacts {
            kind: "developer.signed_up".to_owned(),
            from_status: None,
            at: now,
            own: false,
        },
        portal: PortalFacts {
            id: Uuid::nil(),
            name: "Football".to_owned(),
        },
        developer: Some(DeveloperFacts {
            id: Uuid::nil(),
            email: "ann@arsenal.com".to_owned(),
            full_name: "Ann".to_owned(),
            status: "pending".to_owned(),
            created_at: now,
            teams: Vec::new(),
            applications: Vec::new(),
        }),
        application: None,
        registration: None,
        event: None,
        now,
        is_again: false,
        is_forgotten: false,
    }
}

/// A thousand rules on one signal: each asks all it can and says no, or all agree.
fn deciding(criterion: &mut Criterion) {
    let facts = newcomer();
    let mut group = criterion.benchmark_group("decide_1000_rules");
    for (outcome, names) in [("none_match", "n"), ("all_match", "A")] {
        let mut text = "version: 1\nlists: {partners: [arsenal.com]}\nrules:\n".to_owned();
        for number in 0..1_000 {
            write!(
                text,
                "  - name: r{number}\n    on: developer.signed_up\n    then: [approve_developer]\n    \
                 when: developer.status == 'pending' && domain(developer.email) in lists.partners \
                 && developer.full_name.startsWith('{names}')\n"
            )
            .expect("text grows");
        }
        let rules = load(&text, "rules.yaml").expect("the rules check");
        group.bench_function(outcome, |bencher| {
            bencher.iter(|| assert_eq!(decide(black_box(&rules), &facts).len(), 1_000));
        });
    }
    group.finish();
}

criterion_group!(parts, parsing, identity, verifying, deciding);
criterion_main!(parts);
