//! E-mail templates: those that all portals have, and what a portal changed of them.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    operation::{Act, Operation, Param, op},
    problem::Problem,
    query::Paging,
    resource::{Merge, Resource},
    resources::email_texts::{TEMPLATES, Template, VARIABLES},
    singleton::{Absent, Singleton, Slot},
    state::{Kind, Row, World},
};

const NAME: &str = "templateName";
const BY_NAME: &[(&str, Param)] = &[(NAME, Param::Text)];

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/email-templates", 200, Act::Special(None, list_defaults)),
    op("GET",    "/v3/portals/email-templates/variables", 200, Act::Special(None, list_variables)),
    op("GET",    "/v3/portals/email-templates/{templateName}", 200, Act::Special(None, get_default)).by(BY_NAME),
    op("GET",    "/v3/portals/{portalId}/email-templates", 200, Act::List(&CUSTOM)),
    op("GET",    "/v3/portals/{portalId}/email-templates/{templateName}", 200, Act::GetOne(&TEMPLATE)).by(BY_NAME),
    op("PATCH",  "/v3/portals/{portalId}/email-templates/{templateName}", 200, Act::PatchOne(&TEMPLATE))
        .by(BY_NAME).with_body().dropping_unknown(),
    op("DELETE", "/v3/portals/{portalId}/email-templates/{templateName}", 204, Act::DeleteOne(&TEMPLATE)).by(BY_NAME),
    op("POST",   "/v3/portals/{portalId}/email-templates/{templateName}/send-test-email", 204,
        Act::Special(Some(TEST_MAIL), send_test))
        .by(BY_NAME).with_body().dropping_unknown(),
];

const LINE: Rule = Rule::Text { min: 0, max: 1024 };
const BODY: Rule = Rule::Text { min: 0, max: 4096 };
const BUTTON: Rule = Rule::Text { min: 0, max: 128 };

const CONTENT: Rule = Rule::Open(&[
    Field::optional("subject", LINE).or_null(),
    Field::optional("title", LINE).or_null(),
    Field::optional("body", BODY).or_null(),
    Field::optional("button_label", BUTTON).or_null(),
]);

const TEST_MAIL: &[Field] = &[Field::required(
    "content",
    Rule::Open(&[
        Field::required("subject", LINE),
        Field::required("title", LINE),
        Field::required("body", BODY),
        Field::optional("button_label", BUTTON),
    ]),
)];

/// What a portal changed of one template.
static TEMPLATE: Singleton = Singleton::new(Kind::EmailTemplate, view)
    .slot(Slot::Parameter(NAME))
    .update(&[
        Field::optional("content", CONTENT).or_null(),
        Field::optional("enabled", Rule::Boolean),
    ])
    .merge(Merge::Deep)
    .absent(Absent::MadeByUpdate(unchanged));

/// The templates that a portal changed.
static CUSTOM: Resource = Resource::new(Kind::EmailTemplate, view).paging(Paging::Whole);

fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

/// Returns the template that the path names.
fn named(call: &Call<'_>) -> Result<&'static Template, Problem> {
    find(call.parameter(NAME)).ok_or_else(Problem::not_found)
}

/// What a portal's template is before its first change: enabled, without texts of its own.
fn unchanged(call: &Call<'_>) -> Result<Map<String, Value>, Problem> {
    named(call)?;
    Ok(Map::from_iter([
        ("enabled".to_owned(), json!(true)),
        ("content".to_owned(), Value::Null),
    ]))
}

/// Shows a template as all portals have it.
fn show_default(template: &Template) -> Map<String, Value> {
    let variables = VARIABLES
        .iter()
        .filter(|variable| variable.scope.contains(&template.name));
    let variables: Vec<&str> = variables.map(|variable| variable.name).collect();
    let mut content = json!({
        "subject": template.title,
        "title": template.title,
        "body": template.body,
    });
    if let Some(label) = template.button_label {
        content["button_label"] = json!(label);
    }
    Map::from_iter([
        ("name".to_owned(), json!(template.name)),
        ("label".to_owned(), json!(template.label)),
        ("default_content".to_owned(), content),
        ("variables".to_owned(), json!(variables)),
    ])
}

/// Shows a template as a portal has it.
fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.show(&["enabled"]);
    shown.remove("id");
    shown.extend(find(row.text("slot")).map(show_default).unwrap_or_default());
    let content = row.get("content").as_object().map(|texts| {
        let text = |name: &str| texts.get(name).cloned().unwrap_or_default();
        json!({
            "subject": text("subject"),
            "title": text("title"),
            "body": text("body"),
            "button_label": text("button_label"),
        })
    });
    shown.insert("content".to_owned(), content.unwrap_or_default());
    Value::Object(shown)
}

fn list_defaults(_: &mut Call<'_>) -> Result<Value, Problem> {
    let shown: Vec<_> = TEMPLATES.iter().map(show_default).collect();
    Ok(json!({"data": shown}))
}

fn list_variables(_: &mut Call<'_>) -> Result<Value, Problem> {
    let shown = VARIABLES.iter().map(|variable| {
        json!({
            "name": variable.name,
            "description": variable.description,
            "scope": variable.scope,
            "example": variable.example,
        })
    });
    Ok(json!({"data": shown.collect::<Vec<_>>()}))
}

fn get_default(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(Value::Object(show_default(named(call)?)))
}

/// Puts the texts as they were sent into the mailbox; variables in them stay.
fn send_test(call: &mut Call<'_>) -> Result<Value, Problem> {
    let template = named(call)?.name;
    let content = call.body.remove("content").unwrap_or_default();
    let (portal, now) = (call.ids[0], call.now);
    let accounts = &mut call.world.accounts;
    accounts.send_test(portal, template, content, now);
    Ok(Value::Null)
}
