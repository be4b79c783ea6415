//! What a portal shows: pages, snippets, default content and assets.
