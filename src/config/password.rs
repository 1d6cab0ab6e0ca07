//! Encrypted passwords: AES-128 in CBC mode with PKCS#7 padding, in hexadecimal digits. Key and IV are in a file.

use std::io;
use std::path::{Path, PathBuf};

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use cbc::{Decryptor, Encryptor};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{Classify, Kind};
use crate::secret::Secret;
use crate::state::{self, Folder};
use crate::text::hex;

/// Where virt-who keeps the key of encrypted passwords.
pub const KEY_FILE: &str = "/var/lib/virt-who/key";

/// The length of key, IV and block, in bytes.
const BLOCK: usize = 16;

/// Why a password can't be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no key file.
    #[error("the key file {} does not exist", .0.display())]
    NoKeyFile(PathBuf),
    /// The key file can't be read; usually only root may.
    #[error("the key file {} can't be read: {reason}", file.display())]
    UnreadableKeyFile {
        /// The file.
        file: PathBuf,
        /// What the system says, as text, because a note has no chain of errors.
        reason: String,
    },
    /// The key file has other content.
    #[error(
        "the key file {} does not have two lines of at least 32 hexadecimal digits, key and IV; it is not virt-who's",
        .0.display()
    )]
    NoKey(PathBuf),
    /// A new key can't be stored; usually only root may.
    #[error("making a key file")]
    NewKey(#[source] state::Error),
    /// The system has no random numbers for a new key.
    #[error("making a key: the system has no random numbers")]
    NoRandom(#[source] io::Error),
    /// There are other characters, often a blank or a quote.
    #[error("is not made of hexadecimal digits alone")]
    NotHex,
    /// A digit is missing.
    #[error("has an odd number of hexadecimal digits ({0}), so one is missing")]
    Odd(usize),
    /// Digits are missing.
    #[error("has {0} hexadecimal digits, but their number must be a multiple of 32")]
    Length(usize),
    /// Decryption yields text without padding.
    #[error("the key in {} does not fit", .0.display())]
    WrongKey(PathBuf),
    /// Decryption yields bytes that are not UTF-8. A wrong key may yield a valid padding by chance.
    #[error("is not UTF-8 text when it is decrypted with the key in {}", .0.display())]
    NoText(PathBuf),
    /// The password is empty.
    #[error("holds an empty password")]
    Empty,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::NoKeyFile(_)
            | Error::UnreadableKeyFile { .. }
            | Error::NoKey(_)
            | Error::NewKey(_)
            | Error::WrongKey(_)
            | Error::NoText(_) => Kind::Config,
            Error::NoRandom(_) => Kind::Io,
            Error::NotHex | Error::Odd(_) | Error::Length(_) | Error::Empty => Kind::Data,
        }
    }
}

/// Decrypts a password from hexadecimal digits.
pub fn decrypt(hex: &str, key_file: &Path) -> Result<Secret, Error> {
    let mut bytes = from_hex(hex).ok_or(Error::NotHex)?;
    if !hex.len().is_multiple_of(2) {
        return Err(Error::Odd(hex.len()));
    }
    if hex.is_empty() || !hex.len().is_multiple_of(2 * BLOCK) {
        return Err(Error::Length(hex.len()));
    }
    let Key { key, iv, .. } = Key::read(key_file)?;
    let cipher = Decryptor::<Aes128>::new((&*key).into(), (&*iv).into());
    let plain = cipher
        .decrypt_padded::<Pkcs7>(&mut bytes)
        .map_err(|_| Error::WrongKey(key_file.to_owned()))?;
    match std::str::from_utf8(plain) {
        Ok("") => Err(Error::Empty),
        Ok(password) => Ok(Secret::from(password.to_owned())),
        Err(_) => Err(Error::NoText(key_file.to_owned())),
    }
}

/// Reads the key file, and returns whether everyone may read it, though only its owner should.
pub fn try_key(key_file: &Path) -> Result<bool, Error> {
    Ok(Key::read(key_file)?.open_to_others)
}

/// Encrypts a password into hexadecimal digits. A missing key file is made, readable by its owner alone.
pub fn encrypt(password: &Secret, key_file: &Path) -> Result<String, Error> {
    let Key { key, iv, .. } = match Key::read(key_file) {
        Err(Error::NoKeyFile(_)) => Key::make(key_file)?,
        read => read?,
    };
    let plain = password.expose().as_bytes();
    // With room for the padding, which fills the last block or is a whole block.
    let mut bytes = Zeroizing::new(vec![0; plain.len() / BLOCK * BLOCK + BLOCK]);
    bytes[..plain.len()].copy_from_slice(plain);
    let cipher = Encryptor::<Aes128>::new((&*key).into(), (&*iv).into());
    let encrypted = cipher.encrypt_padded::<Pkcs7>(&mut bytes, plain.len());
    Ok(hex(encrypted.unwrap_or_default()))
}

type Bytes = Zeroizing<[u8; BLOCK]>;

struct Key {
    key: Bytes,
    iv: Bytes,
    open_to_others: bool,
}

