//! What a caller of the controls can choose about deliveries and the pull API.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// The pull API's largest `page[size]`.
pub(crate) const MAX_PAGE: usize = 1_000;

/// Replaces members of settings; an unknown member is an error that names those there are.
fn merge<S: Serialize + DeserializeOwned>(
    settings: &S,
    change: &Map<String, Value>,
) -> Result<S, String> {
    let mut merged = json!(settings);
    for (name, value) in change {
        merged[name] = value.clone();
    }
    serde_json::from_value(merged).map_err(|error| error.to_string())
}

/// How deliveries are made. Konnect documents neither batch size nor interval, and its content
/// coding only in passing, so that all of it can be varied.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the control"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// The `Content-Encoding` to send with gzip: `application/gzip` (as documented) or `gzip`;
    /// `none` sends plain text.
    pub content_encoding: String,
    /// Whether entries carry `sig`.
    pub signing: bool,
    /// How many entries a request holds at most.
    pub batch_size: usize,
    /// How long entries are gathered before a request is made, in milliseconds.
    pub flush_every_ms: u64,
    /// Whether the last entry of a request ends with a line feed too.
    pub trailing_newline: bool,
    /// What every wait between attempts is multiplied with, `Retry-After` included; 1 is Konnect's
    /// own pace.
    pub retry_scale: f64,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Whether a replay job sends entries of which no delivery was ever attempted. It is not known
    /// whether Konnect does.
    pub replay_lost: bool,
    /// Whether a webhook ships nothing from the delivery it gave up until it is patched, or until a
    /// replay job's delivery is accepted; entries made meanwhile are never attempted. Konnect's
    /// specification can be read so, its documentation says that it goes on trying.
    pub pauses_when_inactive: bool,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            content_encoding: "application/gzip".to_owned(),
            signing: true,
            batch_size: 100,
            flush_every_ms: 200,
            trailing_newline: false,
            retry_scale: 1.0,
            timeout_ms: 30_000,
            replay_lost: true,
            pauses_when_inactive: false,
        }
    }
}

impl DeliverySettings {
    /// Returns the settings with the given members replaced, or what is wrong with them.
    pub(crate) fn merged(&self, change: &Map<String, Value>) -> Result<Self, String> {
        let settings = merge(self, change)?;
        if !matches!(
            settings.content_encoding.as_str(),
            "application/gzip" | "gzip" | "none"
        ) {
            return Err("content_encoding is one of application/gzip, gzip, none".to_owned());
        }
        if settings.batch_size == 0 || !(0.0..=1_000.0).contains(&settings.retry_scale) {
            return Err("batch_size is at least 1 and retry_scale between 0 and 1000".to_owned());
        }
        Ok(settings)
    }
}

/// How the pull API writes `next` and `previous`. The specification types them as paths, the
/// documentation calls them cursors to use with `page[after]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CursorForm {
    /// A path whose query has the cursor as `page%5Bafter%5D` or `page%5Bbefore%5D`.
    #[default]
    Path,
    /// The same as an absolute URL with the brackets as they are.
    Url,
    /// The cursor alone, for `page[after]` or `page[before]`.
    Cursor,
    /// A path to follow as it is: its query says `cursor`, which no specification knows.
    Opaque,
}

/// How the pull API pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PullSettings {
    /// How `next` and `previous` are written.
    pub cursors: CursorForm,
    /// How many entries a page holds at most, whatever `page[size]` asks for; 1 to 1000.
    pub max_page: usize,
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            cursors: CursorForm::default(),
            max_page: MAX_PAGE,
        }
    }
}

impl PullSettings {
    /// Returns the settings with the given members replaced, or what is wrong with them.
    pub(crate) fn merged(&self, change: &Map<String, Value>) -> Result<Self, String> {
        let settings = merge(self, change)?;
        if !(1..=MAX_PAGE).contains(&settings.max_page) {
            return Err(format!("max_page is between 1 and {MAX_PAGE}"));
        }
        Ok(settings)
    }
}
