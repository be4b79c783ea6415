//! The directory and the rules over HTTP.

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Filled, OWNED, PAUL, TONY};
use crate::support::stage::{KEVIN, PARTNERS, PORTAL, REGISTRATION};

const DIRECTORY: &str = "/api/v1/directory";

fn column(rows: &[Value], name: &str) -> Vec<String> {
    let text = |row: &Value| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter().map(text).collect()
}

fn ids(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_directory_is_listed_with_who_people_are() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let rows = async |path: &str| app.rows(&format!("{DIRECTORY}/{path}")).await;

    let portals = rows("portals").await;
    assert_eq!(column(&portals, "portal_id"), ids(&[PORTAL]));
    assert_eq!(portals[0]["name"], "fixtures");

    let developers = rows("developers").await;
    assert_eq!(column(&developers, "developer_id"), ids(&[KEVIN, TONY]));
    assert_eq!(column(&developers, "status"), ["pending", "approved"]);
    assert_eq!(
        column(&developers, "email"),
        ["kevin@manchestercity.com", "Tony@Arsenal.com"]
    );
    assert_eq!(column(&developers, "full_name"), ["Somebody", "Somebody"]);
    assert_eq!(
        column(&rows("developers?status=pending").await, "developer_id"),
        ids(&[KEVIN])
    );

    let teams = rows("teams").await;
    assert_eq!(column(&teams, "team_id"), ids(&[PARTNERS]));
    let members = rows(&format!("memberships?team_id={PARTNERS}")).await;
    assert_eq!(column(&members, "developer_id"), ids(&[TONY, PAUL]));
    assert_eq!(
        column(&members, "email"),
        ["Tony@Arsenal.com", "paul_x@arsenal.com"]
    );
    let of_tony = rows(&format!(
        "memberships?developer_id={TONY}&portal_id={PORTAL}"
    ))
    .await;
    assert_eq!(column(&of_tony, "developer_id"), ids(&[TONY]));

    let (application, owner) = OWNED;
    let applications = rows(&format!("applications?owner_id={owner}")).await;
    assert_eq!(column(&applications, "application_id"), ids(&[application]));
    assert_eq!(
        applications[0]["owner"],
        json!({ "type": "developer", "id": owner })
    );
    assert_eq!(column(&applications, "email"), ["kevin@manchestercity.com"]);
    assert_eq!(
        rows(&format!("applications?owner_id={TONY}")).await,
        [] as [Value; 0]
    );

    for filter in [
        "status=pending".to_owned(),
        format!("application_id={application}"),
        format!("developer_id={KEVIN}"),
    ] {
        let registrations = rows(&format!("registrations?{filter}")).await;
        assert_eq!(
            column(&registrations, "registration_id"),
            ids(&[REGISTRATION])
        );
        assert_eq!(registrations[0]["api"]["name"], "Fixtures");
        assert_eq!(
            column(&registrations, "email"),
            ["kevin@manchestercity.com"]
        );
    }
    for filter in ["status=approved".to_owned(), format!("developer_id={TONY}")] {
        assert_eq!(
            rows(&format!("registrations?{filter}")).await,
            [] as [Value; 0]
        );
    }
    filled.app.finish().await;
}

