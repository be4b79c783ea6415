//! Ends an approved developer's access: first the status, so that nothing new is asked for, then
//! registrations and teams. Credentials work on until each registration is revoked (ADR 19).
//!
//! Each write is noted before it is sent, so that a resumed deed repeats none of them and the
//! account at its end is complete. A status that was found revoked is noted as well: a person who
//! approves the developer meanwhile has the last word.

use std::collections::BTreeMap;

use konnect::{
    ApplicationId, DeveloperId, DeveloperStatus, ListApplications, ListRegistrations,
    RegistrationId, RegistrationStatus, TeamId,
};
use uuid::Uuid;

use crate::act::deeds::cut_off::CutOff;
use crate::act::deeds::{Completion, DeedContext, Outcome, status, team};
use crate::act::trouble::Trouble;

/// Writes of one attempt; the rest follows in the next. A developer with hundreds of registrations
/// neither exceeds an attempt nor makes others wait.
const WRITES_AT_ONCE: usize = 16;

pub(super) async fn carry_out(context: &DeedContext<'_>) -> Result<Outcome, Trouble> {
    let mut cut = CutOff::resumed(context.claimed.row.report.as_ref());
    let (now, wanted) = (
        status::developer(context, team::developer(context)?).await?,
        DeveloperStatus::Revoked,
    );
    if cut.was_revoked && now != wanted {
        return Ok(Outcome::Refused(overruled(now.as_str(), &cut)));
    }
    let held = match status::answer_developer(context, &now, &wanted).await? {
        Outcome::Done(Completion::AlreadyTrue(why)) => Some(why),
        Outcome::Done(_) => None,
        // The developer is not approved: they never were, or a person decided otherwise.
        otherwise => return Ok(otherwise),
    };
    if !cut.was_revoked {
        let id = team::developer(context)?;
        cut.was_forgotten = context.directory.is_forgotten(context.portal(), id).await?;
        cut.was_revoked = true;
        context.found(&cut.to_value()).await?;
    }
    let mut cascade = Cascade {
        context,
        developer: team::developer(context)?,
        cut,
        writes: 0,
    };
    // Lists may lag behind, and requests may still come in: it is done when a new read finds
    // nothing.
    loop {
        let before = cascade.writes;
        cascade.registrations().await?;
        cascade.teams().await?;
        if cascade.writes >= WRITES_AT_ONCE {
            context.note_write_with(&cascade.cut.to_value()).await?;
            return Ok(Outcome::Unfinished);
        }
        if cascade.writes == before {
            break;
        }
    }
    Ok(cascade.conclude(held))
}

struct Cascade<'a> {
    context: &'a DeedContext<'a>,
    developer: DeveloperId,
    cut: CutOff,
    writes: usize,
}

