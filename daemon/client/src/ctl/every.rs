//! All rows of a list. The daemon gives 10,000 in one call, and rows of evicted studies count and stay for ever.

use std::collections::HashSet;
use std::hash::Hash;

use crate::{ManagerProxy, Options, Series, Study};

/// Rows that one call gives at most.
pub const PAGE: usize = 10_000;

/// # Errors
/// When a call fails. A daemon of an older version fails where there are more than one call gives.
pub async fn studies(manager: &ManagerProxy<'_>, options: &Options<'static>) -> zbus::Result<Vec<Study>> {
    let fetch = async |before: Option<u64>| manager.list_studies(page(options, before)?).await;
    pages(PAGE, fetch, |study| (study.study_uid.clone(), number(study.path.as_str()))).await
}

/// # Errors
/// As for [`studies`].
pub async fn series(manager: &ManagerProxy<'_>, options: &Options<'static>) -> zbus::Result<Vec<Series>> {
    let fetch = async |before: Option<u64>| manager.list_series(page(options, before)?).await;
    pages(PAGE, fetch, |series| (series.path.to_string(), number(series.path.as_str()))).await
}

fn page(options: &Options<'static>, before: Option<u64>) -> zbus::Result<Options<'static>> {
    let mut page = Options::from([("limit", 0u32.into())]);
    for (name, value) in options {
        page.insert(*name, value.try_clone()?);
    }
    if let Some(before) = before {
        page.insert("before", before.into());
    }
    Ok(page)
}

fn number(path: &str) -> u64 {
    path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Calls until one gives fewer than `most`. A study that moved to the front meanwhile may come twice: it counts once.
async fn pages<T, K: Eq + Hash, E>(
    most: usize,
    fetch: impl AsyncFn(Option<u64>) -> Result<Vec<T>, E>,
    known_by: impl Fn(&T) -> (K, u64),
) -> Result<Vec<T>, E> {
    let (mut all, mut seen, mut before) = (Vec::new(), HashSet::new(), None);
    loop {
        let rows = fetch(before).await?;
        let (full, known) = (rows.len() >= most, all.len());
        before = rows.last().map(|row| known_by(row).1);
        all.extend(rows.into_iter().filter(|row| seen.insert(known_by(row).0)));
        if !full || all.len() == known {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(rows: &[u64], most: usize) -> Vec<u64> {
        let fetch = async |before: Option<u64>| {
            let after = rows.iter().position(|row| Some(*row) == before).map_or(0, |at| at + 1);
            Ok::<_, ()>(rows[after..].iter().copied().take(most).collect())
        };
        pages(most, fetch, |row| (*row, *row)).await.unwrap()
    }

    #[tokio::test]
    async fn all_is_all_however_many_calls_it_takes() {
        for count in 0..8 {
            let rows: Vec<u64> = (1..=count).rev().collect();
            assert_eq!(of(&rows, 3).await, rows);
        }
    }

    #[tokio::test]
    async fn a_list_that_gives_the_same_again_and_again_has_an_end() {
        let fetch = async |_| Ok::<_, ()>(vec![3, 2, 1]);
        assert_eq!(pages(3, fetch, |row: &u64| (*row, *row)).await.unwrap(), [3, 2, 1]);
    }
}
