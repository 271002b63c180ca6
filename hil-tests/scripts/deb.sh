#!/usr/bin/env bash
# `make deb`: builds the Debian package of the appliance, and one with its debug symbols, in out/deb.
#
#   deb.sh
#   ARCH=arm64 deb.sh           cross-compiled: needs `rustup target add aarch64-unknown-linux-gnu` and the packages
#                               crossbuild-essential-arm64; ONNX Runtime for it is taken from SCANSIDE_ONNXRUNTIME_ARM64
#   VERSION=0.2.0-1 deb.sh      instead of the one made from Cargo.toml and git
#   PROGRAMS=folder deb.sh      packs scansided and scansidectl of that folder instead of building a release (the fast lane of the
#                               tests in a guest); such a package bears "+bench" in its version
#
# Files come from systemd/ (a mirror of the install tree; systemd/debian holds the scripts that dpkg runs) and models/packages.
# The programs are built as docs/release.md says: without simulated devices and without the development key.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
arch=${ARCH:-$(dpkg --print-architecture)}
case $arch in
  amd64) target=x86_64-unknown-linux-gnu cross="" runtime=${SCANSIDE_ONNXRUNTIME:-$PWD/.cache/onnxruntime/libonnxruntime.so} ;;
  arm64) target=aarch64-unknown-linux-gnu cross=aarch64-linux-gnu- runtime=${SCANSIDE_ONNXRUNTIME_ARM64:-} ;;
  *) echo "deb: no recipe for $arch" >&2; exit 2 ;;
esac
[ "$arch" = "$(dpkg --print-architecture)" ] && cross=""
need() { command -v "$1" >/dev/null || { echo "deb: $1 is missing: $2" >&2; exit 1; }; }
need dpkg-deb "apt-get install dpkg"
need dpkg-shlibdeps "apt-get install dpkg-dev"
need help2man "apt-get install help2man"
need "${cross}objcopy" "apt-get install binutils (arm64: crossbuild-essential-arm64)"
[ -r "$runtime" ] || { echo "deb: no libonnxruntime.so for $arch: run \`make setup\` (arm64: set SCANSIDE_ONNXRUNTIME_ARM64)" >&2; exit 1; }

# ---------------------------------------------------------------- build

host_programs=""
if [ -n "${PROGRAMS:-}" ]; then
  programs=$PROGRAMS suffix=+bench
else
  release=(--release --locked -p scansided -p scanside-client --no-default-features --features scanside-client/ctl)
  if [ -n "$cross" ]; then
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=${cross}gcc
    cargo build "${release[@]}" --target "$target"
    programs=target/$target/release suffix=""
    # Manual pages and completions are asked from a program that runs here.
    cargo build "${release[@]}"
    host_programs=target/release
  else
    cargo build "${release[@]}"
    programs=target/release suffix=""
  fi
fi
host_programs=${host_programs:-$programs}
crate=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if [ -z "${VERSION:-}" ]; then
  # A tag is a release; anything else sorts before the release that it leads to, and after the commits before it.
  if [ "$(git describe --exact-match --tags 2>/dev/null || true)" = "v$crate" ]; then VERSION=$crate-1; else
    VERSION=$crate~dev$(git rev-list --count HEAD).$(git rev-parse --short=8 HEAD)-1
  fi
  VERSION=$VERSION$suffix
fi
# Dates in the package are those of the commit, not of the packing.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH VERSION

out=out/deb
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/scanside symbols=$work/scanside-dbgsym
umask 022
mkdir -p "$root"/{DEBIAN,usr/bin,usr/lib/scanside/config.d,etc/scanside/config.d,usr/share/scanside/packages,usr/share/doc/scanside} \
  "$root"/usr/share/{man/man1,man/man8,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,lintian/overrides} \
  "$symbols"/DEBIAN

# ---------------------------------------------------------------- files

build_ids=""
for program in scansided scansidectl; do
  id=$("${cross}readelf" -n "$programs/$program" | sed -n 's/.*Build ID: //p')
  [ -n "$id" ] || { echo "deb: $program has no build id, by which debuggers find its symbols" >&2; exit 1; }
  build_ids="$build_ids $id"
  mkdir -p "$symbols/usr/lib/debug/.build-id/${id:0:2}"
  "${cross}objcopy" --only-keep-debug --compress-debug-sections=zlib "$programs/$program" \
    "$symbols/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug"
  "${cross}strip" --strip-unneeded --remove-section=.comment -o "$root/usr/bin/$program" "$programs/$program"
