//! The console for those who use no mouse, and for those whose browser runs no scripts.

use std::time::Duration;

use reqwest::StatusCode;

use crate::console::place::{Place, in_row, sign_in};
use crate::support::app::CONSOLE_TOKEN;
use crate::support::browser::Browser;
use crate::support::eventually;
use crate::support::sender::id_of;
use crate::support::signer::Entry;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_keyboard_alone_leads_from_the_form_to_what_is_approved() {
    let place = Place::start().await;
    let [ada, bob] = ["ada@gmail.example", "bob@gmail.example"];
    for email in [ada, bob] {
        place.sign_up(email).await;
    }
    let (of_ada, of_bob) = (place.parked(ada).await, place.parked(bob).await);

    let page = Browser::page().await;
    place.open(&page, "/").await;
    eventually("the field has the focus", SOON, async || {
        page.focused().await.contains("name=\"token\"")
    })
    .await;
    page.type_text(CONSOLE_TOKEN).await;
    page.press_on("Enter").await;
    assert_eq!(page.text("h1").await, "Overview");

    page.press("Tab").await;
    let focused = page.focused().await;
    assert!(focused.contains("class=\"skip\""), "{focused}");
    assert!(page.shows_focus().await);
    page.tab_to("nav.pages a[href='/approvals']").await;
    page.press_on("Enter").await;
    assert_eq!(page.text("h1").await, "Approvals");
    let here = page.url().await;

    page.tab_to(&in_row(&of_ada, "input[name=reason]")).await;
    page.type_text("by keys alone").await;
    // A row has two answers: Enter in its comment chooses none.
    page.press("Enter").await;
    page.tab_to(&in_row(&of_ada, "button.primary")).await;
    assert_eq!(page.url().await, here);
    assert_eq!(place.state(&of_ada).await, "parked");
    page.press_on("Space").await;
    page.sees(".notice.ok", "Approved.").await;
    place.becomes(ada, "approved").await;

    page.tab_to(&in_row(&of_bob, "input[name=id]")).await;
    page.press("Space").await;
    page.sees("[data-count]", "1 of 1 chosen").await;
    page.tab_to(".bulk button[value=approve]").await;
    page.press_on("Enter").await;
    assert_eq!(page.text("h1").await, "Approve 1?");
    page.tab_to("form.stack button").await;
    page.press_on("Enter").await;
    page.sees(".notice.ok", "Done for all of them").await;
    place.becomes(bob, "approved").await;
    page.has_no_errors().await;
    place.finish().await;
}

#[tokio::test]
async fn without_scripts_events_are_filtered_and_who_waits_is_approved() {
    let place = Place::start().await;
    let ada = "ada@gmail.example";
    place.sign_up(ada).await;
    let line = place.konnect.signer.json(&Entry::numbered(1));
    let (status, answer) = place.app.deliver(std::slice::from_ref(&line)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");

    let page = Browser::page().await;
    page.scripts(false).await;
    place.open(&page, "/events").await;
    sign_in(&page, CONSOLE_TOKEN).await;
    assert_eq!(page.text("h1").await, "Events");
    page.choose("select[name=kind]", "authentication").await;
    page.choose("select[name=outcome]", "success").await;
    page.follow("form.filters button.primary").await;
    assert!(page.url().await.contains("outcome=success"));
    assert_eq!(page.value("select[name=outcome]").await, "success");
    let rows = page.texts("div[aria-label=Events] tbody tr").await;
    let fits = |row: &String| row.contains("authentication") && row.contains("success");
    assert!(!rows.is_empty() && rows.iter().all(fits), "{rows:?}");
    let event = format!("a[href='/events/{}']", id_of(&line));
    assert_eq!(page.count(&event).await, 1);

    let action = place.parked(ada).await;
    page.follow("nav.pages a[href='/approvals']").await;
    assert_eq!(page.count("[data-count]").await, 0, "a script ran");
    page.fill(&in_row(&action, "input[name=reason]"), "without scripts")
        .await;
    page.follow(&in_row(&action, "button.primary")).await;
    page.sees(".notice.ok", "Approved.").await;
    place.becomes(ada, "approved").await;
    place.open(&page, &format!("/actions/{action}")).await;
    page.sees("li.person", "without scripts").await;
    page.has_no_errors().await;
    place.finish().await;
}
