//! The query of a list: parameters one by one, so that an unknown one is noticed; keyset pages with
//! the path of the next one. What a parameter means is said by who asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::http::Problem;

/// Rows of a page if the request does not say it, as at the command line.
pub const DEFAULT_LIMIT: i64 = 100;
/// Rows of a page at most.
pub const MAX_LIMIT: i64 = 1_000;

/// Says, in a request, from which time of the journal the answer is.
#[derive(Debug, Clone, Copy)]
pub struct AsOf(pub DateTime<Utc>);

/// The query of a list, taken apart parameter by parameter so that an unknown one is noticed.
#[derive(Debug)]
pub struct Parameters {
    path: String,
    given: BTreeMap<String, String>,
    left: BTreeMap<String, String>,
    /// The known parameters that were asked for, given or not.
    known: BTreeSet<String>,
    as_of: Option<DateTime<Utc>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| bad_request("the query cannot be read"))?;
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            if value.contains('\0') {
                return Err(bad_request(format!("parameter {name}: NUL is no text")));
            }
            if given.insert(name.clone(), value).is_some() {
                return Err(bad_request(format!("parameter {name} is given twice")));
            }
        }
        Ok(Self {
            path: parts.uri.path().to_owned(),
            left: given.clone(),
            given,
            known: BTreeSet::new(),
            as_of: parts
                .extensions
                .get()
                .map(|&AsOf(time)| time.trunc_subsecs(3)),
        })
    }
}

impl Parameters {
    /// A parameter as text; an empty one counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.left.remove(name).filter(|value| !value.is_empty())
    }

    /// What was given for a parameter, as it was sent, to be shown again.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// A parameter about this one answer: the next page does not have it. To be asked for before
    /// the cursor.
    pub fn once(&mut self, name: &str) -> Option<String> {
        let value = self.text(name);
        self.given.remove(name);
        value
    }

    /// A parameter that must read as `T`; `expected` describes its form.
    pub fn read<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|value| {
                let wrong = || bad_request(format!("parameter {name}: expected {expected}"));
                value.parse().map_err(|_| wrong())
            })
            .transpose()
    }

    /// How many rows a page has.
    pub fn limit(&mut self) -> Result<i64, Problem> {
        let expected = "a whole number from 1 to 1000";
        match self.read("limit", expected)? {
            None => Ok(DEFAULT_LIMIT),
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(bad_request(format!("parameter limit: expected {expected}"))),
        }
    }

    /// Where the page before ended; `place` reads a cursor of `N` parts.
    pub fn after<K, const N: usize>(
        &mut self,
        place: impl FnOnce([String; N]) -> Result<K, Problem>,
    ) -> Result<Option<K>, Problem> {
        self.cursor()?.map(place).transpose()
    }

    /// Where the page before ended, as it was sent; only the value of a `next` of the same list
    /// with the same filter is understood.
    pub fn cursor<const N: usize>(&mut self) -> Result<Option<[String; N]>, Problem> {
        let Some(cursor) = self.text("cursor") else {
            return Ok(None);
        };
        let text = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong_cursor())?;
        let text = String::from_utf8(text).map_err(|_| wrong_cursor())?;
        let (of, position) = text.split_once(' ').ok_or_else(wrong_cursor)?;
        let parts: Vec<String> = position.split(' ').map(str::to_owned).collect();
        let parts = parts.try_into().map_err(|_| wrong_cursor())?;
        if of != fingerprint(&self.path, &self.given) {
            return Err(bad_request(
                "parameter cursor: it is of another filter, leave it out to begin anew",
            ));
        }
        Ok(Some(parts))
    }

    /// Ends the reading: any parameter that is left is unknown.
    pub fn finish(self) -> Result<Pager, Problem> {
        let Some(name) = self.left.keys().next() else {
            return Ok(Pager {
                path: self.path,
                given: self.given,
                as_of: self.as_of,
            });
        };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let known = match known[..] {
            [] => "there are none here".to_owned(),
            _ => format!("known here: {}", known.join(", ")),
        };
        Err(bad_request(format!("unknown parameter {name}; {known}")))
    }
}

/// Knows how to ask for the page after this one.
#[derive(Debug)]
pub struct Pager {
    path: String,
    given: BTreeMap<String, String>,
    as_of: Option<DateTime<Utc>>,
}

impl Pager {
    /// Path and query of the page after the one that ends at `position`.
    pub fn next(mut self, position: &str) -> String {
        let of = fingerprint(&self.path, &self.given);
        let cursor = URL_SAFE_NO_PAD.encode(format!("{of} {position}"));
        self.given.insert("cursor".to_owned(), cursor);
        format!("{}?{}", self.path, query(&self.given))
    }

    /// From which time of the journal the answer is, where that is said.
    pub fn as_of(&self) -> Option<DateTime<Utc>> {
        self.as_of
    }
}

fn query<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// Identifies a list with its filter, whichever page of it is asked for.
fn fingerprint(path: &str, given: &BTreeMap<String, String>) -> String {
    let of_page = |name: &str| matches!(name, "cursor" | "limit");
    let pairs = given
        .iter()
        .filter(|(name, value)| !of_page(name) && !value.is_empty());
    let hash = Sha256::digest(format!("{path}?{}", query(pairs)));
    URL_SAFE_NO_PAD.encode(&hash[..9])
}

/// In a query a bare plus means a blank, which no time has.
pub fn lost_plus(value: &str) -> &'static str {
    if value.contains(' ') {
        "; write + as %2B"
    } else {
        ""
    }
}

/// An id in a path.
pub fn path_id<T: FromStr>(id: &str, what: &str) -> Result<T, Problem> {
    let wrong = || bad_request(format!("{what} id is a UUID"));
    id.parse().map_err(|_| wrong())
}

/// A time as a part of a cursor: to the microsecond, as Postgres has it.
pub fn time_part(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A text as a part of a cursor: it may contain blanks.
pub fn text_part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The text that [`text_part`] made a part of a cursor.
pub fn part_text(part: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| !text.contains('\0'))
        .ok_or_else(wrong_cursor)
}

/// A part of a cursor as `T`.
pub fn part<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| wrong_cursor())
}

/// The answer to a cursor that is of no list here.
pub fn wrong_cursor() -> Problem {
    bad_request("parameter cursor: expected a value from meta.next")
}

/// The answer to a request that cannot be understood.
pub fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
