"""What `npm run fuzz` checks besides Schemathesis's own checks: schemathesis.toml lets services refuse some of what the
schemas allow, and here they may do so for the reasons given there only."""

import schemathesis

# Its coverage phase gives a header the greatest length and forgets the pattern, so that the service is right to refuse it.
# Of the same kind: https://github.com/schemathesis/schemathesis/issues/4592
FORGOTTEN = {"/headers/if-match", "/headers/last-event-id"}


@schemathesis.check
def refused_for_a_good_reason(ctx, response, case):
    """A request that the schemas allow is refused with 400 only for a cursor of another list."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    is_coverage = case.meta.phase.name.value == "coverage"
    errors = response.json().get("errors")
    if not errors:
        raise AssertionError("a 400 that names no place")
    for error in errors:
        is_foreign = error["pointer"] == "/query/cursor" and error["code"] == "cursor"
        if not is_foreign and not (is_coverage and error["pointer"] in FORGOTTEN):
            raise AssertionError(f"{error['pointer']} {error['detail']}")
