//! Encrypted passwords: AES-128 in CBC mode with PKCS#7 padding, written as hex; key and IV stand in a file.

use std::io;
use std::path::{Path, PathBuf};

use aes::Aes128;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The length of key, IV and block, in bytes.
const BLOCK: usize = 16;

/// Why an encrypted password can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no key file.
    #[error("the key file {} does not exist; name it with --key-file, or encrypt the password again", .0.display())]
    NoKeyFile(PathBuf),
    /// The key file can't be read; usually only root may.
    #[error("the key file {} can't be read: {reason}", file.display())]
    UnreadableKeyFile {
        file: PathBuf,
        /// What the system says; as text, for it ends up in a note, which has no chain.
        reason: String,
    },
    /// The key file holds something else.
    #[error(
        "the key file {} does not have two lines of at least 32 hexadecimal digits, key and IV; it is not virt-who's",
        .0.display()
    )]
    NoKey(PathBuf),
    /// A character is missing or more likely a blank or a quote crept in.
    #[error("is not made of hexadecimal digits alone; copy what virt-who-password or vw-password printed")]
    NotHex,
    /// Digits are missing.
    #[error(
        "has {0} hexadecimal digits, but their number must be a multiple of 32; copy all that virt-who-password or \
         vw-password printed"
    )]
    Length(usize),
    /// Decryption yields no padded UTF-8 text.
    #[error("the key in {} does not fit; encrypt the password again, or name the right file with --key-file", .0.display())]
    WrongKey(PathBuf),
    /// What was encrypted is the empty text.
    #[error("holds an empty password; encrypt the password again")]
    Empty,
}

/// The password that stands encrypted in `hex`.
pub(super) fn decrypt(hex: &str, key_file: &Path) -> Result<Secret, Fault> {
    let mut bytes = Zeroizing::new(from_hex(hex).ok_or(Fault::NotHex)?);
    if hex.is_empty() || !hex.len().is_multiple_of(2 * BLOCK) {
        return Err(Fault::Length(hex.len()));
    }
    let [key, iv] = read_key(key_file)?;
    let cipher = Decryptor::<Aes128>::new((&*key).into(), (&*iv).into());
    let wrong_key = || Fault::WrongKey(key_file.to_owned());
    let plain = cipher
        .decrypt_padded::<Pkcs7>(&mut bytes)
        .map_err(|_| wrong_key())?;
    match std::str::from_utf8(plain) {
        Ok("") => Err(Fault::Empty),
        Ok(password) => Ok(Secret::from(password.to_owned())),
        Err(_) => Err(wrong_key()),
    }
}

type Bytes = Zeroizing<[u8; BLOCK]>;

/// Key and IV: the first bytes of the file's first two lines.
fn read_key(file: &Path) -> Result<[Bytes; 2], Fault> {
    let content = super::read(file).map_err(|error| match error {
        super::Error::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Fault::NoKeyFile(file.to_owned())
        }
        super::Error::Unreadable { source, .. } => Fault::UnreadableKeyFile {
            file: file.to_owned(),
            reason: source.to_string(),
        },
        _ => Fault::NoKey(file.to_owned()),
    })?;
    let mut lines = content.bytes.split(|byte| *byte == b'\n');
    let mut next = || {
        let line = std::str::from_utf8(lines.next()?).ok()?;
        let bytes = Zeroizing::new(from_hex(line.trim())?);
        let mut block = Bytes::default();
        block.copy_from_slice(bytes.get(..BLOCK)?);
        Some(block)
    };
    match (next(), next()) {
        (Some(key), Some(iv)) => Ok([key, iv]),
        _ => Err(Fault::NoKey(file.to_owned())),
    }
}

