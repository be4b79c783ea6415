//! What a form sent, field by field: a field may be there many times, such as the box of each row.

use axum::extract::{Form, FromRequest, Request};

use crate::http::Problem;
use crate::http::parameters::bad_request;

/// The fields of a form. A handler of a write takes it last.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state)
            .await
            .map_err(|_| bad_request("the form cannot be read"))?;
        if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains('\0')) {
            return Err(bad_request(format!("field {name}: NUL is no text")));
        }
        Ok(Self(pairs))
    }
}

impl Fields {
    /// A field as text; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_str())
    }

    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.iter().map(owned).collect())
    }
}
