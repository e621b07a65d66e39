//! `[kafka.sign_in]`: who this program is to the brokers.
//!
//! In: the table. Out: a [`SignInSpec`] in which what one mechanism needs is there, and
//! nothing that belongs to another. Secrets are read here once, but for a token in a
//! file, which somebody else keeps fresh.

use super::Secret;
use super::files::beside;
use super::kafka::secret;
use super::reader::{Table, Value, shown};
use super::tls::authorities;
use super::world::World;

/// Who this program is to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInSpec {
    /// By a name and a password.
    Password {
        /// How the password is shown.
        mechanism: PasswordMechanism,
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// By a token that is renewed while it runs.
    Token(TokenSpec),
}

/// How a password is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordMechanism {
    /// As it is.
    Plain,
    /// As the answer to a riddle, hashed by SHA-256.
    Scram256,
    /// The same by SHA-512.
    Scram512,
}

impl PasswordMechanism {
    /// As the brokers call it.
    pub fn name(self) -> &'static str {
        match self {
            PasswordMechanism::Plain => "PLAIN",
            PasswordMechanism::Scram256 => "SCRAM-SHA-256",
            PasswordMechanism::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSpec {
    /// From a provider of OpenID Connect, by the grant `client_credentials`.
    ClientCredentials {
        /// Where they are asked for; `https`, or `http` on the loopback.
        token_url: String,
        /// The name there.
        client_id: String,
        /// The password there.
        client_secret: Secret,
        /// What is asked for, if that has to be said.
        scope: Option<String>,
        /// A PEM file of the authorities that vouch for the provider; default: those of
        /// the system.
        ca: Option<String>,
        /// Told to the brokers beside the token.
        extensions: Vec<(String, String)>,
    },
    /// From a file that somebody else keeps fresh.
    File {
        /// Its path.
        path: String,
        /// Told to the brokers beside the token.
        extensions: Vec<(String, String)>,
    },
    /// Made of the credentials of Amazon's cloud that this machine, pod or profile has.
    AwsMskIam {
        /// Where the cluster is, such as `eu-west-1`.
        region: String,
    },
}

impl SignInSpec {
    /// As the brokers call it; IAM of Amazon MSK is a token to them.
    pub fn mechanism(&self) -> &'static str {
        match self {
            SignInSpec::Password { mechanism, .. } => mechanism.name(),
            SignInSpec::Token(_) => "OAUTHBEARER",
        }
    }

    /// Whether whoever hears it can sign in as well.
    pub(super) fn is_told_as_it_is(&self) -> bool {
        !matches!(
            self,
            SignInSpec::Password {
                mechanism: PasswordMechanism::Scram256 | PasswordMechanism::Scram512,
                ..
            }
        )
    }
}

/// What can be written as `mechanism`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Password(PasswordMechanism),
    OAuthBearer,
    AwsMskIam,
}

const MECHANISMS: [(&str, Mechanism); 5] = [
    ("PLAIN", Mechanism::Password(PasswordMechanism::Plain)),
    ("SCRAM-SHA-256", Mechanism::Password(PasswordMechanism::Scram256)),
    ("SCRAM-SHA-512", Mechanism::Password(PasswordMechanism::Scram512)),
    ("OAUTHBEARER", Mechanism::OAuthBearer),
    ("AWS_MSK_IAM", Mechanism::AwsMskIam),
];

const OF_PASSWORDS: &[&str] = &["username", "password"];
const OF_TOKENS: &[&str] =
    &["token_url", "client_id", "client_secret", "scope", "token_ca", "token_file", "extensions"];
const OF_IAM: &[&str] = &["region"];

impl Mechanism {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Mechanism::Password(_) => OF_PASSWORDS,
            Mechanism::OAuthBearer => OF_TOKENS,
            Mechanism::AwsMskIam => OF_IAM,
        }
    }
}

/// Reads `[kafka.sign_in]`.
pub(super) fn read(mut table: Table<'_>, world: &World<'_>, file: &str) -> Option<SignInSpec> {
    let named = table.required("mechanism");
    let mechanism = named.as_ref().and_then(|value| value.one_of(&MECHANISMS));
    let name = named.and_then(|value| value.text()).unwrap_or_default();
    for key in [OF_PASSWORDS, OF_TOKENS, OF_IAM].concat() {
        let belongs = mechanism.is_none_or(|mechanism| mechanism.keys().contains(&key));
        if let Some(value) = table.optional(key).filter(|_| !belongs) {
            value.problem_with(format!("`{key}` has no meaning for {name}"), "leave it out");
        }
    }
    let read = match mechanism {
        None => None,
        Some(Mechanism::Password(mechanism)) => {
            let username = table.required("username").and_then(|value| value.name_text());
            let password = table.required("password").and_then(|value| secret(value, world, file));
            username.zip(password).map(|(username, password)| SignInSpec::Password {
                mechanism,
                username,
                password,
            })
        }
        Some(Mechanism::OAuthBearer) => tokens(&mut table, world, file).map(SignInSpec::Token),
        Some(Mechanism::AwsMskIam) => iam(&mut table).map(SignInSpec::Token),
    };
    table.finish();
    read
}

