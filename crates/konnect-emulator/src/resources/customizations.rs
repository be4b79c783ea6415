//! How a portal looks: theme, menus, style sheet, and how it renders API specifications.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fields::{Field, Rule},
    forms::is_colour,
    operation::{Act, Operation, op},
    problem::Problem,
    resource::Merge,
    singleton::{Absent, Singleton},
    state::{Kind, Row, World},
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/customization", 200, Act::GetOne(&CUSTOMIZATION)),
    op("PUT",    "/v3/portals/{portalId}/customization", 200, Act::PutOne(&CUSTOMIZATION)),
    op("PATCH",  "/v3/portals/{portalId}/customization", 200, Act::PatchOne(&CUSTOMIZATION)),
];

static CUSTOMIZATION: Singleton = Singleton::new(Kind::Customization, view)
    .replace(&fields(NEW_MENU))
    .update(&fields(MENU))
    .absent(Absent::Default(nothing_chosen))
    .merge(Merge::Deep);

/// Text without a limit in the schema.
const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};
const TEXT_512: Rule = Rule::Text { min: 0, max: 512 };

const fn fields(menu: &'static [Field]) -> [Field; 6] {
    [
        Field::optional("theme", Rule::Object(THEME)),
        Field::optional("layout", TEXT),
        Field::optional("css", TEXT).or_null(),
        Field::optional("menu", Rule::Object(menu)),
        Field::optional("spec_renderer", Rule::Object(SPEC_RENDERER)),
        Field::optional("robots", TEXT).or_null(),
    ]
}

const THEME: &[Field] = &[
    Field::optional("name", TEXT),
    Field::optional("mode", Rule::Choice(&["light", "dark", "system"])),
    Field::optional("colors", Rule::Object(COLORS)),
];

const COLORS: &[Field] = &[Field::optional(
    "primary",
    Rule::Pattern {
        min: 0,
        max: usize::MAX,
        is: is_colour,
        words: "must be a colour as #rgb or #rrggbb",
    },
)];

const MENU: &[Field] = &[MAIN, FOOTER_SECTIONS, FOOTER_BOTTOM];
/// Kong's own Terraform provider only replaces.
const NEW_MENU: &[Field] = &[
    MAIN.or_left_out(),
    FOOTER_SECTIONS.or_left_out(),
    FOOTER_BOTTOM.or_left_out(),
];
const MAIN: Field = Field::optional("main", list_of(&Rule::Object(MENU_ITEM)));
const FOOTER_SECTIONS: Field =
    Field::optional("footer_sections", list_of(&Rule::Object(MENU_SECTION)));
const FOOTER_BOTTOM: Field = Field::optional("footer_bottom", list_of(&Rule::Object(MENU_ITEM)));

const MENU_SECTION: &[Field] = &[
    Field::required("title", TEXT_512),
    Field::required("items", list_of(&Rule::Object(MENU_ITEM))),
];

const MENU_ITEM: &[Field] = &[
    Field::required("path", TEXT_512),
    Field::required("title", TEXT),
    Field::required("visibility", Rule::Choice(&["public", "private"])),
    Field::required("external", Rule::Boolean),
];

const SPEC_RENDERER: &[Field] = &[
    Field::optional("try_it_ui", Rule::Boolean),
    Field::optional("try_it_insomnia", Rule::Boolean),
    Field::optional("infinite_scroll", Rule::Boolean),
    Field::optional("show_schemas", Rule::Boolean),
    Field::optional("hide_internal", Rule::Boolean),
    Field::optional("hide_deprecated", Rule::Boolean),
    Field::optional("allow_custom_server_urls", Rule::Boolean),
];

/// What is true of the switches of the renderer that nobody has set.
const SWITCHES: [(&str, bool); 7] = [
    ("try_it_ui", true),
    ("try_it_insomnia", true),
    ("infinite_scroll", true),
    ("show_schemas", true),
    ("hide_internal", false),
    ("hide_deprecated", false),
    ("allow_custom_server_urls", true),
];

const fn list_of(item: &'static Rule) -> Rule {
    Rule::List {
        item,
        min: 0,
        max: usize::MAX,
        unique: false,
    }
}

fn nothing_chosen(_: &Call<'_>) -> Result<Map<String, Value>, Problem> {
    Ok(Map::new())
}

/// Shows what was chosen, and all switches of the renderer once one was set.
fn view(_: &World, row: &Row) -> Value {
    let mut shown = row.value.clone();
    if let Some(Value::Object(switches)) = shown.get_mut("spec_renderer") {
        for (name, is_on) in SWITCHES {
            switches.entry(name).or_insert(json!(is_on));
        }
    }
    Value::Object(shown)
}
