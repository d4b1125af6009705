# The daemon reads the same file, so a pull of a missing image fails at once. Nothing answers at the address, not even a
# service of this machine.
close_docker_hub() {
  closed_at=
  case ${DOCKER_HOST:-unix:} in
    unix:*) ;;
    *) say "the daemon at $DOCKER_HOST looks names up itself: what is not listed could reach Docker Hub" ;;
  esac
  if ! [ -w /etc/hosts ]; then
    say "cannot write /etc/hosts: a docker pull or run of what is not listed would reach Docker Hub"
    return
  fi
  case $(cat /etc/hosts) in
    *'# toolkit'*) return ;;
  esac
  printf '\n255.255.255.255 %s # toolkit: on_miss is fail\n' \
    "registry-1.docker.io index.docker.io auth.docker.io docker.io registry.hub.docker.com" >>/etc/hosts ||
    give_up "cannot write /etc/hosts"
  closed_at=$(date +%s)
  say "Docker Hub's names lead nowhere in this build (on_miss: fail)"
}

# The daemon caches the file for five seconds.
wait_for_door() {
  if [ -n "$closed_at" ]; then
    left=$((closed_at + 6 - $(date +%s)))
    [ "$left" -le 0 ] || sleep "$left"
  fi
}
