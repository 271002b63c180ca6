#!/usr/bin/env bash
# The operating system image, as far as it can be checked without Yocto: recipes, kas files and scripts are read (layer.py, oelint-adv,
# ShellCheck), and its updates are tried on plain files (update.sh). No image is built.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=.cache/yocto/bin/python failed=0

missing=""
[ -x .cache/yocto/bin/oelint-adv ] || missing="$missing oelint-adv kas"
command -v shellcheck >/dev/null || missing="$missing shellcheck"
if [ -n "$missing" ]; then
  [ "${CI:-}" = true ] && { echo "yocto: with CI=true what is missing is a failure:$missing (setup.sh check)" >&2; failed=1; }
  echo "skipped:$missing"
  [ -n "${SCANSIDE_SKIPPED:-}" ] && echo "yocto:$missing" >>"$SCANSIDE_SKIPPED"
fi

[ -x "$python" ] || python=python3
"$python" -B hil-tests/scripts/layer.py || failed=1

mapfile -t recipes < <(git ls-files --cached --others --exclude-standard 'yocto/*.bb' 'yocto/*.bbappend' 'yocto/*/conf/*.conf')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard yocto | xargs grep -lIE '^#!.*/(sh|env bash)$')
if [ -x .cache/yocto/bin/oelint-adv ]; then
  # Left out: what asks the network, what it does not know (systemd's and our own variables), and names of files with "_".
  .cache/yocto/bin/oelint-adv --release wrynose --quiet --hide info --suppress oelint.vars.homepageping \
    --suppress oelint.vars.mispell.unknown --suppress oelint.vars.noncoreoverride --suppress oelint.file.underscores \
    --suppress oelint.var.licenseremotefile "${recipes[@]}" 2>&1 || failed=1
fi
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}" hil-tests/scripts/update.sh hil-tests/scripts/yocto.sh || failed=1
else
  for script in "${scripts[@]}"; do bash -n "$script" || failed=1; done
fi

hil-tests/scripts/update.sh || failed=1
exit $failed
