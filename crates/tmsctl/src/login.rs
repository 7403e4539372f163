//! `tmsctl login`: a password once, a token after that.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::{Connection, Login, Whoami};
use crate::client::Client;
use crate::failure::Failure;
use crate::login_store::{self, StoredLogin};
use crate::output;

/// Runs `tmsctl login`.
pub(crate) fn run(connection: &Connection, options: &Login) -> Result<(), Failure> {
    let server = match &connection.server {
        Some(server) => server.clone(),
        None => login_store::load()?.map(|login| login.server).ok_or_else(|| {
            Failure::new("it is not said which server to log in to").next("give --server URL")
        })?,
    };
    let client = Client::anonymous(&server, connection)?;
    let password = password(&options.user, client.server())?;
    let answer = client.post("/login", Some(&json!({ "user": options.user, "password": *password })))?;
    let token = answer
        .get("token")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new(format!("{} gave no token", client.server())))?;
    let login = StoredLogin {
        server: client.server().to_owned(),
        token: token.to_owned(),
        ca: connection.ca.as_ref().map(|ca| std::path::absolute(ca).unwrap_or_else(|_| PathBuf::from(ca))),
    };
    let kept_in = login_store::save(&login)?;
    let expires_at = output::text_at(&answer, "/expires_at");
    if options.json {
        // Without the token: output ends up in logs.
        return output::json(
            &json!({ "server": login.server, "user": options.user, "expires_at": expires_at }),
        );
    }
    output::line(&format!(
        "Logged in to {} as {} until {expires_at}; kept in {}.",
        login.server,
        options.user,
        kept_in.display()
    ))
}

/// Runs `tmsctl whoami`.
pub(crate) fn whoami(connection: &Connection, options: &Whoami) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    let answer = client.get("/whoami")?;
    if options.json {
        return output::json(&answer);
    }
    output::line(&format!(
        "You are {} at {}, with the role {}, until {}.",
        output::text_at(&answer, "/user"),
        client.server(),
        output::text_at(&answer, "/role"),
        output::text_at(&answer, "/expires_at")
    ))
}

/// Asks on a terminal without echo; otherwise the first line of standard input.
fn password(user: &str, server: &str) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("the password cannot be read: {error}"));
    let password = if std::io::stdin().is_terminal() {
        Zeroizing::new(
            rpassword::prompt_password(format!("Password of {user} at {server}: ")).map_err(failed)?,
        )
    } else {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    if password.is_empty() {
        return Err(Failure::new("no password was given").next("type it, or give it on standard input"));
    }
    Ok(password)
}