impl Key {
    /// Reads key and IV, which are the first bytes of the file's first two lines.
    fn read(file: &Path) -> Result<Self, Error> {
        let content = super::read(file).map_err(|error| match error {
            super::Error::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Error::NoKeyFile(file.to_owned())
            }
            super::Error::Unreadable { source, .. } => Error::UnreadableKeyFile {
                file: file.to_owned(),
                reason: source.to_string(),
            },
            _ => Error::NoKey(file.to_owned()),
        })?;
        let mut lines = content.bytes.split(|byte| *byte == b'\n');
        let mut next = || {
            let line = std::str::from_utf8(lines.next()?).ok()?;
            let bytes = from_hex(line.trim())?;
            let mut block = Bytes::default();
            block.copy_from_slice(bytes.get(..BLOCK)?);
            Some(block)
        };
        match (next(), next()) {
            (Some(key), Some(iv)) => Ok(Key {
                key,
                iv,
                open_to_others: content.open_to_others,
            }),
            _ => Err(Error::NoKey(file.to_owned())),
        }
    }

    /// Makes a key and stores it before it is used. If another process was quicker, its key is returned.
    fn make(file: &Path) -> Result<Self, Error> {
        let key = Key {
            key: random()?,
            iv: random()?,
            open_to_others: false,
        };
        let mut digits = [hex(&*key.key), hex(&*key.iv)].map(Zeroizing::new);
        let content = Zeroizing::new(format!("{}\n{}\n", *digits[0], *digits[1]));
        digits.zeroize();
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = file.file_name().ok_or_else(|| Error::NoKey(file.to_owned()))?;
        let made = Folder::new(folder).create(Path::new(name), content.as_bytes());
        if !made.map_err(Error::NewKey)? {
            return Key::read(file);
        }
        log::info!("made the key file {}", file.display());
        Ok(key)
    }
}

fn random() -> Result<Bytes, Error> {
    let mut bytes = Bytes::default();
    // getrandom(2) returns so few bytes at once. Fewer are not a key.
    let got = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    match got {
        Ok(BLOCK) => Ok(bytes),
        Ok(_) => Err(Error::NoRandom(io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(Error::NoRandom(error.into())),
    }
}

/// Bytes from hexadecimal digits; none if there is another character. The caller checks for an odd digit.
fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Allocated once, because a growing buffer leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let mut high = None;
    for c in text.chars() {
        let digit = u8::try_from(c.to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    Some(bytes)
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
    fn passwords_encrypted_by_openssl_are_decrypted() {
        // Only the first 16 bytes of a line are used.
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
    fn each_error_has_its_message() {
        let key = format!("{KEY}\n{IV}\n");
        let secret = SECRETS[0].1;
        let length = "but their number must be a multiple of 32";
        let table = [
            (String::new(), key.clone(), "has 0 hexadecimal digits"),
            (
                secret[1..].to_owned(),
                key.clone(),
                "has an odd number of hexadecimal digits (31)",
            ),
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
            (
                NOT_UTF_8.to_owned(),
                key.clone(),
                "is not UTF-8 text when it is decrypted with the key in KEY",
            ),
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
        assert!(gone.to_string().ends_with("key does not exist"));
        assert!(matches!(
            decrypt(SECRETS[0].1, folder.path()),
            Err(Error::NoKey(_))
        ));
    }

    #[test]
    fn a_key_file_that_cannot_be_read_is_not_called_missing() {
        let file = key_file("");
        let below = file.path().join("key");
        let error = try_key(&below).unwrap_err();
        assert!(matches!(&error, Error::UnreadableKeyFile { .. }), "{error:?}");
        assert!(error.to_string().contains("Not a directory"), "{error}");
    }

    #[test]
    fn a_key_file_that_everyone_may_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = key_file(&format!("{KEY}\n{IV}\n"));
        for (mode, open) in [(0o600, false), (0o644, true)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(try_key(file.path()).unwrap(), open, "{mode:o}");
        }
    }

    /// Two processes may find no key at the same time. A password encrypted with a key that was not stored would be lost.
    #[test]
    fn the_key_of_a_quicker_process_is_used() {
        let file = key_file(&format!("{KEY}\n{IV}\n"));
        let key = Key::make(file.path()).unwrap();
        assert_eq!((hex(&*key.key), hex(&*key.iv)), (KEY.to_owned(), IV.to_owned()));
    }

    #[test]
    fn the_result_is_the_same_as_from_openssl() {
        let file = key_file(&format!("{KEY}\n{IV}\n"));
        for (password, hex) in SECRETS {
            let password = Secret::from(password.to_owned());
            assert_eq!(encrypt(&password, file.path()).unwrap(), hex);
        }
    }

    #[test]
    fn a_missing_key_is_made_once_and_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("virt-who/key");
        let password = Secret::from("größe".to_owned());
        let hex = encrypt(&password, &file).unwrap();
        let key = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let lines: Vec<&str> = key.lines().collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [32, 32]);
        assert_ne!(lines[0], lines[1]);
        assert_eq!(encrypt(&password, &file).unwrap(), hex);
        assert_eq!(decrypt(&hex, &file).unwrap().expose(), "größe");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
        // A file with other content is not replaced.
        std::fs::write(&file, "mine\n").unwrap();
        assert!(matches!(encrypt(&password, &file), Err(Error::NoKey(_))));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    }

    #[test]
    fn a_password_is_not_encrypted_if_no_key_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = encrypt(&Secret::from("s3cret".to_owned()), &file.join("key")).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
    }

    proptest::proptest! {
        #[test]
        fn a_password_survives_encryption(password in ".{1,80}") {
            let file = key_file(&format!("{KEY}\n{IV}\n"));
            let hex = encrypt(&Secret::from(password.clone()), file.path()).unwrap();
            let read = decrypt(&hex, file.path()).unwrap();
            proptest::prop_assert_eq!(read.expose(), password);
        }
    }
}
