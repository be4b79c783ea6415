//! What people do in the console, in a real browser: each story from a page to what became of it at
//! the portal.

use reqwest::StatusCode;
use serde_json::json;

use crate::console::place::{Place, READER_TOKEN, comes_to_show, in_row, sign_in, was_refused};
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::browser::{Browser, Page};
use crate::support::sender::id_of;
use crate::support::signer::Entry;

/// The page of the vetoes.
const VETOES: &str = "/approvals?tab=vetoes";

/// Ticks the boxes of these actions and asks for all of them to be rejected.
async fn reject_ticked(page: &Page, actions: &[String]) {
    for action in actions {
        page.click(&in_row(action, "input[name=id]")).await;
    }
    let count = actions.len();
    page.sees("[data-count]", &format!("{count} of {count} chosen"))
        .await;
    page.follow(".bulk button[value=reject]").await;
    assert_eq!(page.text("h1").await, format!("Reject {count}?"));
}

/// Confirms what is shown, and is refused because it is not so any more.
async fn is_too_late(page: &Page) {
    page.follow("form.stack button.danger").await;
    assert_eq!(page.text("h1").await, "The set has changed");
    page.sees(".notice.bad", "Nothing was done").await;
    was_refused(page, 409).await;
}

#[tokio::test]
async fn an_event_is_found_by_a_word_and_read_to_its_last_byte_and_who_waits_is_approved() {
    let place = Place::start().await;
    let ada = "ada@gmail.example";
    place.sign_up(ada).await;
    let entry = Entry {
        user_agent: "Corvax/7 (harbour)".to_owned(),
        ..Entry::numbered(1)
    };
    let signer = &place.konnect.signer;
    let line = signer.json(&entry);
    let lines = [line.clone(), signer.json(&Entry::numbered(2))];
    assert_eq!(place.app.deliver(&lines).await.0, StatusCode::OK);

    let page = place.signed_in(CONSOLE_TOKEN, "/").await;
    assert_eq!(page.text("h1").await, "Overview");
    page.follow("nav.pages a[href='/events']").await;
    page.fill("input[name=q]", "harbour").await;
    page.follow("form.filters button.primary").await;
    assert!(page.url().await.contains("q=harbour"));
    assert_eq!(page.count("div[aria-label=Events] tbody tr").await, 1);
    page.follow(&format!("a[href='/events/{}']", id_of(&line)))
        .await;

    assert_eq!(page.text("pre[aria-label='The bytes as text']").await, line);
    page.click("details:has(pre.hex) > summary").await;
    page.sees("pre.hex", "00000000  7b 22 63 65 66").await;
    let steps = page.texts("main ol > li").await;
    let begins = ["Find it.", "Cut it out.", "Try the keys", "Conclude."];
    assert_eq!(steps.len(), begins.len(), "{steps:?}");
    for (step, begin) in steps.iter().zip(begins) {
        assert!(step.starts_with(begin), "{step}");
    }
    assert!(steps[1].contains("a key fits"), "{steps:?}");
    assert!(steps[3].contains("it signed exactly these bytes"));

    let action = place.parked(ada).await;
    page.follow("nav.pages a[href='/approvals']").await;
    page.fill(&in_row(&action, "input[name=reason]"), "known to sales")
        .await;
    page.follow(&in_row(&action, "button.primary")).await;
    page.sees(".notice.ok", "Approved.").await;
    page.sees(".empty", "Nobody waits for a person").await;
    place.becomes(ada, "approved").await;

    place.open(&page, &format!("/actions/{action}")).await;
    assert_eq!(page.text("h1").await, "park done");
    page.sees("li.person", "approve by test").await;
    page.sees("li.person", "known to sales").await;
    page.follow("li.person .what a").await;
    comes_to_show(&page, "h1", "approve_developer done").await;
    page.sees("section[aria-labelledby=attempts] tbody", "ok")
        .await;
    page.has_no_errors().await;
    place.finish().await;
}

#[tokio::test]
async fn many_are_rejected_as_they_were_shown_or_none_is() {
    let place = Place::start().await;
    let [ada, bob] = ["ada@gmail.example", "bob@gmail.example"];
    let [cleo, dan] = ["cleo@gmail.example", "dan@gmail.example"];
    for email in [ada, bob] {
        place.sign_up(email).await;
    }
    let both = [place.parked(ada).await, place.parked(bob).await];
    let page = place.signed_in(CONSOLE_TOKEN, "/approvals").await;
    reject_ticked(&page, &both).await;
    let shown = page.texts("main ol li").await;
    for email in [ada, bob] {
        let line = format!("reject_developer {email}");
        assert!(shown.contains(&line), "{line}: {shown:?}");
        assert_eq!(place.status(email).await, "pending");
    }
    page.fill("form.stack input[name=reason]", "no free mail")
        .await;
    page.follow("form.stack button.danger").await;
    page.sees(".notice.ok", "Done for all of them").await;
    for email in [ada, bob] {
        place.becomes(email, "rejected").await;
    }

    for email in [cleo, dan] {
        place.sign_up(email).await;
    }
    let both = [place.parked(cleo).await, place.parked(dan).await];
    place.open(&page, "/approvals").await;
    reject_ticked(&page, &both).await;
    place.colleague("approve", &both[0]).await;
    is_too_late(&page).await;
    place.becomes(cleo, "approved").await;
    assert_eq!(place.state(&both[1]).await, "parked");
    assert_eq!(place.status(dan).await, "pending");
    page.follow("form.stack button.primary").await;
    assert_eq!(page.text("h1").await, "Reject 1?");
    page.sees(".notice.warn", "1 of those that were chosen are left out")
        .await;
    page.has_no_errors().await;

    all_that_match_are_those_that_were_shown(&place, &page, dan).await;
    place.finish().await;
}

