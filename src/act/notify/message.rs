//! The content of a notice, in either form. Contains the name and address of its person: never to
//! be stored or logged. No I/O.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::act::{ActionState, Target};
use crate::event;

/// The content of a notice.
#[derive(Serialize)]
pub(in crate::act) struct Message {
    /// The action that sends it.
    pub(in crate::act) action_id: Uuid,
    /// The rule that decided.
    pub(in crate::act) rule: String,
    /// The signal that the rule answered.
    pub(in crate::act) signal: String,
    /// The portal; none where it is about usher itself.
    pub(in crate::act) portal_id: Option<Uuid>,
    /// Its name, where the directory knows it.
    pub(in crate::act) portal: Option<String>,
    /// The target.
    pub(in crate::act) target: Target,
    /// The person it is about.
    pub(in crate::act) developer: Option<Person>,
    /// The application concerned, by name.
    pub(in crate::act) application: Option<String>,
    /// The API that is asked for, by name.
    pub(in crate::act) api: Option<String>,
    /// What the rule did before the notice.
    pub(in crate::act) deeds: Vec<Before>,
    /// What it says about usher itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::act) alert: Option<AlertNotice>,
    /// The events that led here.
    pub(in crate::act) causes: Vec<Uuid>,
    /// The page of the console where it is answered or looked at, where `console.url` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::act) page: Option<String>,
    /// When it was decided.
    #[serde(skip)]
    pub(in crate::act) decided_at: DateTime<Utc>,
}

/// What began or ended about usher itself.
#[derive(Serialize)]
pub(in crate::act) struct AlertNotice {
    /// `began` or `ended`.
    pub(in crate::act) state: String,
    /// What it is about, such as a reader; often empty.
    pub(in crate::act) subject: String,
    /// What was found last.
    pub(in crate::act) detail: String,
    /// When it began.
    pub(in crate::act) since: String,
    /// What to do about it.
    pub(in crate::act) advice: &'static str,
}

/// A person, with name and address.
#[derive(Serialize)]
pub(in crate::act) struct Person {
    pub(in crate::act) id: Uuid,
    pub(in crate::act) email: Option<String>,
    pub(in crate::act) full_name: Option<String>,
    pub(in crate::act) status: String,
}

/// A deed of the same `then`.
#[derive(Serialize)]
pub(in crate::act) struct Before {
    pub(in crate::act) action_id: Uuid,
    pub(in crate::act) deed: String,
    pub(in crate::act) state: String,
    pub(in crate::act) reason: Option<String>,
}

impl Message {
    /// The payload as Standard Webhooks recommends it: type, time and data.
    pub(in crate::act) fn standard(&self) -> String {
        json!({
            "type": self.kind(),
            "timestamp": self.decided_at,
            "data": self,
        })
        .to_string()
    }

    /// The signal's name, which begins with `usher.` whatever it is about.
    fn kind(&self) -> String {
        match &self.alert {
            Some(_) => self.signal.clone(),
            None => format!("usher.{}", self.signal),
        }
    }

    /// The payload of an incoming webhook of Slack.
    pub(in crate::act) fn slack(&self) -> String {
        json!({ "text": self.text() }).to_string()
    }

    /// Names the page of the action that waits for a person, else of the one that sends this; the
    /// first page where it is about usher itself.
    pub(in crate::act) fn name_page(&mut self, console: Option<&Url>) {
        let action = self
            .waiting()
            .map_or(self.action_id, |before| before.action_id);
        let page = |console: &Url| {
            let console = console.as_str().trim_end_matches('/');
            match &self.alert {
                Some(_) => format!("{console}/#alerts"),
                None => format!("{console}/actions/{action}"),
            }
        };
        self.page = console.map(page);
    }

    /// What the rule left to a person.
    fn waiting(&self) -> Option<&Before> {
        let parked = ActionState::Parked.as_str();
        self.deeds.iter().find(|before| before.state == parked)
    }

