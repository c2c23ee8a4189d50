# tar and xz with two threads, there and back.
set -eu
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
xz -2 -T2 --block-size=400KiB -c tree.tar > tree.tar.xz
xz -t tree.tar.xz
mkdir back
xz -dc -T2 tree.tar.xz | tar -xf - -C back
diff -r tree back/tree && echo same
tar -tJf tree.tar.xz | wc -l
md5sum < tree.tar
