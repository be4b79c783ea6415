//! What people do in a walk: who signs up and asks for an API, portal admins, operators, an IAM
//! system.

use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use usher::act::{Action, ActionState, Verb};
use uuid::Uuid;

use crate::model::hands::{GUESTS, SCORES, operator};
use crate::model::replay::{Replay, Thing};
use crate::model::rules::{DOMAINS, FRIEND, Gift};
use crate::model::walk::Walk;
use crate::model::world::{Leaving, Person, Request};
use crate::support::konnect::{FIXTURES, PARTNERS, PORTAL};

const PEOPLE: usize = 9;

impl Walk {
    fn any(&mut self, of: &[Uuid]) -> Option<Uuid> {
        (!of.is_empty()).then(|| of[self.rng.random_range(0..of.len())])
    }

    fn somebody(&mut self) -> Option<Uuid> {
        let all: Vec<Uuid> = self.world.people.keys().copied().collect();
        self.any(&all)
    }

    pub(super) fn sign_up(&mut self) {
        // Few, so that much happens to each of them.
        if self.world.people.len() >= PEOPLE {
            return self.ask_for_an_api();
        }
        let id = self.hands.ids.next();
        let number = self.world.people.len();
        let domain = DOMAINS[self.rng.random_range(0..DOMAINS.len())];
        let is_friend = self.rng.random_bool(0.4);
        let name = if is_friend { FRIEND } else { "p" };
        let email = format!("{name}{number}@{domain}");
        self.tell(&format!("{email} signs up as {id}"));
        let person = Person {
            id,
            domain,
            is_friend,
            signed_up_at: self.hands.clock.now(),
        };
        let seed = json!({ "developers": [{
            "id": id, "portal_id": PORTAL, "email": email, "full_name": email, "status": "pending",
        }]});
        self.hands.emulator.seed(&seed).unwrap();
        self.world.people.insert(id, person);
    }

    pub(super) fn ask_for_an_api(&mut self) {
        let Some(owner) = self.somebody() else { return };
        let known: Vec<Uuid> = self.world.applications.keys().copied().collect();
        let application = match self.any(&known).filter(|_| self.rng.random_bool(0.3)) {
            Some(known) => known,
            None => self.hands.ids.next(),
        };
        let place = self.hands.place();
        if !self.world.applications.contains_key(&application) {
            let seed = json!({ "applications": [{
                "id": application, "portal_id": PORTAL, "name": application,
                "owner": { "type": "developer", "id": owner },
            }]});
            self.hands.emulator.seed(&seed).unwrap();
            self.world.applications.insert(application, (owner, place));
        }
        let is_for_fixtures = self.rng.random_bool(0.8);
        let mut others = self.world.requests.values();
        let is_there = others.any(|(other, _)| {
            other.application == application && other.is_for_fixtures == is_for_fixtures
        });
        if is_there {
            return;
        }
        let id = self.hands.ids.next();
        self.tell(&format!(
            "{application} of {owner} asks for an API by {id}, Fixtures: {is_for_fixtures}"
        ));
        let seed = json!({ "registrations": [{
            "id": id, "application_id": application, "status": "pending",
            "api_id": if is_for_fixtures { FIXTURES } else { SCORES },
        }]});
        self.hands.emulator.seed(&seed).unwrap();
        let request = Request {
            id,
            application,
            is_for_fixtures,
        };
        self.world.requests.insert(id, (request, place));
    }

    fn replay(&self) -> Replay {
        Replay::new(&self.world, &self.hands.emulator.requests())
    }

    /// How something is, as far as anything was told.
    fn now(&self, thing: Thing) -> String {
        let now = self.replay().now(thing).map(|was| was.value.clone());
        now.unwrap_or_else(|| "out".to_owned())
    }

    async fn admin(&mut self, method: Method, path: &str, body: &Value) {
        self.tell(&format!("an admin: {method} {path} {body}"));
        self.hands.admin(method, path, body).await;
    }

    pub(super) async fn judge_a_person(&mut self) {
        let Some(id) = self.somebody() else { return };
        let status = match self.now(Thing::Status(id)).as_str() {
            "pending" if self.rng.random_bool(0.5) => "approved",
            "pending" => "rejected",
            "approved" => "revoked",
            _ => "approved",
        };
        let path = format!("developers/{id}");
        self.admin(Method::PATCH, &path, &json!({ "status": status }))
            .await;
    }

