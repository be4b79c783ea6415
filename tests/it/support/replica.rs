//! A primary and a replica of it, both of their own. The replica cuts off at once what keeps it
//! from catching up.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use sqlx::PgPool;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");

/// Both run until they are dropped.
pub(crate) struct Replicated {
    pub(crate) primary_url: String,
    pub(crate) replica_url: String,
    pub(crate) primary: PgPool,
    pub(crate) replica: PgPool,
    /// Its server.
    child: Child,
    _primary: Child,
    _folders: [TempDir; 2],
}

impl Replicated {
    pub(crate) async fn start() -> Self {
        let folders = [folder(), folder()];
        let port = free_port().await;
        let (running, primary_url) = run(folders[0].path(), port).await;
        copy(port, folders[1].path()).await;
        let settings = folders[1].path().join("data/postgresql.auto.conf");
        let mut settings = OpenOptions::new().append(true).open(settings).unwrap();
        writeln!(settings, "max_standby_streaming_delay = 0").unwrap();
        drop(settings);
        let (child, replica_url) = run(folders[1].path(), free_port().await).await;
        Self {
            primary: PgPool::connect(&primary_url).await.unwrap(),
            replica: PgPool::connect(&replica_url).await.unwrap(),
            primary_url,
            replica_url,
            child,
            _primary: running,
            _folders: folders,
        }
    }

    /// Ends the replica.
    pub(crate) async fn lose_replica(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A folder that the user of Postgres can get through.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    free.local_addr().unwrap().port()
}

/// A server in this folder, and its URL once it answers.
async fn run(folder: &Path, port: u16) -> (Child, String) {
    let port = port.to_string();
    let mut server = Command::new(SCRIPT);
    let server = server
        .arg("run")
        .arg(folder)
        .arg(&port)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let child = server.spawn().unwrap();
    let answered = Command::new(SCRIPT).args(["await", &port]).output().await;
    let url = String::from_utf8(answered.unwrap().stdout).unwrap();
    (child, url.trim().to_owned())
}

/// Copies the primary on `port` into `folder`, as the user that will run the replica.
async fn copy(port: u16, folder: &Path) {
    let binaries = Command::new(SCRIPT).arg("bin").output().await.unwrap();
    let binaries = String::from_utf8(binaries.stdout).unwrap();
    let program = format!("{}/pg_basebackup", binaries.trim());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        let owned = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(owned.await.unwrap().success());
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
            &program,
        ]);
        command
    } else {
        Command::new(program)
    };
    let copied = command
        .args([
            "--host=127.0.0.1",
            "--username=usher",
            "--write-recovery-conf",
        ])
        .args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"])
        .arg(format!("--port={port}"))
        .arg(format!("--pgdata={}/data", folder.display()))
        .current_dir("/")
        .output()
        .await
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
}
