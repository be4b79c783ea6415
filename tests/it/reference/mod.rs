//! The pages in `docs/reference/`: what the code knows is rendered from it, and the pages are held
//! equal to that.
//!
//! With `USHER_TEST_UPDATE=1` the pages are rewritten instead: `USHER_TEST_UPDATE=1 make test
//! ARGS=reference::`. Only what stands between `<!-- generated: NAME -->` and `<!-- end -->` is,
//! the prose around it is people's. The page on exit codes has no such part, since the code has no
//! list of them.

mod alerts;
pub(crate) mod commands;
mod configuration;
mod contract;
mod environment;
mod http_api;
mod keys;
mod metrics;
mod page;
