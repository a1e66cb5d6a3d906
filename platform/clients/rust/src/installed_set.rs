// SPDX-License-Identifier: Apache-2.0
//! The identity that mtls-agent has installed: read as one set, and read again after a rotation.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A leaf with its chain, its key, and the CA of the enclave, in PEM. They belong together.
pub struct Files {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    pub ca: Vec<u8>,
}

/// Keeps a client, or whatever else is made from a set, for as long as that set is the installed one.
pub struct Follower<T> {
    dir: PathBuf,
    make: fn(Files) -> Result<T>,
    made: Mutex<Option<(PathBuf, T)>>,
}

impl<T: Clone> Follower<T> {
    pub fn new(dir: impl Into<PathBuf>, make: fn(Files) -> Result<T>) -> Self {
        Self { dir: dir.into(), make, made: Mutex::new(None) }
    }

    /// What belongs to the set that is installed now. Costs one readlink(2) where that has not changed.
    pub fn current(&self) -> Result<T> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let set = installed(&self.dir)?;
            if let Some((_, kept)) = made.as_ref().filter(|(of, _)| *of == set) {
                return Ok(kept.clone());
            }
            match read(&set) {
                Ok(files) => {
                    let new = (self.make)(files)?;
                    *made = Some((set, new.clone()));
                    return Ok(new);
                }
                // A set that was replaced may be gone before all of it was read: again, with the new one.
                Err(error) if error.kind() == ErrorKind::NotFound && installed(&self.dir)? != set => {}
                Err(error) => return Err(format!("{}: {error}", set.display()).into()),
            }
        }
    }
}

/// The directory behind `..data`. Where files were put by other means there is no such link, and nothing to follow.
fn installed(dir: &Path) -> io::Result<PathBuf> {
    match fs::read_link(dir.join("..data")) {
        Ok(set) => Ok(dir.join(set)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(dir.to_path_buf()),
        Err(error) => Err(error),
    }
}

fn read(set: &Path) -> io::Result<Files> {
    Ok(Files {
        cert: fs::read(set.join("client.crt"))?,
        key: fs::read(set.join("client.key"))?,
        ca: fs::read(set.join("ca.crt"))?,
    })
}
