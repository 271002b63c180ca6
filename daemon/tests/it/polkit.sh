# The daemon as its own user beside the real polkitd and dbus-daemon, with the files as they are shipped. Everything is in
# a mount namespace of its own: users, groups, policies and the bus of this machine stay as they are.
#
# polkit.sh SCANSIDED SYSTEMD-FOLDER WORK-FOLDER; prints one line for each question: who, what, "allowed" or the refusal.
set -euo pipefail
scansided=$1 shipped=$2 work=$3
mount --make-rprivate /

# Users: the daemon, an operator in its group, a guest.
mkdir -p "$work/etc" "$work/spool" "$work/bus.d"
{ cat /etc/passwd; printf '%s\n' scanside:x:61001:61001::/:/bin/false operator:x:61002:61002::/:/bin/false \
  guest:x:61003:61003::/:/bin/false; } >"$work/etc/passwd"
{ cat /etc/group; printf '%s\n' scanside:x:61001:operator operator:x:61002: guest:x:61003:; } >"$work/etc/group"
mount --bind "$work/etc/passwd" /etc/passwd
mount --bind "$work/etc/group" /etc/group

# The shipped policies, and nobody else's.
for folder in /usr/share/polkit-1/actions /usr/share/polkit-1/rules.d /etc/polkit-1/rules.d /run/dbus; do
  mkdir -p "$folder"
  mount -t tmpfs -o mode=755 none "$folder"
done
cp "$shipped"/polkit-1/actions/*.policy /usr/share/polkit-1/actions/
cp "$shipped"/polkit-1/rules.d/*.rules /usr/share/polkit-1/rules.d/
cp /usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf "$shipped"/dbus-1/system.d/*.conf "$work/bus.d/"
mount --bind "$work/bus.d" /usr/share/dbus-1/system.d

started=()
trap 'kill "${started[@]}" 2>/dev/null || true' EXIT
wait_for() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "in vain: $*" >&2; exit 1; }
has_name() { dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetNameOwner "string:$1"; }

dbus-daemon --system --nofork --nopidfile & started+=($!)
wait_for test -S /run/dbus/system_bus_socket
/usr/lib/polkit-1/polkitd --no-debug & started+=($!)
wait_for has_name org.freedesktop.PolicyKit1

cat >"$work/site.toml" <<CONFIG
dicom.listen = "127.0.0.1:0"
bus.address = "system"
console.address = "off"
[spool]
directory = "$work/spool"
segment_mib = 8
ready_segments = 2
min_free_mib = 0
evict_below_mib = 0
CONFIG
chown -R scanside:scanside "$work/spool"
chmod 755 "$work"
# Its folder may be closed to other users.
touch "$work/scansided"
mount --bind "$scansided" "$work/scansided"
cd /
setpriv --reuid scanside --regid scanside --clear-groups "$work/scansided" --config "$work/site.toml" & started+=($!)
wait_for has_name org.scanside.Appliance1

as() { local who=$1; shift; setpriv --reuid "$who" --regid "$who" --init-groups "$@" 2>&1; }
ask() {
  local answer
  answer=$(as "$1" dbus-send --system --print-reply --dest=org.scanside.Appliance1 /org/scanside/Appliance1 \
    "org.scanside.Appliance1.Manager1.$2" "${@:3}") && answer=allowed || answer=${answer//$'\n'/ }
  printf '%s %s: %s\n' "$1" "$2" "$answer"
}
ask operator RetryDeliveries string:
ask guest RetryDeliveries string:

# Who gets past the policy of the bus meets polkit: each action, asked about a process of each.
setpriv --reuid operator --regid operator --init-groups sleep 60 & operator=$!; started+=("$operator")
setpriv --reuid guest --regid guest --init-groups sleep 60 & guest=$!; started+=("$guest")
is_user() { [ "$(stat -c %U "/proc/$1")" = "$2" ]; }
wait_for is_user "$operator" operator
wait_for is_user "$guest" guest
for action in $(grep -o 'action id="[^"]*"' /usr/share/polkit-1/actions/org.scanside.Appliance1.policy | cut -d'"' -f2); do
  for who in operator guest; do
    # As the daemon asks: not as root, whom polkit always answers.
    if setpriv --reuid scanside --regid scanside --clear-groups pkcheck --action-id "$action" --process "${!who}" \
      >"$work/answer" 2>&1; then answer=allowed; else answer="refused, $(tr '\n' ' ' <"$work/answer")"; fi
    printf '%s %s: %s\n' "$who" "$action" "$answer"
  done
done
