#!/usr/bin/env bash
# Checks each manifest against the schemas of Kubernetes 1.30 to 1.34, strictly: an unknown field is an error.
#   scripts/check-manifests.sh [FILE…]        from the repository's root; without files: all of kubernetes/
# One line per file; exit code 1 when one fails. Needs python3; installs what else it needs into .tools/, once.
set -euo pipefail
cd "$(dirname "$0")/.."

# Ships the schemas of 1.25 to 1.37.
package=kubernetes-validate==1.37.0
versions='1.30 1.31 1.32 1.33 1.34'
tools=.tools/$package

if ! "$tools/bin/python" -c 'import kubernetes_validate' 2> /dev/null; then
  command -v python3 > /dev/null || {
    echo 'python3 is missing: install it (Debian: apt-get install python3 python3-venv)' >&2
    exit 1
  }
  rm -rf "$tools"
  if ! log=$(python3 -m venv "$tools" 2>&1 && "$tools/bin/pip" install --quiet --disable-pip-version-check "$package" 2>&1); then
    echo "cannot install $package into $tools (Debian needs python3-venv): $(tail -n 1 <<< "$log")" >&2
    exit 1
  fi
fi

shopt -s nullglob
[ $# -gt 0 ] || set -- kubernetes/*.yaml kubernetes/*/*.yaml
exec "$tools/bin/python" - "$versions" "$@" << 'PYTHON'
import sys
import yaml
import kubernetes_validate as schemas

versions, files = sys.argv[1].split(), sys.argv[2:]


def check(document):
    """The first problem of a document, or None."""
    for version in versions:
        try:
            schemas.validate(document, version, strict=True)
        except schemas.ValidationError as error:
            return f"Kubernetes {version}: {'.'.join(map(str, error.path)) or 'the document'}: {error.message}"
        except schemas.SchemaNotFoundError as error:
            return error.message


def check_file(file):
    """What a file holds, and its problems."""
    names, problems = [], []
    for document in yaml.safe_load_all(open(file, encoding='utf-8')):
        if document is None:
            continue
        names.append(f"{document['kind']} {document['metadata']['name']}")
        problem = check(document)
        if problem:
            problems.append(f'{names[-1]}: {problem}')
    return names, problems if names else ['it is empty']


failed = False
for file in files:
    try:
        names, problems = check_file(file)
    except (OSError, yaml.YAMLError) as error:
        problems = [' '.join(str(error).split())]
    except (KeyError, TypeError):
        problems = ['a document has no kind or no metadata.name']
    failed = failed or bool(problems)
    print(f'{file}: ' + ('; '.join(problems) if problems else 'ok, ' + ', '.join(names)))
sys.exit(1 if failed else 0)
PYTHON
