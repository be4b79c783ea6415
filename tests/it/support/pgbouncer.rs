//! A pgbouncer between usher and the server of a database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::database::TestDatabase;
use crate::support::eventually;

/// Runs until it is dropped.
pub(crate) struct Pgbouncer {
    url: String,
    _folder: TempDir,
    _child: Child,
}

impl Pgbouncer {
    /// One with its defaults but for `pool_mode`.
    pub(crate) async fn before(database: &TestDatabase, pool_mode: &str) -> Self {
        let mut url: url::Url = database.url().parse().expect("a URL");
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let mut server = format!(
            "host={} port={} user={}",
            url.host_str().expect("the tests' server has a host"),
            url.port().unwrap_or(5432),
            url.username(),
        );
        if let Some(password) = url.password() {
            server = format!("{server} password={password}");
        }
        let folder = TempDir::new().expect("a folder");
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), everybody).expect("the folder is ours");
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\nunix_socket_dir =\npool_mode = {pool_mode}\n"
        );
        fs::write(&settings, text).expect("the file is written");
        // It does not run as root.
        let is_root = fs::metadata("/proc/self").is_ok_and(|it| {
            use std::os::unix::fs::MetadataExt as _;
            it.uid() == 0
        });
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if is_root {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .arg(settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("pgbouncer is installed: scripts/setup pgbouncer");
        eventually("pgbouncer listens", Duration::from_secs(10), async || {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(port)).expect("a port");
        Self {
            url: url.to_string(),
            _folder: folder,
            _child: child,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
