//! Which call of the management API an attempt made, for its record. The client reports each call
//! to its observer, which finds the attempt by the task it runs in.

use std::cell::Cell;
use std::future::Future;

use tracing::trace;

/// A call as the record of an attempt shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: Option<u16>,
}

impl Call {
    /// Method and path template.
    pub(super) fn request(self) -> String {
        format!("{} {}", self.method, self.route)
    }

    /// Whether Konnect accepted a write, if only to say that it was done before. A notice is no
    /// call of Konnect.
    pub(super) fn is_accepted_write(self) -> bool {
        self.method != "GET"
            && self.route.starts_with('/')
            && self
                .status
                .is_some_and(|status| status < 400 || status == 409)
    }

    /// The call that failed with `error`, where it was answered.
    pub(super) fn answered(error: &konnect::Error) -> Option<Self> {
        let konnect::Error::Api { route, status, .. } = error else {
            return None;
        };
        let (method, route) = route.split_once(' ')?;
        Some(Self {
            method,
            route,
            status: Some(*status),
        })
    }
}

tokio::task_local! {
    static LAST: Cell<Option<Call>>;
}

/// Notes a call: to be given to `konnect::ClientBuilder::on_attempt`. Calls outside of an attempt
/// are ignored.
pub fn note_call(attempt: &konnect::Attempt) {
    let call = Call {
        method: attempt.method,
        route: attempt.route,
        status: attempt.status,
    };
    let noted = LAST.try_with(|last| {
        // A write is what people ask about; the read before it says less.
        if call.method != "GET" || last.get().is_none_or(|known| known.method == "GET") {
            last.set(Some(call));
        }
    });
    if noted.is_err() {
        trace!(route = call.route, "a call outside an attempt");
    }
}

/// Notes a notice, without its URL, which is a secret.
pub(super) fn note_notice(status: Option<u16>) {
    let call = Call {
        method: "POST",
        route: "(the url of the rule)",
        status,
    };
    if LAST.try_with(|last| last.set(Some(call))).is_err() {
        trace!("a notice outside an attempt");
    }
}

/// Runs an attempt and returns the call it made: the last write, else the last read.
pub(super) async fn noting<T>(attempt: impl Future<Output = T>) -> (T, Option<Call>) {
    LAST.scope(Cell::new(None), async {
        let output = attempt.await;
        (output, LAST.with(Cell::get))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::Call;

    #[test]
    fn only_a_write_that_konnect_accepted_is_one() {
        for (method, route, status, expected) in [
            ("PATCH", "/v3/x", Some(200), true),
            ("POST", "/v3/x", Some(409), true),
            ("GET", "/v3/x", Some(200), false),
            ("POST", "/v3/x", Some(403), false),
            ("POST", "/v3/x", Some(503), false),
            ("POST", "/v3/x", None, false),
            ("POST", "(the url of the rule)", Some(200), false),
        ] {
            let call = Call {
                method,
                route,
                status,
            };
            assert_eq!(call.is_accepted_write(), expected, "{call:?}");
        }
    }
}
