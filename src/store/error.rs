//! Why the state could not be read or kept. Never a refusal: whoever asked gets "try again", not "no".

use std::path::PathBuf;

/// What went wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the state cannot be read or made.
    #[error("cannot open `{}`: check that the folder exists and belongs to the service", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A command was pointed at a state that does not exist.
    #[error("there is no `{}`: check `state` in the configuration", .0.display())]
    Missing(PathBuf),
    /// Not a regular file.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Others than the owner may read or write the file.
    #[error("`{}` can be read or written by others (mode {mode:04o}): chmod 600 it, and if it was so for long, replace the key", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file holds something else.
    #[error("`{}` is not a state key (32 bytes): restore it, or move it and the database away to start anew", .0.display())]
    NotAKey(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The database cannot be opened or its tables cannot be brought up to date.
    #[error("cannot open the database `{}`", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the database said.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
    /// The database was sealed under another state key.
    #[error("the database `{}` belongs to another state key: restore the key, or move the database away to start anew", .0.display())]
    OtherKey(PathBuf),
    /// A value in the database was altered by hand.
    #[error("`{0}` in the database was not written by narrows: restore the database from a backup")]
    Altered(&'static str),
    /// Others keep changing the same row.
    #[error("the row is being changed by others")]
    Contended,
    /// The database does not answer.
    #[error("the database does not answer")]
    Unavailable(#[from] sqlx::Error),
}
