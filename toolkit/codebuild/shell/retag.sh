# Four at a time; more would wait for the daemon's own limit. The process that makes an image's folder handles it.
retag_all() (
  work=$(mktemp -d) || give_up "no temporary folder"
  trap 'rm -rf "$work"' EXIT
  workers=
  for worker in 1 2 3 4; do
    number=0
    each_image retag_if_free &
    workers="$workers $!"
  done
  for worker in $workers; do
    wait "$worker" || : # what it left undone is named below
  done
  failed=0
  number=0
  each_image name_if_failed
  [ "$failed" -eq 0 ] || give_up "$failed of $number base images are not here; is $registry seeded?"
)

retag_if_free() {
  number=$((number + 1))
  if mkdir "$work/$number" 2>/dev/null; then
    retag "$1" "$registry/$2"
  fi
}

retag() {
  case $1 in
    *@*) # No tag can be such a name; hosts.toml serves it.
      : >"$work/$number/done"
      return
      ;;
  esac
  attempt=1
  until command docker pull --quiet "$2" >"$work/$number/pulled"; do
    if [ "$attempt" -ge 3 ]; then
      printf 'cannot pull %s for %s, tried %s times' "$2" "$1" "$attempt" >"$work/$number/fault"
      return
    fi
    sleep "$((attempt * 5))"
    attempt=$((attempt + 1))
  done
  if command docker tag "$2" "$1"; then
    : >"$work/$number/done"
    say "$1 is $2"
  else
    printf 'cannot tag %s as %s' "$2" "$1" >"$work/$number/fault"
  fi
}

name_if_failed() {
  number=$((number + 1))
  if ! [ -e "$work/$number/done" ]; then
    failed=$((failed + 1))
    say "$(cat "$work/$number/fault" 2>/dev/null || printf 'nobody fetched %s' "$1")"
  fi
}