    fn heading(&self) -> String {
        let mut heading = format!("*{}*", plain(&self.signal));
        if let Some(alert) = &self.alert {
            heading = format!("{heading} {} {}", alert.state, plain(&alert.subject));
        }
        let id = || self.portal_id.map(|id| id.to_string());
        let portal = self.portal.as_deref().map(plain).or_else(id);
        match portal {
            Some(portal) => format!("{} in {portal}", heading.trim_end()),
            None => heading.trim_end().to_owned(),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![self.heading()];
        if let Some(alert) = &self.alert {
            lines.push(plain(&alert.detail));
            lines.push(alert.advice.to_owned());
        }
        if let Some(person) = &self.developer {
            let name = person.full_name.as_deref().map(plain).unwrap_or_default();
            let email = person.email.as_deref().map(plain).unwrap_or_default();
            let who = format!("{name} {email}");
            lines.push(format!("{} ({})", who.trim(), plain(&person.status)));
        }
        if let Some(application) = &self.application {
            lines.push(format!("application: {}", plain(application)));
        }
        if let Some(api) = &self.api {
            lines.push(format!("api: {}", plain(api)));
        }
        for before in &self.deeds {
            let reason = before.reason.as_deref().map(plain);
            let reason = reason.map(|why| format!(": {why}")).unwrap_or_default();
            lines.push(format!("{} {}{reason}", before.deed, before.state));
        }
        let (rule, target) = (plain(&self.rule), self.target);
        lines.push(format!(
            "rule {rule} · {target} · action {}",
            self.action_id
        ));
        if let Some(page) = &self.page {
            let what = self.waiting().map_or("see", |_| "approve or reject");
            lines.push(format!("{what}: {page}"));
        }
        lines.join("\n")
    }
}

/// Text that cannot mention anybody, pass for a link or be read in another order than written:
/// people who sign up choose their names.
fn plain(text: &str) -> String {
    event::plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{AlertNotice, Before, Message, Person};
    use crate::act::Target;

    fn message() -> Message {
        let id = Uuid::from_u128(2);
        Message {
            action_id: Uuid::from_u128(1),
            rule: "tell-us".to_owned(),
            signal: "developer.signed_up".to_owned(),
            portal_id: Some(Uuid::from_u128(3)),
            portal: Some("Football".to_owned()),
            target: Target::Developer { id },
            developer: Some(Person {
                id,
                email: Some("kevin@gmail.com".to_owned()),
                full_name: Some("<!channel>\n*Kevin* & Co".to_owned()),
                status: "pending".to_owned(),
            }),
            application: None,
            api: None,
            deeds: vec![Before {
                action_id: Uuid::from_u128(7),
                deed: "park".to_owned(),
                state: "parked".to_owned(),
                reason: Some("freemail".to_owned()),
            }],
            alert: None,
            causes: vec![Uuid::from_u128(4)],
            page: None,
            decided_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn says_in_the_standard_shape_what_a_program_needs() {
        let told: Value = serde_json::from_str(&message().standard()).unwrap();
        assert_eq!(told["type"], "usher.developer.signed_up");
        assert_eq!(told["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(told["data"]["developer"]["email"], "kevin@gmail.com");
        assert_eq!(told["data"]["deeds"][0]["reason"], "freemail");
        assert_eq!(told["data"]["causes"], json!([Uuid::from_u128(4)]));
    }

    #[test]
    fn says_to_slack_what_a_person_needs_and_calls_nobody() {
        let told: Value = serde_json::from_str(&message().slack()).unwrap();
        let lines: Vec<&str> = told["text"].as_str().unwrap().lines().collect();
        let expected = [
            "*developer.signed_up* in Football",
            r"&lt;!channel&gt;\u{a}*Kevin* &amp; Co kevin@gmail.com (pending)",
            "park parked: freemail",
            "rule tell-us · developer 00000000-0000-0000-0000-000000000002 · action 00000000-0000-0000-0000-000000000001",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn says_what_is_wrong_with_usher_itself_and_what_to_do() {
        let mut message = Message {
            signal: "usher.outbox_old".to_owned(),
            portal_id: None,
            portal: None,
            target: Target::Usher,
            developer: None,
            deeds: Vec::new(),
            alert: Some(AlertNotice {
                state: "began".to_owned(),
                subject: "kafka".to_owned(),
                detail: "14 min behind".to_owned(),
                since: "1970-01-01T00:00:00Z".to_owned(),
                advice: "Mend it.",
            }),
            ..message()
        };
        message.name_page(Some(&"https://usher.example/".parse().unwrap()));
        let told: Value = serde_json::from_str(&message.standard()).unwrap();
        assert_eq!(told["type"], "usher.outbox_old");
        assert_eq!(told["data"]["portal_id"], Value::Null);
        assert_eq!(told["data"]["target"], json!({ "kind": "usher" }));
        assert_eq!(told["data"]["alert"]["state"], "began");
        let expected = [
            "*usher.outbox_old* began kafka",
            "14 min behind",
            "Mend it.",
            "rule tell-us · usher · action 00000000-0000-0000-0000-000000000001",
            "see: https://usher.example/#alerts",
        ];
        assert_eq!(message.text().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn leads_to_the_page_of_what_waits_for_a_person() {
        let console = Some("https://usher.example/console/".parse().unwrap());
        let mut message = message();
        message.name_page(console.as_ref());
        let parked = "https://usher.example/console/actions/00000000-0000-0000-0000-000000000007";
        let told: Value = serde_json::from_str(&message.slack()).unwrap();
        let text = told["text"].as_str().unwrap();
        assert!(
            text.ends_with(&format!("\napprove or reject: {parked}")),
            "{text}"
        );
        let told: Value = serde_json::from_str(&message.standard()).unwrap();
        assert_eq!(told["data"]["page"], parked);
        message.deeds.clear();
        message.name_page(console.as_ref());
        let own = "https://usher.example/console/actions/00000000-0000-0000-0000-000000000001";
        assert!(message.text().ends_with(&format!("\nsee: {own}")));
        message.name_page(None);
        assert_eq!(message.page, None);
    }

    #[test]
    fn shows_slack_what_would_hide_or_turn_the_line_around() {
        let mut message = message();
        let names = "moc.lanesra\u{202e}@ann \u{2066}\u{200b}\u{feff}\u{0}";
        message.portal = Some(names.to_owned());
        message.application = Some(names.to_owned());
        message.api = Some(names.to_owned());
        message.deeds[0].reason = Some(names.to_owned());
        if let Some(person) = &mut message.developer {
            person.full_name = Some(names.to_owned());
            person.email = Some("a\u{202e}b@c.d".to_owned());
        }
        let told: Value = serde_json::from_str(&message.slack()).unwrap();
        let text = told["text"].as_str().unwrap();
        let hidden = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{0}'];
        assert!(!text.contains(hidden), "{text:?}");
        assert!(text.contains(r"a\u{202e}b@c.d (pending)"), "{text}");
        assert_eq!(
            text.matches(r"\u{202e}@ann \u{2066}\u{200b}\u{feff}\u{0}")
                .count(),
            5
        );
    }
}
