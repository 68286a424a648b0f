//! From the bytes of a file that somebody saved to text: as editors, shells and terminals of every kind write it.

use std::borrow::Cow;

/// What is no text, by its first bytes, and what to do about it.
const OTHERS: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "it is compressed (gzip): unpack it into the folder"),
    (b"PK\x03\x04", "it is a zip archive: unpack it into the folder"),
    (b"\xfd7zXZ\0", "it is compressed (xz): unpack it into the folder"),
    (b"\x28\xb5\x2f\xfd", "it is compressed (zstd): unpack it into the folder"),
    (b"\x89PNG", "it is a picture: paste the text instead"),
    (b"\xff\xd8\xff", "it is a picture: paste the text instead"),
    (b"%PDF-", "it is a PDF: paste the text instead"),
    (b"\x30\x82", "it is binary, perhaps a certificate in DER: write it as PEM (openssl x509 -inform der)"),
];
/// How much of a file is looked at to tell UTF-16 without its mark.
const HEAD: usize = 512;

/// The text of a file, without what terminals and editors added: byte order marks, Windows' line ends, colours.
///
/// # Errors
/// Why it is none, in words.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    if let Some((_, why)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err((*why).to_owned());
    }
    let text = decoded(bytes)?;
    let text = without_colours(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n").replace('\u{a0}', " "))
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0xff, 0xfe, rest @ ..] => Ok(utf16(rest, u16::from_le_bytes).into()),
        [0xfe, 0xff, rest @ ..] => Ok(utf16(rest, u16::from_be_bytes).into()),
        _ if zeros(bytes, 1) => Ok(utf16(bytes, u16::from_le_bytes).into()),
        _ if zeros(bytes, 0) => Ok(utf16(bytes, u16::from_be_bytes).into()),
        _ => utf8(bytes),
    }
}

/// Whether every other byte, from that one on, is zero: ASCII in UTF-16, as a shell's redirection writes it.
fn zeros(bytes: &[u8], from: usize) -> bool {
    let head = &bytes[..bytes.len().min(HEAD)];
    let (zero, other) = (head.iter().skip(from).step_by(2), head.iter().skip(1 - from).step_by(2));
    head.len() >= 4 && zero.clone().all(|byte| *byte == 0) && other.clone().all(|byte| *byte != 0)
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// A stray byte of another code page, such as a quotation mark in a comment, is no reason to read nothing.
fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = String::from_utf8_lossy(bytes);
    let strange = text.chars().filter(|c| *c == '\u{fffd}').count();
    if bytes.contains(&0) || strange * 100 > text.len() {
        return Err("it is binary, no text".to_owned());
    }
    Ok(text)
}

/// Without escape sequences of terminals (ECMA-48: `ESC [ … letter`).
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
        kept.push_str(&part[end..]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_shells_write_is_the_same_text() {
        let wanted = "{\"ä\": 1}\nnext";
        let units: Vec<u16> = wanted.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [
            wanted.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", wanted.as_bytes()].concat(),
            [b"\xff\xfe", &little[..]].concat(),
            [b"\xfe\xff", &big[..]].concat(),
            wanted.replace('\n', "\r\n").into_bytes(),
            wanted.replace('1', "\u{1b}[32m1\u{1b}[0m").into_bytes(),
        ] {
            assert_eq!(text(&bytes).unwrap(), wanted, "{bytes:?}");
        }
        let ascii: Vec<u8> = "plain".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&ascii).unwrap(), "plain", "UTF-16 without its mark");
        assert_eq!(text(&[&[b'x'; 200][..], b"\x92", &[b'x'; 200]].concat()).unwrap().len(), 403);
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, why) in [
            (&b""[..], "empty"),
            (b" \r\n\t", "empty"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\x7fELF\x02\x01\0\0\0", "binary"),
            (b"\x89PNG\r\n", "a picture"),
            (b"\xc3\x28\xa0\xa1", "binary"),
        ] {
            assert!(text(bytes).unwrap_err().contains(why), "{bytes:?}");
        }
    }
}
