//! How developers sign in: authentication settings, identity providers and their mappings.
