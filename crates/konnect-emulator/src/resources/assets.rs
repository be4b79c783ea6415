//! The images of a portal: a logo and a favicon, which are not found until they are put.

use serde_json::{Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    forms::image,
    operation::{Act, Operation, Reply, op},
    problem::Problem,
    singleton::{Singleton, Slot},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET", "/v3/portals/{portalId}/assets/logo", 200, Act::GetOne(&LOGO)),
    op("PUT", "/v3/portals/{portalId}/assets/logo", 200, Act::PutOne(&LOGO)),
    op("GET", "/v3/portals/{portalId}/assets/logo/raw", 200, Act::Raw(None, |call| raw(&LOGO, call))),
    op("GET", "/v3/portals/{portalId}/assets/favicon", 200, Act::GetOne(&FAVICON)),
    op("PUT", "/v3/portals/{portalId}/assets/favicon", 200, Act::PutOne(&FAVICON)),
    op("GET", "/v3/portals/{portalId}/assets/favicon/raw", 200, Act::Raw(None, |call| raw(&FAVICON, call))),
];

const IMAGE: &[Field] = &[Field::required("data", Rule::Image)];

static LOGO: Singleton = Singleton::new(Kind::Asset, view)
    .slot(Slot::Fixed("logo"))
    .replace(IMAGE);

static FAVICON: Singleton = Singleton::new(Kind::Asset, view)
    .slot(Slot::Fixed("favicon"))
    .replace(IMAGE);

/// Shows an image as it was sent.
fn view(_: &World, row: &Row) -> Value {
    json!({"data": row.get("data")})
}

/// Shows the bytes of an image by its own media type.
fn raw(asset: &Singleton, call: &mut Call<'_>) -> Result<Reply, Problem> {
    let row = asset.read(call)?;
    let (media_type, body) = image(row.text("data")).ok_or_else(Problem::not_found)?;
    Ok(Reply::Raw {
        media_type: media_type.to_owned(),
        body,
    })
}
