//! The examples do what they say.

#[path = "../../examples/letting_partners_in.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod letting_partners_in;
#[path = "../../examples/list_developers.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod list_developers;
#[path = "../../examples/publish_a_page.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod publish_a_page;

#[tokio::test]
async fn an_example_approves_all_who_wait() {
    let approved = list_developers::approve_all().await.unwrap();
    assert_eq!(approved.len(), 3, "{approved:?}");
}

#[tokio::test]
async fn an_example_lets_in_those_of_one_domain() {
    let let_in = letting_partners_in::let_in().await.unwrap();
    assert_eq!(let_in, ["ann@partner.example"]);
}

#[tokio::test]
async fn an_example_publishes_pages_with_those_below_them() {
    let paths = publish_a_page::publish().await.unwrap();
    assert_eq!(paths, ["/", "/guides/first-call", "/guides"]);
}
