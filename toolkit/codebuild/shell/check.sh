check_dockerfiles() {
  misses=0
  each_dockerfile check_dockerfile
  [ "$misses" -eq 0 ] || give_up "the build would leave ECR (on_miss: fail)"
}

check_dockerfile() {
  if has_dockerfile "$1"; then
    read_dockerfile check "$1" || misses=1
  fi
}
