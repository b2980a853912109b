#!/usr/bin/env bash
# Builds the image of each service for amd64 and arm64, pushes it, and prints the commands that put it into the manifests:
#   DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh
#   REGISTRY=ghcr.io/<you> TAG=v1 scripts/build_push.sh        another registry, and the path in it
# Uses docker buildx, or buildah where docker is not installed. Two builds of one commit have the same digest. For each service
# reports/images/ then holds the pushed digest (SERVICE.digest) and an SBOM (SERVICE.cdx.json, CycloneDX). The SBOM lists the npm
# packages, but neither the base image nor Redoc, whose bundle is copied from a development dependency.
# Exits with 1 and one line when something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

services=$(cd services && echo */)
services=${services//\//}
platforms='linux/amd64 linux/arm64'
reports=reports/images
# Not `npm sbom`: npm 11.19 omits packages that are also development dependencies, and listed 104 of the 169 in task-service.
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

  # Revision and time come from the commit, so that a later build gives the same image.
  revision=$(git describe --always --abbrev=40 --exclude='*' --dirty 2> /dev/null) || fail 'this folder has no git commit: clone the repository and run the script there'
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
    # -i with a suffix works with GNU sed and with the sed of macOS.
    echo "  sed -i.bak 's|image: .*|image: $prefix/$service:$TAG|' $file && rm $file.bak"
  done
}

check_settings() {
  local usage='DOCKERHUB_USER=<you> TAG=v1 scripts/build_push.sh'
  prefix=${REGISTRY:-${DOCKERHUB_USER:-}}
  [ -n "$prefix" ] || fail "DOCKERHUB_USER is missing: $usage"
  [ -n "${TAG:-}" ] || fail "TAG is missing: $usage"
  if [ -n "${REGISTRY:-}" ]; then
    [[ $REGISTRY =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$ ]] || fail "REGISTRY \"$REGISTRY\" is not a registry: use a name such as ghcr.io/<you>, in lower case"
    host=${REGISTRY%%/*}
  else
    [[ $DOCKERHUB_USER =~ ^[a-z0-9]+$ ]] || fail "DOCKERHUB_USER \"$DOCKERHUB_USER\" is not a Docker Hub name: use lower-case letters and digits"
    host=docker.io
  fi
  [[ $TAG =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || fail "TAG \"$TAG\" is not a tag: use letters, digits, _, . and -, and do not begin with . or -"
}

check_docker() {
  docker buildx version > /dev/null 2>&1 || fail 'docker buildx is missing: see https://docs.docker.com/build/'
  docker info > /dev/null 2>&1 || fail 'docker does not respond: start it (docker info shows the reason)'
  logged_in_with_docker || fail "docker is not logged in at $host: docker login $host"
  # The default builder of docker builds for one platform only.
  builder=task-manager
  docker buildx inspect "$builder" > /dev/null 2>&1 || docker buildx create --name "$builder" --driver docker-container > /dev/null
}

check_buildah() {
  buildah login --get-login "$host" > /dev/null 2>&1 || fail "buildah is not logged in at $host: buildah login $host"
  own_platform=$(buildah info --format '{{.host.os}}/{{.host.arch}}')
}

# Whether docker has a login, in its own file or in the credential store of the system.
logged_in_with_docker() {
  local config=${DOCKER_CONFIG:-$HOME/.docker}/config.json store
  grep -qsF "$host" "$config" && return
  store=$(sed -n 's/.*"credsStore": *"\([^"]*\)".*/\1/p' "$config" 2> /dev/null) || return
  [ -n "$store" ] && "docker-credential-$store" list 2> /dev/null | grep -qF "$host"
}

# Without the attestations of buildx: they contain the time and place of the build, so each build would have another digest.
build_with_docker() {
  SOURCE_DATE_EPOCH=$epoch docker buildx build . --builder "$builder" --platform "${platforms/ /,}" "${recipe[@]}" \
    --provenance=false --sbom=false --metadata-file "$reports/metadata.json" \
    --output "type=image,name=$image,push=true,oci-mediatypes=true,rewrite-timestamp=true"
  sed -n 's/.*"containerimage.digest": *"\([^"]*\)".*/\1/p' "$reports/metadata.json" > "$reports/$service.digest"
  rm "$reports/metadata.json"
}

# One platform after the other: in parallel, buildah 1.28 confuses the base images of the platforms.
build_with_buildah() {
  local list=localhost/$service:build_push platform
  buildah manifest rm "$list" > /dev/null 2>&1 || true
  for platform in $platforms; do
    buildah build --platform "$platform" --build-arg "BUILDPLATFORM=$own_platform" "${recipe[@]}" \
      --timestamp "$epoch" --layers --manifest "$list" .
  done
  buildah manifest push --all --rm --format oci --digestfile "$reports/$service.digest" "$list" "docker://$image"
  # buildah 1.28 exits with 0 even when the registry rejected the image.
  [ -s "$reports/$service.digest" ] || fail "buildah could not push $image: check that $host responds and that your login may write there"
}

fail() {
  echo "$*" >&2
  exit 1
}

main
