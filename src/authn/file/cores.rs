//! The line for a core: sources take turns, so that whoever sends many comparisons waits for their own and not others for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::authn::throttle::Source;

/// Cores, and those who wait for one.
#[derive(Clone, Debug)]
pub(super) struct Cores(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    free: usize,
    /// At most so many wait.
    room: usize,
    /// In the order of their turns; none is without somebody who waits.
    sources: VecDeque<(Source, VecDeque<oneshot::Sender<Core>>)>,
}

/// A core, given on when it is dropped.
#[derive(Debug)]
pub(super) struct Core(Cores);

impl Cores {
    pub(super) fn new(free: usize, room: usize) -> Self {
        Self(Arc::new(Mutex::new(Line { free, room, sources: VecDeque::new() })))
    }

    /// Waits for a core; `None` where the line is full, or where the place went to a source that has fewer.
    pub(super) async fn take(&self, source: Source) -> Option<Core> {
        let (sender, turn) = oneshot::channel();
        let free = self.line().enter(source, sender)?;
        if free { Some(Core(self.clone())) } else { turn.await.ok() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing that holds this lock can leave the line half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether a core is free at once; `None` where there is no place.
    fn enter(&mut self, source: Source, sender: oneshot::Sender<Core>) -> Option<bool> {
        if self.free > 0 {
            self.free -= 1;
            return Some(true);
        }
        if self.waiting() >= self.room {
            for (_, waiting) in &mut self.sources {
                waiting.retain(|sender| !sender.is_closed());
            }
            self.sources.retain(|(_, waiting)| !waiting.is_empty());
        }
        if self.waiting() >= self.room {
            let own = self.sources.iter().find(|(other, _)| *other == source).map_or(0, |(_, waiting)| waiting.len());
            let (_, longest) = self.sources.iter_mut().max_by_key(|(_, waiting)| waiting.len())?;
            if longest.len() <= own {
                return None;
            }
            // One that waits alone is its source's whole turn: nobody takes that.
            if longest.len() < 2 {
                return None;
            }
            longest.pop_back();
        }
        match self.sources.iter_mut().find(|(other, _)| *other == source) {
            Some((_, waiting)) => waiting.push_back(sender),
            None => self.sources.push_back((source, VecDeque::from([sender]))),
        }
        Some(false)
    }

    fn waiting(&self) -> usize {
        self.sources.iter().map(|(_, waiting)| waiting.len()).sum()
    }

    /// Who is next; the source goes to the end. Where nobody waits, the core is free.
    fn next(&mut self) -> Option<oneshot::Sender<Core>> {
        let Some((source, mut waiting)) = self.sources.pop_front() else {
            self.free += 1;
            return None;
        };
        let next = waiting.pop_front();
        if !waiting.is_empty() {
            self.sources.push_back((source, waiting));
        }
        next
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let next = self.0.line().next();
        if let Some(next) = next {
            // One that nobody waits for any more comes back here and goes on to the next.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(number: u8) -> Source {
        Source::of(Some(std::net::IpAddr::from([192, 0, 2, number])))
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn sources_take_turns_and_a_full_line_has_room_for_who_has_less() {
        let cores = Cores::new(1, 16);
        let first = cores.take(source(0)).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let wait = |number: u8| {
            let (cores, served) = (cores.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                let Some(core) = cores.take(source(number)).await else { return false };
                served.lock().unwrap().push(number);
                drop(core);
                true
            })
        };
        let crowd: Vec<_> = (0..16).map(|request| wait(1 + request % 2)).collect();
        settle().await;
        let late = wait(3);
        let more = wait(1);
        settle().await;
        assert!(!late.is_finished());
        assert!(more.is_finished(), "who has most gets no more");
        // Nobody waits for these any more, and nothing is lost by it.
        let gone = wait(4);
        settle().await;
        gone.abort();
        settle().await;
        drop(first);
        assert!(late.await.unwrap());
        settle().await;
        let served = served.lock().unwrap().clone();
        assert_eq!(served[..3], [1, 2, 3], "{served:?}");
        let outcomes = futures_util::future::join_all(crowd).await;
        assert_eq!(outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(true))).count(), served.len() - 1);
        assert!(cores.take(source(5)).await.is_some(), "the core came back");
    }
}
