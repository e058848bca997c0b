//! A file that a key names, read whole.

use std::path::Path;

/// What it holds, wherever links lead; or what is wrong. Anything but a regular file is refused: to open a pipe is to wait
/// for whoever writes into it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let content = path.metadata().and_then(|metadata| {
        let is_regular = metadata.is_file();
        is_regular.then(|| std::fs::read(path)).transpose()
    });
    match content {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err("is not a regular file".to_owned()),
        Err(error) => Err(format!("cannot be read: {}", error.kind())),
    }
}
