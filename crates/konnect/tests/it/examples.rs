//! The examples do what they say.

#[path = "../../examples/list_developers.rs"]
#[expect(dead_code, reason = "an example has a main of its own")]
mod list_developers;

#[tokio::test]
async fn the_example_approves_all_who_wait() {
    let approved = list_developers::approve_all().await.unwrap();
    assert_eq!(approved.len(), 3, "{approved:?}");
}
