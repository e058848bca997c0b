//! The `[audit]` section.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::reader::Section;

/// The file that audit events go to, if any. It is made when it is needed; the directory has to be there.
pub(super) fn read_path(audit: &Section) -> Option<PathBuf> {
    let path = PathBuf::from(audit.text("path"));
    if path.as_os_str().is_empty() {
        return None;
    }
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    let is_pipe = path.metadata().is_ok_and(|it| it.file_type().is_fifo());
    if is_pipe {
        audit.error("path", "names a pipe: opening it would wait for a reader");
    } else if path.is_dir() {
        audit.error("path", "names a directory: it must name a file");
    } else if !directory.is_dir() {
        audit.error("path", "must name a file in a directory that is there");
    }
    Some(path)
}
