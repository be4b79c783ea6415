//! A network between usher and Postgres that may go dead without a word: nothing is forwarded and
//! nothing closed.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use usher::lifecycle::Lifecycle;

use crate::support::database::TestDatabase;

/// Forwards connections to the server of a database.
#[derive(Clone)]
pub(crate) struct Network {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Fires for the connections that are there.
    dead: CancellationToken,
    /// Whether new ones are not forwarded either.
    down: bool,
}

impl Network {
    /// One to `database`, forwarding.
    pub(crate) async fn to(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut url: url::Url = database.url().parse().expect("a URL");
        let host = url.host_str().expect("the tests' server has a host");
        let server = format!("{host}:{}", url.port().unwrap_or(5432));
        let address = listener.local_addr().expect("bound");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(address.port())).expect("a port");
        let this = Self {
            url: url.to_string(),
            state: Arc::default(),
        };
        let state = Arc::clone(&this.state);
        Lifecycle::new().spawn("network", async move {
            let lifecycle = Lifecycle::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (dead, down) = {
                    let state = state.lock().expect("no panic while held");
                    (state.dead.clone(), state.down)
                };
                lifecycle.spawn("connection", forward(socket, server.clone(), dead, down));
            }
        });
        this
    }

    /// Where usher finds the database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lets all connections go dead; new ones as well until [`Network::mend`].
    pub(crate) fn go_dead(&self) {
        let mut state = self.state.lock().expect("no panic while held");
        state.down = true;
        std::mem::take(&mut state.dead).cancel();
    }

    /// Forwards new connections again. Those that went dead stay so.
    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().expect("no panic while held");
        state.down = false;
        // Those that came meanwhile are held apart from the living.
        std::mem::take(&mut state.dead).cancel();
    }
}

async fn forward(mut socket: TcpStream, server: String, dead: CancellationToken, down: bool) {
    if !down {
        let mut other = TcpStream::connect(server)
            .await
            .expect("the server is there");
        socket.set_nodelay(true).expect("a socket");
        other.set_nodelay(true).expect("a socket");
        let forwarding = copy_bidirectional(&mut socket, &mut other);
        if dead.run_until_cancelled(forwarding).await.is_some() {
            return;
        }
        // Both ends stay open for as long as the test runs.
        std::future::pending::<()>().await;
        drop(other);
    }
    std::future::pending::<()>().await;
    drop(socket);
}
