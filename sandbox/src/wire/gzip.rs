//! A gzip member without compression, which is all it takes to send a body in an encoding that nobody asked for.

/// Wraps at most 64 KiB: RFC 1952 around one stored block of RFC 1951, section 3.2.4.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const LAST_STORED_BLOCK: u8 = 1;
    let length = u16::try_from(body.len()).expect("the envelopes of this sandbox are short");
    let mut bytes = HEADER.to_vec();
    bytes.push(LAST_STORED_BLOCK);
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(body);
    bytes.extend(crc32(body).to_le_bytes());
    bytes.extend(u32::from(length).to_le_bytes());
    bytes
}

/// The checksum of RFC 1952, section 8, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
