# A Java program with threads and garbage: compiled where javac is.
set -eu
if command -v javac > /dev/null; then
  javac -d . Everyday.java
  java -Xmx96m -cp . Everyday
else
  java -Xmx96m Everyday.java
fi
