//! Files with secrets: made for their owner alone, and replaced in one step, so that nobody ever
//! reads half of one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Only the owner reads and writes.
const OWNER_ONLY: u32 = 0o600;

/// Keeps the secret of a file that is there, else makes one that only its owner can read.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn keep_or_make(file: &Path, make: impl FnOnce() -> String) -> io::Result<()> {
    if fs::read_to_string(file).is_ok_and(|text| !text.trim().is_empty()) {
        return fs::set_permissions(file, Permissions::from_mode(OWNER_ONLY));
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(file)
        .and_then(|mut open| writeln!(open, "{}", make()))
}

/// Replaces what is in a file, with its owner and its mode: whoever reads it meanwhile reads all of
/// the old or all of the new text.
///
/// # Errors
/// If that cannot be done; the file is as it was then.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A link stays, and what it leads to is replaced.
    let file = fs::canonicalize(file)?;
    let was = fs::metadata(&file)?;
    let new = beside(&file);
    let written = write_new(&new, text, &was).and_then(|()| fs::rename(&new, &file));
    if written.is_err() {
        // It has a secret in it.
        drop(fs::remove_file(&new));
    }
    written?;
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn write_new(new: &Path, text: &str, was: &fs::Metadata) -> io::Result<()> {
    // What a run that was cut off left may have another mode.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(new)?;
    open.write_all(text.as_bytes())?;
    let is = open.metadata()?;
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        chown(new, Some(was.uid()), Some(was.gid()))?;
    }
    open.set_permissions(was.permissions())?;
    open.sync_all()
}

fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn replaces_what_a_link_leads_to_and_keeps_the_mode() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("secret"), home.path().join("link"));
        fs::write(&file, "old\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        // What was left by a run that was cut off.
        fs::write(home.path().join(".secret.new"), "half").unwrap();
        replace(&link, "new\nold\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\nold\n");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn keeps_a_secret_that_is_there() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        keep_or_make(&file, || "first".to_owned()).unwrap();
        keep_or_make(&file, || "second".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "first\n");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }
}
