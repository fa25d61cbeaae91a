//! Listings that the daemon answers page by page.

use super::Failure;
use crate::admin::ClientError;
use crate::admin::api::{Page, PageToken};

/// As many pages as it takes for `limit` items, as one. `ask` is given how many items a page may have, which is
/// `largest` or less, and where the page before ended.
pub(super) async fn up_to<T>(
    limit: u32,
    largest: u32,
    mut ask: impl AsyncFnMut(u32, Option<PageToken>) -> Result<Page<T>, ClientError>,
) -> Result<Page<T>, Failure> {
    let mut left = limit;
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = ask(left.min(largest), after).await?;
        left = left.saturating_sub(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
        items.extend(page.items);
        if left == 0 || page.next.is_none() {
            return Ok(Page { now: page.now, items, next: page.next });
        }
        after = page.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{EventsQuery, QueueQuery};
    use crate::admin::tests::Daemon;

    #[tokio::test]
    async fn a_listing_takes_as_many_pages_as_it_needs_and_no_more_items_than_asked_for() {
        let daemon = Daemon::with_ada_and_grace().await;
        for (limit, items, more) in [(3, 3, true), (5, 5, true), (6, 6, false), (100, 6, false)] {
            let queue = async |limit, after| {
                let query = QueueQuery { limit: Some(limit), after, ..QueueQuery::default() };
                daemon.client.queue(&query).await
            };
            let listed = up_to(limit, 2, queue).await.unwrap();
            let mut seen: Vec<_> = listed.items.iter().map(|item| (&item.sink, &item.entity)).collect();
            seen.sort();
            seen.dedup();
            assert_eq!((seen.len(), listed.next.is_some()), (items, more), "{limit}");
        }
        for (limit, items, more) in [(3, 3, true), (4, 4, false), (100, 4, false)] {
            let events = async |limit, after| {
                let query = EventsQuery { limit: Some(limit), after, ..EventsQuery::default() };
                daemon.client.events(&query).await
            };
            let listed = up_to(limit, 2, events).await.unwrap();
            let ids: Vec<&str> = listed.items.iter().map(|event| event.id.as_str()).collect();
            assert_eq!(ids, ["evt_4", "evt_3", "evt_2", "evt_1"][..items]);
            assert_eq!(listed.next.is_some(), more, "{limit}");
        }
    }
}
