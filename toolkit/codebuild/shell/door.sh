# The daemon reads the same file: a pull of what is missing ends at once, and asks nobody. The address is one that
# nothing can be reached at, and no port of a service of this machine.
close_docker_hub() {
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
  say "Docker Hub's names lead nowhere in this build (on_miss: fail)"
}
