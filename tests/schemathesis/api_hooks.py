"""What schemathesis cannot know about usher's own API: a format, and rules that the document has no place for."""

import ipaddress
import re

import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import RejectedPositiveData



def network(address, bits):
    """The network of so many bits that an address is in."""
    return str(ipaddress.ip_network((address, bits), strict=False))


# The format of the parameter `src`.
schemathesis.openapi.format(
    "cidr",
    st.one_of(
        st.ip_addresses().map(str),
        st.builds(network, st.ip_addresses(v=4), st.integers(0, 32)),
        st.builds(network, st.ip_addresses(v=6), st.integers(0, 128)),
    ),
)

# A request that fits the document and is refused all the same is a finding, unless the answer gives one
# of these reasons: (operations, what the answer says, why the document cannot say it).
RULES = [
    (
        r"list_\w+",
        r"parameter cursor: expected a value from meta\.next",
        "a page token is made by usher; a schema can only say that it is text",
    ),
    (
        r"list_\w+",
        r"parameter cursor: it is of another filter, leave it out to begin anew",
        "a page token belongs to the filter of the page before",
    ),
    (
        r"(list|report|export)_\w+|acknowledge_loss|create_replay_job",
        r"(parameters )?from, to: the window (ends at \S+, before it starts at|is empty: it starts and ends at) \S+",
        "JSON Schema does not compare two members",
    ),
    (
        r"create_replay_job",
        r"from, to: the window (starts at \S+, over 7 days ago; .*|ends at \S+, in the future; .*)",
        "what Konnect has depends on the time of the call",
    ),
    (
        r"report_timeline",
        r"report timeline is about one of two: give parameter developer_id or parameter application_id",
        "OpenAPI does not say that one of two parameters must be given",
    ),
    (
        r"create_action",
        r"team: (add_to_team|remove_from_team) needs the name or the id of a team|team: \w+ is about no team",
        "that a deed is about a team is said in words: a schema for each deed would hide what they share",
    ),
]


def is_stated_rule(operation, detail):
    return any(
        re.fullmatch(operations, operation) and re.fullmatch(words, detail)
        for operations, words, _ in RULES
    )


def has_null_in_path(case):
    """In its stateful phase schemathesis takes values of earlier answers, also null, which a path has as the
    word None: a row about a log-in that nobody is behind has no developer's id."""
    return None in (case.path_parameters or {}).values()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    if has_null_in_path(case):
        return False
    operation = case.operation.definition.raw["operationId"]
    return not is_stated_rule(operation, response.json()["detail"])
