//! Reports: that what is counted is what is stored, and that each answers what a hand works out.

mod answers;
mod pages;
mod rollups;
mod scene;
mod soon;
mod ways;
mod weeks;
mod world;