fn tokens(table: &mut Table<'_>, world: &World<'_>, file: &str) -> Option<TokenSpec> {
    let extensions = extensions(table);
    if let Some(value) = table.optional("token_file") {
        for key in ["token_url", "client_id", "client_secret", "scope", "token_ca"] {
            if let Some(value) = table.optional(key) {
                value.problem_with(
                    format!("`{key}` beside `token_file`: there are two ways to a token"),
                    "leave one out",
                );
            }
        }
        return token_file(&value, world, file).map(|path| TokenSpec::File { path, extensions });
    }
    if !table.has("token_url") {
        table.problems().add_with(
            table.at(),
            "nothing says where tokens come from",
            "write `token_url`, `client_id` and `client_secret`, or `token_file`",
        );
        return None;
    }
    let token_url = table.required("token_url").and_then(|value| url(&value));
    let client_id = table.required("client_id").and_then(|value| value.name_text());
    let client_secret =
        table.required("client_secret").and_then(|value| secret(value, world, file));
    let scope = table.optional("scope").and_then(|value| value.name_text());
    let ca = table.optional("token_ca").and_then(|value| authorities(&value, world, file));
    Some(TokenSpec::ClientCredentials {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        ca,
        extensions,
    })
}

/// The path of a file that holds a token now.
fn token_file(value: &Value<'_>, world: &World<'_>, file: &str) -> Option<String> {
    let path = beside(file, &value.name_text()?);
    match world.files.read(&path) {
        Ok(text) if !text.trim().is_empty() => Some(path),
        Ok(_) => {
            value.problem(format!("`{}` is empty", shown(&path)));
            None
        }
        Err(why) => {
            value.problem(format!("cannot read `{}`: {why}", shown(&path)));
            None
        }
    }
}

fn url(value: &Value<'_>) -> Option<String> {
    let url = value.name_text()?;
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        value.problem_with(
            "an address with a name or password in it",
            "write them as `client_id` and `client_secret`",
        );
        return None;
    }
    if authority.is_empty() || !matches!(scheme, "https" | "http") {
        value.problem_with(
            format!("`{}` is no address to ask for tokens", shown(&url)),
            "write it as \"https://login.example.com/oauth2/token\"",
        );
        return None;
    }
    if scheme == "http" && !is_loopback(authority) {
        value.problem_with(
            format!("`{}` would send the secret over a plain connection", shown(&url)),
            "write `https`; `http` is for this machine alone",
        );
        return None;
    }
    Some(url)
}

fn extensions(table: &mut Table<'_>) -> Vec<(String, String)> {
    let mut extensions = Vec::new();
    for (key, value) in table.entries_of("extensions") {
        let Some(text) = value.text() else { continue };
        let sound = key.name != "auth"
            && !key.name.is_empty()
            && key.name.bytes().all(|byte| byte.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if sound {
            extensions.push((key.name, text));
        } else {
            value.problem_with(
                format!("`{}` cannot be told to a broker", shown(&key.name)),
                "an extension has a name of letters, other than `auth`, and a value of ASCII",
            );
        }
    }
    extensions
}

fn iam(table: &mut Table<'_>) -> Option<TokenSpec> {
    let value = table.required("region")?;
    let region = value.name_text()?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !region.bytes().all(fits) {
        value.problem_with(
            format!("`{}` is no region", shown(&region)),
            "write it as Amazon does, such as \"eu-west-1\"",
        );
        return None;
    }
    if !cfg!(feature = "aws") {
        table.problems().add_with(
            table.at(),
            "AWS_MSK_IAM: this program was built without it",
            "build it with the cargo feature `aws`, which is on by default",
        );
        return None;
    }
    Some(TokenSpec::AwsMskIam { region })
}

/// Whether `host`, `host:port` or `[address]:port` is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_told_from_other_machines() {
        for (authority, expected) in [
            ("localhost:9092", true),
            ("127.0.0.1:9092", true),
            ("127.9.9.9", true),
            ("[::1]:9092", true),
            ("localhost.example.com:9092", false),
            ("127.0.0.1.example.com", false),
            ("10.0.0.1:9092", false),
            ("[::2]:9092", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }
}
