//! A token in a file that somebody else keeps fresh, as Kubernetes does with those of
//! service accounts. The file is read again and again: it costs nothing, and a mounted
//! volume tells of changes in no way that is the same everywhere.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::time::Duration;

use super::{Token, TokenSource, jwt, now_millis};

/// How often the file is looked at.
const AGAIN: Duration = Duration::from_secs(5);
/// For so long a token is taken to be good that does not say.
const UNSAID: i64 = 3_600_000;
/// A larger file holds no token.
const LARGEST: u64 = 1 << 16;

pub(super) struct TokenFile {
    path: String,
    extensions: Vec<(String, String)>,
    newest: Option<Token>,
}

impl TokenFile {
    pub(super) fn new(path: &str, extensions: Vec<(String, String)>) -> Self {
        TokenFile { path: path.to_owned(), extensions, newest: None }
    }

    fn read(&self) -> Result<String, String> {
        let path = &self.path;
        let says = |error: io::Error| format!("cannot read `{path}`: {error}");
        // Opening a pipe waits for whoever writes to it, and a device may never end.
        if !fs::metadata(path).map_err(says)?.is_file() {
            return Err(format!("`{path}` is no regular file, and others are not read"));
        }
        let mut text = String::new();
        let file = File::open(path).map_err(says)?;
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(says)?;
        if text.len() as u64 > LARGEST {
            return Err(format!("`{path}` has more than {LARGEST} bytes, which is no token"));
        }
        let text = text.trim();
        if text.is_empty() { Err(format!("`{path}` is empty")) } else { Ok(text.to_owned()) }
    }
}

impl TokenSource for TokenFile {
    fn fetch(&mut self) -> Result<(Token, Duration), String> {
        let value = self.read()?;
        let said = jwt::claims(&value);
        // One that does not say is the same one still, until half of its time is over.
        let newest = self.newest.take().filter(|of| of.value == value);
        let unsaid = newest.map(|of| of.expires).filter(|at| *at > now_millis() + UNSAID / 2);
        let is_said = said.expires.is_some();
        let token = Token {
            value,
            principal: said.subject.unwrap_or_else(|| "token".to_owned()),
            expires: said.expires.or(unsaid).unwrap_or_else(|| now_millis() + UNSAID),
            extensions: self.extensions.clone(),
        };
        if is_said && token.expires <= now_millis() {
            return Err(format!(
                "the token in `{}` has expired: look at what keeps it fresh",
                self.path
            ));
        }
        self.newest = Some(token.clone());
        Ok((token, AGAIN))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_file_gives_what_it_holds_until_that_has_expired() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let mut file = TokenFile::new(&path.to_string_lossy(), Vec::new());
        let mut said = |text: &str| {
            fs::write(&path, text).expect("a file");
            file.fetch().map(|(token, _)| (token.value, token.principal, token.expires))
        };
        let (value, _, expires) = said("opaque\n").expect("a token");
        assert_eq!(value, "opaque");
        assert_eq!(said("opaque\n").expect("a token").2, expires, "it is the same one still");
        let jwt = |expires: i64| {
            let payload = format!(r#"{{"sub":"gauge","exp":{expires}}}"#);
            format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
        };
        let later = now_millis() / 1_000 + 600;
        let (_, principal, expires) = said(&jwt(later)).expect("a token");
        assert_eq!((principal.as_str(), expires), ("gauge", later * 1_000));
        assert!(said(&jwt(1_000)).expect_err("an old one").contains("has expired"));
        assert!(said(" ").expect_err("nothing").contains("is empty"));
        assert!(said(&"x".repeat(70_000)).expect_err("no token").contains("more than 65536 bytes"));
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
        let mut file = TokenFile::new(&path.to_string_lossy(), Vec::new());
        let error = file.fetch().err().expect("no token");
        assert!(error.contains("is no regular file"), "{error}");
    }
}
