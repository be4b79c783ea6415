//! What a portal shows: pages, snippets, default content and assets.
//!
//! All of it is reached from a portal: `client.portal(id).pages()`, `.snippets()`, `.assets()` and
//! `.create_default_content()`.

mod assets;
mod default_content;
mod pages;
mod snippets;

pub use assets::{Asset, Assets};
pub use default_content::DefaultContent;
pub use pages::{
    ListPages, MovePage, NewPage, PageId, PageNode, PageUpdate, PortalPage, PortalPages,
    PublishedStatus,
};
pub use snippets::{
    ListSnippets, NewSnippet, Snippet, SnippetId, SnippetInfo, SnippetUpdate, Snippets,
};
