//! What people look at: the JSON API; pages come to stand beside it.

pub mod api;
pub mod render;
