//! The folder of a job's results.

use std::path::{Path, PathBuf};

use custody::store::results::{self, ResultRow};
use report::ResultObject;
use sha2::{Digest, Sha256};

use super::error::Error;

/// The objects of a job, written durably below `results/<job>/`.
#[derive(Debug)]
pub struct Results {
    job: i64,
    /// Below the spool directory.
    folder: String,
    root: PathBuf,
    directory: PathBuf,
    rows: Vec<ResultRow>,
}

impl Results {
    /// What an interrupted attempt left there is replaced.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin(spool: &Path, job: i64) -> Result<Self, Error> {
        Self::begin_in(spool, results::folder(job), job)
    }

    /// The same in another folder, `results/NAME`, for what a job did not make itself.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin_in(spool: &Path, folder: String, job: i64) -> Result<Self, Error> {
        let root = spool.join("results");
        let directory = spool.join(&folder);
        if directory.exists() {
            std::fs::remove_dir_all(&directory).map_err(io("cannot clear", &directory))?;
        }
        std::fs::create_dir_all(&directory).map_err(io("cannot make", &directory))?;
        Ok(Self { job, folder, root, directory, rows: Vec::new() })
    }

    /// Removes what a failed attempt has left.
    pub fn clear(spool: &Path, job: i64) {
        let directory = spool.join(results::folder(job));
        if let Err(error) = std::fs::remove_dir_all(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %directory.display(), %error, "cannot remove the results of a failed attempt");
        }
    }

    /// # Errors
    /// `Io`.
    pub fn put(&mut self, object: &ResultObject) -> Result<(), Error> {
        let name = format!("{:02}-{}.dcm", self.rows.len() + 1, object.kind);
        self.add(&name, &object.part10)?;
        self.rows.push(ResultRow {
            id: 0,
            job_id: self.job,
            kind: object.kind.to_owned(),
            sop_class: object.sop_class_uid.clone(),
            sop_uid: object.sop_uid.clone(),
            study_uid: object.study_uid.clone(),
            series_uid: object.series_uid.clone(),
            file: format!("{}/{name}", self.folder),
            length: object.part10.len() as u64,
            sha256: hex::encode(Sha256::digest(&object.part10)),
            simulated: false,
        });
        Ok(())
    }

    /// An object of the version before that stays as it is: it belongs to this job from now on.
    pub fn keep(&mut self, row: &ResultRow) {
        self.rows.push(ResultRow { job_id: self.job, ..row.clone() });
    }

    /// A file beside the objects.
    ///
    /// # Errors
    /// `Io`.
    pub fn add(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.directory.join(name);
        let write = || {
            let mut file = std::fs::File::create(&path)?;
            std::io::Write::write_all(&mut file, bytes)?;
            file.sync_data()
        };
        write().map_err(io("cannot write", &path))
    }

    /// The rows of the objects, once all is on the disk. `simulated`: a simulated device or accelerator had a part in the
    /// job. That goes for all its objects, since they refer to each other.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self, simulated: bool) -> Result<Vec<ResultRow>, Error> {
        self.rows.iter_mut().for_each(|row| row.simulated = simulated);
        for directory in [&self.directory, &self.root] {
            std::fs::File::open(directory).and_then(|d| d.sync_all()).map_err(io("cannot sync", directory))?;
        }
        Ok(self.rows)
    }
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
