#!/usr/bin/perl
# Runs in place of the daemon, under its unit, and tries what the daemon must not be able to do, and what it must. One line for
# each: NAME yes|no REASON. Perl, because every Debian has it and it can make any system call by its number (x86-64).
use strict;
use warnings;
use Errno;
use Socket;
$| = 1;

my %call = (finit_module => 313, mount => 165, sched_setscheduler => 144, unshare => 272,
    chown => 92, settimeofday => 164, reboot => 169, bpf => 321, setuid => 105, personality => 135, sethostname => 170,
    socket => 41, setpriority => 141);

sub report { my ($name, $done) = @_; my $why = $done ? "" : "$!"; printf "%s %s %s\n", $name, $done ? "yes" : "no", $why }
sub opens { my ($how, $path) = @_; return open(my $file, $how, $path) }
sub calls { my ($name, @arguments) = @_; return syscall($call{$name}, @arguments) >= 0 }

# What it must not.
report("read_home", opens("<", "/home/stranger/secret"));
report("read_root_home", opendir(my $r, "/root"));
report("read_shadow", opens("<", "/etc/shadow"));
report("write_etc", opens(">", "/etc/scanside/config.d/99-probe.toml"));
report("write_usr", opens(">", "/usr/lib/scanside/probe"));
report("see_var_tmp_of_others", -e "/var/tmp/of-others");
report("see_other_processes", scalar(grep { $_ == 1 } map { m{/proc/(\d+)} ? $1 : () } glob("/proc/[0-9]*")));
report("read_kernel_log", opens("<", "/dev/kmsg"));
report("read_raw_disk", opens("<", "/dev/vda"));
report("write_kernel_setting", opens(">", "/proc/sys/net/ipv4/ip_forward"));
report("write_cgroup", opens(">", "/sys/fs/cgroup/cgroup.procs"));
my $empty = "\0";
my ($release) = map { (split " ")[2] } do { open(my $f, "<", "/proc/version"); <$f> };
my $module;
report("load_module", open($module, "<", "/lib/modules/$release/kernel/drivers/net/dummy.ko") && calls("finit_module", fileno($module), $empty, 0));
report("raw_socket", socket(my $raw, PF_INET, SOCK_RAW, 1));
report("packet_socket", calls("socket", 17, 3, 0));
my ($none, $tmp) = ("none\0", "/tmp\0");
my $kind = "tmpfs\0";
report("mount", calls("mount", $none, $tmp, $kind, 0, 0));
report("chown", calls("chown", $tmp, 0, 0));
report("become_root", calls("setuid", 0));
my $now = pack("qq", time, 0);
report("set_clock", calls("settimeofday", $now, 0));
my $array = pack("L4", 2, 4, 4, 1);
report("bpf", calls("bpf", 0, $array, 16));
my $name = "probe";
report("hostname", calls("sethostname", $name, 5));
report("personality", calls("personality", 0x0040000));
my $su = system("su -c true >/dev/null 2>&1 </dev/null") == 0;
report("gain_rights_by_setuid_program", $su);
open(my $status, "<", "/proc/self/status");
my %status = map { /^(\w+):\s+(.*)$/ ? ($1, $2) : () } <$status>;
report("any_capability", $status{CapBnd} !~ /^0+$/ || $status{CapEff} !~ /^0+$/ || $status{CapAmb} !~ /^0+$/);
my ($fifty, $ten) = map { pack("i", $_) } 50, 10;
report("real_time_above_10", calls("sched_setscheduler", 0, 1, $fifty));

# What it needs.
report("need_state", opens(">", "/var/lib/scanside/probe") && unlink("/var/lib/scanside/probe"));
report("need_configuration", opens("<", "/etc/scanside/config.d/50-site.toml"));
report("need_processor", opens("<", "/proc/cpuinfo"));
report("need_video", opens("+<", "/dev/video0"));
for my $port (104, 11112) {
    my $one;
    my $done = socket($one, PF_INET, SOCK_STREAM, 0) && setsockopt($one, SOL_SOCKET, SO_REUSEADDR, 1)
        && bind($one, pack_sockaddr_in($port, INADDR_ANY)) && listen($one, 1);
    report("need_port_$port", $done);
}
my ($out, $bus);
report("need_host", socket($out, PF_INET, SOCK_STREAM, 0) && connect($out, pack_sockaddr_in($ENV{PROBE_PORT} || 9, inet_aton("10.0.2.2"))));
report("need_bus", socket($bus, PF_UNIX, SOCK_STREAM, 0) && connect($bus, pack_sockaddr_un("/run/dbus/system_bus_socket")));
report("need_journal", opens(">", "/dev/null") && -S "/run/systemd/journal/socket");
report("need_priority", calls("setpriority", 0, 0, -10));
report("need_real_time", calls("sched_setscheduler", 0, 1, $ten));
report("need_netlink", calls("socket", 16, 3, 0));
# Last: whoever can do it is nobody afterwards.
report("new_user_namespace", calls("unshare", 0x10000000));
print "end yes\n";
