//! Networks that may reach a portal.
