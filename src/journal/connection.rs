//! Connections that answer in time or are given up.
//!
//! A connection may die without a sign: what was sent is never answered, and nothing closes it. The
//! server bounds every statement, so a longer wait means that the connection is dead. It is closed.
//! A connection with an answer still on the way is closed too: its next user would read that answer
//! for its own.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{TryFutureExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgConnection, PgPool, PgQueryResult, PgRow, PgStatement, PgTransactionManager, PgTypeInfo,
};
use sqlx::{Describe, Either, Execute, Executor, Postgres, TransactionManager as _};
use tokio::time::{Instant, timeout_at};

/// Longer than the server lets a statement take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(35);

type Answers<'a> = BoxStream<'a, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>;

/// The connections that are shared. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool(PgPool);

impl Pool {
    pub(super) fn shared(&self) -> &PgPool {
        &self.0
    }

    /// One connection, as soon as there is one.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let held = Origin::Pooled(self.0.acquire().await?);
        Ok(Connection::new(held, ANSWER_WITHIN))
    }

    /// A transaction in which each statement may take so long. The server must have the same limit.
    pub async fn begin_within(
        &self,
        patience: Duration,
    ) -> Result<Transaction<'static>, sqlx::Error> {
        let held = Origin::Pooled(self.0.acquire().await?);
        Transaction::begin(On::Own(Connection::new(held, patience))).await
    }

    /// A transaction on a connection of its own.
    pub async fn begin(&self) -> Result<Transaction<'static>, sqlx::Error> {
        Transaction::begin(On::Own(self.acquire().await?)).await
    }
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self(pool)
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Answers<'e>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let answers = async move {
            let mut connection = self.acquire().await?;
            let answers: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok(stream::iter(answers.into_iter().map(Ok)))
        };
        Box::pin(answers.try_flatten_stream())
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, sqlx::Error>>
    where
        'p: 'e,
    {
        self.0.prepare_with(sql, parameters)
    }

    fn describe<'e, 'q: 'e>(
        self,
        sql: &'q str,
    ) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        self.0.describe(sql)
    }
}

/// A connection with a deadline for everything that is asked of it.
#[derive(Debug)]
pub struct Connection {
    held: Origin,
    patience: Duration,
    /// Whether an answer is still on the way.
    asked: bool,
}

#[derive(Debug)]
enum Origin {
    Pooled(PoolConnection<Postgres>),
    Apart(PgConnection),
}

impl Connection {
    fn new(held: Origin, patience: Duration) -> Self {
        Self {
            held,
            patience,
            asked: false,
        }
    }

    /// One outside the pool, whose statements may take as long as `patience`.
    pub(super) fn apart(connection: PgConnection, patience: Duration) -> Self {
        Self::new(Origin::Apart(connection), patience)
    }

    /// Lets what is asked from now on take so long. The server must have the same limit.
    pub fn allow(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// A transaction, or a savepoint of the one that is under way.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        Transaction::begin(On::Lent(self)).await
    }

    /// Waits for the result of `ask` on the connection.
    pub(super) async fn answer<T, E: From<sqlx::Error>>(
        &mut self,
        ask: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>>,
    ) -> Result<T, E> {
        self.answer_within(self.patience, ask).await
    }

    /// As [`Connection::answer`], with another limit.
    pub(super) async fn answer_within<T, E: From<sqlx::Error>>(
        &mut self,
        patience: Duration,
        ask: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>>,
    ) -> Result<T, E> {
        self.asked = true;
        let until = Instant::now() + patience;
        let answer = in_time(until, ask(self)).await?;
        self.asked = false;
        Ok(answer)
    }
}

/// The result of `answer`, if it arrives until then.
async fn in_time<T, E: From<sqlx::Error>>(
    until: Instant,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = || sqlx::Error::from(io::Error::from(io::ErrorKind::TimedOut));
    timeout_at(until, answer)
        .await
        .unwrap_or_else(|_| Err(late().into()))
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.held {
            Origin::Pooled(connection) => connection,
            Origin::Apart(connection) => connection,
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Origin::Pooled(connection) => connection,
            Origin::Apart(connection) => connection,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.asked
            && let Origin::Pooled(connection) = &mut self.held
        {
            connection.close_on_drop();
        }
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Answers<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Connection {
            held,
            patience,
            asked,
        } = self;
        *asked = true;
        let until = Instant::now() + *patience;
        let answers = match held {
            Origin::Pooled(connection) => connection.fetch_many(query),
            Origin::Apart(connection) => connection.fetch_many(query),
        };
        let each = move |(mut answers, asked): (Answers<'e>, &'e mut bool)| async move {
            let next = in_time(until, answers.try_next()).await;
            // The driver can continue after an error of the server.
            *asked = match &next {
                Ok(next) => next.is_some(),
                Err(error) => error.as_database_error().is_none(),
            };
            Ok(next?.map(|next| (next, (answers, asked))))
        };
        Box::pin(stream::try_unfold((answers, asked), each))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let mut answers = self.fetch_many(query);
        Box::pin(async move {
            let mut row = None;
            while let Some(answer) = answers.try_next().await? {
                row = row.or_else(|| answer.right());
            }
            Ok(row)
        })
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.deref_mut().prepare_with(sql, parameters)
    }

    fn describe<'e, 'q: 'e>(
        self,
        sql: &'q str,
    ) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.deref_mut().describe(sql)
    }
}

/// A transaction that is rolled back unless it is committed.
#[derive(Debug)]
pub struct Transaction<'c> {
    on: On<'c>,
    open: bool,
}

#[derive(Debug)]
enum On<'c> {
    Own(Connection),
    Lent(&'c mut Connection),
}

impl<'c> Transaction<'c> {
    async fn begin(on: On<'c>) -> Result<Self, sqlx::Error> {
        let mut this = Self { on, open: false };
        this.answer(|connection| PgTransactionManager::begin(connection, None))
            .await?;
        this.open = true;
        Ok(this)
    }

    /// Commits it.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.answer(PgTransactionManager::commit).await?;
        self.open = false;
        Ok(())
    }

    /// Rolls it back.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.answer(PgTransactionManager::rollback).await?;
        self.open = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.on {
            On::Own(connection) => connection,
            On::Lent(connection) => connection,
        }
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.on {
            On::Own(connection) => connection,
            On::Lent(connection) => connection,
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open && !self.asked {
            PgTransactionManager::start_rollback(self);
        }
    }
}
