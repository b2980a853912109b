#!/usr/bin/env bash
# Builds the image of each service for amd64 and arm64, pushes them, and prints the commands that put them into the manifests:
#   DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh
#   REGISTRY=ghcr.io/<you> TAG=v1 scripts/build_push.sh        any other registry, and the path in it
# With docker buildx; where there is no docker, with buildah. Two builds of one commit have one digest. Beside them, in
# reports/images/, it leaves for each service what was pushed (SERVICE.digest) and what is in it (SERVICE.cdx.json, an SBOM as
# CycloneDX: the npm packages, not the base image, and not Redoc, whose bundle is copied from a package for development).
# Exit code 1, and one line, when something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

services='task-service user-service'
platforms='linux/amd64 linux/arm64'
reports=reports/images
# Not `npm sbom`: npm 11.19 leaves out what development needs too, and named 104 of the 169 packages in task-service's image.
sbom_tool=@cyclonedx/cyclonedx-npm@6.0.1

main() {
  check_settings
  if command -v docker > /dev/null; then
    with=docker
  elif command -v buildah > /dev/null; then
    with=buildah
  else
    fail 'docker is missing: see https://docs.docker.com/get-docker/ (or install buildah)'
  fi
  "check_$with"
  command -v npx > /dev/null || fail 'npx is missing: install Node.js, https://nodejs.org'

  # The commit says what is in the image and when it was made, so that anybody can make the same again.
  revision=$(git describe --always --abbrev=40 --exclude='*' --dirty 2> /dev/null) || fail 'git knows no commit here: clone the repository'
  epoch=$(git log -1 --format=%ct)
  created=$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)

  rm -rf "$reports"
  mkdir -p "$reports"
  for service in $services; do
    image=$prefix/$service:$TAG
    npx --yes --ignore-scripts "$sbom_tool" --package-lock-only --omit=dev --workspace="services/$service" \
      --mc-type=application --output-reproducible --validate --output-file="$reports/$service.cdx.json"
    recipe=(
      --file services/Dockerfile
      --build-arg "SERVICE=$service"
      --label "org.opencontainers.image.version=$TAG"
      --label "org.opencontainers.image.revision=$revision"
      --label "org.opencontainers.image.created=$created"
    )
    "build_with_$with"
  done

  echo
  echo 'Pushed. Put them into the manifests:'
  for service in $services; do
    file=kubernetes/$service.yaml
    # With a suffix, -i means the same to GNU's sed and to macOS's.
    echo "  sed -i.bak 's|image: .*|image: $prefix/$service:$TAG|' $file && rm $file.bak"
  done
}

check_settings() {
  local usage='DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh'
  prefix=${REGISTRY:-${DOCKERHUB_USER:-}}
  [ -n "$prefix" ] || fail "DOCKERHUB_USER is missing: $usage"
  [ -n "${TAG:-}" ] || fail "TAG is missing: $usage"
  if [ -n "${REGISTRY:-}" ]; then
    [[ $REGISTRY =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$ ]] || fail "REGISTRY \"$REGISTRY\" is no registry: such as ghcr.io/<you>, in lower case"
    host=${REGISTRY%%/*}
  else
    [[ $DOCKERHUB_USER =~ ^[a-z0-9]+$ ]] || fail "DOCKERHUB_USER \"$DOCKERHUB_USER\" is no name at Docker Hub: lower-case letters and digits"
    host=docker.io
  fi
  [[ $TAG =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || fail "TAG \"$TAG\" is no tag: letters, digits, and then also . and -"
}

check_docker() {
  docker buildx version > /dev/null 2>&1 || fail 'docker buildx is missing: see https://docs.docker.com/build/'
  docker info > /dev/null 2>&1 || fail 'docker does not answer: start it (docker info says why)'
  logged_in_with_docker || fail "docker is not logged in at $host: docker login $host"
  # Docker's default builder makes images for one platform only.
  builder=task-manager
  docker buildx inspect "$builder" > /dev/null 2>&1 || docker buildx create --name "$builder" --driver docker-container > /dev/null
}

check_buildah() {
  buildah login --get-login "$host" > /dev/null 2>&1 || fail "buildah is not logged in at $host: buildah login $host"
  own_platform=$(buildah info --format '{{.host.os}}/{{.host.arch}}')
}

# Whether docker has a login: in its own file, or in the system's store of passwords.
logged_in_with_docker() {
  local config=${DOCKER_CONFIG:-$HOME/.docker}/config.json store
  grep -qsF "$host" "$config" && return
  store=$(sed -n 's/.*"credsStore": *"\([^"]*\)".*/\1/p' "$config" 2> /dev/null) || return
  [ -n "$store" ] && "docker-credential-$store" list 2> /dev/null | grep -qF "$host"
}

# Without attestations of its own, which hold the time and the place of the build: each build would have another digest.
build_with_docker() {
  SOURCE_DATE_EPOCH=$epoch docker buildx build . --builder "$builder" --platform "${platforms/ /,}" "${recipe[@]}" \
    --provenance=false --sbom=false --metadata-file "$reports/metadata.json" \
    --output "type=image,name=$image,push=true,oci-mediatypes=true,rewrite-timestamp=true"
  sed -n 's/.*"containerimage.digest": *"\([^"]*\)".*/\1/p' "$reports/metadata.json" > "$reports/$service.digest"
  rm "$reports/metadata.json"
}

# One platform after the other: at the same time, buildah 1.28 takes one's base image for the other's.
build_with_buildah() {
  local list=localhost/$service:build_push platform
  buildah manifest rm "$list" > /dev/null 2>&1 || true
  for platform in $platforms; do
    buildah build --platform "$platform" --build-arg "BUILDPLATFORM=$own_platform" "${recipe[@]}" \
      --timestamp "$epoch" --layers --manifest "$list" .
  done
  buildah manifest push --all --rm --format oci --digestfile "$reports/$service.digest" "$list" "docker://$image"
  # buildah 1.28 ends with 0 even when the registry did not take it.
  [ -s "$reports/$service.digest" ] || fail "buildah could not push $image: does $host answer, and may you write there?"
}

fail() {
  echo "$*" >&2
  exit 1
}

main
