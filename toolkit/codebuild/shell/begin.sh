# Earlier commands may have left tracing on (it would print the password), noclobber, an IFS of their own, or functions
# named `docker` and `aws`, which `command` passes by.
set +x +C -eu
unset IFS

say() {
  printf 'toolkit: %s\n' "$1" >&2
}

give_up() {
  say "$1"
  exit 1
}

# With $password, for a user and a registry. The builtin printf keeps the password out of every argv.
docker_login() {
  attempt=1
  until printf %s "$password" | command docker login --password-stdin --username "$@"; do
    [ "$attempt" -lt 3 ] || return 1
    sleep "$((attempt * 5))"
    attempt=$((attempt + 1))
  done
}

for program in aws docker awk; do
  command -v "$program" >/dev/null || give_up "the build's image has no $program, which this step needs"
done
