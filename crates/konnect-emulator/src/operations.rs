//! The table of the management and audit-log operations that the emulator serves. A further
//! operation of the specification is a line here; only what is peculiar to one gets code, in
//! `special`.

use crate::{
    call::{Act, Operation},
    resources::{ANY_TEXT, APPLICATION, DESTINATION, DEVELOPER, PORTAL, REGISTRATION, ROLE, TEAM},
    special::{application, jwks, pull, registration, replay, role, team, webhook},
    validate::{Field, Rule},
};

const WEBHOOK: &[Field] = &[
    Field::optional("audit_log_destination_id", ANY_TEXT),
    Field::optional("enabled", Rule::Boolean),
];

const JOB: &[Field] = &[
    Field::required("start_at", Rule::DateTime),
    Field::required("end_at", Rule::DateTime),
];

const MEMBER: &[Field] = &[Field::required("id", Rule::Uuid)];

const fn op(method: &'static str, path: &'static str, success: u16, act: Act) -> Operation {
    Operation::new(method, path, success, act)
}

/// The operations of the management and audit-log APIs that the emulator serves.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals", 200, Act::List(&PORTAL)),
    op("POST",   "/v3/portals", 201, Act::Create(&PORTAL)),
    op("GET",    "/v3/portals/{portalId}", 200, Act::Get(&PORTAL)),
    op("PATCH",  "/v3/portals/{portalId}", 200, Act::Update(&PORTAL)).also(&[409]),
    op("DELETE", "/v3/portals/{portalId}", 204, Act::Delete(&PORTAL)),
    op("GET",    "/v3/portals/{portalId}/developers", 200, Act::List(&DEVELOPER)),
    op("POST",   "/v3/portals/{portalId}/developers", 201, Act::Create(&DEVELOPER)).also(&[409]),
    op("GET",    "/v3/portals/{portalId}/developers/{developerId}", 200, Act::Get(&DEVELOPER)),
    op("PATCH",  "/v3/portals/{portalId}/developers/{developerId}", 200, Act::Update(&DEVELOPER)),
    op("DELETE", "/v3/portals/{portalId}/developers/{developerId}", 204, Act::Delete(&DEVELOPER)),
    op("GET",    "/v3/portals/{portalId}/developers/{developerId}/teams", 200, Act::Special(None, team::list_of_developer)),
    op("GET",    "/v3/portals/{portalId}/teams", 200, Act::List(&TEAM)),
    op("POST",   "/v3/portals/{portalId}/teams", 201, Act::Create(&TEAM)),
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}", 200, Act::Get(&TEAM)),
    op("PATCH",  "/v3/portals/{portalId}/teams/{teamId}", 200, Act::Update(&TEAM)),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}", 204, Act::Delete(&TEAM)),
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}/developers", 200, Act::Special(None, team::list_members)),
    op("POST",   "/v3/portals/{portalId}/teams/{teamId}/developers", 201, Act::Special(Some(MEMBER), team::add_member)).also(&[409]),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}/developers/{developerId}", 204, Act::Special(None, team::remove_member)),
    op("GET",    "/v3/portals/{portalId}/teams/{teamId}/assigned-roles", 200, Act::List(&ROLE)),
    op("POST",   "/v3/portals/{portalId}/teams/{teamId}/assigned-roles", 201, Act::Create(&ROLE)).also(&[409]),
    op("DELETE", "/v3/portals/{portalId}/teams/{teamId}/assigned-roles/{roleId}", 204, Act::Delete(&ROLE)),
    op("GET",    "/v3/portal-roles", 200, Act::Special(None, role::catalogue)),
    op("GET",    "/v3/portals/{portalId}/applications", 200, Act::List(&APPLICATION)),
    op("POST",   "/v3/portals/{portalId}/applications", 201, Act::Create(&APPLICATION)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}", 200, Act::Get(&APPLICATION)),
    op("PATCH",  "/v3/portals/{portalId}/applications/{applicationId}", 200, Act::Update(&APPLICATION)),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}", 204, Act::Delete(&APPLICATION)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/developers", 200, Act::Special(None, application::list_developers)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/credentials", 200, Act::Special(None, application::list_credentials)),
    op("GET",    "/v3/applications/{applicationId}", 200, Act::Get(&APPLICATION)),
    op("GET",    "/v3/portals/{portalId}/application-registrations", 200, Act::Special(None, registration::list_of_portal)),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/registrations", 200, Act::List(&REGISTRATION)),
    op("POST",   "/v3/portals/{portalId}/applications/{applicationId}/registrations", 201, Act::Create(&REGISTRATION)).also(&[409]),
    op("GET",    "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 200, Act::Get(&REGISTRATION)),
    op("PATCH",  "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 200, Act::Update(&REGISTRATION)),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}", 204, Act::Delete(&REGISTRATION)),
    op("PUT",    "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer", 204, Act::Special(Some(MEMBER), registration::set_consumer)),
    op("DELETE", "/v3/portals/{portalId}/applications/{applicationId}/registrations/{registrationId}/consumer", 204, Act::Special(None, registration::unset_consumer)),
    op("GET",    "/v3/portals/{portalId}/audit-log-webhook", 200, Act::Special(None, webhook::get)),
    op("PATCH",  "/v3/portals/{portalId}/audit-log-webhook", 200, Act::Special(Some(WEBHOOK), webhook::update)),
    op("DELETE", "/v3/portals/{portalId}/audit-log-webhook", 204, Act::Special(None, webhook::delete)),
    op("GET",    "/v3/portals/{portalId}/audit-log-webhook/status", 200, Act::Special(None, webhook::status)),
    op("GET",    "/v3/portals/{portalId}/audit-log-replay-job", 200, Act::Special(None, replay::get)),
    op("PUT",    "/v3/portals/{portalId}/audit-log-replay-job", 202, Act::Special(Some(JOB), replay::put)).also(&[409]),
    op("GET",    "/v3/audit-log-webhook", 200, Act::Special(None, webhook::get)),
    op("PATCH",  "/v3/audit-log-webhook", 200, Act::Special(Some(WEBHOOK), webhook::update)),
    op("DELETE", "/v3/audit-log-webhook", 204, Act::Special(None, webhook::delete)),
    op("GET",    "/v3/audit-log-webhook/status", 200, Act::Special(None, webhook::status)),
    op("GET",    "/v3/audit-log-replay-job", 200, Act::Special(None, replay::get)),
    op("PUT",    "/v3/audit-log-replay-job", 202, Act::Special(Some(JOB), replay::put)).also(&[409]),
    op("GET",    "/v3/audit-log-destinations", 200, Act::List(&DESTINATION)),
    op("POST",   "/v3/audit-log-destinations", 201, Act::Create(&DESTINATION)),
    op("GET",    "/v3/audit-log-destinations/{auditLogDestinationId}", 200, Act::Get(&DESTINATION)),
    op("PATCH",  "/v3/audit-log-destinations/{auditLogDestinationId}", 200, Act::Update(&DESTINATION)),
    op("DELETE", "/v3/audit-log-destinations/{auditLogDestinationId}", 204, Act::Delete(&DESTINATION)).also(&[409]),
    op("GET",    "/v3/audit-logs", 200, Act::Special(None, pull::list)),
    op("GET",    "/v2/audit-log-webhook", 200, Act::Special(None, webhook::get_v2)),
    op("GET",    "/v2/audit-log-webhook/status", 200, Act::Special(None, webhook::status)),
    op("GET",    jwks::PATH, 200, Act::Special(None, jwks::get)),
    op("DELETE", "/v2/audit-log-destinations/{auditLogDestinationId}", 204, Act::Delete(&DESTINATION)).also(&[409]),
];
