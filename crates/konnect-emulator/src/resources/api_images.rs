//! The images of an API, which has an icon at most. They are valid as soon as they are put: nobody
//! looks at them. Where Konnect has a network to show them, the emulator has a path of its own.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    forms::image,
    operation::{Act, Operation, Param, Reply, op},
    problem::Problem,
    singleton::{Singleton, Slot},
    state::{Kind, Row, World},
};

const TYPE: &str = "imageType";
const BY_TYPE: &[(&str, Param)] = &[(TYPE, Param::Text)];

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("PUT",    "/v3/apis/{apiId}/images/{imageType}", 200, Act::Raw(Some(IMAGE), put)).by(BY_TYPE).also(&[201]).with_body(),
    op("GET",    "/v3/apis/{apiId}/images/{imageType}", 200, Act::GetOne(&ICON)).by(BY_TYPE),
    op("DELETE", "/v3/apis/{apiId}/images/{imageType}", 204, Act::DeleteOne(&ICON)).by(BY_TYPE),
    op("GET",    "/v3/apis/{apiId}/images/{imageType}/raw", 302, Act::Raw(None, find_bytes)).by(BY_TYPE),
    op("GET",    "/images/{imageId}", 200, Act::Raw(None, show_bytes)).open(),
];

/// The one type of images.
const ICON_TYPE: &str = "icon";

const IMAGE: &[Field] = &[Field::required(
    "data",
    Rule::Pattern {
        min: 0,
        max: usize::MAX,
        is: is_picture,
        words: "must be a PNG, JPEG or SVG image as a data URL",
    },
)];

static ICON: Singleton = Singleton::new(Kind::ApiImage, view)
    .slot(Slot::Parameter(TYPE))
    .replace(IMAGE);

fn is_picture(text: &str) -> bool {
    let known = ["image/png", "image/jpeg", "image/svg+xml"];
    image(text).is_some_and(|(media_type, _)| known.contains(&media_type))
}

/// Shows what is known of an image.
fn view(_: &World, row: &Row) -> Value {
    let mut shown: Map<String, Value> = row.show(&[]);
    shown.remove("id");
    let members = [
        ("api_id", json!(row.parent)),
        ("image_type", json!(ICON_TYPE)),
        ("status", json!("valid")),
        ("error", Value::Null),
    ];
    shown.extend(members.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(shown)
}

fn put(call: &mut Call<'_>) -> Result<Reply, Problem> {
    if call.parameter(TYPE) != ICON_TYPE {
        return Err(Problem::not_found());
    }
    let is_new = ICON.find(call).is_none();
    let shown = ICON.put_one(call)?;
    Ok(if is_new {
        Reply::Created(shown)
    } else {
        Reply::Json(shown)
    })
}

/// Says where the bytes are.
fn find_bytes(call: &mut Call<'_>) -> Result<Reply, Problem> {
    Ok(Reply::Found(format!("/images/{}", ICON.read(call)?.id)))
}

/// Shows the bytes by their own media type.
fn show_bytes(call: &mut Call<'_>) -> Result<Reply, Problem> {
    let row = call.row(Kind::ApiImage, call.last_id())?;
    let (media_type, body) = image(row.text("data")).ok_or_else(Problem::not_found)?;
    Ok(Reply::Raw {
        media_type: media_type.to_owned(),
        body,
    })
}