    pub(super) async fn judge_a_registration(&mut self) {
        let all: Vec<Uuid> = self.world.requests.keys().copied().collect();
        let Some(id) = self.any(&all) else { return };
        let application = self.world.requests[&id].0.application;
        let status = match self.now(Thing::Registration(id)).as_str() {
            "pending" if self.rng.random_bool(0.5) => "approved",
            "pending" => "rejected",
            "approved" => "revoked",
            _ => "approved",
        };
        let path = format!("applications/{application}/registrations/{id}");
        self.admin(Method::PATCH, &path, &json!({ "status": status }))
            .await;
    }

    pub(super) async fn move_somebody(&mut self) {
        let Some(id) = self.somebody() else { return };
        let team = [PARTNERS, PARTNERS, GUESTS][self.rng.random_range(0..3)];
        let is_in = self.now(Thing::Membership(id, team)) == "in";
        let path = format!("teams/{team}/developers");
        if is_in {
            let path = format!("{path}/{id}");
            self.admin(Method::DELETE, &path, &Value::Null).await;
        } else {
            self.admin(Method::POST, &path, &json!({ "id": id })).await;
        }
    }

    pub(super) async fn hand_over(&mut self) {
        let all: Vec<Uuid> = self.world.applications.keys().copied().collect();
        let (Some(id), Some(to)) = (self.any(&all), self.somebody()) else {
            return;
        };
        let body = json!({ "owner": { "type": "developer", "id": to } });
        self.admin(Method::PATCH, &format!("applications/{id}"), &body)
            .await;
    }

    pub(super) async fn leave(&mut self) {
        let Some(person) = self.somebody() else {
            return;
        };
        self.tell(&format!("{person} leaves the company"));
        self.world.leavings.push(Leaving {
            person,
            at: self.hands.clock.now(),
            place: self.hands.place(),
        });
        self.hands.tell_of_leaving(person).await;
    }

    /// An operator does something about an action, or takes a no back.
    pub(super) async fn operate(&mut self) {
        let actions = self.hands.actions().await;
        let wanted = [
            (Verb::Cancel, 4),
            (Verb::Reject, 2),
            (Verb::Approve, 2),
            (Verb::Retry, 3),
        ];
        let fits = |verb: Verb, action: &&Action| {
            // What a person may undo most of all is what waits.
            verb.starting_states().contains(&action.state)
                && (verb != Verb::Retry || action.state != ActionState::Shadow)
        };
        let mut choices: Vec<(Verb, &Action)> = Vec::new();
        for (verb, weight) in wanted {
            for action in actions.iter().filter(|action| fits(verb, action)).take(3) {
                choices.extend(std::iter::repeat_n((verb, action), weight));
            }
        }
        if choices.is_empty() || self.rng.random_bool(0.2) {
            return self.lift().await;
        }
        let (verb, action) = choices[self.rng.random_range(0..choices.len())];
        let (before, id) = (self.hands.place(), action.target.id());
        let is_done = self.hands.operate(action.id, verb).await;
        self.tell(&format!(
            "ada: {verb} {} {id} ({}): {is_done}",
            action.deed, action.id
        ));
        if !is_done {
            return;
        }
        let gift = gift(action);
        let place = self.hands.place();
        match verb {
            Verb::Cancel | Verb::Reject => match gift {
                Some(gift) => self.world.vetoed(gift, place),
                None => self.world.spared.push(id),
            },
            Verb::Approve | Verb::Retry => {
                if let Some(gift) = gift {
                    self.world.lifted(gift, before);
                }
                self.world.lets_through(id, before);
            }
        }
    }

    async fn lift(&mut self) {
        let vetoes = self.hands.queue.vetoes(None, 100).await.unwrap();
        if vetoes.is_empty() {
            return;
        }
        let veto = &vetoes[self.rng.random_range(0..vetoes.len())];
        let before = self.hands.place();
        let lifted = self.hands.queue.lift_veto(veto.id, &operator()).await;
        if lifted.unwrap().is_some() {
            self.tell(&format!("ada lifts {} {}", veto.deed, veto.target.id()));
            if let Some(gift) = gift_of(&veto.deed, veto.target.id()) {
                self.world.lifted(gift, before);
            }
        }
    }
}

/// What an action gives.
fn gift(action: &Action) -> Option<Gift> {
    gift_of(&action.deed, action.target.id())
}

fn gift_of(deed: &str, target: Uuid) -> Option<Gift> {
    let all = [
        Gift::Approve(target),
        Gift::Join(target),
        Gift::Grant(target),
    ];
    all.into_iter().find(|gift| gift.deed() == deed)
}