/// Rejects by the filter when only `first` matches, and again when somebody has come meanwhile.
async fn all_that_match_are_those_that_were_shown(place: &Place, page: &Page, first: &str) {
    let late = "late@gmail.example";
    place.open(page, "/approvals?rule=freemail").await;
    page.click("input[name=all]").await;
    page.follow(".bulk button[value=reject]").await;
    assert_eq!(page.text("h1").await, "Reject 1?");
    page.sees("section[aria-labelledby=filter]", "freemail")
        .await;
    place.sign_up(late).await;
    place.parked(late).await;
    is_too_late(page).await;
    for email in [first, late] {
        assert_eq!(place.status(email).await, "pending");
    }
    page.follow("form.stack button.primary").await;
    assert_eq!(page.text("h1").await, "Reject 2?");
    page.follow("form.stack button.danger").await;
    page.sees(".notice.ok", "Done for all of them").await;
    for email in [first, late] {
        place.becomes(email, "rejected").await;
    }
    page.has_no_errors().await;
}

#[tokio::test]
async fn nothing_is_done_during_a_pause_and_a_no_lasts_until_it_is_lifted() {
    let place = Place::start().await;
    let [first, ada] = ["first@sevilla.example", "ada@sevilla.example"];
    let bob = "bob@sevilla.example";
    place.sign_up(first).await;
    place.becomes(first, "approved").await;
    for email in [ada, bob] {
        place.sign_up(email).await;
    }
    let (of_ada, of_bob) = (place.parked(ada).await, place.parked(bob).await);

    let page = place.signed_in(CONSOLE_TOKEN, "/approvals").await;
    page.click("details:has(#pause-reason) > summary").await;
    page.fill("#pause-reason", "a storm").await;
    page.follow("form[action='/pause'] button").await;
    page.sees(".notice.ok", "Paused").await;
    page.sees(".notice.warn", "paused by test").await;
    page.sees(".notice.warn", "a storm").await;
    page.follow(&in_row(&of_ada, "button.primary")).await;
    page.sees(".notice.ok", "Approved.").await;
    place.open(&page, &format!("/actions/{of_ada}")).await;
    assert_eq!(page.text("h1").await, "approve_developer planned");
    assert_eq!(place.status(ada).await, "pending");
    place.open(&page, "/").await;
    page.sees(".notice.warn", "a storm").await;
    assert_eq!(place.state(&of_ada).await, "planned");
    place.open(&page, "/approvals").await;
    page.fill("#resume-reason", "it is over").await;
    page.follow("form[action='/resume'] button").await;
    page.sees(".notice.ok", "Resumed").await;
    place.becomes(ada, "approved").await;

    page.fill(&in_row(&of_bob, "input[name=reason]"), "a rival")
        .await;
    page.follow(&in_row(&of_bob, "button.danger")).await;
    page.sees(".notice.ok", "Rejected.").await;
    page.follow(&format!("nav.tabs a[href='{VETOES}']")).await;
    assert_eq!(page.count("main tbody tr").await, 1);
    for words in ["approve_developer", bob, "test", "a rival"] {
        page.sees("main tbody tr", words).await;
    }
    assert_eq!(place.state(&of_bob).await, "cancelled");
    assert_eq!(place.status(bob).await, "pending");
    page.fill("main tbody input[name=reason]", "they merged")
        .await;
    page.follow("form[action$='/lift'] button").await;
    page.sees(".notice.ok", "The veto is lifted.").await;
    page.sees(".empty", "No veto is in force").await;

    // The rule asks again, and its limit is still reached.
    let again = place.parked(bob).await;
    assert_ne!(again, of_bob);
    place.open(&page, "/approvals").await;
    page.follow(&in_row(&again, "button.primary")).await;
    place.becomes(bob, "approved").await;
    page.has_no_errors().await;
    place.finish().await;
}

