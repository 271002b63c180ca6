# For train.sh of each network to source: a Python environment with the packages of requirements.txt.

say() { printf 'train: %s\n' "$*"; }

# environment FOLDER: made, and made again when requirements.txt has changed.
environment() {
  local venv=$1 requirements
  requirements=$(dirname "${BASH_SOURCE[0]}")/requirements.txt
  cmp -s "$requirements" "$venv/.requirements" && return
  say "Python packages"
  rm -rf "$venv"
  python3 -m venv "$venv"
  # Some gigabytes: a download that breaks off is begun again with what has come.
  local try
  for try in 1 2 3; do
    "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 10 -r "$requirements" && break
    [ "$try" != 3 ] || { say "the Python packages cannot be installed" >&2; return 1; }
  done
  cp "$requirements" "$venv/.requirements"
}
