#!/bin/sh
# Demonstrates the system with curl, and checks each response.
#
#   scripts/demo.sh [BASE_URL]     default: http://localhost:8080
#
# Exits with 1 at the first wrong response, or when nothing responds at BASE_URL.

set -eu

main() {
  base=${1:-http://localhost:8080}
  base=${base%/}
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  email="alice.$(date +%s).$$@example.com"

  step 'Open the homepages'
  ask GET /
  expect 200 '<title>Task service'
  ask GET /user/
  expect 200 '<title>User service'

  step 'Check readiness'
  ask GET /health
  expect 200 '"status":"ok"'
  ask GET /user/health
  expect 200 '"status":"ok"'

  step 'Register a user'
  ask POST /user/register "{\"name\":\"Alice\",\"email\":\"$email\"}"
  expect 201 "\"email\":\"$email\""
  alice=$(header location)
  alice=${alice##*/}
  ask GET /user/users
  expect 200 "\"email\":\"$email\""

  step 'Create a task'
  ask POST /tasks '{"title":"Buy milk","description":"2L whole"}'
  expect 201 '"title":"Buy milk"'
  location=$(header location)
  id=${location##*/}
  ask GET /tasks
  expect 200 "\"id\":\"$id\""
  ask GET "$location"
  expect 200 '"description":"2L whole"'

  step 'Reject an invalid request'
  ask POST /tasks '{"title":""}'
  expect 400 '"pointer":"/body/title"'

  step 'Assign a task to Alice'
  ask POST /tasks "{\"title\":\"Prepare the review\",\"assigneeId\":\"$alice\",\"labels\":[\"demo\"]}"
  expect 201 "\"assigneeId\":\"$alice\""
  task=$(header location)
  ask POST /tasks '{"title":"For an unknown user","assigneeId":"00000000-0000-7000-8000-000000000000"}'
  expect 409 '/problems/unknown-assignee"'

  step 'Finish the task, and reject a change to the stale version'
  ask PATCH "$task" '{"status":"done"}' 'If-Match: "1"'
  expect 200 '"version":2'
  ask PATCH "$task" '{"status":"todo"}' 'If-Match: "1"'
  expect 412 '/problems/precondition-failed"'

  step 'Send a request twice, create one task'
  key="Idempotency-Key: demo-$(date +%s)-$$"
  ask POST /tasks '{"title":"Only one of these"}' "$key"
  expect 201 '"title":"Only one of these"'
  once=$(header location)
  ask POST /tasks '{"title":"Only one of these"}' "$key"
  expect 201 "\"id\":\"${once##*/}\""
  [ "$(header idempotent-replayed)" = true ] || fail 'the second response should repeat the first (Idempotent-Replayed: true)'

  step 'Delete the user, and see the task unassigned'
  ask DELETE "/user/users/$alice"
  expect 204 ''
  tries=0
  until ask GET "$task" && grep -q '"assigneeId":null' "$work/body"; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || fail 'the task should be unassigned 10 s after its user was deleted'
    sleep 0.2
  done
  expect 200 '"version":3'
  ask GET '/tasks/feed?limit=1'
  expect 200 '"type":"task.'

  printf '\n%d responses from %s, all as expected.\n' "$responses" "$base"
}

responses=0

step() {
  printf '\n%s\n' "$1"
}

# ask METHOD PATH [JSON [HEADER]]: shows the request and its response, and keeps the response in $work.
ask() {
  # shellcheck disable=SC2016 # Prints the inner quotes. $3 and $4 expand, because the outer quotes are double.
  shown="curl$([ "$1" = GET ] || echo " -X $1")${4:+ -H '$4'}${3:+ -H 'Content-Type: application/json' -d '$3'}"
  printf '  %s %s\n' "$shown" "$base$2"
  set -- -X "$1" ${4:+-H "$4"} ${3:+-H 'Content-Type: application/json' -d "$3"} "$base$2"
  if ! curl -sS --max-time 10 -D "$work/head" -o "$work/body" "$@" 2>"$work/error"; then
    fail "nothing responds at $base ($(cat "$work/error")): run npm start, or give another address"
  fi
  status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$work/head")
  printf '  %s  %s\n' "$status" "$(show)"
}

# header NAME: the value of this response header; NAME in lower case.
header() {
  tr -d '\r' < "$work/head" | awk -v name="$1" 'tolower($0) ~ "^" name ": " { sub(/^[^:]*: */, ""); print }'
}

# expect STATUS TEXT: checks the status of the response, and that its body contains the text, if any.
expect() {
  [ "$status" = "$1" ] || fail "the status should be $1: $(cat "$work/body")"
  [ -z "$2" ] || grep -qF -- "$2" "$work/body" || fail "the response should contain $2"
  responses=$((responses + 1))
}

# The title of a page, or the first 200 bytes of any other body.
show() {
  if grep -qi '^content-type: *text/html' "$work/head"; then
    sed -n 's/.*\(<title>.*<\/title>\).*/\1/p' "$work/body" | head -n 1
  else
    head -c 200 "$work/body"
  fi
}

fail() {
  printf 'demo.sh: %s\n' "$1" >&2
  exit 1
}

main "$@"
