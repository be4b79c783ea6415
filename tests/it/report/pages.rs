//! The page on reports: it lists what there is, and every query in it runs, as the role that it
//! describes.

use sqlx::{Connection, Executor, PgConnection, PgPool};
use usher::journal::MIGRATOR;
use usher::report::{By, Parameter, ReportName};

const PAGE: &str = include_str!("../../../docs/reports.md");

#[test]
fn the_page_lists_every_report_with_what_it_takes_and_its_columns() {
    for name in ReportName::ALL {
        let takes: Vec<String> = name.takes().iter().map(|&it| taken(it)).collect();
        let columns = name.columns().iter();
        let columns: Vec<String> = columns
            .map(|column| format!("| `{}` | {} |\n", column.name, column.about))
            .collect();
        let section = format!(
            "### `{name}`\n\n{}. Takes {}.\n\n| column | what it holds |\n| --- | --- |\n{}\n",
            name.about(),
            takes.join(", "),
            columns.concat(),
        );
        assert!(
            PAGE.contains(&section),
            "docs/reports.md lacks this:\n{section}"
        );
    }
}

fn taken(parameter: Parameter) -> String {
    let name = parameter.name();
    match parameter {
        Parameter::By(bys) => {
            let words: Vec<&str> = bys.iter().copied().map(By::as_str).collect();
            format!("`{name}` ({})", words.join(", "))
        }
        Parameter::Days(days) => format!("`{name}` ({days})"),
        _ => format!("`{name}`"),
    }
}

/// What stands in the page between two fences.
fn blocks(fence: &str) -> Vec<&'static str> {
    let mut blocks = PAGE.split(fence).skip(1);
    blocks
        .by_ref()
        .map(|rest| rest.split_once("\n```").expect("a block that ends").0)
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn every_query_of_the_page_runs_as_the_role_that_it_describes(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let role = format!("analyst_{}", std::process::id());
    let made = blocks("```\nCREATE ROLE");
    let [made] = made[..] else {
        panic!("one block makes the role")
    };
    let made = format!("CREATE ROLE{made}")
        .replace("analyst", &role)
        .replace('…', "secret");
    connection.execute(made.as_str()).await.unwrap();
    let queries = blocks("```sql\n");
    assert!(queries.len() >= 7, "{}", queries.len());
    let tried = tried(&mut connection, &role, &queries).await;
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    connection.execute(gone.as_str()).await.unwrap();
    tried.unwrap();
}

/// Runs the queries as `role`, and what it must not do.
async fn tried(
    connection: &mut PgConnection,
    role: &str,
    queries: &[&'static str],
) -> Result<(), String> {
    for &query in queries {
        let mut tx = connection.begin().await.unwrap();
        let set = format!("SET LOCAL ROLE {role}");
        tx.execute(set.as_str()).await.unwrap();
        let ran = tx.fetch_all(query).await;
        ran.map_err(|error| format!("{query}\n{error}"))?;
    }
    for forbidden in [
        "SELECT raw FROM events",
        "SELECT email FROM subjects",
        "DELETE FROM v_developers",
    ] {
        let mut tx = connection.begin().await.unwrap();
        let set = format!("SET LOCAL ROLE {role}");
        tx.execute(set.as_str()).await.unwrap();
        if tx.execute(forbidden).await.is_ok() {
            return Err(format!("the role may do this: {forbidden}"));
        }
    }
    Ok(())
}
