//! The file of further certificate authorities, read once: what cannot be trusted is known before anything listens.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::file;
use super::reader::Section;

/// The authorities in the file that `key` names; none if it names none.
pub(super) fn read(section: &Section, key: &str) -> RootCertStore {
    let path = section.text(key);
    if path.is_empty() {
        return RootCertStore::empty();
    }
    load_authorities(Path::new(&path)).unwrap_or_else(|problem| {
        section.error(key, problem);
        RootCertStore::empty()
    })
}

/// The authorities in a file.
pub fn load_authorities(path: &Path) -> Result<RootCertStore, String> {
    file::read(path).and_then(|pem| parse(&pem).map_err(str::to_owned))
}

/// The parsers' own messages quote lines, and the file may be the wrong one.
fn parse(pem: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.map(|certificate| authorities.add(certificate));
        if !matches!(added, Ok(Ok(()))) {
            return Err("holds something that is no certificate in PEM");
        }
    }
    if authorities.is_empty() {
        return Err("holds no certificate in PEM");
    }
    Ok(authorities)
}
