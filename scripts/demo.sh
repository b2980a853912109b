#!/bin/sh
# Walks through the system with curl, as a visitor would, and checks each answer.
#
#   scripts/demo.sh [BASE_URL]     default: http://localhost:8080
#
# Exits with 1 at the first answer that is wrong, or when nothing answers there.

set -eu

main() {
  base=${1:-http://localhost:8080}
  base=${base%/}
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  email="alice.$(date +%s).$$@example.com"

  step 'The homepages'
  ask GET /
  expect 200 '<title>Task service'
  ask GET /user/
  expect 200 '<title>User service'

  step 'Are they healthy?'
  ask GET /health
  expect 200 '"status":"ok"'
  ask GET /user/health
  expect 200 '"status":"ok"'

  step 'Register a user'
  ask POST /user/register "{\"name\":\"Alice\",\"email\":\"$email\"}"
  expect 201 "\"email\":\"$email\""
  ask GET /user/users
  expect 200 "\"email\":\"$email\""

  step 'Create a task'
  ask POST /tasks '{"title":"Buy milk","description":"2L whole"}'
  expect 201 '"title":"Buy milk"'
  location=$(sed -n 's/^[Ll]ocation: *//p' "$work/head" | tr -d '\r')
  id=${location##*/}
  ask GET /tasks
  expect 200 "\"id\":\"$id\""
  ask GET "$location"
  expect 200 '"description":"2L whole"'

  step 'What the contract does not allow is refused'
  ask POST /tasks '{"title":""}'
  expect 400 '"pointer":"/body/title"'

  printf '\n%d answers from %s, all as they should be.\n' "$answers" "$base"
}

answers=0

step() {
  printf '\n%s\n' "$1"
}

# ask METHOD PATH [JSON]: shows the request and its answer, and keeps the answer in $work.
ask() {
  if [ $# -eq 3 ]; then
    printf '  curl -X %s -H "Content-Type: application/json" -d '\''%s'\'' %s\n' "$1" "$3" "$base$2"
    set -- -X "$1" -H 'Content-Type: application/json' -d "$3" "$base$2"
  else
    printf '  curl %s\n' "$base$2"
    set -- "$base$2"
  fi
  if ! curl -sS --max-time 10 -D "$work/head" -o "$work/body" "$@" 2>"$work/error"; then
    fail "nothing answers at $base ($(cat "$work/error")): run npm start, or name another address"
  fi
  status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$work/head")
  printf '  %s  %s\n' "$status" "$(show)"
}

# expect STATUS TEXT: the answer has this status, and this text in its body.
expect() {
  [ "$status" = "$1" ] || fail "the status should be $1: $(cat "$work/body")"
  grep -qF -- "$2" "$work/body" || fail "this should be in the answer: $2"
  answers=$((answers + 1))
}

# The title of a page; of anything else what fits on a line.
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
