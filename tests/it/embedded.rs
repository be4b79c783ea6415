//! The embedded Postgres, with the machine's own binaries and real processes. A killed parent is
//! played by this test binary itself, run a second time.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use embedded_postgres::{EmbeddedConfig, EmbeddedError, EmbeddedPostgres};
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Tells the second run of this binary which folder to start a server in.
const ROLE: &str = "USHER_TEST_EMBEDDED_PARENT";

/// A user without rights, who exists wherever these tests run as root.
const NOBODY: &str = "65534";

/// A folder that every user can pass through, as `/var/lib` is.
fn scratch() -> TempDir {
    let dir = tempfile::Builder::new().prefix("usher-").tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

async fn start(data_dir: &Path) -> Result<EmbeddedPostgres, EmbeddedError> {
    let config = EmbeddedConfig {
        data_dir: data_dir.to_owned(),
        bin_dir: None,
    };
    EmbeddedPostgres::start(config, &search_path(), &CancellationToken::new()).await
}

async fn ask(url: &str, question: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let answer = sqlx::raw_sql(question)
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get(0);
    connection.close().await.unwrap();
    answer
}

async fn tell(url: &str, statements: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statements)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn server_pid(data_dir: &Path) -> u32 {
    let file = fs::read_to_string(data_dir.join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().trim().parse().unwrap()
}

/// A zombie has ended: only its new parent has yet to ask how.
fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
        !status
            .lines()
            .any(|line| line.starts_with("State:") && line.contains('Z'))
    })
}

#[tokio::test]
async fn data_survive_a_stop_and_nothing_listens_on_tcp() {
    let home = scratch();
    let data_dir = home.path().join("with space, and comma");
    // What an interrupted `initdb` leaves.
    fs::create_dir_all(data_dir.join("data.unfinished/base")).unwrap();

    let first = start(&data_dir).await.unwrap();
    let pid = server_pid(&data_dir);
    tell(
        first.url(),
        "CREATE TABLE kept AS SELECT 'kept'::text AS word",
    )
    .await;
    for (setting, value) in [
        ("SHOW fsync", "on"),
        ("SHOW listen_addresses", ""),
        ("SHOW server_encoding", "UTF8"),
        ("SHOW lc_collate", "C.UTF-8"),
        ("SELECT current_database()::text", "usher"),
    ] {
        assert_eq!(ask(first.url(), setting).await, value, "{setting}");
    }

    let joined = start(&data_dir).await.unwrap();
    assert!(joined.is_joined() && !first.is_joined());
    assert_eq!(ask(joined.url(), "SELECT word FROM kept").await, "kept");
    joined.stop().await.unwrap();
    assert_eq!(ask(first.url(), "SELECT word FROM kept").await, "kept");

    first.stop().await.unwrap();
    assert!(!is_running(pid), "stop waits for the end");
    assert!(!data_dir.join("data.unfinished").exists());

    let second = start(&data_dir).await.unwrap();
    assert_eq!(ask(second.url(), "SELECT word FROM kept").await, "kept");
    second.stop().await.unwrap();

    a_broken_start_shows_the_end_of_the_log(&data_dir).await;
    another_major_is_refused(&data_dir).await;
}

/// Shares the folder above, since making one takes seconds.
async fn a_broken_start_shows_the_end_of_the_log(data_dir: &Path) {
    let settings = data_dir.join("data/postgresql.conf");
    let sound = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, "no_such_setting = 1\n").unwrap();
    let error = start(data_dir).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedError::StartFailed { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    fs::write(&settings, sound).unwrap();
}

async fn another_major_is_refused(data_dir: &Path) {
    fs::write(data_dir.join("data/PG_VERSION"), "9.6\n").unwrap();
    let error = start(data_dir).await.unwrap_err();
    assert!(
        matches!(&error, EmbeddedError::OtherMajor { data, .. } if data == "9.6"),
        "{error}"
    );
}

#[tokio::test]
async fn the_data_folder_of_another_server_is_left_alone() {
    let home = scratch();
    fs::write(home.path().join("PG_VERSION"), "9.6\n").unwrap();
    let error = start(home.path()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotOurs { .. }), "{error}");
    assert!(!home.path().join("data").exists());
}

#[tokio::test]
async fn a_folder_out_of_reach_is_named() {
    let home = scratch();
    let closed = home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    // Root passes everywhere and the server's user does not; anyone else is stopped at once.
    fs::set_permissions(&closed, Permissions::from_mode(0o600)).unwrap();
    let error = start(&closed.join("data")).await.unwrap_err().to_string();
    assert!(error.contains(&closed.display().to_string()), "{error}");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_killed_parent_leaves_no_server_and_loses_nothing() {
    if let Some(data_dir) = std::env::var_os(ROLE) {
        return start_and_hang(Path::new(&data_dir)).await;
    }
    let home = scratch();
    if fs::metadata(home.path()).unwrap().uid() == 0 {
        let same = kill_and_look(home.path(), "same", Command::new(this_binary()));
        let nobody = kill_and_look(home.path(), "nobody", as_nobody(home.path()));
        tokio::join!(same, nobody);
    } else {
        kill_and_look(home.path(), "same", Command::new(this_binary())).await;
    }
}

async fn kill_and_look(home: &Path, name: &str, mut parent: Command) {
    let data_dir = home.join(name);
    let mut parent = parent
        .args([
            "--exact",
            "embedded::a_killed_parent_leaves_no_server_and_loses_nothing",
        ])
        .env(ROLE, &data_dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the server is up", Duration::from_mins(1), || {
        let ended = parent.try_wait().unwrap();
        assert!(ended.is_none(), "the parent ended early: {ended:?}");
        data_dir.join("ready").exists()
    })
    .await;
    let pid = server_pid(&data_dir);
    assert!(is_running(pid));

    parent.kill().unwrap();
    parent.wait().unwrap();

    eventually("the server is gone", Duration::from_secs(10), || {
        !is_running(pid)
    })
    .await;
    let next = start(&data_dir).await.unwrap();
    assert_eq!(ask(next.url(), "SELECT word FROM kept").await, "kept");
    next.stop().await.unwrap();
}

/// The second role: a parent that never stops its server.
async fn start_and_hang(data_dir: &Path) {
    let server = start(data_dir).await.unwrap();
    tell(
        server.url(),
        "CREATE TABLE kept AS SELECT 'kept'::text AS word",
    )
    .await;
    fs::write(data_dir.join("ready"), "").unwrap();
    std::future::pending::<()>().await;
}

fn this_binary() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Runs this binary as a user without rights: a copy, since the build folder may lie where only its
/// owner can look.
fn as_nobody(home: &Path) -> Command {
    let copy = home.join("this");
    fs::copy(this_binary(), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    let data_dir = home.join("nobody");
    fs::create_dir(&data_dir).unwrap();
    let id = Some(NOBODY.parse().unwrap());
    chown(&data_dir, id, id).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"])
        .arg(copy);
    command
}
