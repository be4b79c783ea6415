//! `/api/v1/rules`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::api::document::Refused;
use crate::api::page::{Page, Paging};
use crate::http::parameters::{Parameters, part};
use crate::http::{PortalScope, Problem};
use crate::rules::{Condition, Deed, Rule};

/// A rule as it is loaded in this instance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
pub(super) struct RuleBody {
    /// Its name, unique in its file.
    name: String,
    /// The kind of signal that it is on.
    on: String,
    /// Its condition; null where it always matches.
    #[schema(required = true)]
    when: Option<String>,
    /// What it asks for, in order.
    then: Vec<DeedBody>,
    /// `live`, `shadow` or `off`.
    mode: &'static str,
    /// How many of its deeds may run in an hour; 0 means any number.
    limit_per_hour: u32,
    /// What happens to deeds over the limit: `delay` or `park`.
    on_limit: &'static str,
    /// How old a hint or an event may be for the rule to apply.
    max_age_seconds: u64,
    /// Higher decides first.
    priority: i64,
    /// The portals that it is for; null means all.
    #[schema(required = true)]
    portals: Option<Vec<Uuid>>,
    /// Whether it also applies to what usher itself or Konnect did.
    include_own: bool,
}

/// A deed that a rule asks for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleDeed)]
struct DeedBody {
    /// The word for it.
    deed: &'static str,
    /// The deed with its object, for people. Of a notice's URL only the host: the rest is secret.
    text: String,
}

impl RuleBody {
    /// A rule, with those of its portals that may be seen.
    fn new(rule: &Rule, seen: &PortalScope) -> Self {
        let deed = |deed: &Deed| DeedBody {
            deed: deed.name(),
            text: deed.to_string(),
        };
        Self {
            name: rule.name.clone(),
            on: rule.on.clone(),
            when: rule.when.as_ref().map(Condition::text).map(str::to_owned),
            then: rule.then.iter().map(deed).collect(),
            mode: rule.mode.name(),
            limit_per_hour: rule.limit_per_hour,
            on_limit: rule.on_limit.name(),
            max_age_seconds: rule.max_age.as_secs(),
            priority: rule.priority,
            portals: seen.listed(rule.portals.as_deref()),
            include_own: rule.include_own,
        }
    }
}

/// The rules that are loaded in this instance now, in the order in which they decide.
///
/// For a token of some portals those that may decide there. Other instances may have others, in a
/// rolling restart for instance.
#[utoipa::path(
    get,
    path = "/api/v1/rules",
    tag = "rules",
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<RuleBody>), Refused),
)]
pub(super) async fn list_rules(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<RuleBody>>, Problem> {
    let limit = parameters.limit()?;
    let skipped = parameters.after(|[place]: [String; 1]| part::<usize>(&place))?;
    let pager = parameters.finish()?;
    let rules = api.rules.borrow().clone();
    let shown = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let seen = api.portals();
    let of_portals = rules.rules().iter();
    let of_portals = of_portals.filter(|rule| seen.meets(rule.portals.as_deref()));
    let placed = (1_usize..).zip(of_portals);
    let rows: Vec<_> = placed.skip(skipped.unwrap_or(0)).take(shown).collect();
    let position = |(place, _): &(usize, &Rule)| place.to_string();
    Ok(Json(pager.page(rows, limit, position, |(_, rule)| {
        RuleBody::new(rule, seen)
    })))
}
