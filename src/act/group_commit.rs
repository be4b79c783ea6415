//! Many callers, one transaction: items that arrive while a transaction commits go into the next
//! one. Knows nothing of the items.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::journal::JournalError;

/// Most that goes into one transaction.
const AT_ONCE: usize = 128;

/// Where so many came together last, more are likely to come.
const CROWD: usize = 8;
/// How long the next ones are waited for.
const GATHER_FOR: Duration = Duration::from_millis(10);

/// The result for one item: the error may be the same for all of them.
pub(super) type Outcome = Result<bool, Arc<JournalError>>;

/// Handles items in one transaction.
pub(super) trait CommitTogether: Send + Sync {
    /// What is handled.
    type Item: Send + Sync;

    /// Handles all, and answers in their order.
    fn handle(
        &self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<bool>, JournalError>> + Send;
}

/// Sends items to the queue. The queue ends with the last of these.
#[derive(Debug)]
pub(super) struct GroupCommit<T> {
    queue: mpsc::Sender<(T, oneshot::Sender<Outcome>)>,
}

/// Receives the items.
#[derive(Debug)]
pub(super) struct GroupCommitQueue<T> {
    queue: mpsc::Receiver<(T, oneshot::Sender<Outcome>)>,
}

/// Both ends.
pub(super) fn group_commit<T>() -> (GroupCommit<T>, GroupCommitQueue<T>) {
    let (sender, receiver) = mpsc::channel(AT_ONCE);
    (
        GroupCommit { queue: sender },
        GroupCommitQueue { queue: receiver },
    )
}

impl<T> GroupCommit<T> {
    /// Has `item` handled together with the others; returns after the commit.
    pub(super) async fn ask(&self, item: T) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let gone = || Arc::new(JournalError::busy());
        let asked = self.queue.send((item, answer)).await;
        asked.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

impl<T: Send + Sync> GroupCommitQueue<T> {
    /// Handles items by `together` until no sender is left. Where that fails for a reason that may
    /// lie in one item, each is handled alone.
    pub(super) async fn handle(mut self, together: impl CommitTogether<Item = T>) {
        let mut asked = Vec::with_capacity(AT_ONCE);
        let mut last = 0;
        while self.queue.recv_many(&mut asked, AT_ONCE).await > 0 {
            if last >= CROWD {
                let more = async {
                    while asked.len() < AT_ONCE {
                        let left = AT_ONCE - asked.len();
                        if self.queue.recv_many(&mut asked, left).await == 0 {
                            return;
                        }
                    }
                };
                let _is_full = timeout(GATHER_FOR, more).await;
            }
            last = asked.len();
            let (items, answers): (Vec<T>, Vec<_>) = asked.drain(..).unzip();
            let outcomes = match together.handle(&items).await {
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) if items.len() == 1 || error.is_transient() => {
                    let error = Arc::new(error);
                    items.iter().map(|_| Err(Arc::clone(&error))).collect()
                }
                Err(_) => one_by_one(&items, &together).await,
            };
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // The caller may no longer wait.
                let _is_heard = answer.send(outcome);
            }
        }
    }
}

async fn one_by_one<T: Send + Sync>(
    items: &[T],
    together: &impl CommitTogether<Item = T>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        let alone = together.handle(std::slice::from_ref(item)).await;
        outcomes.push(match alone {
            Ok(outcome) => Ok(outcome.first().copied().unwrap_or_default()),
            Err(error) => Err(Arc::new(error)),
        });
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{CommitTogether, group_commit};
    use crate::journal::JournalError;

    /// Says which are even, refuses 13, and records what came together.
    struct Even<'a>(&'a Mutex<Vec<Vec<u32>>>);

    impl CommitTogether for Even<'_> {
        type Item = u32;

        async fn handle(&self, items: &[u32]) -> Result<Vec<bool>, JournalError> {
            self.0.lock().unwrap().push(items.to_vec());
            if items.contains(&13) {
                return Err(poison());
            }
            Ok(items.iter().map(|item| item % 2 == 0).collect())
        }
    }

    fn poison() -> JournalError {
        JournalError::Inconsistent {
            table: "actions",
            column: "spec",
        }
    }

    #[tokio::test]
    async fn what_is_asked_meanwhile_is_handled_together_and_one_bad_item_spoils_no_other() {
        let (asks, gathered) = group_commit::<u32>();
        let groups = Mutex::default();
        let handling = gathered.handle(Even(&groups));
        let asking = async {
            let all = tokio::join!(asks.ask(1), asks.ask(2), asks.ask(13), asks.ask(4));
            drop(asks);
            all
        };
        let ((one, two, bad, four), ()) = tokio::join!(asking, handling);
        assert_eq!(
            (one.unwrap(), two.unwrap(), four.unwrap()),
            (false, true, true)
        );
        assert!(matches!(
            *bad.unwrap_err(),
            JournalError::Inconsistent { .. }
        ));
        let groups = groups.into_inner().unwrap();
        assert!(groups.iter().any(|group| group.len() > 1), "{groups:?}");
        assert!(groups.contains(&vec![13]), "{groups:?}");
    }

    #[tokio::test]
    async fn who_asks_when_nobody_handles_any_more_is_told() {
        let (asks, gathered) = group_commit::<u32>();
        drop(gathered);
        assert!(asks.ask(1).await.unwrap_err().is_transient());
    }
}
