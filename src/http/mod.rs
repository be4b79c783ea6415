//! Pieces that every HTTP surface shares: the server, problems and health.

mod connections;
pub mod health;
pub mod parameters;
mod portal_scope;
mod problem;
mod serve;
mod tls;
pub mod tokens;

pub use connections::{Bounds, Busy};
pub use portal_scope::PortalScope;
pub use problem::{Problem, ProblemShown};
pub use serve::{Connection, Server};
pub use tls::{Certificates, TlsError};
