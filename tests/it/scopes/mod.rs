//! Tokens of some portals: whoever has one sees and does only what belongs to these. Every
//! operation of the API's document and every page is asked, before there is anything of another
//! portal and after, by every id of the other portal, and by every filter that names one.

mod api;
mod pages;
mod steady;
mod world;

use serde_json::json;

use crate::scopes::api::Asker;
use crate::scopes::pages::Walk;
use crate::scopes::world::{BRAVO, ONE, SEVERAL, World};
use crate::support::app::{CONSOLE_TOKEN, TestApp};
use crate::support::stage::PORTAL;

/// An entry of the other portal comes in, and then one of the first.
async fn comes(app: &TestApp, trace: &str) {
    for (portal, name) in [(BRAVO, "bravo.comes"), (PORTAL, "alpha.comes")] {
        let entry = json!({
            "name": name, "portal_id": portal, "event_ts": "2026-06-23T14:00:00Z",
            "trace_id": trace,
        });
        let (status, told) = app.deliver(&[entry.to_string()]).await;
        assert!(status.is_success(), "{told}");
    }
}

#[tokio::test]
async fn a_token_of_one_portal_shows_and_does_nothing_of_another() {
    let (mut world, app) = World::new().await;
    let mut before = Vec::new();
    for token in [ONE, SEVERAL] {
        before.push(Asker::new(&app, token).await.lists().await);
    }
    let walked = Walk::all(&app, SEVERAL).await;

    let app = world.grown(app).await;
    let whole = Asker::new(&app, CONSOLE_TOKEN).await;
    whole.shows_everything(&world.made).await;
    let mut askers = Vec::new();
    for (token, before) in [ONE, SEVERAL].into_iter().zip(before) {
        let asker = Asker::new(&app, token).await;
        let after = asker.lists().await;
        asker.hides(&after, &world.made);
        for (path, answer) in &after {
            assert_eq!(Some(answer), before.get(path), "{token} {path}");
        }
        asker.knows_no_id_of_another_portal(&world).await;
        asker.takes_no_filter_of_another_portal(&world.made).await;
        asker.is_refused_what_is_of_no_portal().await;
        askers.push(asker);
    }
    let walk = Walk::all(&app, SEVERAL).await;
    walk.hides(&world.made);
    walk.is_as_before(&walked);
    walk.knows_no_id_of_another_portal(&world).await;
    walk.is_refused_what_is_of_no_portal(&world.made).await;
    walk.went_everywhere();
    for asker in askers {
        asker.follows_its_own_alone().await;
    }
    let deliver = async || comes(&app, "console").await;
    walk.follows_its_own_alone(deliver).await;
    world.finish(app).await;
}
