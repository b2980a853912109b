#!/usr/bin/env bash
# Builds the image of each service for amd64 and arm64, pushes them to Docker Hub, and prints the commands that put them
# into the manifests:
#   DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh
set -euo pipefail
cd "$(dirname "$0")/.."

services='task-service user-service'

fail() {
  echo "$*" >&2
  exit 1
}

# Whether docker has a login for Docker Hub: in its own file, or in the system's store of passwords.
logged_in() {
  local config=${DOCKER_CONFIG:-$HOME/.docker}/config.json store
  grep -qs 'index\.docker\.io' "$config" && return
  store=$(sed -n 's/.*"credsStore": *"\([^"]*\)".*/\1/p' "$config" 2> /dev/null) || return
  [ -n "$store" ] && "docker-credential-$store" list 2> /dev/null | grep -q 'index\.docker\.io'
}

usage='DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh'
[ -n "${DOCKERHUB_USER:-}" ] || fail "DOCKERHUB_USER is missing: $usage"
[ -n "${TAG:-}" ] || fail "TAG is missing: $usage"
[[ $DOCKERHUB_USER =~ ^[a-z0-9]+$ ]] || fail "DOCKERHUB_USER \"$DOCKERHUB_USER\" is no name at Docker Hub: lower-case letters and digits"
[[ $TAG =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || fail "TAG \"$TAG\" is no tag: letters, digits, and then also . and -"
command -v docker > /dev/null || fail 'docker is missing: see https://docs.docker.com/get-docker/'
docker buildx version > /dev/null 2>&1 || fail 'docker buildx is missing: see https://docs.docker.com/build/'
docker info > /dev/null 2>&1 || fail 'docker does not answer: start it (docker info says why)'
logged_in || fail "docker is not logged in at Docker Hub: docker login --username $DOCKERHUB_USER"

# Docker's default builder makes images for one platform only.
builder=task-manager
docker buildx inspect "$builder" > /dev/null 2>&1 || docker buildx create --name "$builder" --driver docker-container > /dev/null

for service in $services; do
  docker buildx build . \
    --builder "$builder" \
    --platform linux/amd64,linux/arm64 \
    --file services/Dockerfile \
    --build-arg "SERVICE=$service" \
    --label "org.opencontainers.image.version=$TAG" \
    --tag "$DOCKERHUB_USER/$service:$TAG" \
    --push
done

echo
echo 'Pushed. Put them into the manifests:'
for service in $services; do
  file=kubernetes/$service.yaml
  # With a suffix, -i means the same to GNU's sed and to macOS's.
  echo "  sed -i.bak 's|image: .*|image: $DOCKERHUB_USER/$service:$TAG|' $file && rm $file.bak"
done
