//! Pieces that every HTTP surface shares: problems and health.

pub mod health;
mod problem;

pub use problem::Problem;
