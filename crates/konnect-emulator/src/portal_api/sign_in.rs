//! From a newcomer's first form to a session. Only the sign-in leaves an audit entry: that a
//! sign-up does not is what readers of the log must cope with.

use serde_json::{Value, json};

use crate::{
    call::Call,
    entry::{Entry, Means, Outcome},
    portal_api::{MailKind, accounts::TokenFault},
    problem::Problem,
    resources::developers::first_status,
    state::Kind,
};

/// Creates a developer who waits for approval (or does not, where the portal says so) and mails the
/// first token. No 409 is declared, so an address in use is a 400.
pub(crate) fn register(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.ids[0];
    let email = call.text("email").unwrap_or_default().to_owned();
    if call.world.find_by_email(portal, &email).is_some() {
        return Err(Problem::invalid_body(
            "email",
            "invalid",
            "is already registered",
        ));
    }
    let status = first_status(call.row(Kind::Portal, portal)?);
    let mut body = std::mem::take(&mut call.body);
    body.insert("status".to_owned(), status);
    call.world
        .insert(Kind::Developer, Some(portal), body, call.now);
    call.world
        .accounts
        .send_mail(portal, &email, MailKind::VerifyEmail, call.now);
    Ok(Value::Null)
}

fn redeem(call: &mut Call<'_>, kind: MailKind) -> Result<String, Problem> {
    let token = call.reference("token").unwrap_or_default();
    let (portal, now) = (call.ids[0], call.now);
    call.world
        .accounts
        .redeem(portal, token, kind, now)
        .map_err(|fault| match fault {
            TokenFault::Unknown => Problem::not_found(),
            TokenFault::Expired => Problem::gone("The token has expired"),
        })
}

/// Confirms the address and hands over the token with which a password is set.
pub(crate) fn verify_email(call: &mut Call<'_>) -> Result<Value, Problem> {
    let email = redeem(call, MailKind::VerifyEmail)?;
    let (portal, now) = (call.ids[0], call.now);
    let token = call
        .world
        .accounts
        .make_token(portal, &email, MailKind::ResetPassword, now);
    Ok(json!({"email": email, "token": token}))
}

/// Sets a password.
pub(crate) fn reset_password(call: &mut Call<'_>) -> Result<Value, Problem> {
    let email = redeem(call, MailKind::ResetPassword)?;
    let developer = call
        .world
        .find_by_email(call.ids[0], &email)
        .ok_or_else(Problem::not_found)?;
    let password = call.text("password").unwrap_or_default().to_owned();
    call.world.accounts.set_password(developer, &password);
    Ok(Value::Null)
}

/// Mails a token; the answer does not tell whether the address is known.
pub(crate) fn forgot_password(call: &mut Call<'_>) -> Result<Value, Problem> {
    let (portal, now) = (call.ids[0], call.now);
    let email = call.text("email").unwrap_or_default().to_owned();
    if call.world.find_by_email(portal, &email).is_some() {
        call.world
            .accounts
            .send_mail(portal, &email, MailKind::ResetPassword, now);
    }
    Ok(Value::Null)
}

/// Opens a session for an approved developer and leaves an audit entry whatever the outcome.
pub(crate) fn authenticate(call: &mut Call<'_>) -> Result<Value, Problem> {
    let portal = call.ids[0];
    let username = call.text("username").unwrap_or_default();
    let password = call.text("password").unwrap_or_default();
    let developer = call.world.find_by_email(portal, username);
    let row = developer.and_then(|id| call.world.find(Kind::Developer, id));
    let outcome = match row {
        None => Outcome::NotFound,
        Some(row) if !call.world.accounts.check_password(row.id, password) => {
            Outcome::InvalidPassword
        }
        Some(row) if row.text("status") != "approved" => Outcome::Disabled,
        Some(_) => Outcome::Success,
    };
    let entry = Entry::sign_in(call.origin, outcome, portal, developer, Means::Password);
    call.world.audit.record(Some(portal), entry, call.now);
    match (outcome, developer) {
        (Outcome::Success, Some(developer)) => {
            let session = call.world.accounts.open_session(developer);
            // The real portal has a host of its own; here the path keeps two portals' sessions
            // apart.
            let cookie = format!(
                "portalaccesstoken={session}; Path=/portal/{portal}; HttpOnly; SameSite=Lax; Max-Age=86400"
            );
            call.cookies.push(cookie);
            Ok(Value::Null)
        }
        (Outcome::Disabled, _) => Err(Problem::sign_in(
            "Approval Required",
            "Your account is pending approval for access.",
        )),
        _ => Err(Problem::sign_in(
            "Invalid Credentials",
            "You have entered an invalid email or password.",
        )),
    }
}

/// Ends the session, if there is one.
pub(crate) fn logout(call: &mut Call<'_>) -> Result<Value, Problem> {
    if let Some(session) = call.session.take() {
        call.world.accounts.close_session(&session);
    }
    call.cookies.push(format!(
        "portalaccesstoken=; Path=/portal/{}; Max-Age=0",
        call.ids[0]
    ));
    Ok(Value::Null)
}