done
install -m 644 "$runtime" "$root/usr/lib/scanside/libonnxruntime.so"
# Some places of the install tree are called otherwise in the repository, where `systemd/` is flat.
# Not by find's -exec: it hides a copy that fails.
copy() {
  mkdir -p "$root/$2"
  (cd "systemd/$1" && find . -type f -print) > "$work/files"
  while read -r file; do install -D -m 644 "systemd/$1/$file" "$root/$2/$file"; done < "$work/files"
}
copy system usr/lib/systemd/system
copy dbus-1 usr/share/dbus-1
copy polkit-1 usr/share/polkit-1
copy sysusers.d usr/lib/sysusers.d
copy tmpfiles.d usr/lib/tmpfiles.d
copy sysctl.d usr/lib/sysctl.d
copy udev usr/lib/udev
copy config.d usr/lib/scanside/config.d
install -m 644 systemd/debian/20-package.toml "$root/usr/lib/scanside/config.d/"
install -m 644 systemd/debian/50-site.toml "$root/etc/scanside/config.d/"
for package in models/packages/*/; do
  name=$(basename "$package")
  (cd "$package" && git ls-files | while read -r file; do install -D -m 644 "$file" "$root/usr/share/scanside/packages/$name/$file"; done)
done

# ---------------------------------------------------------------- documents

ctl=$host_programs/scansidectl
"$ctl" completions bash > "$root/usr/share/bash-completion/completions/scansidectl"
"$ctl" completions zsh > "$root/usr/share/zsh/vendor-completions/_scansidectl"
"$ctl" completions fish > "$root/usr/share/fish/vendor_completions.d/scansidectl.fish"
page() { # section, name of the page, command line
  printf '#!/bin/sh\nexec %s "$@"\n' "$3" > "$work/$2"
  chmod +x "$work/$2"
  help2man --no-info --section "$1" --source "Scanside $crate" --version-string "$crate" --name "$4" "$work/$2" |
    gzip -9n > "$root/usr/share/man/man$1/$2.$1.gz"
}
page 8 scansided "$(realpath "$host_programs")/scansided" "the Scanside imaging appliance"
page 1 scansidectl "$(realpath "$ctl")" "control a Scanside imaging appliance"
# All of them: an engineer at a box without network has nothing else.
commands=$("$ctl" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' | grep -vx help)
[ -n "$commands" ] || { echo "deb: scansidectl --help names no commands" >&2; exit 1; }
for command in $commands; do
  page 1 "scansidectl-$command" "$(realpath "$ctl") $command" "commands of scansidectl for $command"
done
runtime_version=$(awk '$1 == "version" {print $2}' hil-tests/scripts/onnxruntime.txt)
documents=$root/usr/share/doc/scanside
python3 -B hil-tests/scripts/sbom.py --version "$VERSION" --onnxruntime "$runtime_version" --target "$target" \
  --sbom "$documents/scanside.cdx.json" --licences "$work/licences"
gzip -9n < "$work/licences" > "$documents/crate-licences.txt.gz"
for file in LICENSE ThirdPartyNotices.txt; do
  beside=$(dirname "$(realpath "$runtime")")/$file
  [ -r "$beside" ] || { echo "deb: $beside is missing: the package must not be given away without it" >&2; exit 1; }
  gzip -9n < "$beside" > "$documents/onnxruntime-$file.gz"
done
gzip -9n < daemon/report/fonts/LICENSE > "$documents/font-LICENSE.gz"
gzip -9n < docs/operator.md > "$documents/operator.md.gz"
gzip -9n < docs/dicom-conformance.md > "$documents/dicom-conformance.md.gz"
install -m 644 systemd/debian/copyright "$documents/copyright"
printf 'scanside (%s) stable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n -- Scanside <packages@scanside.example>  %s\n' \
  "$VERSION" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > "$documents/changelog.Debian.gz"
install -m 644 systemd/debian/lintian-overrides "$root/usr/share/lintian/overrides/scanside"
mkdir -p "$symbols/usr/share/doc"
ln -s scanside "$symbols/usr/share/doc/scanside-dbgsym"

# ---------------------------------------------------------------- packages

# What a unit names must be there.
for page in $(grep -h '^Documentation=' "$root"/usr/lib/systemd/system/* | grep -o 'man:[^ ]*'); do
  name=${page#man:} name=${name%)}
  file=$root/usr/share/man/man${name#*(}/${name%(*}.${name#*(}.gz
  [ -s "$file" ] || { echo "deb: a unit names the manual page $page, which is not in the package" >&2; exit 1; }
done

schema=$(git ls-files 'daemon/custody/src/store/migrations/*.sql' | wc -l)
mkdir -p "$work/shlibs/debian"
printf 'Source: scanside\n\nPackage: scanside\nArchitecture: any\n' > "$work/shlibs/debian/control"
libraries=$(cd "$work/shlibs" && dpkg-shlibdeps -O --ignore-missing-info "$root/usr/bin/scansided" "$root/usr/bin/scansidectl" \
  -e"$root/usr/lib/scanside/libonnxruntime.so" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || { echo "deb: dpkg-shlibdeps found no libraries" >&2; exit 1; }
fill() { # template, package root, output
  sed -e "s|@VERSION@|$VERSION|" -e "s|@ARCH@|$arch|" -e "s|@SHLIBS@|$libraries|" -e "s|@SCHEMA@|$schema|" \
    -e "s|@BUILD_IDS@|${build_ids# }|" -e "s|@SIZE@|$(du -sk --apparent-size "$2" | cut -f 1)|" "$1" > "$3"
}
fill systemd/debian/control.in "$root" "$root/DEBIAN/control"
fill systemd/debian/control-dbgsym.in "$symbols" "$symbols/DEBIAN/control"
install -m 644 systemd/debian/conffiles "$root/DEBIAN/"
for script in preinst postinst prerm postrm; do
  fill "systemd/debian/$script" "$root" "$root/DEBIAN/$script"
  chmod 755 "$root/DEBIAN/$script"
done
# Packing takes minutes, which a package for one test is not worth.
if [ -n "${PROGRAMS:-}" ]; then compress=(-Zgzip -z1); else compress=(-Zxz); fi
for folder in "$root" "$symbols"; do
  (cd "$folder" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
  find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group "${compress[@]}" --build "$folder" "$out" >/dev/null
done
cp -f "$documents/scanside.cdx.json" "$out/"
deb=$out/scanside_${VERSION}_$arch.deb
ln -sfn "$(basename "$deb")" "$out/scanside${suffix:+-bench}.deb"
size() { numfmt --to=iec "$(stat -L -c %s "$1")"; }
echo "scansided: $(size "$programs/scansided") as built, $(size "$root/usr/bin/scansided") in the package"
echo "scansidectl: $(size "$programs/scansidectl") as built, $(size "$root/usr/bin/scansidectl") in the package"
echo "$deb: $(size "$deb"); symbols: $(size "$out/scanside-dbgsym_${VERSION}_$arch.deb")"
