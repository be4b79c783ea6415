//! Names and types of a condition against the schema of facts. Must find at load what CEL would
//! only find when somebody has already signed up.

use std::collections::BTreeMap;

use cel::Program;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr,
};

use crate::literals;
use crate::mistake::one_of;
use crate::offsets::{Finding, Offsets};
use crate::schema::{self, FUNCTIONS, Kind, Object};

/// The most comprehensions (`exists`, `all`, `map`, …) inside one another.
const MAX_COMPREHENSIONS: usize = 2;

/// Finds all that cannot be meant in a compiled condition of a rule for `signal`.
pub(crate) fn check(
    program: &Program,
    text: &str,
    signal: &str,
    lists: &BTreeMap<String, Vec<String>>,
) -> Vec<Finding> {
    let mut checker = Checker {
        offsets: Offsets::new(program, text),
        signal,
        lists,
        scope: Vec::new(),
        nesting: 0,
        findings: Vec::new(),
    };
    let kind = checker.kind_of(program.expression());
    if !kind.may_be(&Kind::Bool) {
        checker.find(
            0,
            format!("the condition is {}; expected true or false", kind.name()),
        );
    }
    checker.findings
}

pub(crate) struct Checker<'a> {
    pub(crate) offsets: Offsets<'a>,
    signal: &'a str,
    pub(crate) lists: &'a BTreeMap<String, Vec<String>>,
    /// The variables of comprehensions, innermost last.
    scope: Vec<(String, Kind)>,
    nesting: usize,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    pub(crate) fn find(&mut self, offset: usize, message: String) {
        self.findings.push((offset, message));
    }

    pub(crate) fn found(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    pub(crate) fn kind_of(&mut self, expr: &IdedExpr) -> Kind {
        match &expr.expr {
            Expr::Unspecified => Kind::Any,
            Expr::Literal(literal) => kind_of_literal(literal),
            Expr::Ident(name) => self.kind_of_name(expr, name),
            Expr::Select(select) => self.kind_of_member(expr, select),
            Expr::Call(call) => self.kind_of_call(expr, call),
            Expr::Comprehension(comprehension) => self.kind_of_comprehension(expr, comprehension),
            Expr::List(list) => {
                let entries = list.elements.iter().map(|element| self.kind_of(element));
                Kind::list(entries.fold(Kind::Nothing, Kind::or))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind_of(&entry.key);
                        self.kind_of(&entry.value);
                    }
                }
                Kind::Map
            }
            Expr::Struct(object) => {
                let message = format!(
                    "{:?} is no type that a condition can make",
                    object.type_name
                );
                self.find(self.offsets.of_name(expr), message);
                Kind::Any
            }
        }
    }

    fn kind_of_name(&mut self, expr: &IdedExpr, name: &str) -> Kind {
        if let Some((_, kind)) = self
            .scope
            .iter()
            .rev()
            .find(|(variable, _)| variable == name)
        {
            return kind.clone();
        }
        let offset = self.offsets.of(expr);
        let Some(kind) = schema::root(name) else {
            let expected = one_of(schema::ROOTS.iter().copied());
            self.find(
                offset,
                format!("nothing is called {name:?}; expected {expected}"),
            );
            return Kind::Any;
        };
        if !schema::has_root(self.signal, name) {
            let message = format!("{name} is always null for {}", self.signal);
            self.find(offset, message);
        }
        kind
    }

    fn kind_of_member(&mut self, expr: &IdedExpr, select: &SelectExpr) -> Kind {
        let operand = self.kind_of(&select.operand);
        let from = self
            .offsets
            .of(if select.test { &select.operand } else { expr });
        let offset = self.offsets.text()[from..]
            .find(&select.field)
            .map_or(from, |at| from + at);
        let kind = self.member_of(&operand, &select.field, offset);
        if select.test { Kind::Bool } else { kind }
    }

    pub(crate) fn member_of(&mut self, owner: &Kind, name: &str, offset: usize) -> Kind {
        match owner {
            Kind::Any | Kind::Nothing | Kind::Map => Kind::Any,
            Kind::Object(Object::Lists) => {
                if !self.lists.contains_key(name) {
                    let message = match one_of(self.lists.keys().map(String::as_str)) {
                        expected if expected.is_empty() => {
                            format!("there is no list {name:?}; the file has no lists")
                        }
                        expected => format!("there is no list {name:?}; expected {expected}"),
                    };
                    self.find(offset, message);
                }
                Kind::list(Kind::Text)
            }
            Kind::Object(object) => object.member(name).unwrap_or_else(|| {
                let expected = one_of(object.members().iter().map(|(member, _)| *member));
                let message = format!(
                    "{} has no member {name:?}; expected {expected}",
                    owner.name()
                );
                self.find(offset, message);
                Kind::Any
            }),
            _ => {
                self.find(
                    offset,
                    format!("{} has no members, not even {name:?}", owner.name()),
                );
                Kind::Any
            }
        }
    }

    fn kind_of_comprehension(&mut self, expr: &IdedExpr, it: &ComprehensionExpr) -> Kind {
        let entry = match self.kind_of(&it.iter_range) {
            Kind::List(entry) => *entry,
            Kind::Any | Kind::Nothing => Kind::Any,
            Kind::Map => Kind::Text,
            other => {
                let macro_at = self.offsets.of_name(expr);
                let name = self.offsets.text()[macro_at..self.offsets.of(expr)].trim_end();
                let message = format!("{name}() needs a list, this is {}", other.name());
                self.find(macro_at, message);
                Kind::Any
            }
        };
        self.nesting += 1;
        if self.nesting == MAX_COMPREHENSIONS + 1 {
            let message = format!(
                "more than {MAX_COMPREHENSIONS} of exists, all, map and filter inside one another"
            );
            self.find(self.offsets.of_name(expr), message);
        }
        let initial = self.kind_of(&it.accu_init);
        self.scope.push((it.iter_var.clone(), entry));
        self.scope.push((it.accu_var.clone(), initial));
        let step = self.kind_of(&it.loop_step);
        if let Some((_, accumulated)) = self.scope.last_mut() {
            *accumulated = step;
        }
        let kind = self.kind_of(&it.result);
        self.scope.truncate(self.scope.len() - 2);
        self.nesting -= 1;
        kind
    }

    fn kind_of_call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Kind {
        if let Some(kind) = self.kind_of_operation(expr, call) {
            return kind;
        }
        let receiver = call.target.as_deref().map(|target| self.kind_of(target));
        let arguments: Vec<Kind> = call
            .args
            .iter()
            .map(|argument| self.kind_of(argument))
            .collect();
        let offset = self.offsets.of_name(expr);
        let name = call.func_name.as_str();
        let candidates = || {
            FUNCTIONS
                .iter()
                .filter(move |function| function.name == name)
        };
        if candidates().next().is_none() {
            let mut names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            names.dedup();
            let expected = one_of(names.into_iter());
            self.find(
                offset,
                format!("there is no function {name:?}; expected {expected}"),
            );
            return Kind::Any;
        }
        let Some(function) = candidates().find(|function| {
            function.of.is_some() == receiver.is_some()
                && function.arguments.len() == arguments.len()
        }) else {
            let expected: Vec<String> = candidates().map(schema::Function::signature).collect();
            self.find(
                offset,
                format!(
                    "{name} is not called like this; expected {}",
                    expected.join(" or ")
                ),
            );
            return Kind::Any;
        };
        let wanted = function
            .of
            .into_iter()
            .chain(function.arguments.iter().copied());
        for (given, wanted) in receiver.iter().chain(&arguments).zip(wanted) {
            if !wanted.iter().any(|kind| given.may_be(kind)) {
                let wanted = one_of(wanted.iter().map(Kind::name));
                self.find(
                    offset,
                    format!("{name} is given {}; expected {wanted}", given.name()),
                );
            }
        }
        if name == "matches"
            && let Some(pattern) = call.args.first()
        {
            self.found(literals::check_pattern(self.offsets, pattern));
        }
        if let (Some(of), [part]) = (&call.target, call.args.as_slice()) {
            self.found(literals::check_part(self.offsets, name, of, part));
        }
        function.answer.clone()
    }
}

