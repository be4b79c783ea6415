//! Gives a portal its first pages and a logo, and publishes them once they are all there, at a
//! local Konnect: `cargo run -p konnect --example publish_a_page`.

use std::error::Error;

use konnect::content::{
    Asset, ListPages, MovePage, NewPage, PageNode, PageUpdate, PortalPages, PublishedStatus,
};
use konnect::{Client, NewPortal};
use konnect_emulator::Emulator;

/// The smallest PNG image, of one pixel.
const LOGO: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\
    \0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what an example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    for path in publish().await? {
        println!("{path} is published");
    }
    Ok(())
}

/// Publishes some pages and returns their paths.
pub(crate) async fn publish() -> Result<Vec<String>, Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let client = Client::builder(emulator.url().parse()?)
        .token(emulator.token().into())
        .build()?;
    let new = NewPortal {
        name: "Portal".to_owned(),
        ..NewPortal::default()
    };
    let portal = client.portals().create(&new).await?;
    let portal = client.portal(portal.id);

    let logo = Asset::new("image/png", LOGO);
    portal.assets().replace_logo(&logo).await?;

    // Pages are not shown until they are published.
    let pages = portal.pages();
    let new = |slug: &str, content: &str| NewPage {
        slug: slug.to_owned(),
        content: content.to_owned(),
        ..NewPage::default()
    };
    pages.create(&new("/", "# Welcome")).await?;
    let guides = pages.create(&new("/guides", "# Guides")).await?;
    let first = pages
        .create(&new("/first-call", "# Your first call"))
        .await?;
    let below = MovePage {
        parent_page_id: Some(guides.id),
        index: None,
    };
    pages.move_to(first.id, &below).await?;

    let tree = pages.list(&ListPages::default()).await?;
    let mut paths = Vec::new();
    for page in &tree {
        publish_all(pages, page, "", &mut paths).await?;
    }
    emulator.stop().await;
    Ok(paths)
}

/// Publishes a page and all below it.
async fn publish_all(
    pages: PortalPages<'_>,
    page: &PageNode,
    above: &str,
    paths: &mut Vec<String>,
) -> Result<(), konnect::Error> {
    let update = PageUpdate {
        status: Some(PublishedStatus::Published),
        ..PageUpdate::default()
    };
    pages.update(page.id, &update).await?;
    let path = format!("{above}{}", page.slug);
    for child in &page.children {
        Box::pin(publish_all(pages, child, &path, paths)).await?;
    }
    paths.push(path);
    Ok(())
}
