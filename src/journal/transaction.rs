//! Transactions that a caller may leave at any moment.
//!
//! A `BEGIN` whose future is dropped before its answer came is in force all the same, and the driver
//! does not know: whoever got the connection from the pool next would work inside it. So a connection
//! goes back only where no command of the transaction was under way, and is closed else.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgTransactionManager;
use sqlx::{PgConnection, PgPool, Postgres, TransactionManager};

/// A transaction on a connection of the pool; rolled back unless it is committed.
#[derive(Debug)]
pub struct Transaction {
    /// There until dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// What is known of the connection.
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its beginning or end is under way, or failed.
    Unclear,
    Open,
    Ended,
}

/// Begins a transaction on a connection of `pool`.
///
/// # Errors
/// Those of the driver.
pub async fn begin(pool: &PgPool) -> Result<Transaction, sqlx::Error> {
    let mut transaction = Transaction {
        connection: Some(pool.acquire().await?),
        state: State::Unclear,
    };
    PgTransactionManager::begin(&mut transaction, None).await?;
    transaction.state = State::Open;
    Ok(transaction)
}

impl Transaction {
    /// Makes its changes last.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.state = State::Unclear;
        PgTransactionManager::commit(&mut self).await?;
        self.state = State::Ended;
        Ok(())
    }

    /// Undoes its changes.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.state = State::Unclear;
        PgTransactionManager::rollback(&mut self).await?;
        self.state = State::Ended;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection
            .as_deref()
            .expect("it is there until dropped")
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection
            .as_deref_mut()
            .expect("it is there until dropped")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match self.state {
            // Sent before whatever the connection is used for next.
            State::Open => PgTransactionManager::start_rollback(&mut connection),
            State::Ended => {}
            // Outside the pool, the socket closes with it.
            State::Unclear => drop(connection.detach()),
        }
    }
}