#[tokio::test]
async fn whoever_may_only_read_finds_no_button_and_is_refused() {
    let place = Place::start().await;
    let ada = "ada@gmail.example";
    place.sign_up(ada).await;
    let action = place.parked(ada).await;
    let person = format!("/people/{}", place.id(ada).await);
    let of_action = format!("/actions/{action}");
    let page = place.signed_in(READER_TOKEN, "/approvals").await;
    page.sees(".who", "auditor, reader").await;
    page.sees("main tbody", ada).await;
    for path in [
        "/approvals",
        VETOES,
        "/actions",
        &of_action,
        &person,
        "/rules",
    ] {
        place.open(&page, path).await;
        let buttons = page.count("main form[method=post] button").await;
        assert_eq!(buttons, 0, "{path}");
        assert_eq!(page.count("main input[name=reason]").await, 0, "{path}");
    }
    page.has_no_errors().await;

    for path in [
        "/pause",
        "/approvals/bulk",
        "/approvals/bulk/confirm",
        &format!("{of_action}/approve"),
        &format!("{person}/ask"),
    ] {
        // What a form of theirs would send, with its token.
        let fields = json!({ "verb": "approve", "id": action, "deed": "approve_developer" });
        let answer = page
            .evaluate(&format!(
                "(fields => {{
                    fields.csrf = document.querySelector('.who input[name=csrf]').value;
                    const body = new URLSearchParams(fields);
                    return fetch({}, {{ method: 'POST', body }})
                        .then(async answer => [answer.status, await answer.text()]);
                }})({fields})",
                json!(path)
            ))
            .await;
        assert_eq!(answer[0], 403, "{path}: {answer}");
        let words = answer[1].as_str().unwrap();
        assert!(words.contains("role operator"), "{path}: {words}");
        was_refused(&page, 403).await;
    }
    assert_eq!(place.state(&action).await, "parked");
    assert_eq!(place.status(ada).await, "pending");
    let (_, pause) = place.app.get("/api/v1/actions/pause").await;
    assert_eq!(pause["data"]["paused"], false);
    place.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_by_hand_is_done_also_when_the_session_ends_meanwhile() {
    let place = Place::start().await;
    // No rule is about them.
    let zoe = "zoe@home.example";
    place.sign_up(zoe).await;
    let page = place.signed_in(CONSOLE_TOKEN, "/people?email=zoe").await;
    comes_to_show(&page, "main td", zoe).await;
    page.follow("main tbody a").await;
    page.fill(
        "form:has(button[value=approve_developer]) input[name=reason]",
        "by phone",
    )
    .await;
    page.follow("button[value=approve_developer]").await;
    page.sees(".notice.ok", "usher does it now").await;
    place.becomes(zoe, "approved").await;

    comes_to_show(&page, "button[name=deed]", "Revoke").await;
    page.fill(
        "form:has(button[value=revoke_developer]) input[name=reason]",
        "left & gone",
    )
    .await;
    place
        .app
        .database
        .execute("DELETE FROM console_sessions")
        .await;
    page.follow("button[value=revoke_developer]").await;
    page.sees(".notice.warn", "What you typed is kept").await;
    sign_in(&page, CONSOLE_TOKEN).await;
    assert_eq!(page.text("h1").await, "Send it again?");
    page.sees("dl.facts", "left & gone").await;
    page.sees("dl.facts", "revoke_developer").await;
    assert_eq!(place.status(zoe).await, "approved");
    page.follow("form.stack button.primary").await;
    // What is cut off is shown before it is.
    page.sees(".lead", "Nothing is done yet").await;
    assert_eq!(place.status(zoe).await, "approved");
    page.follow("form.stack button.danger").await;
    page.sees(".notice.ok", "usher does it now").await;
    place.becomes(zoe, "revoked").await;

    // The newest stands first.
    let newest = "section[aria-labelledby=actions-title] tbody a";
    comes_to_show(&page, newest, "revoke developer").await;
    page.follow(newest).await;
    comes_to_show(&page, "h1", "revoke_developer done").await;
    page.sees("li.person", "ask by test").await;
    page.sees("li.person", "left & gone").await;
    page.has_no_errors().await;
    place.finish().await;
}

#[tokio::test]
async fn a_link_signs_in_once_and_then_leads_to_the_form() {
    let app = TestApp::start(config("http://127.0.0.1:9")).await;
    let link = app.sign_in_link.as_deref().expect("there is an operator");
    let link = format!("{}{link}", app.url);
    let page = Browser::page().await;
    page.open(&link).await;
    assert_eq!(page.text("h1").await, "Overview");
    page.sees(".who", "test, operator").await;
    assert_eq!(page.url().await, format!("{}/", app.url));
    page.has_no_errors().await;

    let other = Browser::page().await;
    other.open(&link).await;
    other
        .sees(".notice.bad", "This link was used already")
        .await;
    was_refused(&other, 410).await;
    sign_in(&other, CONSOLE_TOKEN).await;
    assert_eq!(other.text("h1").await, "Overview");
    other.has_no_errors().await;
    app.finish().await;
}
