# A repository of 400 commits: import, log, commit, gc, fsck, clone.
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
export GIT_AUTHOR_DATE='1800000000 +0000' GIT_COMMITTER_DATE='1800000000 +0000'

git init -q -b main repository
cd repository
git fast-import --quiet --done < ../history
git reset -q --hard main
git log --stat > ../log
git log --oneline --graph --all | md5sum
git merge -q -m 'both' side
for i in 1 2 3 4 5; do
  echo "$i" >> folder0/new.txt
  git add -A
  git commit -q -m "by hand $i"
done
git rev-list --all --count
git rev-list --all --objects | sort | md5sum
git repack -q -a -d -f --depth=20 --window=30
git -c pack.threads=2 -c gc.autoDetach=false gc -q --prune=now
git count-objects -v | grep -E '^(count|packs|garbage):'
git fsck --full --strict 2>&1
git grep -c 'line 12$' | md5sum
git blame folder0/new.txt | cut -c1-8
git diff main~100 main --shortstat
cd ..
git clone -q --no-local repository clone
cd clone
git status --short
git log -1 --format=%H
git archive HEAD | md5sum
rm -rf .git
