//! IP allow lists of a portal, against the emulator: each operation, and what is there after it.

use konnect::ip_allow_list::{IpAllowListUpdate, ListIpAllowLists, NewIpAllowList};
use konnect::{Client, NewPortal};
use konnect_emulator::Emulator;

fn of(addresses: &[&str]) -> NewIpAllowList {
    NewIpAllowList {
        allowed_ips: addresses.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test]
async fn allow_lists_are_made_listed_replaced_changed_and_deleted() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::builder(emulator.url().parse().unwrap())
        .token(emulator.token().into())
        .build()
        .unwrap();
    let new = NewPortal {
        name: "Portal".to_owned(),
        ..NewPortal::default()
    };
    let portal = client.portals().create(&new).await.unwrap();
    let lists = client.portal(portal.id).ip_allow_lists();

    let mut made = Vec::new();
    for addresses in [
        &["192.168.1.1", "10.0.0.0/8"][..],
        &["fd00::/8"],
        &["::1"],
        &["10.1.2.3"],
        &["10.1.2.4"],
    ] {
        let list = lists.create(&of(addresses)).await.unwrap();
        assert_eq!(list.allowed_ips, addresses);
        assert_eq!(lists.get(list.id).await.unwrap(), list);
        made.push(list);
    }

    let options = ListIpAllowLists { page_size: Some(2) };
    assert_eq!(lists.list(&options).await.unwrap(), made);
    let first = lists.list_page(&options, None).await.unwrap();
    assert_eq!(first.items, made[..2]);
    let second = lists.list_page(&options, first.next).await.unwrap();
    assert_eq!(second.items, made[2..4]);
    let mut pages = lists.pages(&options);
    let mut lengths = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        lengths.push(page.items.len());
    }
    assert_eq!(lengths, [2, 2, 1]);

    let id = made[0].id;
    let replaced = lists.replace(id, &of(&["2001:db8::1"])).await.unwrap();
    assert_eq!((replaced.id, replaced.allowed_ips.len()), (id, 1));
    let update = IpAllowListUpdate {
        allowed_ips: Some(vec!["172.16.0.0/12".to_owned()]),
    };
    let changed = lists.update(id, &update).await.unwrap();
    assert_eq!(changed.allowed_ips, ["172.16.0.0/12"]);
    assert_eq!(lists.get(id).await.unwrap(), changed);
    let nothing = IpAllowListUpdate::default();
    let refused = lists.update(id, &nothing).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "{refused}");

    lists.delete(id).await.unwrap();
    assert!(lists.get(id).await.unwrap_err().is_not_found());
    assert!(lists.delete(id).await.unwrap_err().is_not_found());
    assert_eq!(lists.list(&options).await.unwrap(), made[1..]);

    // Lists end with their portal, and what is asked below it is not found.
    client.portal(portal.id).delete(false).await.unwrap();
    assert!(lists.list(&options).await.unwrap_err().is_not_found());
}
