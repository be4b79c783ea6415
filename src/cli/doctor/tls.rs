//! The check of usher's own certificate.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cli::doctor::certificate::{Validity, validity};
use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::subject::Subject;
use crate::http::Certificates;

/// A certificate that expires sooner is told.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(14);
const MEND: &str = "renew the certificate: usher reads the files again by itself";

/// Whether usher can serve with its certificate, today and for a while.
pub(super) async fn certificate(subject: &Subject) -> Finding {
    let tls = &subject.config.http.tls;
    let (cert, key) = match (&tls.cert, &tls.key) {
        (None, None) => {
            return Finding::skipped("http.tls.cert is not set: usher speaks plain HTTP");
        }
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return half("http.tls.key"),
        (None, Some(_)) => return half("http.tls.cert"),
    };
    if let Err(error) = Certificates::load(cert.clone(), key.clone()).await {
        return Finding::failed(
            crate::telemetry::chain(&error),
            "correct http.tls.cert and http.tls.key: a chain and its private key, both PEM",
        );
    }
    let dates = match tokio::fs::read(cert).await {
        Ok(pem) => validity(&pem),
        Err(_) => None,
    };
    judge(dates, cert, subject.clock.now())
}

fn half(missing: &str) -> Finding {
    Finding::failed(
        format!("{missing} is not set, and TLS takes both"),
        format!("set {missing}"),
    )
}

fn judge(dates: Option<Validity>, cert: &Path, now: DateTime<Utc>) -> Finding {
    let cert = cert.display();
    let Some(Validity { from, until }) = dates else {
        return Finding::ok(format!(
            "{cert} can be served with; until when is not known"
        ));
    };
    let day = until.format("%Y-%m-%d %H:%M UTC");
    if until <= now {
        return Finding::failed(
            format!("{cert} expired on {day}: Konnect refuses to deliver"),
            MEND,
        );
    }
    if from > now {
        let from = from.format("%Y-%m-%d %H:%M UTC");
        return Finding::failed(format!("{cert} is valid from {from} on only"), MEND);
    }
    if until - now < EXPIRES_SOON {
        return Finding::warning(format!("{cert} expires on {day}"), MEND);
    }
    Finding::ok(format!("{cert} is valid until {day}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::{DateTime, TimeDelta};

    use super::judge;
    use crate::cli::doctor::certificate::Validity;
    use crate::cli::doctor::finding::Status;

    #[test]
    fn a_certificate_is_judged_by_its_dates() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10_000);
        for (from, until, status) in [
            (-10, 90, Status::Ok),
            (-10, 13, Status::Warning),
            (-10, -1, Status::Failed),
            (1, 90, Status::Failed),
        ] {
            let dates = Validity {
                from: now + TimeDelta::days(from),
                until: now + TimeDelta::days(until),
            };
            let told = judge(Some(dates), Path::new("cert.pem"), now);
            assert_eq!(told.status, status, "{told:?}");
        }
        assert_eq!(judge(None, Path::new("cert.pem"), now).status, Status::Ok);
    }
}
