//! What librdkafka reports by itself, beside the answers to requests.

use std::sync::{Arc, OnceLock};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tracing::debug;

/// Why a broker does not let a client in. The broker's own words are not shown: they may repeat a
/// name.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(in crate::publish) enum Refusal {
    #[error("a broker refuses the credentials in kafka.options (sasl.*)")]
    Credentials,
    #[error("no TLS with a broker, see ssl.* in kafka.options")]
    Tls,
}

/// Receives librdkafka's messages and logs them at a low level: the publisher reports once what
/// librdkafka repeats, and these messages contain addresses. Notes why a broker does not let it in.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    refusal: Arc<OnceLock<Refusal>>,
}

impl Listener {
    /// Why a broker does not let this client in; none where no broker gave a reason.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }
}

impl ClientContext for Listener {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(target: "librdkafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let refusal = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                Some(Refusal::Credentials)
            }
            Some(RDKafkaErrorCode::SSL) => Some(Refusal::Tls),
            _ => None,
        };
        if let Some(refusal) = refusal {
            // The first is reported.
            self.refusal.get_or_init(|| refusal);
        }
        debug!(target: "librdkafka", error = %error, reason);
    }
}

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, _report: &DeliveryResult<'_>, _opaque: ()) {}
}
