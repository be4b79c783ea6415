//! Failures are repeated where that is safe, bounded always, and told without secrets.

use std::error::Error as StdError;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use governor::{Quota, RateLimiter};
use konnect::{Client, Developer, DeveloperId, Error, ListDevelopers, RetryPolicy};
use serde_json::json;

use crate::support::{Answer, Fake, PORTAL, TOKEN, developer, id};

async fn read(client: &Client) -> Result<Developer, Error> {
    client
        .portal(PORTAL)
        .developers()
        .get(DeveloperId(id(1)))
        .await
}

#[tokio::test]
async fn repeats_a_read_until_it_succeeds() {
    let fake = Fake::start().await;
    fake.will_answer(503, "<html>");
    fake.state().answers.push_back(Answer::Cut);
    fake.will_answer(200, developer(id(1), "approved").to_string());
    read(&fake.client()).await.unwrap();
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn returns_the_last_failure_when_attempts_are_used_up() {
    let fake = Fake::start().await;
    for status in [500, 502, 504, 200] {
        fake.will_answer(status, "");
    }
    assert_eq!(read(&fake.client()).await.unwrap_err().status(), Some(504));
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn does_not_repeat_what_will_not_change() {
    for status in [302, 400, 401, 403, 404, 409, 501] {
        let fake = Fake::start().await;
        fake.will_answer_with(status, "location", "/elsewhere");
        let error = read(&fake.client()).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert!(!error.is_transient());
        assert_eq!(fake.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn waits_as_long_as_retry_after_says() {
    let fake = Fake::start().await;
    fake.will_answer_with(429, "retry-after", "1");
    fake.will_answer(200, developer(id(1), "approved").to_string());
    read(&fake.client()).await.unwrap();
    let asked = fake.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn returns_a_retry_after_that_is_longer_than_it_may_wait() {
    let fake = Fake::start().await;
    fake.will_answer_with(429, "retry-after", "3600");
    let error = read(&fake.client()).await.unwrap_err();
    assert!(error.is_rate_limited() && error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn gives_up_on_an_answer_that_does_not_come() {
    let fake = Fake::start().await;
    fake.state().answers.push_back(Answer::Never);
    let builder = fake.builder().timeout(Duration::from_millis(100));
    let client = builder.retries(RetryPolicy::none()).build().unwrap();
    let error = read(&client).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn reports_a_host_that_is_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let client = Client::builder(url)
        .retries(RetryPolicy::none())
        .build()
        .unwrap();
    let error = read(&client).await.unwrap_err();
    assert!(
        matches!(error, Error::Transport { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert!(error.source().is_some());
}

#[tokio::test]
async fn reads_no_more_than_its_bounds() {
    let fake = Fake::start().await;
    fake.state()
        .answers
        .push_back(Answer::Large(17 * 1024 * 1024));
    let error = read(&fake.client()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");

    let padding = "x".repeat(128 * 1024);
    fake.will_answer(
        404,
        json!({"title": "Not Found", "detail": "cut", "padding": padding}).to_string(),
    );
    let error = read(&fake.client()).await.unwrap_err();
    assert!(
        error.is_not_found() && error.problem().is_none(),
        "{error:?}"
    );
}

#[tokio::test]
async fn takes_only_a_404_of_the_api_for_what_was_never_set_up() {
    let fake = Fake::start().await;
    let webhook = async || fake.client().portal(PORTAL).webhook().get().await;
    assert_eq!(webhook().await.unwrap(), None);
    for body in [r#"{"message":"no Route matched with those values"}"#, ""] {
        fake.will_answer(404, body);
        let error = webhook().await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
    }
}

#[tokio::test]
async fn tells_the_trace_of_a_refusal() {
    let fake = Fake::start().await;
    let error = read(&fake.client()).await.unwrap_err();
    let Error::Api { trace, problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(trace.as_deref(), Some("kong:trace:1433447772874964729"));
    assert_eq!(
        problem.as_ref().unwrap().title.as_deref(),
        Some("Not Found")
    );
    assert_eq!(
        error.to_string(),
        "GET /v3/portals/{portalId}/developers/{developerId} was answered with 404: Not Found"
    );

    fake.will_answer_with(403, "x-kong-request-id", "abc");
    let error = read(&fake.client()).await.unwrap_err();
    assert!(matches!(&error, Error::Api { trace: Some(trace), .. } if trace == "abc"));
    assert!(error.is_unauthorized());
}

#[tokio::test]
async fn shows_neither_token_nor_addresses_in_errors() {
    let email = "ann@example.com";
    let options = ListDevelopers {
        email: Some(email.into()),
        ..ListDevelopers::default()
    };
    let answers = [
        Answer::Status(
            400,
            vec![],
            json!({"detail": format!("{email} is odd")}).to_string(),
        ),
        Answer::Status(200, vec![], json!({"data": [email]}).to_string()),
        Answer::Never,
        Answer::Cut,
    ];
    for answer in answers {
        let fake = Fake::start().await;
        fake.state().answers.push_back(answer);
        let builder = fake.builder().timeout(Duration::from_millis(200));
        let client = builder.retries(RetryPolicy::none()).build().unwrap();
        let error = client
            .portal(PORTAL)
            .developers()
            .list(&options)
            .await
            .unwrap_err();
        let mut text = format!("{client:?} {error:?} {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text} {cause} {cause:?}");
            source = cause.source();
        }
        for secret in [TOKEN, "ann@", "example.com", "ann%40"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn makes_every_attempt_wait_for_the_rate_limit() {
    let fake = Fake::start().await;
    fake.will_answer(500, "");
    fake.will_answer(500, "");
    fake.will_answer(200, developer(id(1), "approved").to_string());
    let quota = Quota::with_period(Duration::from_millis(150)).unwrap();
    let limiter = Arc::new(RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN)));
    let client = fake.builder().rate_limit(limiter).build().unwrap();
    let begin = Instant::now();
    read(&client).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn tells_the_observer_of_every_attempt() {
    let fake = Fake::start().await;
    fake.will_answer(500, "");
    fake.will_answer(200, developer(id(1), "approved").to_string());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let client = {
        let seen = Arc::clone(&seen);
        fake.builder()
            .on_attempt(move |attempt| seen.lock().unwrap().push((attempt.route, attempt.status)))
            .build()
            .unwrap()
    };
    read(&client).await.unwrap();
    let route = "/v3/portals/{portalId}/developers/{developerId}";
    assert_eq!(
        *seen.lock().unwrap(),
        [(route, Some(500)), (route, Some(200))]
    );
}
