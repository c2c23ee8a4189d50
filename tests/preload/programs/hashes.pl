# Big hashes, strings, sorting, fork with pipes, and threads where built in.
use strict;
use warnings;
use Config;

my %count;
for my $i (1 .. 150_000) {
    $count{"key" . ($i * 7919 % 100_003)} .= "x$i";
}
my $length = 0;
$length += length for values %count;
print "hash ", scalar(keys %count), " $length\n";

delete $count{$_} for grep { /7$/ } keys %count;
my @sorted = sort { $count{$a} cmp $count{$b} || $a cmp $b } keys %count;
print "sorted $sorted[0] $sorted[-1] ", scalar(@sorted), "\n";

my $text = join(",", map { $_ * $_ % 1009 } 1 .. 200_000);
my $pairs = () = $text =~ /(\d)\1/g;
(my $changed = $text) =~ s/(\d+),(\d+)/$2:$1/g;
print "text $pairs ", length($changed), " ", unpack("%32C*", $changed), "\n";

for my $n (1 .. 10) {
    pipe(my $reading, my $writing) or die "pipe: $!";
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        my @blocks = map { "b" x ($_ * 100) } 1 .. 500;
        my $sum = 0;
        $sum += length for @blocks;
        print $writing $sum + $n, "\n";
        close $writing;
        exit $n;
    }
    close $writing;
    my $answer = <$reading>;
    waitpid($child, 0);
    print "child $n said $answer", "code ", $? >> 8, "\n";
}

print "backticks ", `printf '%s' one two`, "\n";

if ($Config{useithreads}) {
    require threads;
    my @threads = map {
        my $n = $_;
        threads->create(sub { my %own = map { $_ => "v$_" } 1 .. $n * 1000;
                              return scalar(keys %own); })
    } 1 .. 4;
    print "threads ", join(" ", map { $_->join } @threads), "\n";
}
