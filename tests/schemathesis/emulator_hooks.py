"""Drops what crates/konnect-emulator/spec/gaps.md explains, and counts it.

USHER_GAPS names that file, USHER_EXPLAINED one to which each kind of finding is added at the end:
operation, check, what was answered and how often, with tabs between.
"""

import atexit
import collections
import os
import pathlib
import re

import schemathesis
from schemathesis.openapi.checks import JsonSchemaError, UndefinedContentType, UndefinedStatusCode

GAPS = pathlib.Path(os.environ["USHER_GAPS"])


def tables():
    """The rows of the file, by the heading above them, each as its cells."""
    found = collections.defaultdict(list)
    heading = ""
    for line in GAPS.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| ---"):
            found[heading].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def read():
    found = tables()
    # The first row of each is its head.
    statuses = {
        (int(status), operation)
        for status, _, operations in found["Statuses that are not declared"][1:]
        for operation in re.sub(r"^\d+: ", "", operations).split(", ")
    }
    schemas = {
        operation: re.findall(r"`([^`]+)`", gap)
        for operations, gap, _ in found["Schemas that no answer can keep"][1:]
        for operation in operations.split(", ")
    }
    assert statuses and schemas, f"{GAPS} has not the tables that are read here"
    return statuses, schemas


STATUSES, SCHEMAS = read()
EXPLAINED = collections.Counter()


def is_explained(failure, operation, response):
    """A status by its table; a schema if the failure is about a member that the gap names; a media type if
    the gap names no member."""
    match failure:
        case UndefinedStatusCode():
            return (response.status_code, operation) in STATUSES
        case JsonSchemaError():
            return any(word in failure.message for word in SCHEMAS.get(operation, []))
        case UndefinedContentType():
            return SCHEMAS.get(operation) == []
    return False


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    operation = case.operation.definition.raw["operationId"]
    # The older audit logs have the names of the newer ones, but for what tells them apart.
    if "/v2/" in response.request.url:
        operation = f"v2-{operation}"
    if not is_explained(failure, operation, response):
        return True
    kind = response.headers.get("content-type", [""])[0]
    EXPLAINED[operation, type(failure).__name__, f"{response.status_code} {kind}"] += 1
    return False


@atexit.register
def tell():
    with open(os.environ["USHER_EXPLAINED"], "a") as out:
        for parts, count in sorted(EXPLAINED.items()):
            print(*parts, count, sep="\t", file=out)