/// Bytes from their hexadecimal digits; an odd one at the end counts for the caller, who knows the length.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|c| c.to_digit(16));
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
        digits
            .map(|digit| digit.and_then(|digit| digit.try_into().ok()))
            .collect::<Option<_>>()?,
    );
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";
    const IV: &str = "f0e0d0c0b0a090807060504030201000";

    /// Made by `printf TEXT | openssl enc -aes-128-cbc -K $KEY -iv $IV | xxd -p -c 0`.
    const SECRETS: [(&str, &str); 5] = [
        ("s3cret", "e3479dced51d8f33415fa527767f7af6"),
        (
            "exactly16bytes!!",
            "1e7dc2fe033a3750588f88a0a10483a74b9b977fb893755e91335d0f717b49a7",
        ),
        (" größe 本 ", "cc25600acda749ff8c0c38e5438ea29d"),
        (
            "a much longer password with 50% and \"quotes\"",
            "9596147071a9f75ca86edba41a757ba5633332cec11cbec75051f1ead803b245b1d172d14c40f66b45136a2e8fe4e337",
        ),
        ("x", "30031e458c0a9e6a73e937c07400c0ab"),
    ];
    const EMPTY: &str = "6431995611c0a30f53df1710cfc3eb76";
    const NOT_UTF_8: &str = "cc93e05cbf1e2d54d3b77cd842f9d20f";

    fn key_file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn fault(hex: &str, key: &str) -> String {
        let file = key_file(key);
        let fault = decrypt(hex, file.path()).unwrap_err().to_string();
        fault.replace(&file.path().display().to_string(), "KEY")
    }

    #[test]
    fn what_openssl_encrypted_is_read() {
        // Only the first 16 bytes of a line count.
        for key in [
            format!("{KEY}\n{IV}\n"),
            format!("{KEY}ff00\r\n{IV}aa"),
            format!(" {KEY}\n{IV}\nmore\n"),
        ] {
            let file = key_file(&key);
            for (password, hex) in SECRETS {
                assert_eq!(decrypt(hex, file.path()).unwrap().expose(), password);
                assert_eq!(
                    decrypt(&hex.to_uppercase(), file.path()).unwrap().expose(),
                    password
                );
            }
        }
    }

    #[test]
    fn each_fault_has_its_message_and_none_is_an_empty_password() {
        let key = format!("{KEY}\n{IV}\n");
        let secret = SECRETS[0].1;
        let length = "but their number must be a multiple of 32";
        let table = [
            (String::new(), key.clone(), "has 0 hexadecimal digits"),
            (secret[1..].to_owned(), key.clone(), length),
            (secret[2..].to_owned(), key.clone(), length),
            (format!("{secret}00"), key.clone(), length),
            (
                secret.replace(&secret[..1], "g"),
                key.clone(),
                "is not made of hexadecimal digits alone",
            ),
            (
                format!("{secret} "),
                key.clone(),
                "is not made of hexadecimal digits alone",
            ),
            (EMPTY.to_owned(), key.clone(), "holds an empty password"),
            (NOT_UTF_8.to_owned(), key.clone(), "the key in KEY does not fit"),
            (
                secret.to_owned(),
                format!("{IV}\n{KEY}\n"),
                "the key in KEY does not fit",
            ),
            (
                secret.to_owned(),
                String::new(),
                "the key file KEY does not have two lines",
            ),
            (
                secret.to_owned(),
                format!("{KEY}\n"),
                "the key file KEY does not have two lines",
            ),
            (
                secret.to_owned(),
                format!("{KEY}\n{}\n", &IV[2..]),
                "the key file KEY does not have two lines",
            ),
            (
                secret.to_owned(),
                format!("{KEY}\nxx{IV}\n"),
                "the key file KEY does not have two lines",
            ),
        ];
        for (hex, key, message) in table {
            let said = fault(&hex, &key);
            assert!(said.contains(message), "{hex} {key}: {said}");
        }
    }

    #[test]
    fn the_key_file_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let gone = decrypt(SECRETS[0].1, &folder.path().join("key")).unwrap_err();
        assert!(
            gone.to_string()
                .ends_with("key does not exist; name it with --key-file, or encrypt the password again")
        );
        assert!(matches!(
            decrypt(SECRETS[0].1, folder.path()),
            Err(Fault::NoKey(_))
        ));
    }
}
