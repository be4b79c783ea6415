//! Files with secrets: made for their owner alone, and replaced in one step, so that nobody ever
//! reads half of one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{self, Path, PathBuf};

/// Only the owner reads and writes.
const OWNER_ONLY: u32 = 0o600;
/// What neither the owner nor the group may do.
const OF_OTHERS: u32 = 0o007;

/// Keeps the secret of a file that is there, and takes it from everybody outside of its group;
/// else makes one that only the owner can read. An empty file, as a run that was cut off may leave
/// one, is none.
///
/// # Errors
/// If the file cannot be read or written; it is as it was then.
pub(super) fn keep_or_make(file: &Path, make: impl FnOnce() -> String) -> io::Result<()> {
    // A link stays, and what it leads to gets the secret.
    let file = fs::canonicalize(file).or_else(|_| path::absolute(file))?;
    let owner = match fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => return hide_from_others(&file),
        Ok(_) => Some(fs::metadata(&file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mode = Permissions::from_mode(OWNER_ONLY);
    put(&file, &format!("{}\n", make()), owner.as_ref(), mode)
}

/// The group keeps its rights: usher may run as another user than whoever sets it up.
fn hide_from_others(file: &Path) -> io::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(file, Permissions::from_mode(mode & !OF_OTHERS))
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
    put(&file, text, Some(&was), was.permissions())
}

/// Writes a text beside the file and gives it the file's name, once all of it is on the disk.
fn put(file: &Path, text: &str, owner: Option<&fs::Metadata>, mode: Permissions) -> io::Result<()> {
    let new = beside(file);
    let written = write_new(&new, text, owner, mode).and_then(|()| fs::rename(&new, file));
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

fn write_new(
    new: &Path,
    text: &str,
    owner: Option<&fs::Metadata>,
    mode: Permissions,
) -> io::Result<()> {
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
    if let Some(was) = owner
        && (is.uid(), is.gid()) != (was.uid(), was.gid())
    {
        chown(new, Some(was.uid()), Some(was.gid()))?;
    }
    open.set_permissions(mode)?;
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
    fn keeps_a_secret_that_is_there_and_takes_it_from_others_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        keep_or_make(&file, || "first".to_owned()).unwrap();
        assert_eq!(mode(), OWNER_ONLY);
        // What a mounted secret has, and what everybody may read.
        for (before, after) in [(0o600, 0o600), (0o640, 0o640), (0o644, 0o640)] {
            fs::set_permissions(&file, Permissions::from_mode(before)).unwrap();
            keep_or_make(&file, || "second".to_owned()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), "first\n");
            assert_eq!(mode(), after, "{before:o}");
        }
    }

    #[test]
    fn an_empty_file_is_what_a_run_that_was_cut_off_left() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        fs::write(&file, "\n").unwrap();
        keep_or_make(&file, || "made".to_owned()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "made\n");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);

        // What cannot be read is no reason to make another secret.
        fs::write(&file, b"Bearer \xff\n").unwrap();
        let error = keep_or_make(&file, || "other".to_owned()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&file).unwrap(), b"Bearer \xff\n");
    }
}
