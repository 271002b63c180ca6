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
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv/.requirements"
}
