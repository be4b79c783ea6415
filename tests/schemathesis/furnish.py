"""Makes sure that ids of each kind exist, and writes them down as dictionaries of schemathesis.

    furnish.py api URL TOKEN CONFIG FOLDER       usher with the record of a demo, whose usher.toml is CONFIG
    furnish.py emulator URL TOKEN FOLDER         an emulator with the seed `demo`
"""

import json
import pathlib
import sys
import time
import tomllib
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

PATIENCE_S = 30


class Server:
    def __init__(self, url, token):
        self.url = url
        self.authorization = f"Bearer {token}"

    def call(self, path, body=None, authorization=None):
        """Answers with what was answered, as JSON. A refusal ends the program, but what is not there yet may
        come: usher has just begun to look."""
        request = urllib.request.Request(self.url + path, data=body)
        request.add_header("Authorization", authorization or self.authorization)
        request.add_header("Content-Type", "application/json")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as refusal:
                if refusal.code != 404 or time.monotonic() > deadline:
                    sys.exit(f"furnish: {path}: {refusal.code} {refusal.read().decode()}")
                time.sleep(0.2)

    def post(self, path, body):
        return self.call(path, json.dumps(body).encode())

    def rows(self, path):
        return self.call(path)["data"]

    def await_answer(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return urllib.request.urlopen(self.url + "/readyz", timeout=5).close()
            except OSError as trouble:
                if time.monotonic() > deadline:
                    sys.exit(f"furnish: {self.url} does not answer: {trouble}")
                time.sleep(0.2)


def write(folder, kind, ids):
    """One file a kind. None of a kind is an error: nothing behind its ids would be tried."""
    if not ids:
        sys.exit(f"furnish: there are no {kind}")
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f'"{one}"\n' for one in dict.fromkeys(ids))
    (folder / f"{kind}.dict").write_text("".join(lines))


def furnish_api(url, token, config, folder):
    usher = Server(url, token)
    usher.await_answer()
    portal = usher.rows("/api/v1/directory/portals")[0]["portal_id"]

    # Neither line is signed, and one is no entry: both are quarantined.
    webhook = tomllib.loads(pathlib.Path(config).read_text())["ingest"]["authorization"][0]
    usher.call("/audit-logs", b'{"event_class_id":"x"}\nno entry', webhook)

    # Whoever is taken out of a team by hand is not put back by a rule: a veto.
    for member in usher.rows("/api/v1/directory/memberships?limit=3"):
        deed = {
            "deed": "remove_from_team",
            "portal_id": member["portal_id"],
            "target_id": member["developer_id"],
            "team": member["team_id"],
            "reason": "to have a veto",
        }
        usher.post("/api/v1/actions", deed)

    now = datetime.now(timezone.utc).replace(microsecond=0)
    window = {"from": (now - timedelta(hours=2)).isoformat(), "to": (now - timedelta(hours=1)).isoformat()}
    usher.post("/api/v1/replay-jobs", {"portal_id": portal, **window})

    for kind, path, name in [
        ("actions", "actions", "id"),
        ("developers", "directory/developers", "developer_id"),
        ("events", "events", "id"),
        ("portals", "directory/portals", "portal_id"),
        ("quarantine", "quarantine", "id"),
        ("replay-jobs", "replay-jobs", "id"),
        ("teams", "directory/teams", "team_id"),
        ("vetoes", "vetoes", "id"),
    ]:
        write(folder, kind, [row[name] for row in usher.rows(f"/api/v1/{path}?limit=50")])


def furnish_emulator(url, token, folder):
    konnect = Server(url, token)
    portal = konnect.rows("/v3/portals")[0]["id"]
    write(folder, "portals", [portal])
    for kind in ["developers", "teams", "applications"]:
        found = konnect.rows(f"/v3/portals/{portal}/{kind}?page%5Bsize%5D=50")
        write(folder, kind, [one["id"] for one in found])
    registrations = konnect.rows(f"/v3/portals/{portal}/application-registrations?page%5Bsize%5D=50")
    write(folder, "registrations", [one["id"] for one in registrations])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["api", url, token, config, folder]:
            furnish_api(url, token, config, pathlib.Path(folder))
        case ["emulator", url, token, folder]:
            furnish_emulator(url, token, pathlib.Path(folder))
        case _:
            sys.exit(__doc__)
