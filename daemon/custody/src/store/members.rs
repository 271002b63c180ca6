//! `job_members`: the images that a job of a study task works on, and in which version of their series.

use rusqlite::{Connection, Transaction, params};

use super::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRow {
    pub series_id: i64,
    /// Of the series, when the job was made.
    pub version: i64,
    pub instance_id: i64,
}

/// A series in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesVersion {
    pub series_id: i64,
    pub version: i64,
}

/// # Errors
/// When the database fails.
pub fn insert(transaction: &Transaction<'_>, job_id: i64, members: &[MemberRow]) -> Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO job_members (job_id, series_id, version, instance_id) VALUES (?1, ?2, ?3, ?4)")?;
    for member in members {
        statement.execute(params![job_id, member.series_id, member.version, member.instance_id])?;
    }
    Ok(())
}

/// In the order of arrival.
///
/// # Errors
/// When the database fails.
pub fn of_job(connection: &Connection, job_id: i64) -> Result<Vec<MemberRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT series_id, version, instance_id FROM job_members WHERE job_id = ?1 ORDER BY instance_id",
    )?;
    let rows = statement.query_map([job_id], |row| {
        Ok(MemberRow { series_id: row.get(0)?, version: row.get(1)?, instance_id: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The series of a job, each once, by id; empty for the job of a single series.
///
/// # Errors
/// When the database fails.
pub fn series_of_job(connection: &Connection, job_id: i64) -> Result<Vec<SeriesVersion>> {
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT series_id, version FROM job_members WHERE job_id = ?1 ORDER BY series_id")?;
    let rows =
        statement.query_map([job_id], |row| Ok(SeriesVersion { series_id: row.get(0)?, version: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use dicom::kind::SeriesKind;

    use super::*;
    use crate::series::SeriesKey;
    use crate::store::{Durability, Store, jobs, now_utc, series};

    #[test]
    fn the_newest_job_of_a_study_task_knows_its_images_and_takes_the_place_of_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let open = |name: &str| {
            let key = SeriesKey { study_uid: "1.2".into(), series_uid: name.into() };
            let now = now_utc();
            let (row, _) = series::opened(&transaction, &key, "MG", SeriesKind::Mammography, 1, &now).unwrap();
            let version = series::completed(&transaction, row.id, "quiet", &now).unwrap();
            let sql = "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, \
                       received_utc, calling_ae, called_ae, peer_address, association, header) \
                       VALUES (?1, '', '1.2', ?1, 0, 0, '', 'kept', '', '', '', '', 0, '{}')";
            transaction.execute(sql, [name]).unwrap();
            MemberRow { series_id: row.id, version, instance_id: transaction.last_insert_rowid() }
        };
        let members = [open("a"), open("b")];
        let anchor = members[0].series_id;
        let task = "mammography_views";
        let first = jobs::enqueue_study(&transaction, task, anchor, 1, &members, &now_utc()).unwrap();
        let second = jobs::enqueue_study(&transaction, task, anchor, 2, &members[..1], &now_utc()).unwrap();
        assert_eq!(of_job(&transaction, first).unwrap(), members);
        let newest = jobs::newest_of_task(&transaction, "1.2", task).unwrap().unwrap();
        assert_eq!((newest.id, newest.task.as_deref()), (second, Some(task)));
        let only = SeriesVersion { series_id: anchor, version: 1 };
        assert_eq!(series_of_job(&transaction, second).unwrap(), [only]);
        assert_eq!(jobs::get(&transaction, first).unwrap().unwrap().state, "superseded");
    }
}
