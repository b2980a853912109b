#!/usr/bin/env bash
# Checks each manifest strictly (an unknown field is an error) against the schemas of Kubernetes 1.30 to 1.34 and of the custom
# resources, and against the rules of checkov. .checkov.yaml lists the rules that are off, each with its reason.
#   scripts/check-manifests.sh [FILE…]        from the root of the repository; without files: all of kubernetes/
# Prints one line for each file, and its errors; exits with 1 when there is one. Run `npm ci` first. Needs Python 3.10 or newer,
# and installs its other tools into .tools/ once (450 MB, a minute).
set -euo pipefail
cd "$(dirname "$0")/.."

versions='1.30 1.31 1.32 1.33 1.34'
requirements=scripts/check-manifests.requirements.txt
# Schemas of custom resources. Not in package.json: they declare Node 22, though 20 works, and npm would warn at each install.
kinds=(@kubernetes-models/{cloudnative-pg@2.0.0,external-secrets@2.0.0,gateway-api@2.0.0,istio@3.0.1,prometheus-operator@6.0.0} kubernetes-models@5.1.0)
tools=.tools/check-manifests
asked=$(cat "$requirements"; printf '%s\n' "${kinds[@]}")

if [ "$asked" != "$(cat "$tools/installed.txt" 2> /dev/null)" ]; then
  command -v python3 > /dev/null || {
    echo 'python3 is missing: install it (Debian: apt-get install python3 python3-venv)' >&2
    exit 1
  }
  rm -rf "$tools"
  install() {
    python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" &&
      npm install --prefix "$tools/kinds" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "${kinds[@]}"
  }
  if ! log=$(install 2>&1); then
    echo "cannot install the tools into $tools (Debian needs python3-venv): $(tail -n 1 <<< "$log")" >&2
    exit 1
  fi
  printf '%s\n' "$asked" > "$tools/installed.txt"
fi

shopt -s nullglob
[ $# -gt 0 ] || set -- kubernetes/*.yaml kubernetes/*/*.yaml

code=0
"$tools/bin/python" - "$versions" "$@" << 'PYTHON' || code=1
import sys

import kubernetes_validate as schemas
import yaml

versions, files = sys.argv[1].split(), sys.argv[2:]


def check_file(file):
    """The objects in a file, and its errors."""
    names, problems = [], []
    for document in yaml.safe_load_all(open(file, encoding='utf-8')):
        if document is None:
            continue
        names.append(f"{document['kind']} {document['metadata']['name']}")
        try:
            for version in versions:
                schemas.validate(document, version, strict=True)
        except schemas.ValidationError as error:
            place = '.'.join(map(str, error.path)) or 'the document'
            problems.append(f'{names[-1]}: Kubernetes {version}: {place}: {error.message}')
        except schemas.SchemaNotFoundError:
            pass  # A custom resource: check-kinds.ts checks it.
    return names, problems if names else ['the file has no object']


failed = False
for file in files:
    try:
        names, problems = check_file(file)
    except (OSError, yaml.YAMLError) as error:
        problems = [' '.join(str(error).split())]
    except (KeyError, TypeError):
        problems = ['a document has no apiVersion, no kind or no metadata.name']
    failed = failed or bool(problems)
    print(f'{file}: ' + ('; '.join(problems) if problems else 'ok, ' + ', '.join(names)))
sys.exit(1 if failed else 0)
PYTHON

node --import=./scripts/build.mjs scripts/dist/check-kinds.js "$tools/kinds" "$@" || code=1
"$tools/bin/checkov" --config-file .checkov.yaml --file "$@" || code=1
exit $code