impl Cascade<'_> {
    /// Cuts off what the developer's own applications were granted or ask for.
    async fn registrations(&mut self) -> Result<(), Trouble> {
        let listed = self.list().await?;
        for (id, application) in self.cut.unsettled() {
            let is_listed = listed.contains_key(&id);
            self.cut_off((application, id), is_listed).await?;
        }
        for (id, application) in listed {
            if self.writes < WRITES_AT_ONCE && !self.cut.has_settled(id) {
                self.cut_off((application, id), true).await?;
            }
        }
        Ok(())
    }

    /// The open registrations by id, with their applications. An application of a team stays: its
    /// other members go on using it.
    async fn list(&self) -> Result<BTreeMap<Uuid, Uuid>, Trouble> {
        let (client, portal) = (self.context.client, self.context.portal());
        let own = ListApplications {
            developer_id: Some(self.developer.into()),
            ..ListApplications::default()
        };
        let applications = client.portal(portal).applications().list(&own).await;
        let own: Vec<ApplicationId> = applications
            .map_err(Trouble::on_read("portal"))?
            .into_iter()
            // Older versions of the API do not name the owner, and listed only this developer's.
            .filter(|found| {
                let owner = found.owner.as_ref();
                owner.is_none_or(|owner| owner.developer() == Some(self.developer))
            })
            .map(|found| found.id)
            .collect();
        if own.is_empty() {
            return Ok(BTreeMap::new());
        }
        let theirs = ListRegistrations {
            developer_id: Some(self.developer.into()),
            ..ListRegistrations::default()
        };
        let registrations = client.portal(portal).registrations().list(&theirs).await;
        Ok(registrations
            .map_err(Trouble::on_read("portal"))?
            .into_iter()
            .filter(|found| own.contains(&found.application.id) && end_of(&found.status).is_some())
            .map(|found| (found.id.0, found.application.id.0))
            .collect())
    }

    async fn cut_off(
        &mut self,
        (application, id): (Uuid, Uuid),
        is_listed: bool,
    ) -> Result<(), Trouble> {
        let registrations = self
            .context
            .client
            .portal(self.context.portal())
            .registrations();
        let (application_id, registration_id) = (ApplicationId(application), RegistrationId(id));
        let now = match registrations.get(application_id, registration_id).await {
            Ok(found) => found.status,
            // A crash came between note and write, and it was deleted since.
            Err(error) if error.is_not_found() && !is_listed => {
                self.cut.settle_registration(id, "gone");
                return Ok(());
            }
            Err(error) => return Err(Trouble::on_read("registration")(error)),
        };
        let Some(wanted) = end_of(&now) else {
            self.cut.settle_registration(id, now.as_str());
            return Ok(());
        };
        self.cut.begin_registration(id, application, now.as_str());
        self.context.note_write_with(&self.cut.to_value()).await?;
        let after = registrations
            .set_status(application_id, registration_id, &wanted)
            .await
            .map_err(Trouble::Api)?
            .status;
        status::written(after.as_str(), wanted.as_str())?;
        self.cut.settle_registration(id, after.as_str());
        self.writes += 1;
        Ok(())
    }

    /// Leaves every team.
    async fn teams(&mut self) -> Result<(), Trouble> {
        let teams = self.context.client.portal(self.context.portal()).teams();
        let listed = teams.of_developer(self.developer).await;
        let listed: Vec<Uuid> = listed
            .map_err(Trouble::on_read("developer"))?
            .iter()
            .map(|team| team.id.0)
            .collect();
        for id in self.cut.leave_unlisted(&listed) {
            team::left(self.context, TeamId(id), self.developer).await?;
        }
        for id in listed {
            if self.writes >= WRITES_AT_ONCE || self.cut.has_left(id) {
                continue;
            }
            self.cut.begin_team(id);
            self.context.note_write_with(&self.cut.to_value()).await?;
            // After a 404 the next attempt checks whether the membership is still there.
            let left = teams.remove_member(TeamId(id), self.developer).await;
            left.map_err(Trouble::Api)?;
            team::left(self.context, TeamId(id), self.developer).await?;
            self.cut.leave(id);
            self.writes += 1;
        }
        Ok(())
    }

    fn conclude(self, held: Option<String>) -> Outcome {
        let summary = self.cut.summary();
        let reason = match (held, summary) {
            (Some(held), Some(summary)) if !self.context.claimed.row.write_sent => {
                Some(format!("{held}; {summary}"))
            }
            (held, summary) => summary.or(held),
        };
        Outcome::Done(Completion::Reported {
            reason,
            report: self.cut.to_value(),
        })
    }
}

/// Why no more is cut off: a later decision of a person has the last word.
fn overruled(now: &str, cut: &CutOff) -> String {
    let cut = cut
        .summary()
        .map_or(String::new(), |cut| format!("; {cut}"));
    if now == "approved" {
        return format!("somebody approved them again{cut}");
    }
    format!("the developer is {now}, no longer revoked: somebody else decided{cut}")
}

/// The status that ends a registration; none where it has ended. A request is rejected, else a
/// later rule might grant it to somebody whose access was revoked.
fn end_of(status: &RegistrationStatus) -> Option<RegistrationStatus> {
    match status {
        RegistrationStatus::Approved => Some(RegistrationStatus::Revoked),
        RegistrationStatus::Pending => Some(RegistrationStatus::Rejected),
        _ => None,
    }
}
