set -eu

say() {
  printf 'toolkit: %s\n' "$1" >&2
}

give_up() {
  say "$1"
  exit 1
}