fn kind_of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) => Kind::Any,
        LiteralValue::Null => Kind::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::condition::{Condition, language};

    /// What is found in a condition of a rule for `signal`: `byte: message`, one a line.
    fn findings(signal: &str, text: &str) -> String {
        let lists = BTreeMap::from([
            ("partners".to_owned(), vec!["arsenal.com".to_owned()]),
            ("people".to_owned(), vec!["ann@arsenal.com".to_owned()]),
        ]);
        let findings = Condition::compile(&language(), text, signal, &lists).err();
        let lines = findings.unwrap_or_default().into_iter();
        lines
            .map(|(at, message)| format!("{at}: {message}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn accepts_conditions_that_make_sense() {
        for text in [
            r#"developer.status == "pending" && domain(developer.email) in lists.partners"#,
            r#"registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")"#,
            "is_freemail(developer.email)",
            "!is_freemail(developer.email) && !in_team(developer, 'Guests')",
            "developer.email in lists.people",
            "event.data.department == 'sales' && event.data.level > 3 && event['odd name'][0].x",
            "now - developer.created_at < duration('24h')",
            "developer.created_at > timestamp('2026-01-01T00:00:00Z') && now.getDayOfWeek() in [1, 2]",
            "developer.applications.size() == 0 || size(developer.teams) > 2",
            "developer.teams.all(t, t.name != 'x') && developer.teams.exists_one(t, t.id == 'y')",
            "developer.teams.filter(t, t.name != 'x').map(t, t.name).exists(n, n.startsWith('a'))",
            "developer.teams.exists(t, developer.applications.exists(a, a.name == t.name))",
            "application.owner == null || application.owner.email.endsWith('@arsenal.com')",
            "application.owner_type == 'team' ? application.owner.name == 'X' : has(developer.email)",
            "registration.api.version == null && signal.from_status != 'approved' && !signal.own",
            "developer.email.matches('^[a-z]+@') && portal.name == 'P' && string(event.n) == '3'",
            "'Partners' in developer.teams.map(t, t.name) && 'a' in event && event.x in event.y",
            "{'a': 1}['a'] == 1 && [1, 2][0] < 2 && -1 < 1 && (1 + 2) * 3 % 2 == 1",
            "developer['email'] == 'x' && lists['partners'].exists(p, p == 'x')",
        ] {
            assert_eq!(findings("registration.requested", text), "", "{text}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn finds_names_that_do_not_exist() {
        for (text, expected) in [
            (
                "developer.emial == 'x'",
                r#"10: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "registration.api.nmae == 'x'",
                r#"17: an API has no member "nmae"; expected id, name or version"#,
            ),
            (
                "has(developer.emial)",
                r#"14: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "developer['emial'] == 'x'",
                r#"10: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications"#,
            ),
            (
                "developer.teams.exists(t, t.nmae == 'x')",
                r#"28: a team has no member "nmae"; expected id or name"#,
            ),
            (
                "developer.teams.filter(t, true).map(t, t).exists(t, t.nmae == 'x')",
                r#"54: a team has no member "nmae"; expected id or name"#,
            ),
            (
                "developer.teams[0].nmae == 'x'",
                r#"19: a team has no member "nmae"; expected id or name"#,
            ),
            (
                "application.owner.emial == 'x'",
                r#"18: an owner has no member "emial"; expected id, name or email"#,
            ),
            (
                "developer.email in lists.partnrs",
                r#"25: there is no list "partnrs"; expected partners or people"#,
            ),
            (
                "develper.email == 'x'",
                r#"0: nothing is called "develper"; expected event, signal, portal, developer, application, registration, lists or now"#,
            ),
            (
                "domian(developer.email) == 'x'",
                r#"0: there is no function "domian"; expected domain, is_freemail, in_team, size, string, int, double, bool, timestamp, duration, contains, startsWith, endsWith, matches, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getHours, getMinutes or getSeconds"#,
            ),
            (
                "developer.email.startswith('x')",
                r#"16: there is no function "startswith"; expected domain, is_freemail, in_team, size, string, int, double, bool, timestamp, duration, contains, startsWith, endsWith, matches, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getHours, getMinutes or getSeconds"#,
            ),
            (
                "developer.email.domain() == 'x'",
                "16: domain is not called like this; expected domain(anything)",
            ),
            (
                "domain(developer.email, 'x') == ''",
                "0: domain is not called like this; expected domain(anything)",
            ),
            (
                "in_team('Partners')",
                "0: in_team is not called like this; expected in_team(developer, text)",
            ),
            (
                "t.name == 'x'",
                r#"0: nothing is called "t"; expected event, signal, portal, developer, application, registration, lists or now"#,
            ),
            (
                "optional.of(1) == 1",
                r#"0: nothing is called "optional"; expected event, signal, portal, developer, application, registration, lists or now
9: there is no function "of"; expected domain, is_freemail, in_team, size, string, int, double, bool, timestamp, duration, contains, startsWith, endsWith, matches, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getHours, getMinutes or getSeconds"#,
            ),
            (
                "type(1) == int",
                r#"0: there is no function "type"; expected domain, is_freemail, in_team, size, string, int, double, bool, timestamp, duration, contains, startsWith, endsWith, matches, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getHours, getMinutes or getSeconds
11: nothing is called "int"; expected event, signal, portal, developer, application, registration, lists or now"#,
            ),
            (
                "Team{name: 'x'} == 1",
                r#"0: "Team" is no type that a condition can make"#,
            ),
            (
                "developer.emial == 'x' && registration.stauts == 'y'",
                r#"10: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications
39: a registration has no member "stauts"; expected id, status, created_at or api"#,
            ),
        ] {
            assert_eq!(findings("registration.requested", text), expected, "{text}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn finds_types_that_do_not_fit() {
        for (text, expected) in [
            (
                "developer.email",
                "0: the condition is text; expected true or false",
            ),
            (
                "1 + 2",
                "0: the condition is a number; expected true or false",
            ),
            (
                "developer.teams",
                "0: the condition is a list; expected true or false",
            ),
            (
                "developer.email == 3",
                "16: == compares text with a number; they are never equal",
            ),
            (
                "developer.created_at < '2026-01-01'",
                "21: < cannot be applied to a time and text",
            ),
            (
                "!developer.email",
                "0: ! is given text; expected true or false",
            ),
            (
                "developer.email && true",
                "16: && is given text; expected true or false",
            ),
            (
                "developer.email ? true : false",
                "16: ? is given text; expected true or false",
            ),
            (
                "developer.email in 'x'",
                "16: in is given text; expected a list",
            ),
            (
                "developer.email in [1, 2]",
                "16: text is never in a list of numbers",
            ),
            (
                "developer.teams.contains('x')",
                "16: contains is given a list; expected text",
            ),
            (
                "lists.partners.contains('x')",
                "15: contains is given a list; expected text",
            ),
            (
                "in_team(registration, 'x')",
                "0: in_team is given a registration; expected a developer",
            ),
            (
                "developer.email.exists(c, c == 'x')",
                "16: exists() needs a list, this is text",
            ),
            (
                "developer.email.name == 'x'",
                r#"16: text has no members, not even "name""#,
            ),
            (
                "developer.teams.name == 'x'",
                r#"16: a list has no members, not even "name""#,
            ),
            (
                "developer.email[0] == 'x'",
                "15: text has no entries; expected a list or a map",
            ),
            (
                "developer.teams['x'].name == 'x'",
                "15: a list is indexed by text; expected a number",
            ),
            (
                "developer.email + 1 == 'x'",
                "16: + cannot be applied to text and a number",
            ),
            (
                "-developer.email == 'x'",
                "0: - is given text; expected a number",
            ),
            (
                "developer.teams.exists(t, t.name)",
                "22: this is text; expected true or false",
            ),
        ] {
            assert_eq!(findings("registration.requested", text), expected, "{text}");
        }
    }

    #[test]
    fn finds_texts_that_never_match() {
        for (text, expected) in [
            (
                "developer.status == 'pneding'",
                r#"20: "pneding" is no status; expected approved, pending, rejected or revoked"#,
            ),
            (
                "'Approved' != registration.status",
                r#"0: "Approved" is no status; expected approved, pending, rejected or revoked"#,
            ),
            (
                "signal.from_status in ['pending', 'blocked']",
                r#"34: "blocked" is no status; expected approved, pending, rejected or revoked"#,
            ),
            (
                "domain(developer.email) == 'Arsenal.com'",
                r#"27: domain() never answers "Arsenal.com"; expected "arsenal.com""#,
            ),
            (
                "domain(developer.email) in ['arsenal.com', '@arsenal.com']",
                r#"43: domain() never answers "@arsenal.com"; expected a domain"#,
            ),
            (
                "domain(developer.email) == 'bücher.example'",
                r#"27: domain() never answers "bücher.example"; expected "xn--bcher-kva.example""#,
            ),
            ("domain(developer.email) == ''", ""),
            (
                "domain(developer.email) in lists.people",
                r#"32: list "people" has "ann@arsenal.com", which domain() never answers; expected exact domains such as "partner.example""#,
            ),
            (
                "developer.email.endsWith('arsenal.com')",
                r#"25: endsWith("arsenal.com") is also true for the domains of others; expected domain(…) == "partner.example", or domain(…) in a list"#,
            ),
            (
                "developer.email.contains('@arsenal.com')",
                r#"25: contains("@arsenal.com") is also true for the domains of others; expected domain(…) == "partner.example", or domain(…) in a list"#,
            ),
            (
                "domain(developer.email).startsWith('arsenal.com')",
                r#"35: startsWith("arsenal.com") is also true for the domains of others; expected domain(…) == "partner.example", or domain(…) in a list"#,
            ),
            ("developer.email.endsWith('.arsenal.com')", ""),
            ("domain(developer.email).endsWith('.ac.uk')", ""),
            ("developer.email.startsWith('ann.')", ""),
            (
                "developer.email.matches('(')",
                r#"24: "(" is not a regular expression"#,
            ),
            (
                "developer.email.matches(developer.full_name)",
                "33: matches() is given a computed pattern; expected one written in the rule",
            ),
        ] {
            assert_eq!(findings("registration.requested", text), expected, "{text}");
        }
    }

    #[test]
    fn finds_facts_that_a_signal_does_not_have() {
        let text = "registration.status == 'pending'";
        for (signal, expected) in [
            (
                "developer.signed_up",
                "0: registration is always null for developer.signed_up",
            ),
            (
                "application.created",
                "0: registration is always null for application.created",
            ),
            ("registration.requested", ""),
            ("custom.hired", ""),
        ] {
            assert_eq!(findings(signal, text), expected, "{signal}");
        }
        let of_nobody = "developer == null && portal == null && event.data.state == 'began'";
        assert_eq!(
            findings("usher.outbox_old", of_nobody),
            "0: developer is always null for usher.outbox_old"
        );
    }

    #[test]
    fn finds_what_is_no_expression_and_what_takes_too_long() {
        for (text, expected) in [
            (
                "",
                "0: not a CEL expression: unexpected end of the condition",
            ),
            (
                "developer.email ==",
                "18: not a CEL expression: unexpected end of the condition",
            ),
            (
                "developer.email = 'x'",
                "16: = has no meaning in a condition; expected ==",
            ),
            (
                "developer.status == 'é' &&\n  developer.email = 'x'",
                "46: = has no meaning in a condition; expected ==",
            ),
            (
                "true and false",
                "5: not a CEL expression: unexpected 'and'",
            ),
            (
                "event.?a == 1",
                "5: not a CEL expression: unsupported syntax '.?'",
            ),
            (
                "[1].exists(a, [1].exists(b, [1].exists(c, true)))",
                "32: more than 2 of exists, all, map and filter inside one another",
            ),
            (
                "developer.teams.exists(a, event.x.exists(b, event.y.exists(c, true)))",
                "52: more than 2 of exists, all, map and filter inside one another\n0: the condition may take 8040200 rounds, at most 50000 are allowed",
            ),
            (
                "(event.x + event.y).exists(a, (event.x + event.y).exists(b, a == b))",
                "0: the condition may take 160400 rounds, at most 50000 are allowed",
            ),
        ] {
            assert_eq!(findings("registration.requested", text), expected, "{text}");
        }
    }
}
