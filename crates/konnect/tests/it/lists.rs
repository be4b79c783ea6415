//! Lists are read to their end, whatever happens to them meanwhile.

use konnect::{DeveloperStatus, Error, ListDestinations, ListDevelopers, Page};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Change, Fake, PORTAL, TOKEN, developer, id};

fn pages_of(size: u32) -> ListDevelopers {
    ListDevelopers {
        page_size: Some(size),
        ..ListDevelopers::default()
    }
}

async fn listed(fake: &Fake, size: u32) -> Vec<Uuid> {
    let developers = fake
        .client()
        .portal(PORTAL)
        .developers()
        .list(&pages_of(size))
        .await
        .unwrap();
    developers
        .into_iter()
        .map(|developer| developer.id.0)
        .collect()
}

#[tokio::test]
async fn reads_every_page_in_order_and_no_more() {
    for (count, pages) in [(0, 1), (1, 1), (9, 3), (10, 4)] {
        let fake = Fake::start().await;
        fake.state().developers = (0..count).map(id).collect();
        assert_eq!(
            listed(&fake, 3).await,
            (0..count).map(id).collect::<Vec<_>>()
        );
        assert_eq!(fake.asked().len(), pages, "{count} developers");
    }
}

#[tokio::test]
async fn names_each_developer_once_when_one_is_inserted_between_pages() {
    let fake = Fake::start().await;
    fake.state().developers = (0..7).map(id).collect();
    fake.state().changes = [Change::Insert(id(100)), Change::Insert(id(101))].into();
    assert_eq!(listed(&fake, 3).await, (0..7).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn misses_nobody_when_one_is_removed_between_pages() {
    let fake = Fake::start().await;
    fake.state().developers = (0..7).map(id).collect();
    fake.state().changes = [Change::Remove(id(0))].into();
    assert_eq!(listed(&fake, 3).await, (1..7).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn reads_lists_that_do_not_say_how_long_they_are() {
    for ignores_page_number in [false, true] {
        let fake = Fake::start().await;
        fake.state().developers = (0..3).map(id).collect();
        fake.state().hides_total = true;
        fake.state().ignores_page_number = ignores_page_number;
        let size = if ignores_page_number { 3 } else { 2 };
        assert_eq!(
            listed(&fake, size).await,
            (0..3).map(id).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn gives_up_on_a_list_that_repeats_its_pages() {
    let fake = Fake::start().await;
    fake.state().developers = (0..7).map(id).collect();
    fake.state().ignores_page_number = true;
    let error = fake
        .client()
        .portal(PORTAL)
        .developers()
        .list(&pages_of(3))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Paging { .. }), "{error:?}");
}

#[tokio::test]
async fn sets_aside_the_entries_of_a_list_that_cannot_be_read() {
    let fake = Fake::start().await;
    let page = |entries: &[Value]| {
        let total = json!({ "page": { "number": 1, "size": 2, "total": 5 } });
        json!({ "data": entries, "meta": total }).to_string()
    };
    let wrong = json!({ "id": id(1), "email": 5, "full_name": "Eve Secret" });
    let nameless = json!({ "id": "no id", "email": "eve@secret.example" });
    let pages = [
        page(&[developer(id(0), "pending"), wrong.clone()]),
        page(&[nameless.clone(), json!("no developer")]),
        page(&[wrong, developer(id(2), "rejected")]),
    ];
    for page in &pages {
        fake.will_answer(200, page.clone());
    }
    let client = fake.client();
    let listing = client
        .portal(PORTAL)
        .developers()
        .list_lenient(&pages_of(2))
        .await;
    let listing = listing.unwrap();
    let read: Vec<Uuid> = listing.items.iter().map(|entry| entry.id.0).collect();
    assert_eq!(read, [id(0), id(2)]);
    let unreadable: Vec<Option<Uuid>> = listing.unreadable.iter().map(|it| it.id).collect();
    assert_eq!(unreadable, [Some(id(1)), None, None]);
    for entry in &listing.unreadable {
        assert!(
            !entry.to_string().to_lowercase().contains("secret"),
            "{entry}"
        );
    }

    // Whoever reads the list as it is documented is told that it is not.
    fake.will_answer(200, page(&[nameless]));
    let error = client.portal(PORTAL).developers().list(&pages_of(2)).await;
    assert!(matches!(error, Err(Error::Decode { .. })), "{error:?}");
}

#[tokio::test]
async fn asks_with_filters_order_and_token() {
    let fake = Fake::start().await;
    let client = fake.builder().user_agent("usher/1").build().unwrap();
    let options = ListDevelopers {
        status: Some(DeveloperStatus::Pending.into()),
        email: Some("ann+x@example.com".into()),
        ..ListDevelopers::default()
    };
    let page: Page<_> = client
        .portal(PORTAL)
        .developers()
        .list_page(&options, 2)
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.total), (0, Some(0)));

    let asked = fake.asked().remove(0);
    assert_eq!(asked.path, format!("/v3/portals/{PORTAL}/developers"));
    assert_eq!(asked.query["filter[status][eq]"], "pending");
    assert_eq!(asked.query["filter[email][eq]"], "ann+x@example.com");
    assert_eq!(asked.query["sort"], "created_at");
    assert_eq!(asked.query["page[number]"], "2");
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked.headers["user-agent"], "usher/1");
}

#[tokio::test]
async fn follows_cursors_written_as_values_and_as_uris() {
    for uri_cursors in [false, true] {
        let fake = Fake::start().await;
        fake.state().destinations = (0..5).map(id).collect();
        fake.state().uri_cursors = uri_cursors;
        let options = ListDestinations {
            page_size: Some(2),
            ..ListDestinations::default()
        };
        let list = fake.client().destinations().list(&options).await.unwrap();
        let ids: Vec<_> = list.iter().map(|destination| destination.id.0).collect();
        assert_eq!(
            ids,
            (0..5).map(id).collect::<Vec<_>>(),
            "uri cursors: {uri_cursors}"
        );
        let sizes = fake
            .asked()
            .iter()
            .all(|asked| asked.query["page[size]"] == "2");
        assert!(
            sizes && fake.asked().len() == 3,
            "uri cursors: {uri_cursors}"
        );
    }
}

#[tokio::test]
async fn reads_a_list_page_by_page_and_again_when_it_shrinks() {
    for (change, pages) in [(None, vec![3, 3, 1]), (Some(id(0)), vec![3, 3, 3, 3])] {
        let fake = Fake::start().await;
        fake.state().developers = (0..7).map(id).collect();
        fake.state().changes = change.map(Change::Remove).into_iter().collect();
        let client = fake.client();
        let options = pages_of(3);
        let mut list = client.portal(PORTAL).developers().pages(&options);
        let mut read = Vec::new();
        let mut sizes = Vec::new();
        while let Some(page) = list.next().await.unwrap() {
            sizes.push(page.items.len());
            read.extend(page.items.into_iter().map(|developer| developer.id.0));
        }
        read.sort_unstable();
        read.dedup();
        assert_eq!(read, (0..7).map(id).collect::<Vec<_>>());
        assert_eq!(sizes, pages);
        assert!(list.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn reads_the_first_page_and_then_the_newest_one_on() {
    let fake = Fake::start().await;
    fake.state().developers = (0..7).map(id).collect();
    let client = fake.client();
    let options = pages_of(3);
    let list = client
        .portal(PORTAL)
        .developers()
        .newest_first(&options)
        .await;
    let mut list = list.unwrap().unwrap();
    for expected in [vec![0, 1, 2], vec![6], vec![3, 4, 5]] {
        assert!(!list.is_whole());
        let page = list.next().await.unwrap().unwrap();
        let read: Vec<Uuid> = page.items.iter().map(|developer| developer.id.0).collect();
        assert_eq!(read, expected.into_iter().map(id).collect::<Vec<_>>());
    }
    assert!(list.is_whole());
    assert!(list.next().await.unwrap().is_none());
    assert_eq!(fake.asked().len(), 3, "the first page is not read again");

    fake.state().developers.truncate(2);
    let list = client
        .portal(PORTAL)
        .developers()
        .newest_first(&options)
        .await;
    let mut list = list.unwrap().unwrap();
    assert_eq!(list.next().await.unwrap().unwrap().items.len(), 2);
    assert!(list.is_whole());
}

#[tokio::test]
async fn streams_the_entries_of_both_styles_each_once() {
    let fake = Fake::start().await;
    fake.state().developers = (0..7).map(id).collect();
    fake.state().changes = [Change::Remove(id(0))].into();
    fake.state().destinations = (0..5).map(id).collect();
    let client = fake.client();
    let options = pages_of(3);
    let mut items = client.portal(PORTAL).developers().pages(&options).items();
    let mut read = Vec::new();
    while let Some(developer) = items.next().await {
        read.push(developer.unwrap().id.0);
    }
    // The one that was missed comes when the list that shrank is read again.
    let expected: Vec<Uuid> = [0, 1, 2, 4, 5, 6, 3].into_iter().map(id).collect();
    assert_eq!(read, expected);

    let options = ListDestinations {
        page_size: Some(2),
        ..ListDestinations::default()
    };
    let mut items = client.destinations().pages(&options).items();
    for number in 0..5 {
        assert_eq!(items.next().await.unwrap().unwrap().id.0, id(number));
    }
    assert!(items.next().await.is_none());
}

type Answers = Vec<(u16, String)>;
type Check = fn(&Error) -> bool;

#[tokio::test]
async fn says_where_a_stream_broke_off_and_what_it_gave() {
    let page = |numbers: [usize; 2], next: &str| {
        let data = numbers.map(|number| json!({ "id": id(number), "name": "n" }));
        json!({ "data": data, "meta": { "next": next } }).to_string()
    };
    let unreadable = json!({ "data": [{ "id": id(9) }, { "id": 5 }], "meta": {} });
    let cases: [(Answers, (u64, u64), Check); 3] = [
        (
            vec![(200, page([0, 1], "a")), (404, String::new())],
            (2, 2),
            Error::is_not_found,
        ),
        (
            vec![(200, page([0, 1], "a")), (200, unreadable.to_string())],
            (2, 3),
            |error| matches!(error, Error::Decode { .. }),
        ),
        // The same cursor over and over, with the same entries behind it.
        (vec![(200, page([0, 1], "a")); 9], (4, 2), |error| {
            matches!(error, Error::Paging { .. })
        }),
    ];
    for (answers, (at, given), check) in cases {
        let fake = Fake::start().await;
        for (status, body) in answers {
            fake.will_answer(status, body);
        }
        let client = fake.client();
        let options = ListDestinations::default();
        let mut items = client.destinations().pages(&options).items();
        let mut read = 0;
        let error = loop {
            match items.next().await.unwrap() {
                Ok(_) => read += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.page, error.items, read), (at, given, given));
        assert!(check(&error.source), "{error:?}");
        assert!(items.next().await.is_none(), "an error ends the stream");
    }
}
