//! What a reader does by the keyboard: press keys, type, and go from one element to the next.

use serde_json::{Value, json};

use crate::support::browser::page::{Page, first};

/// Elements of one page that Tab stops at, at most.
const MOST_STOPS: usize = 300;

const SHIFT: u32 = 8;

impl Page {
    /// Presses a key: `Tab`, `Shift+Tab`, `Enter`, `Space`, `Escape`, `Backspace`, `ArrowDown` and
    /// its like, `Home`, `End`, or a character.
    pub(crate) async fn press(&self, key: &str) {
        let (key, modifiers) = match key.strip_prefix("Shift+") {
            Some(key) => (key, SHIFT),
            None => (key, 0),
        };
        let mut event = described(key);
        event["modifiers"] = modifiers.into();
        event["type"] = "keyDown".into();
        self.call("Input.dispatchKeyEvent", &event).await;
        event["type"] = "keyUp".into();
        let members = event.as_object_mut().expect("an object");
        members.remove("text");
        self.call("Input.dispatchKeyEvent", &event).await;
    }

    /// Presses a key that leads to another page, and waits until that has loaded.
    pub(crate) async fn press_on(&self, key: &str) {
        self.leads_on(key, self.press(key)).await;
    }

    /// Types into what has the focus, a key for each character.
    pub(crate) async fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.press(character.encode_utf8(&mut [0; 4])).await;
        }
    }

    /// Presses Tab until what `selector` finds has the focus, and holds that this can be seen.
    pub(crate) async fn tab_to(&self, selector: &str) {
        for _ in 0..MOST_STOPS {
            self.press("Tab").await;
            let script = format!("document.activeElement === {}", first(selector));
            if self.evaluate(&script).await == true {
                assert!(
                    self.shows_focus().await,
                    "`{selector}` has the focus and does not show it"
                );
                return;
            }
        }
        panic!(
            "Tab does not lead to `{selector}`; it is at {}",
            self.focused().await
        );
    }

    /// Whether what has the focus looks so: by an outline or a shadow.
    pub(crate) async fn shows_focus(&self) -> bool {
        let script = "(it => {
            const style = getComputedStyle(it);
            const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
            return it.matches(':focus-visible') && (outline || style.boxShadow !== 'none');
        })(document.activeElement)";
        self.evaluate(script).await == true
    }
}

/// A key as the browser wants to be told of it.
fn described(key: &str) -> Value {
    let (code, number, text) = match key {
        "Tab" => ("Tab", 9, None),
        "Enter" => ("Enter", 13, Some("\r")),
        "Space" | " " => ("Space", 32, Some(" ")),
        "Escape" => ("Escape", 27, None),
        "Backspace" => ("Backspace", 8, None),
        "End" => ("End", 35, None),
        "Home" => ("Home", 36, None),
        "ArrowLeft" => ("ArrowLeft", 37, None),
        "ArrowUp" => ("ArrowUp", 38, None),
        "ArrowRight" => ("ArrowRight", 39, None),
        "ArrowDown" => ("ArrowDown", 40, None),
        _ => {
            let mut characters = key.chars();
            let character = characters.next().expect("a key");
            assert!(characters.next().is_none(), "no such key: {key}");
            // Letters and digits have the number of their capital.
            let number = u32::from(character.to_ascii_uppercase());
            let number = if character.is_ascii_alphanumeric() {
                number
            } else {
                0
            };
            return json!({ "key": key, "text": key, "windowsVirtualKeyCode": number });
        }
    };
    let key = if code == "Space" { " " } else { code };
    let mut event = json!({ "key": key, "code": code, "windowsVirtualKeyCode": number });
    if let Some(text) = text {
        event["text"] = text.into();
    }
    event
}
