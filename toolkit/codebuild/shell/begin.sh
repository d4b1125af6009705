set -eu

say() {
  printf 'toolkit: %s\n' "$1" >&2
}

give_up() {
  say "$1"
  exit 1
}

for program in aws docker awk; do
  command -v "$program" >/dev/null || give_up "the build's image has no $program, which this step needs"
done