#[tokio::test]
async fn what_is_gone_is_listed_on_demand_and_what_was_forgotten_is_empty() {
    let filled = Filled::new().await;
    let app = &filled.app;
    for (gone, expected) in [
        ("", &[KEVIN, TONY][..]),
        ("?gone=false", &[KEVIN, TONY]),
        ("?gone=true", &[PAUL]),
        ("?gone=any", &[KEVIN, TONY, PAUL]),
        ("?email=paul&gone=any", &[PAUL]),
        ("?email=paul", &[]),
    ] {
        let rows = app.rows(&format!("{DIRECTORY}/developers{gone}")).await;
        assert_eq!(column(&rows, "developer_id"), ids(expected), "{gone}");
    }
    for wrong in [
        "gone=yes",
        "status=Pending",
        "portal_id=x",
        "limit=0",
        "cursor=x",
    ] {
        let (status, _) = app.get(&format!("{DIRECTORY}/developers?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let pool = sqlx::PgPool::connect(&app.database.url()).await.unwrap();
    sqlx::query("UPDATE subjects SET email = NULL, full_name = NULL, forgotten_at = now()")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let rows = app.rows(&format!("{DIRECTORY}/developers")).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["email"], &rows[0]["full_name"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        app.rows(&format!("{DIRECTORY}/developers?email=k")).await,
        [] as [Value; 0]
    );
    filled.app.finish().await;
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_address() {
    let filled = Filled::new().await;
    let app = &filled.app;
    for (prefix, expected) in [
        ("tony@", &[TONY][..]),
        ("TONY@ARSENAL.COM", &[TONY]),
        ("ony", &[]),
        // No pattern: these stand for themselves.
        ("%25", &[]),
        ("paul_x", &[PAUL]),
        ("paul__", &[]),
        // Of Unicode no letter becomes another.
        ("%C4%B0", &[]),
        ("t", &[TONY]),
    ] {
        let path = format!("{DIRECTORY}/developers?gone=any&email={prefix}");
        let rows = app.rows(&path).await;
        assert_eq!(column(&rows, "developer_id"), ids(expected), "{prefix}");
    }
    filled.app.finish().await;
}

#[tokio::test]
async fn one_developer_comes_with_teams_and_applications() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let one = async |path: &str| app.get(&format!("{DIRECTORY}/developers/{path}")).await;
    let (status, kevin) = one(&KEVIN.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{kevin}");
    let kevin = &kevin["data"];
    assert_eq!(kevin["email"], "kevin@manchestercity.com");
    assert_eq!(kevin["applications"][0]["name"], "scores");
    assert_eq!(kevin["teams"], json!([]));
    let (_, tony) = one(&format!("{TONY}?portal_id={PORTAL}")).await;
    assert_eq!(tony["data"]["teams"][0]["name"], "Partners");
    // Whoever is gone is found by their id.
    assert!(one(&PAUL.to_string()).await.1["data"]["gone_at"].is_string());
    let elsewhere = format!("{KEVIN}?portal_id={TONY}");
    assert_eq!(one(&elsewhere).await.0, StatusCode::NOT_FOUND);
    assert_eq!(one(&PORTAL.to_string()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(one("x").await.0, StatusCode::BAD_REQUEST);

    let pool = sqlx::PgPool::connect(&app.database.url()).await.unwrap();
    for table in ["directory_developers", "subjects"] {
        let own = match table {
            "subjects" => "email",
            _ => "status, look, revision, first_seen_at, last_seen_at",
        };
        let twin = format!(
            "INSERT INTO {table} (portal_id, developer_id, {own})
            SELECT '{TONY}', developer_id, {own} FROM {table} WHERE developer_id = '{KEVIN}'"
        );
        sqlx::query(&twin).execute(&pool).await.unwrap();
    }
    pool.close().await;
    assert_eq!(one(&KEVIN.to_string()).await.0, StatusCode::CONFLICT);
    assert_eq!(one(&elsewhere).await.0, StatusCode::OK);
    filled.app.finish().await;
}

#[tokio::test]
async fn the_rules_in_force_are_told_without_what_is_secret() {
    let filled = Filled::new().await;
    let rules = filled.app.rows("/api/v1/rules").await;
    assert_eq!(
        column(&rules, "name"),
        ["watched", "partners"],
        "as they decide"
    );
    let expected = json!({
        "name": "partners",
        "on": "developer.signed_up",
        "when": "domain(developer.email) == \"manchestercity.com\"",
        "then": [
            { "deed": "approve_developer", "text": "approve_developer" },
            { "deed": "add_to_team", "text": "add_to_team Partners" },
            { "deed": "notify", "text": "notify hooks.example.org" },
        ],
        "mode": "live",
        "limit_per_hour": 7,
        "on_limit": "park",
        "max_age_seconds": 90,
        "priority": 0,
        "portals": null,
        "include_own": false,
    });
    assert_eq!(rules[1], expected);
    let (_, first) = filled.app.get("/api/v1/rules?limit=1").await;
    assert_eq!(
        column(first["data"].as_array().unwrap(), "name"),
        ["watched"]
    );
    let next = first["meta"]["next"].as_str().unwrap();
    let (_, second) = filled.app.get(next).await;
    assert_eq!(
        column(second["data"].as_array().unwrap(), "name"),
        ["partners"]
    );
    assert_eq!(second["meta"]["next"], Value::Null);
    filled.app.finish().await;
}
