//! What an answer must be: the status, the media type and the members that the operation declares,
//! as strictly as the official SDKs read it.

use serde_json::Value;

use crate::conformance::{
    facts::{Operation, PLAIN_PROBLEM, PROBLEM},
    schema::{Way, check},
};

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The content type as sent, empty without one.
    pub(super) media: String,
    pub(super) bytes: Vec<u8>,
    /// The body if it is JSON, else null.
    pub(super) body: Value,
    /// The cookie that it sets, without its attributes.
    pub(super) cookie: Option<String>,
}

impl Answer {
    /// Reads a response to its end.
    pub(super) async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let media = response.headers().get("content-type");
        let media = media.map_or("", |media| media.to_str().unwrap()).to_owned();
        let cookie = response.headers().get("set-cookie");
        let cookie = cookie.and_then(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookie = cookie.map(str::to_owned);
        let bytes = response.bytes().await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self {
            status,
            media,
            bytes,
            body,
            cookie,
        }
    }

    /// Returns whether the gateway answered because nothing is at the path.
    pub(super) fn has_no_route(&self) -> bool {
        self.status == 405 || (self.status == 404 && self.media != PROBLEM_JSON)
    }
}

/// A status that operations answer although the documents forget to declare it.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) status: u16,
    /// Whether it may come from the operation.
    applies: fn(&Operation) -> bool,
    /// Why it is right all the same.
    pub(super) reason: &'static str,
}

/// Every status that may come undeclared.
pub(super) const GAPS: &[Gap] = &[
    Gap {
        status: 400,
        applies: |operation| operation.body.is_some() || !operation.query_parameters.is_empty(),
        reason: "the operation takes a body or parameters, and they can be wrong",
    },
    Gap {
        status: 401,
        applies: |_| true,
        reason: "the gateway checks the token before any operation",
    },
    Gap {
        status: 404,
        applies: |operation| !operation.path_parameters.is_empty(),
        reason: "what the path names can be missing, with everything below it",
    },
    Gap {
        status: 415,
        applies: |operation| operation.body.is_some(),
        reason: "a body of another media type cannot be read",
    },
];

/// Returns every way in which an answer is not what the operation declares, and the gap of the
/// documents that it fell into.
pub(super) fn judge(operation: &Operation, answer: &Answer) -> (Vec<String>, Option<&'static Gap>) {
    if let Some(media) = operation.success.get(&answer.status) {
        return (judge_success(media.keys(), operation, answer), None);
    }
    let mut gap = None;
    if !operation.errors.contains_key(&answer.status) {
        gap = GAPS
            .iter()
            .find(|gap| gap.status == answer.status && (gap.applies)(operation));
        if gap.is_none() {
            return (
                vec![format!("the status {} is not declared", answer.status)],
                None,
            );
        }
    }
    (judge_problem(answer), gap)
}

fn judge_success<'a>(
    mut media: impl Iterator<Item = &'a String>,
    operation: &Operation,
    answer: &Answer,
) -> Vec<String> {
    if operation.success[&answer.status].is_empty() {
        let silent = answer.bytes.is_empty() && answer.media.is_empty();
        return (!silent)
            .then(|| format!("an answer without a body has one: {:?}", answer.media))
            .into_iter()
            .collect();
    }
    if !media.any(|declared| *declared == answer.media) {
        return vec![format!("the media type {:?} is not declared", answer.media)];
    }
    if answer.media != JSON {
        let empty = answer.bytes.is_empty();
        return empty
            .then(|| "the body is empty".to_owned())
            .into_iter()
            .collect();
    }
    check(
        &operation.success[&answer.status][JSON],
        &answer.body,
        Way::Answer,
    )
}

fn judge_problem(answer: &Answer) -> Vec<String> {
    if answer.media != PROBLEM_JSON {
        return vec![format!("a problem of the media type {:?}", answer.media)];
    }
    let form = if answer.status == 400 {
        &*PROBLEM
    } else {
        &*PLAIN_PROBLEM
    };
    let mut wrong = check(form, &answer.body, Way::Answer);
    if answer.body["status"] != answer.status {
        wrong.push(format!("status is {} in the body", answer.body["status"]));
    }
    wrong
}

#[test]
fn judges_as_strictly_as_an_sdk() {
    use crate::conformance::facts;
    use serde_json::json;

    let answer = |status: u16, media: &str, body: &Value| Answer {
        status,
        media: media.to_owned(),
        bytes: if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        },
        body: body.clone(),
        cookie: None,
    };
    let role = json!({
        "id": "11111111-2222-4333-8444-555555555555", "role_name": "API Viewer",
        "entity_id": "11111111-2222-4333-8444-555555555555", "entity_type_name": "Services",
        "entity_region": "eu",
    });
    let problem = json!({"status": 404, "title": "Not Found", "detail": "", "instance": ""});
    let invalid = json!({"status": 400, "title": "", "detail": "", "instance": "",
        "invalid_parameters": [{"field": "name", "rule": "max_length", "reason": "", "maximum": 3}]});
    let bare = json!({"status": 400, "title": "", "detail": "", "instance": ""});
    let ruleless = json!({"status": 400, "title": "", "detail": "", "instance": "",
        "invalid_parameters": [{"field": "name", "rule": "enum", "reason": ""}]});
    let create = facts::find("assign-role-to-portal-teams").unwrap();
    let delete = facts::find("delete-portal").unwrap();
    let cases = [
        (create, answer(201, JSON, &role), true),
        (create, answer(200, JSON, &role), false),
        (
            create,
            answer(201, "application/json; charset=utf-8", &role),
            false,
        ),
        (create, answer(201, JSON, &json!({})), false),
        (create, answer(404, PROBLEM_JSON, &problem), true),
        (create, answer(403, PROBLEM_JSON, &problem), false),
        (create, answer(404, JSON, &problem), false),
        (create, answer(400, PROBLEM_JSON, &invalid), true),
        (create, answer(400, PROBLEM_JSON, &bare), false),
        (create, answer(400, PROBLEM_JSON, &ruleless), false),
        (create, answer(500, PROBLEM_JSON, &problem), false),
        (delete, answer(204, "", &Value::Null), true),
        (delete, answer(204, JSON, &Value::Null), false),
        (delete, answer(204, "", &json!({})), false),
        (delete, answer(409, PROBLEM_JSON, &problem), false),
    ];
    for (operation, answer, fine) in cases {
        let (wrong, _) = judge(operation, &answer);
        assert_eq!(
            wrong.is_empty(),
            fine,
            "{} {answer:?}: {wrong:?}",
            operation.id
        );
    }
}
