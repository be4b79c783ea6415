//! What a reader does on a page by pointing: click, follow, fill in, choose.

use serde_json::json;

use crate::support::browser::page::{Page, first, string};

/// Where to click an element: it must be there, in use and not covered by another.
const PLACE: &str = "(it => {
    if (!it) return null;
    if (it.disabled) throw new Error('it is disabled');
    it.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    // A link in a text may be in two lines: its middle is beside it.
    const box = it.getClientRects()[0];
    if (!box || box.width === 0 || box.height === 0) throw new Error('it has no size');
    const place = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const hit = document.elementFromPoint(place.x, place.y);
    const is_label = hit?.closest('label')?.control === it;
    if (!it.contains(hit) && !is_label) {
        throw new Error(`it is covered by ${hit?.outerHTML.slice(0, 80)}`);
    }
    return place;
})";

impl Page {
    /// Clicks the first element that `selector` finds; waits until it can be clicked.
    pub(crate) async fn click(&self, selector: &str) {
        let what = format!("`{selector}` can be clicked");
        let script = format!("{PLACE}({})", first(selector));
        let place = self.until(&what, &script).await;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({
                "type": kind,
                "x": place["x"],
                "y": place["y"],
                "button": if kind == "mouseMoved" { "none" } else { "left" },
                "buttons": buttons,
                "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event).await;
        }
    }

    /// Clicks a link or a button that leads to another page, and waits until that has loaded.
    pub(crate) async fn follow(&self, selector: &str) {
        let click = self.click(selector);
        self.leads_on(&format!("`{selector}`"), click).await;
    }

    /// Puts `text` into a field in place of what stands there, as if pasted.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let what = format!("`{selector}` can be filled in");
        let script = format!(
            "(it => it && !it.disabled && (it.focus(), it.select(), true) || null)({})",
            first(selector)
        );
        self.until(&what, &script).await;
        if text.is_empty() {
            self.press("Backspace").await;
        } else {
            let text = json!({ "text": text });
            self.call("Input.insertText", &text).await;
        }
    }

    /// Chooses the option of a `select` that has this value.
    pub(crate) async fn choose(&self, selector: &str, value: &str) {
        let what = format!("`{selector}` offers {value:?}");
        let script = format!(
            "((it, value) => {{
                if (![...(it?.options ?? [])].some(option => option.value === value)) return null;
                it.value = value;
                it.dispatchEvent(new Event('input', {{ bubbles: true }}));
                it.dispatchEvent(new Event('change', {{ bubbles: true }}));
                return true;
            }})({}, {})",
            first(selector),
            json!(value)
        );
        self.until(&what, &script).await;
    }

    /// What has the focus, by its opening tag.
    pub(crate) async fn focused(&self) -> String {
        let script = "document.activeElement?.cloneNode(false).outerHTML ?? ''";
        string(self.evaluate(script).await)
    }
}
