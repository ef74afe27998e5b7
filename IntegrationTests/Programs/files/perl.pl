# Perl as scripts use it: files, regular expressions, fork and pipes, signals, sorting, local sockets.
use strict;
use warnings;
use File::Find;
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
$| = 1;
my $work = tempdir(CLEANUP => 1);
chdir $work or die;
my %count;
open my $words, '<', '/usr/share/common-licenses/GPL-3' or die;
while (<$words>) { $count{$_}++ for grep { /^[a-z]{3,}$/ } split /\W+/ }
close $words;
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "words: @top[0 .. 4]\n";
my @pids;
pipe my $reader, my $writer or die;
for my $n (1 .. 5) {
    my $pid = fork // die;
    if (!$pid) { close $reader; syswrite $writer, "child $n\n"; POSIX::_exit($n) }
    push @pids, $pid;
}
close $writer;
print sort <$reader>;
my $sum = 0;
for (@pids) { waitpid $_, 0; $sum += $? >> 8 }
print "statuses: $sum\n";
my $output = `echo from a shell; exit 4`;
print "backquotes: $output status ", $? >> 8, "\n";
$SIG{USR1} = sub { print "USR1\n" };
kill 'USR1', $$;
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select undef, undef, undef, 10; alarm 0 };
print "interrupted: $@";
mkdir "d$_" for 1 .. 3;
for (1 .. 3) { open my $f, '>', "d$_/f" or die; print $f $_ x 1000; close $f }
my @found;
find(sub { push @found, $File::Find::name if -f }, '.');
print "found: @{[sort @found]} ", -s 'd1/f', "\n";
rename 'd1/f', 'd2/g' or die;
print "renamed: ", join(',', sort map { s/.*\///r } glob 'd2/*'), "\n";
my $server = IO::Socket::UNIX->new(Local => "$work/s", Listen => 1) or die "listen: $!";
if (!fork) {
    my $client = IO::Socket::UNIX->new(Peer => "$work/s") or die;
    print $client "over a socket\n";
    POSIX::_exit(0);
}
my $peer = $server->accept;
print scalar <$peer>;
wait;
my $text = join '', map { chr(97 + $_ % 26) } 0 .. 99999;
my $matches = () = $text =~ /(?<=c)d[efg]+h/g;
print "matches: $matches\n";
printf "%s %d %.3f\n", 'formats', 42, atan2(1, 1) * 4;
chdir '/';
exit 13;
