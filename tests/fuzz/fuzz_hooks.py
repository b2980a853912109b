"""A check of `npm run fuzz` besides Schemathesis's own: schemathesis.toml lets services reject some requests that the
schemas allow, and they may do so only for the reasons given there."""

import schemathesis

# The coverage phase generates headers of maximum length that ignore the pattern; the service must reject them.
# A similar bug: https://github.com/schemathesis/schemathesis/issues/4592
FORGOTTEN = {"/headers/if-match", "/headers/last-event-id"}


@schemathesis.check
def refused_for_a_good_reason(ctx, response, case):
    """A request that the schemas allow is rejected with 400 only for a cursor of another list, or ahead of the feed."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    is_coverage = case.meta.phase.name.value == "coverage"
    errors = response.json().get("errors")
    if not errors:
        raise AssertionError("a 400 without errors")
    for error in errors:
        is_foreign = error["code"] == "cursor"
        if not is_foreign and not (is_coverage and error["pointer"] in FORGOTTEN):
            raise AssertionError(f"{error['pointer']} {error['detail']}")
